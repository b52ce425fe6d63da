"""How the program ends when it is interrupted, when its output has no room, and when nobody reads it."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from PIL import Image

FULL = Path("/dev/full")
PROGRAM = [sys.executable, "-m", "iqa_registry"]


@pytest.fixture
def manifest(tmp_path):
    """So many pairs that scoring them takes a while."""
    for name, shade in (("fake", 90), ("real", 120)):
        Image.fromarray(np.linspace(0, shade, 96 * 96).reshape(96, 96).astype(np.uint8)).save(
            tmp_path / f"{name}.png"
        )
    rows = ["pair_id,synthesized,reference", *(f"{number:05d},fake.png,real.png" for number in range(2500))]
    path = tmp_path / "pairs.csv"
    path.write_text("\n".join(rows))
    return path


@pytest.mark.skipif(os.name == "nt", reason="needs the signal of Ctrl-C")
def test_ctrl_c_says_how_to_resume_and_the_same_command_does(manifest, tmp_path):
    command = [*PROGRAM, "evaluate", "--pairs", str(manifest), "-m", "psnr", "--no-shift-check", "-o", "RUN"]
    process = subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=tmp_path
    )
    limit = time.monotonic() + 120
    while process.poll() is None and time.monotonic() < limit:
        if [*tmp_path.glob("RUN/scores/part-*.parquet")]:
            break
        time.sleep(0.02)
    process.send_signal(signal.SIGINT)
    _, stderr = process.communicate(timeout=60)
    assert process.returncode == 130, stderr
    assert stderr == "iqa: interrupted. Repeat the command to resume; RUN keeps what is finished.\n"
    finished = {path: path.read_bytes() for path in tmp_path.glob("RUN/scores/part-*.parquet")}
    assert finished
    done = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, timeout=300)
    assert done.returncode == 0, done.stderr
    assert pl.read_parquet(tmp_path / "RUN/scores/part-*.parquet").height == 2500
    assert all(path.read_bytes() == content for path, content in finished.items())


@pytest.fixture
def interrupted(monkeypatch):
    def stop(*arguments, **settings):
        raise KeyboardInterrupt

    monkeypatch.setattr("iqa_registry.evaluation.evaluate.evaluate", stop)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ((), "Nothing was kept; with -o FOLDER, repeating the command resumes an interrupted run."),
        (("-o", "RUN"), "Repeat the command to resume; RUN keeps what is finished."),
        (
            ("-o", "RUN", "--fresh"),
            "Repeat the command without --fresh to resume; RUN keeps what is finished.",
        ),
    ],
)
def test_an_interruption_says_what_is_kept(iqa, interrupted, options, message):
    done = iqa("evaluate", "-m", "psnr", *options)
    assert done.returncode == 130
    assert done.stderr.splitlines()[1:] == [f"iqa: interrupted. {message}"]


def test_what_cannot_be_resumed_is_interrupted_in_one_line(iqa, monkeypatch):
    def stop():
        raise KeyboardInterrupt

    monkeypatch.setattr("iqa_registry.cli.plugins.build_registry", stop)
    done = iqa("plugins")
    assert (done.returncode, done.stderr) == (130, "iqa: interrupted.\n")


def test_an_interruption_while_the_program_starts():
    code = """
import builtins
found = builtins.__import__
def interrupted(name, *rest, **more):
    if name == "iqa_registry.cli.app":
        raise KeyboardInterrupt
    return found(name, *rest, **more)
builtins.__import__ = interrupted
from iqa_registry.cli import main
main()
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (130, "iqa: interrupted.\n")


@pytest.mark.skipif(not FULL.exists(), reason="needs a device that is always full")
@pytest.mark.parametrize("words", ["list", "list --json", "--help", "--version", "info --help", "info ssim"])
def test_a_full_disk_under_the_output_is_one_line(words):
    with FULL.open("wb") as full:
        done = subprocess.run([*PROGRAM, *words.split()], stdout=full, stderr=subprocess.PIPE, text=True)
    assert done.returncode == 1
    assert (
        done.stderr == "iqa: error: the output cannot be written: the disk is full. Make room, and rerun.\n"
    )


@pytest.mark.skipif(os.name == "nt", reason="pipes end in another way")
@pytest.mark.parametrize("words", ["list", "--help", "info ssim"])
def test_a_reader_that_has_seen_enough_is_no_error(words):
    reading, writing = os.pipe()
    os.close(reading)
    try:
        done = subprocess.run([*PROGRAM, *words.split()], stdout=writing, stderr=subprocess.PIPE, text=True)
    finally:
        os.close(writing)
    assert (done.returncode, done.stderr) == (0, "")
