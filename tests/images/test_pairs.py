"""Pairing of files, folders, manifests and Python objects; what is left over is named."""

from __future__ import annotations

import unicodedata
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from iqa_registry.errors import UsageError
from iqa_registry.images.pairs import Pair, make_pairs, pair_paths, read_manifest


@pytest.fixture
def fill(tmp_path: Path) -> Callable[..., Path]:
    """``fill("folder", "a.png", "sub/b.nii.gz")``: a folder with files of these names."""

    def make(folder: str, *names: str) -> Path:
        for name in names:
            (tmp_path / folder / name).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / folder / name).touch()
        (tmp_path / folder).mkdir(parents=True, exist_ok=True)
        return tmp_path / folder

    return make


def ids(pairs: list[Pair]) -> list[str]:
    return [pair.pair_id for pair in pairs]


def test_two_files_are_one_pair(fill: Callable[..., Path]) -> None:
    folder = fill("a", "t1.5T.nii.gz", "ref.png", "mask.png")
    found = pair_paths(folder / "t1.5T.nii.gz", folder / "ref.png", folder / "mask.png")
    (pair,) = found.pairs
    expected = ("t1.5T", *(str(folder / name) for name in ("t1.5T.nii.gz", "ref.png", "mask.png")))
    assert (pair.pair_id, pair.synthesized, pair.reference, pair.mask) == expected


def test_folders_match_by_relative_path_without_suffix_in_natural_order(fill: Callable[..., Path]) -> None:
    first = fill(
        "s", "p/s10.png", "p/s9.png", "p/s1.nii.gz", "q/s1.tif", "extra.png", ".hidden.png", "notes.txt"
    )
    second = fill("r", "q/s1.png", "p/s1.nii", "p/s9.jpg", "p/s10.npy", "other.mha", "p/.DS_Store", "x.csv")
    found = pair_paths(first, second)
    assert ids(found.pairs) == ["p/s1", "p/s9", "p/s10", "q/s1"]
    assert found.pairs[0].reference == str(second / "p/s1.nii")
    assert found.unmatched == [
        f"{first / 'extra.png'} has no partner in {second}",
        f"{second / 'other.mha'} has no partner in {first}",
    ]
    assert found.ignored == 2


@given(st.sets(st.integers(0, 300), min_size=1, max_size=8), st.sets(st.integers(0, 300), max_size=8))
def test_every_file_is_paired_or_named(
    tmp_path_factory: pytest.TempPathFactory, ours: set, more: set
) -> None:
    base = tmp_path_factory.mktemp("pairing")
    sides = {"s": ours, "r": {min(ours)} | more}
    for side, numbers in sides.items():
        (base / side).mkdir()
        for number in numbers:
            (base / side / f"slice{number}.png").touch()
    found = pair_paths(base / "s", base / "r")
    assert ids(found.pairs) == [f"slice{number}" for number in sorted(sides["s"] & sides["r"])]
    assert len(found.unmatched) == len(sides["s"] ^ sides["r"])


def test_dicom_series_count_as_one_image(
    tmp_path: Path,
    fill: Callable[..., Path],
    write_series: Callable[..., Path],
    write_dicom: Callable[..., None],
) -> None:
    volume = np.zeros((4, 5, 3), np.int16)
    for side in ("s", "r"):
        fill(f"{side}/7")
        write_series(tmp_path / side / "7" / "t1", volume, np.eye(4))
        write_dicom(volume[0], tmp_path / side / "IM01")
    found = pair_paths(tmp_path / "s", tmp_path / "r")
    assert ids(found.pairs) == ["7/t1", "IM01"]
    assert found.pairs[0].reference == str(tmp_path / "r/7/t1")
    (pair,) = pair_paths(tmp_path / "s/7/t1", tmp_path / "r/7/t1").pairs
    assert (pair.pair_id, pair.synthesized) == ("t1", str(tmp_path / "s/7/t1"))


def test_masks_are_one_file_or_a_folder(fill: Callable[..., Path]) -> None:
    first, second = fill("s", "a.png", "b.png"), fill("r", "a.png", "b.png")
    masks = fill("m", "a.png", "c.png")
    assert [pair.mask for pair in pair_paths(first, second, masks / "a.png").pairs] == [
        str(masks / "a.png")
    ] * 2
    found = pair_paths(first, second, masks)
    assert [pair.mask for pair in found.pairs] == [str(masks / "a.png"), None]
    assert found.unmatched == [
        f"{first / 'b.png'} has no mask in {masks}; it is scored as a whole",
        f"{masks / 'c.png'} is the mask of no pair",
    ]


def test_without_reference_every_image_is_a_pair(fill: Callable[..., Path]) -> None:
    found = pair_paths(fill("s", "a.png", "b.png"), None)
    assert [(pair.pair_id, pair.reference) for pair in found.pairs] == [("a", None), ("b", None)]


