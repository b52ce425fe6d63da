import json

import numpy as np
import polars as pl
import pytest
from PIL import Image as Picture
from skimage.metrics import peak_signal_noise_ratio

from iqa_datasets.nirps import NIRPS

NAMES = ("IXI580-IOP-1157-slice-69", "IXI633-HH-2689-slice-66", "IXI086-Guys-0728-slice-60")


def picture(seed, spread=0):
    generator = np.random.default_rng(seed)
    smooth = Picture.fromarray(generator.integers(0, 255, (6, 6), np.uint8)).resize(
        (32, 32), Picture.Resampling.BICUBIC
    )
    noise = np.random.default_rng(seed + 99).normal(0, spread, (32, 32)) if spread else 0
    return np.clip(np.asarray(smooth) + noise, 0, 255).astype(np.uint8)


@pytest.fixture
def study(tmp_path):
    """References, and slices of two models at two epochs, in MODEL/epoch_K."""
    (tmp_path / "reference").mkdir()
    for seed, name in enumerate(NAMES):
        Picture.fromarray(picture(seed)).save(tmp_path / "reference" / f"{name}.png")
        for model, base in (("munit", 4), ("unit", 9)):
            for epoch in (1, 2):
                path = tmp_path / "out" / model / f"epoch_{epoch}" / f"{name}.png"
                path.parent.mkdir(parents=True, exist_ok=True)
                Picture.fromarray(picture(seed, base * epoch)).save(path)
    return tmp_path


@pytest.fixture
def build(study, iqa):
    def run(*arguments, source=("--models", "out")):
        where = [study / item if item == "out" else item for item in source]
        common = ("--reference", study / "reference", *where, "--dataset-name", "ixi", "--modality", "t2")
        return iqa("datasets", "build-nirps", "-o", study / "tree", *common, *arguments)

    return run


def test_the_tree_reads_back_to_the_same_numbers(study, build, iqa):
    ratings = [
        {"model": model, "epoch": epoch, "slice_id": name, "rating": round(0.1 * (seed + epoch), 1)}
        for model in ("munit", "unit")
        for epoch in (1, 2)
        for seed, name in enumerate(NAMES)
    ]
    pl.DataFrame(ratings).write_csv(study / "ratings.csv")
    done = build("--ratings", study / "ratings.csv")
    assert done.returncode == 0, done.stderr
    assert "12 images of 4 models and epochs, 12 rated" in done.stdout
    table = NIRPS(study / "tree").table()
    assert table.height == 12
    given = pl.DataFrame(ratings)
    joined = table.join(given, on=["model", "epoch", "slice_id"], suffix="_given")
    assert joined["rating"].to_list() == joined["rating_given"].to_list()
    done = iqa(
        "evaluate", "--dataset", f"nirps:{study / 'tree'}", *("-m", "mae", "-m", "psnr", "-m", "ssim"), "--json"
    )  # fmt: skip
    rows = json.loads(done.stdout)
    assert len(rows) == 36
    assert all(row["score"] == pytest.approx(row[f"published_{row['metric']}"], rel=1e-6) for row in rows)
    assert {row["rating"] for row in rows} == {0.1, 0.2, 0.3, 0.4}


def test_scores_are_those_of_an_independent_implementation(study, build):
    build()
    table = NIRPS(study / "tree").table()
    for row in table.iter_rows(named=True):
        place = study / "out" / row["model"] / f"epoch_{row['epoch']}" / f"{row['slice_id']}.png"
        first, second = (
            np.asarray(Picture.open(place)),
            np.asarray(Picture.open(study / "reference" / f"{row['slice_id']}.png")),
        )
        assert row["mae"] == pytest.approx(np.abs(first / 255 - second / 255).mean(), abs=1e-6)
        expected = peak_signal_noise_ratio(second, first, data_range=255)
        assert row["psnr"] == pytest.approx(expected, abs=1e-3)


