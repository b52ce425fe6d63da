"""What no file may be called, and a settings file that is too deep, end in one line."""

import os
import subprocess
import sys

import numpy as np
import pytest
from PIL import Image

from iqa_registry.api import evaluate
from iqa_registry.errors import UsageError
from iqa_registry.images._manifest import read_rows
from iqa_registry.images.pairs import Pair, read_manifest
from iqa_registry.registry import read_settings


@pytest.mark.parametrize("row", ["a\0.png,r.png,1", 'a.png,r.png,"1\n2"'])
def test_control_characters_in_a_manifest_are_refused(tmp_path, row):
    path = tmp_path / "pairs.csv"
    path.write_text(f"synthesized,reference,pair_id\n{row}\n")
    with pytest.raises(UsageError, match="control character") as caught:
        read_rows(path)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("name", [".", ".png"])
def test_a_row_without_a_name_of_its_own_has_an_identifier(tmp_path, name):
    folder = tmp_path / "inner"
    folder.mkdir()
    (folder / ".png").write_bytes(b"")
    (folder / "pairs.csv").write_text(f"synthesized\n{name}\n")
    expected = {".": "inner", ".png": ".png"}[name]
    assert [pair.pair_id for pair in read_manifest(folder / "pairs.csv").pairs] == [expected]


def test_settings_that_are_too_deep_are_refused(tmp_path):
    path = tmp_path / "iqa.toml"
    path.write_text("a = " + "[" * 5000 + "]" * 5000)
    with pytest.raises(UsageError, match="cannot be read as TOML"):
        read_settings(path)


IMAGE = np.arange(256, dtype=np.uint8).reshape(16, 16)
UNFIT = {
    "a\nb": "control character", "a\tb": "control character", "a\0b": "control character",
    "a\x1b[31mb": "control character", "a\x85b": "control character", "a\u2028b": "control character",
    "a\udcffb": "not text", "a" * 1001: "1001 characters. Give it at most 1000.",
}  # fmt: skip


@pytest.mark.parametrize("name", UNFIT)
def test_names_of_pairs_in_python(name):
    for pair in (Pair(name, IMAGE, IMAGE), {"pair_id": name, "synthesized": IMAGE, "reference": IMAGE}):
        with pytest.raises(UsageError, match=UNFIT[name]) as caught:
            evaluate([pair], "mae")
        assert str(caught.value).isprintable()
        assert len(str(caught.value)) < 300


def test_names_that_are_unusual_are_kept():
    names = ["a" * 1000, "Müller/T1 (2)", "脑", "a,b", '"', "-"]
    table = evaluate([Pair(name, IMAGE, IMAGE) for name in names], "mae")
    assert table["pair_id"].to_list() == names


@pytest.mark.parametrize("path", ["a\0b.png", "a\udcffb.png"])
def test_paths_that_are_not_text(path):
    pair = Pair("a", path, IMAGE)
    with pytest.raises(UsageError, match="not text"):
        evaluate([pair], "mae")


def test_groups_that_are_not_text():
    pair = Pair("a", IMAGE, IMAGE, groups={"model": "a\udcffb"})
    with pytest.raises(UsageError, match="not text"):
        evaluate([pair], "mae")


@pytest.mark.skipif(os.name == "nt", reason="Windows has no such names")
@pytest.mark.parametrize("name", [b"a\xffb.png", b"a\nb.png"])
def test_files_of_a_folder(iqa, tmp_path, name):
    for folder in ("fake", "real"):
        (tmp_path / folder).mkdir()
        Image.fromarray(IMAGE).save(tmp_path / folder / os.fsdecode(name))
    done = iqa("evaluate", "fake", "real", "-m", "mae")
    assert done.returncode == 2
    assert len(done.stderr.splitlines()) == 1
    assert "Rename it." in done.stderr


def test_a_long_name_in_a_manifest(iqa, tmp_path):
    (tmp_path / "pairs.csv").write_text(f"synthesized,reference,pair_id\na.png,b.png,{'x' * 5000}\n")
    done = iqa("evaluate", "--pairs", "pairs.csv", "-m", "mae")
    assert done.returncode == 2
    assert "line 2: the pair_id 'xxx" in done.stderr
    assert "has 5000 characters. Give it at most 1000." in done.stderr
    assert len(done.stderr) < 300


LONG = "x" * 5000


@pytest.mark.parametrize(
    "command",
    [
        ("evaluate", f"{LONG}.png", f"{LONG}.png"),
        ("evaluate", f"{LONG}/{{case}}.png", f"{LONG}/{{case}}.png"),
        ("evaluate", "--pairs", f"{LONG}.csv"),
        ("evaluate", "-o", LONG),
        ("maps", LONG, LONG, "-o", "out"),
        ("agree", LONG),
        ("correlate", LONG, "--against", "dice"),
        ("evaluate", "-m", LONG),
    ],
)
def test_a_long_path_is_one_line(iqa, command):
    done = iqa(*command)
    assert done.returncode in (1, 2)
    assert len(done.stderr.splitlines()) == 1, done.stderr
    assert done.stderr.startswith("iqa: error: ")
    assert len(done.stderr) < 600


@pytest.mark.skipif(os.name == "nt", reason="needs a shell that can close streams")
@pytest.mark.parametrize("closed", [">&-", ">&- 2>&-", "<&- >&- 2>&-"])
def test_streams_that_are_closed(tmp_path, closed):
    for name in ("a", "b"):
        Image.fromarray(IMAGE).save(tmp_path / f"{name}.png")
    program = f"{sys.executable} -m iqa_registry evaluate a.png b.png -m mae -o RUN {closed}"
    done = subprocess.run(["sh", "-c", program], capture_output=True, text=True, cwd=tmp_path, timeout=120)
    assert done.returncode == 0, done.stderr
    assert "Traceback" not in done.stderr
    assert [*tmp_path.glob("RUN/scores/part-*.parquet")]
