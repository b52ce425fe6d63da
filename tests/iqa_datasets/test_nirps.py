import gzip
import json
import math
import tarfile
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from PIL import Image as Picture

from iqa_datasets.nirps import NIRPS
from iqa_registry.errors import UsageError
from iqa_registry.registry import build_registry

PUBLISHED = Path(__file__).parents[3] / "shared" / "data" / "nirps"
SLICES = ("IXI580-IOP-1157-slice-69", "IXI633-HH-2689-slice-7")


def score(*parts):
    """A number for each place."""
    return sum(map(ord, "".join(map(str, parts)))) % 97 / 97


@pytest.fixture
def tree(tmp_path):
    """A tree with the scores alone: 2 modalities x 2 models x 3 epochs x 2 slices."""
    root = tmp_path / "data" / "nirps_dataset"
    for modality in ("t2", "pd"):
        for model in ("munit", "unit"):
            for epoch in (1, 2, 10):
                for name in SLICES:
                    place = root / "ixi" / modality / model / f"epoch_{epoch}" / name
                    place.mkdir(parents=True)
                    for file in ("artificial", "mae", "psnr", "ssim"):
                        (place / f"{file}.txt").write_text(f"{score(modality, model, epoch, name, file)!r}\n")
    (root / "ixi" / "t2" / ".DS_Store").write_bytes(b"")
    (root / "README.txt").write_text("extra")
    return root


def add_images(root):
    generator = np.random.default_rng(0)
    for place in root.glob("*/*/*/epoch_*/*"):
        reference = place.parents[2] / "gt" / place.name / "gt.png"
        reference.parent.mkdir(parents=True, exist_ok=True)
        for path in (place / "img.png", reference):
            Picture.fromarray(generator.integers(0, 255, (16, 16), np.uint8)).save(path)


def place_of(root, epoch=1, model="munit", modality="t2", name=SLICES[0]):
    return root / "ixi" / modality / model / f"epoch_{epoch}" / name


def test_table_has_every_image_with_its_numbers(tree):
    dataset = NIRPS(tree)
    table = dataset.table()
    assert table.height == 2 * 2 * 3 * 2
    assert dataset.left_out == []
    row = table.row(by_predicate=pl.col("pair_id") == f"ixi/t2/munit/epoch_10/{SLICES[1]}", named=True)
    numbers = {
        name: score("t2", "munit", 10, SLICES[1], file)
        for name, file in (("rating", "artificial"), ("mae", "mae"), ("psnr", "psnr"), ("ssim", "ssim"))
    }
    assert row == {
        "pair_id": f"ixi/t2/munit/epoch_10/{SLICES[1]}", "dataset": "ixi", "modality": "t2", "model": "munit",
        "epoch": 10, "subject": "IXI633-HH-2689", "slice": 7, "slice_id": SLICES[1], **numbers,
    }  # fmt: skip
    assert table.filter(model="unit", modality="pd")["epoch"].to_list() == [1, 1, 2, 2, 10, 10]


@pytest.mark.parametrize("place", ["data", "data/nirps_dataset", "data/nirps_dataset/ixi"])
def test_the_tree_is_found_from_above_and_below(tree, tmp_path, place):
    assert NIRPS(tmp_path / place).table().equals(NIRPS(tree).table())


def test_what_is_no_tree_says_what_was_looked_for(tmp_path, tree):
    with pytest.raises(UsageError, match="expected DATASET/MODALITY/MODEL/epoch_K/SLICE"):
        NIRPS(tree / "ixi" / "t2" / "munit").table()
    (tmp_path / "archive").mkdir()
    (tmp_path / "archive" / "nirps.tar.gz").write_bytes(b"")
    with pytest.raises(UsageError, match=r"unpack nirps.tar.gz first"):
        NIRPS(tmp_path / "archive").table()
    with pytest.raises(UsageError, match="no such file or folder"):
        NIRPS(tmp_path / "nowhere").table()
    (tree.parent / "copy").symlink_to(tree)
    with pytest.raises(UsageError, match="holds several trees"):
        NIRPS(tree.parent).table()


