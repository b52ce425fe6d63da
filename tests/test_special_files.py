"""Pipes, devices and sockets are refused wherever a path is taken; and text nested too deeply."""

from __future__ import annotations

import os
import socket
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from iqa_kcross.training.config import read_config
from iqa_registry.errors import IQAError
from iqa_registry.evaluation.sealing import read_sealed
from iqa_registry.evaluation.store import RunFolder
from iqa_registry.files import special_kind, write_atomically
from iqa_registry.images.formats import SUFFIXES, is_bare_dicom, probe_image, read_image, read_labels
from iqa_registry.settings import read_settings
from iqa_registry.tables.reading import SUFFIXES as TABLES
from iqa_registry.tables.reading import read_table
from iqa_registry.weights.files import open_file
from iqa_registry.weights.hashing import file_sha256, fingerprint_of_file

pytestmark = pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="this system has no named pipes")

WAYS: dict[str, tuple[str, Callable[[Path], object]]] = {
    **{f"image {ending}": (f"a{ending}", read_image) for ending in SUFFIXES},
    **{f"probe {ending}": (f"a{ending}", probe_image) for ending in SUFFIXES},
    **{f"labels {ending}": (f"a{ending}", read_labels) for ending in SUFFIXES},
    **{f"table {ending}": (f"a{ending}", read_table) for ending in TABLES},
    "image without a suffix": ("a", read_image),
    "settings": ("iqa.toml", read_settings),
    "weights": ("a.pth", lambda path: open_file(path, "a")),
    "safetensors": ("a.safetensors", lambda path: open_file(path, "a")),
    "hash": ("a.pth", file_sha256),
    "fingerprint": ("a.safetensors", fingerprint_of_file),
    "record of a run": ("run.json", lambda path: RunFolder(path.parent).read_record()),
    "slice": ("1.dcm", lambda path: read_image(path.parent)),
    "probed slice": ("1.dcm", lambda path: probe_image(path.parent)),
    "part": ("a.parquet", read_sealed),
    "output": ("a.csv", lambda path: write_atomically(path, b"1")),
}


@pytest.fixture
def pipe(tmp_path: Path) -> Callable[[str], Path]:
    def make(name: str) -> Path:
        os.mkfifo(tmp_path / name)
        return tmp_path / name

    return make


@pytest.mark.parametrize("way", WAYS)
def test_a_pipe_is_refused(pipe: Callable[[str], Path], way: str) -> None:
    name, read = WAYS[way]
    path = pipe(name)
    with pytest.raises(IQAError, match=r"is a named pipe\. Give a regular file"):
        read(path)
    assert path.is_fifo()


@pytest.mark.parametrize("header", ["a.mhd", "a.nhdr", "a.hdr"])
def test_a_pipe_behind_a_header_is_refused(tmp_path: Path, pipe: Callable[[str], Path], header: str) -> None:
    data = pipe("a.img" if header == "a.hdr" else "a.raw")
    if header == "a.hdr":
        import nibabel

        nibabel.save(nibabel.AnalyzeImage(np.zeros((4, 4, 4), np.int16), np.eye(4)), tmp_path / "b.img")
        (tmp_path / "b.hdr").rename(tmp_path / header)
    elif header == "a.mhd":
        (tmp_path / header).write_text(
            "NDims = 3\nDimSize = 4 4 4\nElementType = MET_UCHAR\nElementDataFile = a.raw\n"
        )
    else:
        (tmp_path / header).write_text(
            "NRRD0004\ntype: uchar\ndimension: 3\nsizes: 4 4 4\nencoding: raw\ndata file: a.raw\n\n"
        )
    for read in (read_image, probe_image):
        with pytest.raises(IQAError, match=rf"{data.name}: is a named pipe"):
            read(tmp_path / header)


def test_a_pipe_without_a_suffix_is_no_dicom(pipe: Callable[[str], Path]) -> None:
    assert not is_bare_dicom(pipe("IM0001"))


def test_devices_sockets_and_links_to_them_are_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)  # the names of sockets are short
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind("s.csv")
        assert special_kind("s.csv") == "a socket"
        with pytest.raises(IQAError, match=r"s\.csv: is a socket"):
            read_table(Path("s.csv"))
    (tmp_path / "a.csv").symlink_to("/dev/zero")
    with pytest.raises(IQAError, match=r"a\.csv: is a device"):
        read_table(tmp_path / "a.csv")
    with pytest.raises(IQAError, match="is a device"):
        write_atomically(Path("/dev/full"), b"1")
    assert special_kind(tmp_path) == special_kind(tmp_path / "none") == special_kind("a\0b") == ""


def test_no_settings_can_be_asked_for() -> None:
    assert set(read_settings(Path(os.devnull))) <= {"path"}


def test_a_pipe_is_no_configuration_of_a_training(pipe: Callable[[str], Path]) -> None:
    with pytest.raises(IQAError, match=r"a\.toml: is not a regular file"):
        read_config(pipe("a.toml"), {})


@pytest.mark.parametrize("named", ["LIST\na.raw\nb.raw", "%c.raw 97 98 1"])
def test_a_pipe_in_a_list_of_files_is_refused(
    tmp_path: Path, pipe: Callable[[str], Path], named: str
) -> None:
    pipe("b.raw")
    (tmp_path / "a.raw").write_bytes(bytes(16))
    (tmp_path / "a.nhdr").write_text(
        f"NRRD0004\ntype: uchar\ndimension: 3\nsizes: 4 4 2\nencoding: raw\ndata file: {named}\n"
    )
    for read in (read_image, probe_image):
        with pytest.raises(IQAError, match=r"b\.raw: is a named pipe"):
            read(tmp_path / "a.nhdr")


def test_json_and_toml_nested_too_deeply_are_refused(tmp_path: Path) -> None:
    (tmp_path / "run.json").write_text("[" * 100_000)
    with pytest.raises(IQAError, match=r"run\.json: cannot be read"):
        RunFolder(tmp_path).read_record()
    (tmp_path / "a.toml").write_text("a = " + "[" * 100_000)
    for read in (read_settings, lambda path: read_config(path, {})):
        with pytest.raises(IQAError, match=r"a\.toml: cannot be read"):
            read(tmp_path / "a.toml")
