"""Table II of K-CROSS: on a simulated table of the same form, and on the published scores where they are there."""

import csv
import io
import json

import numpy as np
import polars as pl
import pytest

from iqa_published.kcross import MODALITIES, SLICES, authors_order, compare
from iqa_published.kcross_remarks import remarks
from iqa_registry.errors import UsageError
from iqa_registry.registry import build_registry


def simulated(epochs=40, dataset="ixi", seed=0):
    """Ratings that grow with the epoch, and scores that follow them; rows in no particular order."""
    rows = [
        {"dataset": dataset, "modality": modality, "model": "unit", "epoch": epoch, "slice_id": name}
        for modality in MODALITIES[dataset]
        for epoch in range(1, epochs + 1)
        for name in SLICES[dataset]
    ]
    generator = np.random.default_rng(seed)
    ratings = np.clip((np.arange(len(rows)) % 40 / 5 + generator.normal(size=len(rows))).round(), 0, 9) / 10
    table = pl.DataFrame(rows).with_columns(
        rating=pl.Series(ratings),
        mae=pl.Series(0.1 - 0.05 * ratings + 0.01 * generator.normal(size=len(rows))),
        psnr=pl.Series(20 + 5 * ratings + generator.normal(size=len(rows))),
        ssim=pl.Series(generator.random(len(rows))),
    )
    return table.sample(fraction=1, shuffle=True, seed=seed)


@pytest.fixture(scope="module")
def registry():
    return build_registry()


def by_metric(found):
    return {row.metric: row for row in found.rows}


def public_code(raw, ratings):
    """The public arithmetic, written down once more from its description."""
    levels = sorted(set(ratings))
    runs = [
        rank / len(levels) for rank, level in enumerate(levels) for _ in range(list(ratings).count(level))
    ]
    places = sorted(range(len(raw)), key=lambda index: raw[index])
    return np.mean([abs(runs[place] - rating) for place, rating in zip(places, ratings, strict=True)])


def test_authors_order_and_arithmetic(registry):
    table = simulated()
    ordered = table[authors_order(table, "ixi", 40)]
    assert ordered["slice_id"].to_list() == list(SLICES["ixi"]) * 80
    assert ordered["modality"].to_list() == ["t2"] * 400 + ["pd"] * 400
    assert ordered["epoch"].to_list() == [epoch for epoch in range(1, 41) for _ in range(10)] * 2
    found = by_metric(compare(table, registry, orders=5))
    for name in ("MAE", "PSNR", "SSIM"):
        expected = public_code(ordered[name.lower()].to_list(), ordered["rating"].to_list())
        assert found[name].authors_order == pytest.approx(expected, abs=1e-12)


def test_order_of_the_rows_changes_nothing(registry):
    first, second = (
        compare(simulated().sample(fraction=1, shuffle=True, seed=n), registry, orders=2) for n in (1, 2)
    )
    for row, other in zip(first.rows, second.rows, strict=True):
        for name in ("authors_order", "levels", "minmax", "chance", "constant"):
            assert getattr(row, name) == pytest.approx(getattr(other, name), abs=1e-12)


def test_columns_mean_what_they_say(registry):
    found = by_metric(compare(simulated(), registry, orders=50))
    assert found["PSNR"].levels < found["PSNR"].constant < found["PSNR"].chance
    assert found["SSIM"].levels == pytest.approx(found["SSIM"].chance, abs=0.03)
    assert found["MAE"].levels < found["MAE"].chance < found["MAE"].unturned
    assert found["MAE"].order_low < found["MAE"].order_median < found["MAE"].order_high
    assert found["MAE"].levels_spread < 1e-12
    assert found["K-CROSS"].published == 0.2123
    assert found["K-CROSS"].levels is None


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda table: table.filter(pl.col("epoch") != 7), "it takes 800 images"),
        (lambda table: table.with_columns(slice_id=pl.col("slice_id") + "x"), "other slices"),
        (lambda table: table.with_columns(dataset=pl.lit("oasis")), "no data set 'oasis'"),
        (lambda table: pl.concat([table, table.head(1)]), "it takes 800 images"),
    ],
)
def test_authors_order_is_left_empty_with_the_reason(registry, change, reason):
    found = compare(change(simulated()), registry, orders=2)
    assert reason in found.notes[0]
    assert all(row.authors_order is None for row in found.rows)
    assert found.rows[0].levels is not None
    texts = " ".join(remarks(found))
    assert "average" not in texts
    assert "38.1 %" in texts