@pytest.mark.parametrize(
    ("parameters", "rows"),
    [
        ("modality=t2", 12), ("model=munit,epochs=1:3", 8), ("epochs=10", 8), ("epochs=2:", 16), ("model=unit", 12),
        ("model=munit+unit", 24),
    ],
)  # fmt: skip
def test_filters(tree, parameters, rows):
    assert build_registry().dataset(f"nirps:{tree},{parameters}").table().height == rows
    table = NIRPS(tree).table()
    table.write_csv(tree / "scores.csv")
    assert build_registry().dataset(f"nirps:{tree}/scores.csv,{parameters}").table().height == rows


def test_a_filter_that_nothing_fits_names_what_is_there(tree):
    with pytest.raises(UsageError, match="no model pix2pix; it has munit, unit"):
        NIRPS(tree, model=("pix2pix",)).table()
    with pytest.raises(UsageError, match="no image of"):
        NIRPS(tree, epochs="90:").table()


@pytest.mark.parametrize(
    ("content", "said"), [("", "is empty"), ("nan", "'nan'"), ("12,5", "'12,5'"), ("\udcff", "holds")]
)
def test_a_damaged_number_is_left_empty_and_named(tree, content, said):
    (place_of(tree) / "psnr.txt").write_bytes(content.encode(errors="surrogateescape"))
    dataset = NIRPS(tree)
    table = dataset.table()
    assert table.height == 24
    assert table["psnr"].null_count() == 1
    assert len(dataset.left_out) == 1
    assert f"epoch_1/{SLICES[0]}/psnr.txt" in dataset.left_out[0]
    assert said in dataset.left_out[0]


def test_a_missing_rating_keeps_its_row_and_is_named(tree):
    (place_of(tree) / "artificial.txt").unlink()
    dataset = NIRPS(tree)
    row = dataset.table().filter(epoch=1, modality="t2", model="munit").row(0, named=True)
    assert row["rating"] is None
    assert row["psnr"] == score("t2", "munit", 1, SLICES[0], "psnr")
    assert dataset.left_out == [f"{place_of(tree)}/artificial.txt is missing; rating is left empty"]


def test_what_no_image_has_is_no_fault_and_further_scores_are_columns(tree):
    for path in tree.rglob("artificial.txt"):
        path.unlink()
    for path in tree.glob("*/*/*/*/*"):
        (path / "lpips.txt").write_text("0.25")
        (path / "notes.txt").write_text("blurred")
    (place_of(tree) / "psnr.txt").write_text("inf")
    dataset = NIRPS(tree)
    table = dataset.table()
    assert dataset.left_out == []
    assert table["rating"].null_count() == 24
    assert table["lpips"].unique().to_list() == [0.25]
    assert "notes" not in table.columns
    assert math.isinf(table["psnr"].max())


def test_scores_alone_are_no_pairs(tree, iqa):
    done = iqa("evaluate", "--dataset", f"nirps:{tree}", "--metric", "psnr")
    assert done.returncode == 2
    assert "iqa datasets export" in done.stderr