def test_a_link_to_a_folder_above_is_not_followed(fill: Callable[..., Path]) -> None:
    first = fill("s", "sub/a.png")
    (first / "sub" / "loop").symlink_to(first)
    assert ids(pair_paths(first, first).pairs) == ["sub/a"]


@pytest.mark.parametrize(
    ("ours", "theirs", "mask", "message"),
    [
        (
            ["a_fake.png"],
            ["a_real.png"],
            None,
            r"no image of .*s \(a_fake .* partner .*r \(a_real .* Try: iqa evaluate .*case.*_fake",
        ),
        (["a.png"], [], None, r"r holds no images; what can be read: DICOM, \.png"),
        (["a.txt", "b.csv"], ["a.png"], None, r"s holds no images \(2 files of other kinds\)"),
        (["a.png", "a.tif"], ["a.png"], None, r"s/a\.png and .*s/a\.tif have one name; keep one"),
        (["a.png"], ["a.png"], "gone", r"gone: no such file or folder"),
    ],
)
def test_folders_that_cannot_be_paired(
    fill: Callable[..., Path], ours: list[str], theirs: list[str], mask: str | None, message: str
) -> None:
    with pytest.raises(UsageError, match=message):
        pair_paths(fill("s", *ours), fill("r", *theirs), mask)


def test_a_file_and_a_folder_are_no_pair(fill: Callable[..., Path]) -> None:
    folder = fill("s", "a.png")
    with pytest.raises(UsageError, match=r"s is a folder of images, .*a\.png is one image. Give two"):
        pair_paths(folder, folder / "a.png")
    with pytest.raises(UsageError, match=r"s is a folder and .*a\.png is one image"):
        pair_paths(folder / "a.png", folder / "a.png", folder)


CSV = "pair_id,synthesized,reference,mask,subject,epoch,dose,note\n{rows}"


@pytest.mark.parametrize("separator", [",", ";", "\t"])
@pytest.mark.parametrize("mark", ["", "\ufeff"])
def test_a_csv_manifest(tmp_path: Path, separator: str, mark: str) -> None:
    rows = "001,s/1.png,r/1.png,m/1.png,007,3,0.5,x\n002,/abs/2.png,r/2.png,,012,4,1e-3,\n\n"
    text = mark + CSV.format(rows=rows).replace(",", separator)
    (tmp_path / "pairs.csv").write_text(text, encoding="utf-8")
    first, second = read_manifest(tmp_path / "pairs.csv").pairs
    assert (first.pair_id, first.synthesized) == ("001", str(tmp_path / "s/1.png"))
    assert (second.synthesized, second.mask) == ("/abs/2.png", None)
    assert first.groups == {"subject": "007", "epoch": 3, "dose": 0.5, "note": "x"}
    assert second.groups == {"subject": "012", "epoch": 4, "dose": 0.001, "note": None}


def test_a_parquet_manifest(tmp_path: Path) -> None:
    columns: dict[str, Any] = {"synthesized": ["s/1.png", "s/2.png"], "reference": ["r/1.png"] * 2}
    pl.DataFrame({**columns, "subject": ["007", None], "age": [50, 60]}).write_parquet(tmp_path / "p.parquet")
    first, second = read_manifest(tmp_path / "p.parquet").pairs
    assert (first.pair_id, first.reference) == ("s/1", str(tmp_path / "r/1.png"))
    assert (first.groups, second.groups) == ({"subject": "007", "age": 50}, {"subject": None, "age": 60})


@pytest.mark.parametrize("name", ["", "Unnamed: 0"])
@pytest.mark.parametrize("kind", ["csv", "parquet"])
def test_a_manifest_with_row_numbers_and_nan(tmp_path: Path, name: str, kind: str) -> None:
    """As pandas writes a table without index=False, whose rows were filtered, and whose masks are missing in part."""
    path = tmp_path / f"pairs.{kind}"
    columns = {
        name or ("" if kind == "csv" else "__index_level_0__"): [0, 2, 3],
        "synthesized": ["s/1.png", "s/2.png", "s/3.png"],
        "reference": ["r/1.png"] * 3,
        "mask": ["m/1.png", "nan", "NaN" if kind == "csv" else None],
        "model": ["gan", "nan", "unet"],
    }
    table = pl.DataFrame(columns)
    if kind == "csv":
        table.write_csv(path)
    else:
        table.write_parquet(path)
    found = read_manifest(path)
    assert [pair.mask for pair in found.pairs] == [str(tmp_path / "m/1.png"), None, None]
    assert [set(pair.groups) for pair in found.pairs] == [{"model"}] * 3
    assert "the first column only counts the rows" in found.remarks[0]


