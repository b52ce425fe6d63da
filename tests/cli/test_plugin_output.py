"""What a plugin prints does not reach the results on stdout."""

import csv
import io
import json
import os
import subprocess
import sys

import numpy as np
import pytest
from PIL import Image

import rude_metrics
from iqa_registry import plugins
from iqa_registry.cli.app import app


class PrintingPoint:
    """An entry point whose import prints."""

    name = "rude"

    def load(self):
        print("printed while importing")  # noqa: T201
        return rude_metrics


@pytest.fixture
def iqa(monkeypatch, capfd, tmp_path):
    """Run the program on one pair; gives what reached the two descriptors."""
    find = plugins.find_candidates
    chatty = plugins.Candidate(PrintingPoint(), rude_metrics.candidate().origin)
    monkeypatch.setattr(
        plugins, "find_candidates", lambda *group: [*find(*group), *([] if group else [chatty])]
    )
    for name, value in (("a", 100), ("b", 151)):
        Image.fromarray(np.full((16, 16), value, np.uint8)).save(tmp_path / f"{name}.png")

    def run(*args):
        app.main([*args], standalone_mode=False)
        return capfd.readouterr()

    return run


@pytest.mark.parametrize("form", ["--csv", "--json"])
def test_stdout_holds_the_table_alone(iqa, tmp_path, form):
    images = [str(tmp_path / "a.png"), str(tmp_path / "b.png")]
    out, err = iqa("evaluate", *images, "--metric", "rude-talking", "--intensity", "dtype", form)
    rows = json.loads(out) if form == "--json" else list(csv.DictReader(io.StringIO(out)))
    assert [row["metric"] for row in rows] == ["rude-talking"]
    assert float(rows[0]["score"]) == pytest.approx(51 / 255, abs=1e-6)
    for text in (
        "printed while importing",
        "printed while starting",
        "printed while scoring",
        "written while scoring",
    ):
        assert text in err
        assert text not in out


def test_lists_hold_no_prints(iqa):
    out, err = iqa("list", "--json")
    assert "rude-talking" in [row["name"] for row in json.loads(out)]
    assert "printed while importing" in err


PROGRAM = """
import ctypes, logging, subprocess, sys
kept = sys.stdout
logger = logging.getLogger("rude")
logger.addHandler(logging.StreamHandler(sys.stdout))
import rude_metrics
from iqa_registry import plugins
from iqa_registry.cli.app import app

def compare(self, synthesized, reference, mask=None):
    kept.write("kept hold of stdout")
    logger.error("logged")
    subprocess.run([sys.executable, "-c", "print('from a child')"])
    ctypes.CDLL(None).puts(b"from C")
    return (synthesized - reference).abs().mean((1, 2, 3))

rude_metrics.Talking.compare = compare
find = plugins.find_candidates
plugins.find_candidates = lambda *group: [*find(*group), *([] if group else [rude_metrics.candidate()])]
app(sys.argv[1:], prog_name="iqa")
"""


@pytest.mark.skipif(os.name == "nt", reason="the C library of Windows has no such name")
def test_whatever_way_it_is_written(tmp_path):
    for name, value in (("a", 100), ("b", 151)):
        Image.fromarray(np.full((16, 16), value, np.uint8)).save(tmp_path / f"{name}.png")
    options = ("a.png", "b.png", "-m", "rude-talking", "--intensity", "dtype", "--csv")
    command = [sys.executable, "-c", PROGRAM, "evaluate", *options]
    # The child is to find the helpers of the tests, and the package where this process has it from.
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    done = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, timeout=120, env=environment)
    assert done.returncode == 0, done.stderr
    rows = list(csv.DictReader(io.StringIO(done.stdout)))
    assert [float(row["score"]) for row in rows] == [pytest.approx(0.2, abs=1e-6)]
    for text in ("kept hold of stdout", "logged", "from a child", "from C"):
        assert text in done.stderr
        assert text not in done.stdout