def test_pairs_of_a_full_tree(tree, iqa):
    add_images(tree)
    (place_of(tree, epoch=2) / "img.png").unlink()
    (tree / "ixi" / "pd" / "gt" / SLICES[0] / "gt.png").unlink()
    dataset = NIRPS(tree)
    pairs = {pair.pair_id: pair for pair in dataset.pairs()}
    assert len(pairs) == 24 - 1 - 6
    assert f"ixi/t2/munit/epoch_2/{SLICES[0]}: has no img.png" in dataset.left_out
    assert (
        f"ixi/pd/unit/epoch_1/{SLICES[0]}: has no reference ixi/pd/gt/{SLICES[0]}/gt.png" in dataset.left_out
    )
    groups = pairs[f"ixi/t2/munit/epoch_1/{SLICES[0]}"].groups
    assert groups["rating"] == score("t2", "munit", 1, SLICES[0], "artificial")
    assert groups["published_ssim"] == score("t2", "munit", 1, SLICES[0], "ssim")
    done = iqa("evaluate", "--dataset", f"nirps:{tree},model=unit,modality=t2", "--metric", "mae", "--json")
    rows = json.loads(done.stdout)
    assert done.returncode == 0, done.stderr
    assert [(row["epoch"], row["slice"]) for row in rows] == [
        (1, 69),
        (1, 7),
        (2, 69),
        (2, 7),
        (10, 69),
        (10, 7),
    ]
    assert {row["subject"] for row in rows} == {"IXI580-IOP-1157", "IXI633-HH-2689"}
    assert all(row["published_mae"] != row["score"] for row in rows)


@pytest.mark.parametrize("name", ["t.csv", "t.csv.gz", "t.parquet"])
def test_one_table_reads_as_the_tree(tree, name):
    table = NIRPS(tree).table()
    path = tree / name
    if name.endswith("parquet"):
        table.write_parquet(path)
    else:
        text = table.select(pl.exclude("pair_id", "subject", "slice")).write_csv()
        path.write_bytes(gzip.compress(text.encode()) if name.endswith("gz") else text.encode())
    assert NIRPS(path).table().equals(table)


def test_faults_of_a_table_name_the_row(tree):
    path = tree / "t.csv"
    lines = NIRPS(tree).table().write_csv().splitlines()
    damaged = lines[2].split(",")
    damaged[8:10] = ["", "none"]  # rating and mae
    path.write_text("\n".join([*lines[:2], ",".join(damaged), *lines[3:]]))
    dataset = NIRPS(path)
    assert dataset.table()["rating"].null_count() == 1
    assert "row 2: rating is missing" in dataset.left_out[0]
    assert "row 2: mae holds 'none'" in dataset.left_out[1]
    path.write_text("\n".join([*lines, lines[-1]]))
    with pytest.raises(UsageError, match="twice"):
        NIRPS(path).table()
    path.write_text("dataset,modality\nixi,t2\n")
    with pytest.raises(UsageError, match="no column model, epoch, slice_id"):
        NIRPS(path).table()


def test_a_table_that_is_none(tmp_path):
    for name, content in (("a.parquet", b"no"), ("a.csv.gz", b"no"), ("a.csv", b'model\n"a')):
        (tmp_path / name).write_bytes(content)
        with pytest.raises(UsageError, match=rf"{name}: cannot be read as a table"):
            NIRPS(tmp_path / name).table()
    (tmp_path / "a.tar").write_bytes(b"")
    with pytest.raises(UsageError, match="unpack"):
        NIRPS(tmp_path / "a.tar").table()


@pytest.mark.skipif(not PUBLISHED.is_dir(), reason="the published scores are not here")
def test_the_published_piece_of_tree_is_exactly_the_rows_of_the_published_table(tmp_path):
    with tarfile.open(PUBLISHED / "tree-sample.tar.gz") as archive:
        archive.extractall(tmp_path, filter="data")
    table = NIRPS(tmp_path).table()
    whole = NIRPS(PUBLISHED / "ixi-scores.csv.gz").table()
    assert (table.height, whole.height) == (30, 3000)
    assert whole.join(table, on="pair_id", how="semi").equals(table)
    # and against the file itself, read by other code
    plain = pl.read_csv(PUBLISHED / "ixi-scores.csv.gz")
    keys = ["dataset", "modality", "model", "epoch", "slice_id"]
    joined = table.join(plain, on=keys, suffix="_plain")
    assert joined.height == 30
    for name in ("rating", "mae", "psnr", "ssim"):
        assert joined[name].to_list() == joined[f"{name}_plain"].to_list()
    assert whole.filter(dataset="ixi", modality="pd", model="unit")["subject"].n_unique() == 10
