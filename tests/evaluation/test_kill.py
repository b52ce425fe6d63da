"""A run that is killed at any moment and started again ends with the table of an uninterrupted run."""

import json
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from PIL import Image

pytestmark = pytest.mark.slow

PAIRS = 500


@pytest.fixture(scope="module")
def manifest(tmp_path_factory):
    folder = tmp_path_factory.mktemp("pairs")
    generator = np.random.default_rng(0)
    lines = ["synthesized,reference,model"]
    for number in range(PAIRS):
        if number % 10 == 0:
            reference = generator.integers(0, 256, (16, 16)).astype(np.uint8).repeat(12, 0).repeat(12, 1)
            Image.fromarray(reference).save(folder / f"r{number // 10}.png")
        noisy = np.clip(reference + generator.normal(0, 20, reference.shape), 0, 255).astype(np.uint8)
        Image.fromarray(noisy).save(folder / f"s{number}.png")
        lines.append(f"s{number}.png,r{number // 10}.png,{'ab'[number % 2]}")
    path = folder / "pairs.csv"
    path.write_text("\n".join(lines))
    return path


def command(manifest, output):
    metrics = [f"--metric={name}" for name in ("mae", "psnr", "ssim", "ms_ssim", "gmsd", "fsim", "vif")]
    return [
        sys.executable,
        "-m",
        "iqa_registry",
        "evaluate",
        "--pairs",
        str(manifest),
        *metrics,
        "-o",
        str(output),
    ]


def table(output):
    return (
        pl.read_parquet(output / "scores" / "part-*.parquet")
        .sort("order", "metric", "region")
        .drop("seconds")
    )


def test_ten_kills_leave_the_same_table(manifest, tmp_path):
    start = time.monotonic()
    assert subprocess.run(command(manifest, tmp_path / "whole")).returncode == 0
    whole_seconds = time.monotonic() - start
    generator = random.Random(0)
    killed = 0
    for _ in range(10):
        process = subprocess.Popen(command(manifest, tmp_path / "killed"), stderr=subprocess.DEVNULL)
        try:
            # Most of the start is the import of torch; the moments are spread over it and over the scoring.
            process.wait(timeout=generator.uniform(0.4, 0.9) * whole_seconds)
        except subprocess.TimeoutExpired:
            os.kill(process.pid, signal.SIGKILL)
            process.wait()
            killed += 1
    assert killed >= 1
    assert subprocess.run(command(manifest, tmp_path / "killed")).returncode == 0
    assert table(tmp_path / "killed").equals(table(tmp_path / "whole"))
    left = [
        path
        for path in (tmp_path / "killed").rglob("*")
        if path.name.endswith(".tmp") or path.name == ".lock"
    ]
    assert left == []


def test_a_hundred_kills_leave_the_same_table():
    script = Path(__file__).parents[2] / "benchmarks" / "kills.py"
    ended = subprocess.run([sys.executable, str(script), "--kills", "100"], capture_output=True, text=True)
    assert ended.returncode == 0, ended.stderr
    figures = json.loads(ended.stdout)
    assert figures["tables_that_differ"] == figures["files_left"] == 0
    assert figures["kills"] == 100
    assert figures["some_parts"] >= 10
