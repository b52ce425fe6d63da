"""Metrics that do not apply to every image, and one metric against some others."""

import numpy as np
import polars as pl
import pytest

from iqa_registry.agreement.comparison import against, compare
from iqa_registry.agreement.judging import Settings
from iqa_registry.agreement.ratings import Rated
from iqa_registry.agreement.scores import Scores
from iqa_registry.agreement.study import judge


def partial_study():
    """Forty images; ``m`` and ``other`` scored all of them, ``some`` every second, best of all."""
    draw = np.random.default_rng(1)
    ratings = draw.random(40).round(1)
    table = pl.DataFrame(
        {
            "pair_id": [f"image {number}" for number in range(40)],
            "some": [rating if number % 2 else None for number, rating in enumerate(ratings)],
            "m": ratings + draw.normal(0, 0.1, 40),
            "other": ratings + draw.normal(0, 0.4, 40),
        }
    )
    return Rated(Scores(table, dict.fromkeys(["some", "m", "other"], True), "here"), ratings)


def test_metrics_apart_are_judged_on_their_own_images_and_take_nothing_from_the_others():
    rated = partial_study()
    (group,) = judge(rated, settings=Settings(resamples=50, apart=["some"]))
    others = Scores(rated.scores.table.drop("some"), {"m": True, "other": True}, "here")
    (expected,) = judge(Rated(others, rated.ratings), settings=Settings(resamples=50))
    rows = [judged.row for judged in group.judged]
    assert rows[:2] == [judged.row for judged in expected.judged]
    assert group.comparisons == expected.comparisons
    assert not group.notes
    last = rows[2]
    assert (last["metric"], last["n"], last["best"]) == ("some", 20, False)
    assert last["inconsistency"] < rows[0]["inconsistency"]


def test_a_metric_apart_that_scored_nothing_in_a_group_is_passed_over():
    rated = partial_study()
    rated.scores.table.insert_column(1, pl.Series("half", ["even", "odd"] * 20))
    groups = judge(rated, settings=Settings(resamples=0, group_by=["half"], apart=["some"]))
    assert [sorted(judged.metric for judged in group.judged) for group in groups] == [
        ["m", "other"], ["m", "other", "some"],
    ]  # fmt: skip
    assert not any(group.notes for group in groups)


def test_one_metric_against_others_has_their_paired_differences_and_its_share():
    rated = partial_study()
    (group,) = judge(rated, settings=Settings(resamples=200, apart=["some"]))
    m, other, some = (
        next(judged for judged in group.judged if judged.metric == name) for name in ("m", "other", "some")
    )
    (expected,) = compare([m, other])
    (row,) = against(m, [other, some])
    shared = ("difference", "difference_low", "difference_high", "p_value")
    assert {name: row[name] for name in shared} == {name: expected[name] for name in shared}
    assert row["reduction"] == pytest.approx(1 - m.row["inconsistency"] / other.row["inconsistency"])
    assert row["reduction_low"] < row["reduction"] < row["reduction_high"]
    first, second = against(some, [some, some])[:2]
    assert (first["difference"], first["n"], second["p_holm"]) == (0, 20, 1)
    assert against(m, [some]) == []


def test_without_samples_a_metric_against_others_has_no_interval():
    (group,) = judge(partial_study(), settings=Settings(resamples=0, apart=["some"]))
    first, second, _ = group.judged
    (row,) = against(first, [second])
    assert set(row) == {"challenger", "baseline", "n", "difference", "reduction"}
    assert row["difference"] < 0 < row["reduction"]
