"""Scores by volume and by subject, against means that are computed here."""

import json

import numpy as np
import polars as pl
import pytest

from iqa_registry import agree
from iqa_registry.evaluation.pooling import mixed_columns, pool
from iqa_registry.evaluation.summary import summarize
from iqa_registry.tables.reading import read_table
from iqa_registry.tables.schema import to_wide
from iqa_registry.tables.writing import write_table

PIXELS = [[10, 20, 30], [40, 5, 5]]
SCORES = [[0.1, 0.2, 0.6], [0.5, 0.3, 0.1]]


@pytest.fixture
def slices():
    rows = [
        {
            "pair_id": f"{name}/axial-{number:03d}",
            "subject": "s",
            "slice": number,
            "region": "mask",
            "metric": "mae",
            "component": "",
            "score": score,
            "status": "ok",
            "message": None,
            "higher_is_better": False,
            "dimensions": 2,
            "pixels": pixels,
            "model": name,
        }
        for name, scores, sizes in zip("ab", SCORES, PIXELS, strict=True)
        for number, (score, pixels) in enumerate(zip(scores, sizes, strict=True))
    ]
    return pl.DataFrame(rows, infer_schema_length=None, schema_overrides={"message": pl.String})


def test_slices_are_weighted_by_the_pixels_of_the_region(slices):
    pooled = pool(slices, "volume").filter(pl.col("level") == "volume")
    assert pooled["pair_id"].to_list() == ["a", "b"]
    assert pooled["score"].to_list() == pytest.approx(
        [np.average(scores, weights=sizes) for scores, sizes in zip(SCORES, PIXELS, strict=True)]
    )
    assert pooled["model"].to_list() == ["a", "b"]


def test_a_subject_is_pooled_over_its_volumes_and_that_is_said(slices):
    pooled = pool(slices, "subject").filter(pl.col("level") == "subject")
    assert pooled["score"].to_list() == pytest.approx(
        [np.average(np.ravel(SCORES), weights=np.ravel(PIXELS))]
    )
    assert pooled["model"].to_list() == [None]
    assert mixed_columns(slices) == {"model": ["a", "b"]}
    assert pool(slices, "subject", ["model"]).filter(pl.col("level") == "subject").height == 2


def test_a_failed_slice_fails_its_volume_and_an_empty_one_does_not(slices):
    status = pl.Series(["ok", "error", "ok", "ok", "not_applicable", "ok"])
    score = pl.when(status == "ok").then(pl.col("score"))
    pooled = pool(slices.with_columns(status=status, score=score), "volume").filter(
        pl.col("level") == "volume"
    )
    assert pooled["status"].to_list() == ["error", "ok"]
    assert pooled["message"][0] == "1 of 3 rows failed"
    assert pooled["score"].to_list() == [None, pytest.approx((0.5 * 40 + 0.1 * 5) / 45)]


def test_levels_are_summarized_apart(slices):
    summary = summarize(pool(slices, "volume"))
    assert summary["level"].to_list() == ["slice", "volume"]
    assert summary["n"].to_list() == [6, 2]
    assert summary["mean"][0] == pytest.approx(np.mean(SCORES))


def test_ratings_of_volumes_are_joined_to_the_scores_of_their_slices():
    generator = np.random.default_rng(0)
    severity = np.linspace(0.1, 0.9, 6)
    rows = [
        {
            "pair_id": f"c{case}/axial-{number:03d}",
            "metric": "mae",
            "score": value + generator.uniform(0, 0.01),
        }
        for case, value in enumerate(severity)
        for number in range(4)
    ]
    ratings = pl.DataFrame({"pair_id": [f"c{case}" for case in range(6)], "rating": 1 - severity})
    row = agree(pl.DataFrame(rows), ratings, resamples=0).row(0, named=True)
    assert row["srocc"] == pytest.approx(1)
    assert row["n"] == 6


def test_infinite_scores_survive_json_as_null_with_a_status(tmp_path, slices):
    infinite = slices.with_columns(score=pl.Series([float("inf"), -float("inf"), 2.0, 3.0, 4.0, 5.0]))
    path = write_table(tmp_path / "scores.json", infinite)
    rows = json.loads(path.read_text(), parse_constant=pytest.fail)
    assert [(row["score"], row["status"]) for row in rows[:2]] == [(None, "infinite"), (None, "-infinite")]
    assert to_wide(read_table(path), ["pair_id"])["mae"].to_list()[:3] == [float("inf"), -float("inf"), 2.0]


def test_without_pixels_the_share_of_the_region_weighs():
    rows = {"pair_id": ["a/axial-000", "a/axial-001"], "metric": ["mae"] * 2, "region": ["mask"] * 2}
    rows |= {"score": [0.1, 0.4], "status": ["ok"] * 2, "region_fraction": [0.2, 0.1]}
    for pixels, expected in (([None, None], 0.2), ([10, 20], 0.3)):
        table = pl.DataFrame(rows | {"pixels": pixels}, schema_overrides={"pixels": pl.Int64})
        assert pool(table, "volume").row(-1, named=True)["score"] == pytest.approx(expected)