def test_missing_ratings_and_scores(registry):
    table = simulated().with_row_index()
    table = table.with_columns(
        rating=pl.when(pl.col("index") < 3).then(None).otherwise("rating"),
        psnr=pl.when(pl.col("index") < 10).then(None).otherwise("psnr"),
    )
    found = compare(table, registry, orders=2)
    assert "3 images without a rating" in found.notes[0]
    assert (by_metric(found)["MAE"].n, by_metric(found)["PSNR"].n) == (797, 790)


def test_number_of_epochs_without_published_numbers(registry):
    found = compare(simulated(), registry, epochs=12, orders=2)
    assert "Nothing was published for 12 epochs" in found.notes[0]
    assert {row.published for row in found.rows} == {None}
    assert found.rows[0].n == 240
    assert found.rows[0].authors_order is not None


def test_tables_that_do_not_do(registry):
    with pytest.raises(UsageError, match="has no ssim; Table II needs"):
        compare(simulated().drop("ssim"), registry)
    with pytest.raises(UsageError, match="no rated image of the epochs 1 to 40"):
        compare(simulated().with_columns(epoch=pl.lit(99)), registry)


def test_command_on_a_simulated_table(iqa, tmp_path):
    simulated().write_csv(tmp_path / "scores.csv")
    done = iqa("reproduce", "kcross-table2", "nirps:scores.csv", "-o", "out")
    assert done.returncode == 0, done.stderr
    assert "argsort(score)_k" in done.stdout
    # These are no published scores, so neither are the published numbers found.
    assert "gives 0 of the 3 numbers" in done.stdout
    assert {path.suffix for path in (tmp_path / "out").iterdir()} == {".parquet", ".csv", ".json"}
    assert pl.read_parquet(tmp_path / "out" / "kcross-table2.parquet").height == 10
    done = iqa("reproduce", "kcross-table2", "nirps:scores.csv", "--json")
    assert json.loads(done.stdout)["epochs"] == 40


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["nirps:nowhere.csv"], "nowhere.csv"),
        (["nirbs:x"], "nirps"),
        (["nirps:x", "--json", "--csv"], "Choose one"),
    ],
)
def test_mistakes(iqa, arguments, message):
    done = iqa("reproduce", "kcross-table2", *arguments)
    assert done.returncode == 2
    assert message in done.stderr
    assert "Traceback" not in done.stderr


EXPECTED = {
    ("cyclegan", 40): ((0.14875, 0.13825, 0.20825), (0.3767, 0.2575, 0.5051), 0.3176),
    ("munit", 40): ((0.14925, 0.15925, 0.1875), (0.2181, 0.1571, 0.2649), 0.1822),
    ("unit", 40): ((0.1745, 0.18925, 0.2070), (0.3301, 0.2169, 0.3614), 0.2382),
    ("cyclegan", 50): (None, (0.4417, 0.2547, 0.5225), None),
    ("unit", 50): (None, (0.3131, 0.2038, 0.3426), None),
}
"""Algorithm 4, min-max and chance; MAE, PSNR, SSIM."""


@pytest.mark.parametrize("epochs", [30, 40, 50])
def test_published_scores(iqa, shared, epochs):
    path = shared("nirps/ixi-scores.csv.gz")
    done = iqa("reproduce", "kcross-table2", f"nirps:{path}", "--epochs", epochs, "--csv")
    rows = [row for row in csv.DictReader(io.StringIO(done.stdout)) if row["levels"]]
    assert len(rows) == 9
    for row in rows:
        # The authors' logs, to the four decimals that they give.
        assert float(row["authors_order"]) == pytest.approx(float(row["log"]), abs=6e-5)
        if row["log_minmax"]:
            assert float(row["minmax"]) == pytest.approx(float(row["log_minmax"]), abs=6e-5)
    for (model, wanted), (levels, minmax, chance) in EXPECTED.items():
        values = [row for row in rows if row["model"] == model and wanted == epochs]
        for place, row in enumerate(values):
            assert float(row["minmax"]) == pytest.approx(minmax[place], abs=6e-5)
            if levels:
                assert float(row["levels"]) == pytest.approx(levels[place], abs=1e-6)
                assert float(row["chance"]) == pytest.approx(chance, abs=6e-5)


def test_differences_are_explained_with_numbers(iqa, shared):
    done = iqa("reproduce", "kcross-table2", f"nirps:{shared('nirps/ixi-scores.csv.gz')}")
    text = " ".join(done.stdout.split())
    assert "gives 9 of the 9 numbers in the authors' logs" in text
    assert "equals their logs in 3 of the 3 numbers" in text
    assert "of the 9 published numbers lie within the range of theirs" in text
    assert "ixi cyclegan 0.4572 (turned 0.148" in text
