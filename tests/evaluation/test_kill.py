"""A run that is killed at any moment and started again ends with the table of an uninterrupted run."""

import json
import os
import random
import runpy
import signal
import subprocess
import sys
import time
from pathlib import Path

import polars as pl
import pytest

pytestmark = pytest.mark.slow

PAIRS = 500
SCRIPT = Path(__file__).parents[2] / "benchmarks" / "kills.py"


@pytest.fixture(scope="module")
def manifest(tmp_path_factory):
    write_pairs = runpy.run_path(str(SCRIPT))["write_pairs"]
    return write_pairs(tmp_path_factory.mktemp("pairs"), PAIRS, scale=12)


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
    ended = subprocess.run([sys.executable, str(SCRIPT), "--kills", "100"], capture_output=True, text=True)
    assert ended.returncode == 0, ended.stderr
    figures = json.loads(ended.stdout)
    assert figures["tables_that_differ"] == figures["files_left"] == 0
    assert figures["kills"] == 100
    assert figures["some_parts"] >= 10