def test_a_first_column_that_does_not_count_the_rows(tmp_path: Path) -> None:
    (tmp_path / "pairs.csv").write_text("Unnamed: 0,synthesized\n2,a.png\n1,b.png\n")
    found = read_manifest(tmp_path / "pairs.csv")
    assert [pair.groups for pair in found.pairs] == [{"Unnamed: 0": 2}, {"Unnamed: 0": 1}]
    assert found.remarks == []


def test_a_reference_that_is_nan_is_missing(tmp_path: Path) -> None:
    (tmp_path / "pairs.csv").write_text("synthesized,reference\na.png,b.png\nc.png,nan\n")
    with pytest.raises(UsageError, match="line 3 has no value in column 'reference'"):
        read_manifest(tmp_path / "pairs.csv")


@pytest.mark.parametrize(("written", "on_disk"), [("NFC", "NFD"), ("NFD", "NFC")])
def test_a_manifest_finds_files_whatever_their_unicode_form(
    tmp_path: Path, written: str, on_disk: str
) -> None:
    place = tmp_path / unicodedata.normalize(on_disk, "Müller.png")
    place.touch()
    name = unicodedata.normalize(written, "Müller.png")
    (tmp_path / "pairs.csv").write_text(f"synthesized,reference\n{name},{name}\n", encoding="utf-8")
    (pair,) = read_manifest(tmp_path / "pairs.csv").pairs
    assert (pair.synthesized, pair.reference) == (str(place), str(place))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "has no rows and no header"),
        ("synthesized,reference\n", "has no rows"),
        ("image,reference\na,b\n", r"has no column 'synthesized'\. It has image, reference"),
        ("synthesised,reference\na,b\n", "has no column 'synthesized' but 'synthesised'. Rename it"),
        ("synthesized,Reference\na,b\n", "has no column 'reference' but 'Reference'"),
        ("synthesized,reference\na,b\nc,\n", "line 3 has no value in column 'reference'"),
        ("synthesized,reference\n,b\n", "line 2 has no value in column 'synthesized'"),
        ("synthesized,reference\na,b,c\n", "line 2 has 3 values, expected 2"),
        ("synthesized,reference,x,x\na,b,1,2\n", "has the column 'x' twice"),
        ("synthesized,reference,\na,b,1\n", "column 3 has no name"),
        (
            "synthesized,reference\na.png,b\nc,d\na.png,e\n",
            r"line 2 and line 4 are both 'a'; give a column pair_id",
        ),
        ('synthesized,reference\n"a,b\n', "cannot be read as a table"),
        (b"synthesized,reference\n\xff\xfe,b\n", "is not UTF-8 text"),
    ],
)
def test_wrong_manifests_are_refused(tmp_path: Path, text: str | bytes, message: str) -> None:
    (tmp_path / "pairs.csv").write_bytes(text if isinstance(text, bytes) else text.encode())
    with pytest.raises(UsageError, match=rf"pairs\.csv: {message}"):
        read_manifest(tmp_path / "pairs.csv")


def test_manifests_that_cannot_be_opened(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"gone\.csv: no such file"):
        read_manifest(tmp_path / "gone.csv")
    (tmp_path / "p.parquet").write_text("no parquet")
    with pytest.raises(UsageError, match=r"p\.parquet: cannot be read as a table"):
        read_manifest(tmp_path / "p.parquet")


def test_pairs_from_python_objects() -> None:
    array, tensor = np.zeros((4, 4)), torch.zeros(4, 4)
    own = Pair("own", "a.png", "b.png")
    items = [
        (array, tensor),
        ["x/1.png", Path("y/1.png"), array],
        own,
        {"synthesized": array, "reference": tensor, "pair_id": "z", "epoch": 3},
    ]
    pairs = make_pairs(items)
    assert ids(pairs) == ["0000", "1", "own", "z"]
    assert pairs[0].reference is tensor
    assert pairs[1].mask is array
    assert pairs[2] is own
    assert pairs[3].groups == {"epoch": 3}


def test_repeated_names_get_their_number_and_given_ones_are_refused() -> None:
    pairs = make_pairs([("x/1.png", "r.png"), ("y/1.png", "r.png"), ("y/2.png", "r.png")])
    assert ids(pairs) == ["0000-1", "0001-1", "2"]
    with pytest.raises(UsageError, match="2 pairs have the pair_id 'a'; give each its own"):
        make_pairs([Pair("a", "1.png"), Pair("a", "2.png")])


@pytest.mark.parametrize("item", ["a.png", ("a.png",), {"reference": "a.png"}, 3])
def test_other_objects_are_refused(item: Any) -> None:
    with pytest.raises(UsageError, match="pair 1: "):
        make_pairs([("a.png", "b.png"), item])
