"""Which files hold the voxels of a header."""

import pytest

from iqa_registry.images._detached import data_files
from iqa_registry.images.formats import files_of


@pytest.fixture
def named(tmp_path):
    for name in ("a.raw", "b.raw", "c 1.raw"):
        (tmp_path / name).write_bytes(b"\0")

    def find(text, name="h.mhd"):
        (tmp_path / name).write_bytes(text)
        return [path.name for path in data_files(tmp_path / name)]

    return find


@pytest.mark.parametrize(
    "text",
    [
        b"NDims = 3\nElementDataFile = a.raw\n",
        b"NDims = 3\r\nelementdatafile=a.raw\r\n",
        b"NRRD0004\ndata file: a.raw\nencoding: raw\n",
        b"NRRD0004\ndatafile:a.raw",
    ],
)
def test_one_file_is_named(named, text):
    assert named(text) == ["a.raw"]


def test_a_name_may_have_a_space(named):
    assert named(b"ElementDataFile = c 1.raw\n") == ["c 1.raw"]


@pytest.mark.parametrize(
    "text",
    [
        b"ElementDataFile = slice%03d.raw 1 9 1\n",
        b"ElementDataFile = LIST\na.raw\nb.raw\n",
        b"data file: list\n",
    ],
)
def test_lists_and_patterns_are_every_file_of_the_folder(named, tmp_path, text):
    (tmp_path / "inner").mkdir()
    assert named(text) == ["a.raw", "b.raw", "c 1.raw", "h.mhd"]


@pytest.mark.parametrize(
    "text",
    [
        b"ElementDataFile = LOCAL\n\0\1",
        b"ElementDataFile = local\n",
        b"NRRD0004\n\n\0\1",
        b"",
        b"ElementDataFile = a\0b\n",
    ],
)
def test_voxels_behind_the_header_are_in_no_other_file(named, text):
    assert named(text) == []


def test_a_header_that_cannot_be_read_names_none(tmp_path):
    assert data_files(tmp_path / "absent.mhd") == []


def test_every_file_of_a_folder_makes_its_series(tmp_path):
    for name in ("IM1", "IM0", ".hidden"):
        (tmp_path / name).write_bytes(b"")
    assert files_of(tmp_path) == [tmp_path, tmp_path / "IM0", tmp_path / "IM1"]


@pytest.mark.parametrize(
    ("name", "others"),
    [
        ("a.img", ["a.hdr"]),
        ("a.hdr", ["a.img"]),
        ("a.nii.gz", []),
        ("a.png", []),
        ("a.mha", []),
        ("a.NHDR", ["a.raw"]),
    ],
)
def test_files_that_belong_together(tmp_path, name, others):
    (tmp_path / name).write_bytes(
        b"data file: a.raw\n" if name.endswith("NHDR") else b"ElementDataFile = LOCAL\n"
    )
    assert files_of(tmp_path / name) == [tmp_path / name, *(tmp_path / other for other in others)]
    assert files_of(str(tmp_path / name)) == files_of(tmp_path / name)
