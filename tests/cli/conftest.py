import numpy as np
import pytest
from PIL import Image

from command_line import run_in_process


@pytest.fixture
def iqa(tmp_path, monkeypatch):
    """Run the command line in an empty folder; in this process, since importing torch anew takes seconds."""
    # --debug sets it for the rest of the process.
    monkeypatch.setenv("IQA_DEBUG", "")
    monkeypatch.setenv("COLUMNS", "200")
    monkeypatch.chdir(tmp_path)

    def run(*arguments, **environment):
        for name, value in environment.items():
            monkeypatch.setenv(name, value)
        return run_in_process(*arguments)

    return run


@pytest.fixture
def smooth():
    """A seeded, smooth 8-bit 2-D image."""

    def make(seed, size=(64, 64)):
        generator = np.random.default_rng(seed)
        coarse = generator.integers(20, 236, size=(size[0] // 8 + 1, size[1] // 8 + 1)).astype(np.uint8)
        return np.asarray(Image.fromarray(coarse).resize(size[::-1], Image.Resampling.BICUBIC))

    return make


@pytest.fixture
def folders(tmp_path, smooth):
    """Two folders of three matching 2-D images each."""
    for name, offset in (("synthesized", 0), ("reference", 50)):
        (tmp_path / name).mkdir()
        for number in range(3):
            Image.fromarray(smooth(number + offset)).save(tmp_path / name / f"{number}.png")
    return tmp_path / "synthesized", tmp_path / "reference"
