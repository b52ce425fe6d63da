"""Memory does not grow with the number of pairs."""

import subprocess
import sys

import numpy as np
import pytest
from PIL import Image

pytestmark = pytest.mark.slow

SCRIPT = """
import resource, sys
from iqa_registry.cli.app import app
try:
    app(["evaluate", "--pairs", sys.argv[1], "--metric", "mae", "--metric", "ssim", "-o", sys.argv[2]])
except SystemExit as stop:
    assert not stop.code, stop.code
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("pictures")
    generator = np.random.default_rng(0)
    for number in range(20_000):
        Image.fromarray(generator.integers(0, 256, (64, 64)).astype(np.uint8)).save(folder / f"{number}.png")
    for count in (1_000, 20_000):
        lines = [f"{n}.png,{(n + 1) % count}.png" for n in range(count)]
        (folder / f"{count}.csv").write_text("\n".join(["synthesized,reference", *lines]))
    return folder


def peak(folder, count, tmp_path):
    arguments = [sys.executable, "-c", SCRIPT, str(folder / f"{count}.csv"), str(tmp_path / str(count))]
    done = subprocess.run(arguments, capture_output=True, text=True, check=True)
    return int(done.stdout.splitlines()[-1])


def test_twenty_thousand_pairs_take_no_more_than_a_thousand(folder, tmp_path):
    small, large = (peak(folder, count, tmp_path) for count in (1_000, 20_000))
    assert large < 1.1 * small, (small, large)