def test_pictures_are_copied_and_sixteen_bit_ones_become_eight(study, build):
    wide = (picture(0).astype(np.uint16) * 257).astype(np.uint16)
    for path in (study / "out/munit/epoch_1", study / "reference"):
        (path / f"{NAMES[0]}.png").unlink()
        Picture.fromarray(wide).save(path / f"{NAMES[0]}.png")
    done = build(source=("--synthesized", f"munit:1={study / 'out/munit/epoch_1'}"))
    assert done.returncode == 0, done.stderr
    root = study / "tree/nirps_dataset/ixi/t2"
    written = np.asarray(Picture.open(root / f"munit/epoch_1/{NAMES[0]}/img.png"))
    assert written.dtype == np.uint8
    assert np.array_equal(written, picture(0))
    assert np.array_equal(np.asarray(Picture.open(root / f"gt/{NAMES[1]}/gt.png")), picture(1))
    assert (root / f"munit/epoch_1/{NAMES[0]}/psnr.txt").read_text() == "inf\n"
    assert not list(root.rglob("artificial.txt"))
    assert NIRPS(root.parent).table()["rating"].null_count() == 3


def test_other_metrics_become_columns(study, build):
    done = build("--metric", "nrmse", "--metric", "mse")
    assert done.returncode == 0, done.stderr
    table = NIRPS(study / "tree").table()
    assert table["mse"].min() > 0
    assert table["psnr"].null_count() == 12


def test_what_is_left_out_is_named_and_the_rest_written(study, build):
    (study / "out/unit/epoch_2" / f"{NAMES[0]}.png").write_bytes(b"damaged")
    Picture.fromarray(picture(5)).save(study / "out/munit/epoch_1/other.png")
    pl.DataFrame({"model": ["gan"], "epoch": [1], "slice_id": [NAMES[0]], "rating": [0.5]}).write_parquet(
        study / "ratings.parquet"
    )
    done = build("--ratings", study / "ratings.parquet")
    assert done.returncode == 1
    assert "11 images" in done.stdout
    assert "other.png has no partner" in done.stderr
    assert f"unit/epoch_2/{NAMES[0]}" in done.stderr
    assert f"gan/1/{NAMES[0]}: is rated, and there is no such image" in done.stderr
    assert NIRPS(study / "tree").table().height == 11


def test_a_second_modality_joins_the_tree_and_the_same_needs_force(study, build, iqa):
    assert build().returncode == 0
    refused = build()
    assert refused.returncode == 2
    assert "--force" in refused.stderr
    assert build("--modality", "pd").returncode == 0
    assert NIRPS(study / "tree").table().group_by("modality").len()["len"].to_list() == [12, 12]
    (study / "out/unit/epoch_2" / f"{NAMES[0]}.png").unlink()
    assert build("--force").returncode == 0
    assert NIRPS(study / "tree", modality="t2").table().height == 11
    assert not list((study / "tree").rglob("*.tmp"))


@pytest.mark.parametrize(
    ("arguments", "source", "message"),
    [
        ((), ("--synthesized", "munit=out"), "expected MODEL:EPOCH=FOLDER"),
        ((), (), "Name them with --synthesized"),
        (("--metric", "ssim:window=7"), ("--models", "out"), "cannot have parameters"),
        (("--modality", "../t2"), ("--models", "out"), "modality '../t2'"),
        (("--intensity", "loud"), ("--models", "out"), "loud"),
    ],
)
def test_wrong_usage(study, build, arguments, source, message):
    done = build(*arguments, source=source)
    assert done.returncode == 2
    assert message in done.stderr
    assert not (study / "tree").exists()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("model,epoch\nm,1\n", "no column slice_id, rating"),
        ("model,epoch,slice_id,rating\nm,1,a,good\n", "row 1 has no number"),
        ("model,epoch,slice_id,rating\nm,1,a,1\nm,1,a,2\n", "row 2 rates m/1/a again"),
    ],
)
def test_ratings_that_cannot_be_used(study, build, text, message):
    (study / "ratings.csv").write_text(text)
    done = build("--ratings", study / "ratings.csv")
    assert done.returncode == 2
    assert message in done.stderr


def test_float_slices_need_no_pictures(study, build):
    for path in (study / "reference").glob("*.png"):
        np.save(path.with_suffix(".npy"), picture(NAMES.index(path.stem)).astype(np.float32) / 255)
        path.unlink()
    for path in study.glob("out/*/*/*.png"):
        values = np.asarray(Picture.open(path)).astype(np.float32) / 255
        np.save(path.with_suffix(".npy"), values)
        path.unlink()
    assert build("--intensity", "none").returncode == 0
    written = study / "tree/nirps_dataset/ixi/t2/gt" / NAMES[2] / "gt.png"
    assert np.array_equal(np.asarray(Picture.open(written)), picture(2))
