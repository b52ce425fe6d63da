import subprocess
import sys

import numpy as np
import pytest
from PIL import Image


@pytest.fixture
def iqa(tmp_path):
    """Run the command line in a process of its own, in an empty folder."""

    def run(*arguments, cwd=None, **environment):
        import os

        return subprocess.run(
            [sys.executable, "-m", "iqa_registry", *map(str, arguments)],
            capture_output=True, text=True, cwd=cwd or tmp_path, timeout=300,
            env={**os.environ, "COLUMNS": "200", **environment},
        )  # fmt: skip

    return run


@pytest.fixture
def smooth():
    """A seeded, smooth 8-bit picture."""

    def make(seed, size=(64, 64)):
        generator = np.random.default_rng(seed)
        coarse = generator.integers(20, 236, size=(size[0] // 8 + 1, size[1] // 8 + 1)).astype(np.uint8)
        return np.asarray(Image.fromarray(coarse).resize(size[::-1], Image.Resampling.BICUBIC))

    return make


@pytest.fixture
def folders(tmp_path, smooth):
    """Two folders of three matching pictures each."""
    for name, offset in (("synthesized", 0), ("reference", 50)):
        (tmp_path / name).mkdir()
        for number in range(3):
            Image.fromarray(smooth(number + offset)).save(tmp_path / name / f"{number}.png")
    return tmp_path / "synthesized", tmp_path / "reference"
