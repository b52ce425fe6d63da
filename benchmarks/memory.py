"""Peak memory of a run by the number of its pairs: a few small images, repeated in a manifest, scored with PSNR.

    python benchmarks/memory.py --pairs 10000 --pairs 100000

Prints one line of JSON per size: pairs, seconds, and the peak resident memory in MB of a run of that size alone.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from PIL import Image

IMAGES = 8


def write_manifest(folder: Path, count: int) -> Path:
    """``count`` pairs of :data:`IMAGES` images of 16 x 16 pixels, each with a name of its own."""
    generator = np.random.default_rng(0)
    for kind in "sr":
        for number in range(IMAGES):
            pixels = generator.integers(0, 256, (16, 16)).astype(np.uint8)
            Image.fromarray(pixels).save(folder / f"{kind}{number}.png")
    path = folder / f"pairs{count}.csv"
    with path.open("w") as file:
        file.write("pair_id,synthesized,reference\n")
        for number in range(count):
            file.write(f"p{number},s{number % IMAGES}.png,r{number // 7 % IMAGES}.png\n")
    return path


def peak(manifest: Path, output: Path) -> tuple[float, float]:
    """Seconds and peak megabytes of a run."""
    arguments = ["evaluate", "--pairs", str(manifest), "--metric", "psnr", "-o", str(output)]
    start = time.monotonic()
    process = subprocess.Popen(
        [sys.executable, "-m", "iqa_registry", *arguments],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    _, status, usage = os.wait4(process.pid, 0)
    if os.waitstatus_to_exitcode(status):
        raise SystemExit(f"{manifest}: the run ended with exit code {os.waitstatus_to_exitcode(status)}")
    return time.monotonic() - start, usage.ru_maxrss / 1024


def main() -> None:
    """See the module."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pairs", type=int, action="append")
    for count in parser.parse_args().pairs or [10_000, 100_000]:
        with tempfile.TemporaryDirectory() as name:
            manifest = write_manifest(Path(name), count)
            seconds, megabytes = peak(manifest, Path(name) / "run")
        print(
            json.dumps({"pairs": count, "seconds": round(seconds, 1), "peak_mb": round(megabytes)}),
            flush=True,
        )


if __name__ == "__main__":
    main()
