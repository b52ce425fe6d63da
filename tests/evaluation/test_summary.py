import math

import polars as pl
import pytest

from iqa_registry.errors import UsageError
from iqa_registry.evaluation.summary import failures, problems, shifted_pairs, summarize


@pytest.fixture
def table():
    return pl.DataFrame(
        {
            "pair_id": ["a", "b", "c", "d"],
            "subject": ["1", "1", "2", "2"],
            "metric": ["m"] * 4,
            "region": ["image"] * 4,
            "dimensions": [2] * 4,
            "score": [1.0, 3.0, 5.0, None],
            "status": ["ok", "ok", "ok", "error"],
            "message": [None, None, None, "d.png: truncated"],
            "higher_is_better": [True] * 4,
            "shift": [0.2, 1.5, None, 7.0],
            "model": ["x", "x", "y", "y"],
        }
    )


def test_it_equals_plain_statistics(table):
    row = summarize(table).row(0, named=True)
    assert (row["n"], row["mean"], row["std"], row["n_error"]) == (3, 3.0, 2.0, 1)
    assert row["ci_low"] <= 3.0 <= row["ci_high"]


def test_subjects_that_are_not_known_give_a_marked_interval(table):
    unknown = table.with_columns(subject=pl.lit(None, pl.String))
    row = summarize(unknown).row(0, named=True)
    assert (row["interval_by"], row["n_subjects"]) == ("image", None)
    assert row["ci_low"] < 3.0 < row["ci_high"]
    assert summarize(table).row(0, named=True)["interval_by"] == "subject"


def test_one_subject_has_no_interval(table):
    row = summarize(table.with_columns(subject=pl.lit("1"))).row(0, named=True)
    assert (row["ci_low"], row["ci_high"], row["interval_by"], row["n_subjects"]) == (None, None, None, 1)


def test_what_makes_a_run_fail(table):
    assert failures(table) == ["d.png: truncated"]
    status = pl.Series(["ok", "ok", "ok", "not_applicable"])
    for message, expected in (("both images are empty", []), ("too small", ["too small"])):
        changed = table.with_columns(status=status, message=pl.Series([None, None, None, message]))
        assert failures(changed) == expected
    nothing = table.with_columns(status=pl.lit("not_applicable"), message=pl.lit("both images are empty"))
    assert failures(nothing) == ["both images are empty"]


def test_groups(table):
    grouped = summarize(table, ["model"])
    assert grouped["model"].to_list() == ["x", "y"]
    assert grouped["mean"].to_list() == [2.0, 5.0]


def test_an_infinite_score_is_said(table):
    changed = table.with_columns(score=pl.Series([math.inf, 3.0, 5.0, None]))
    row = summarize(changed).row(0, named=True)
    assert row["mean"] == math.inf
    assert row["std"] is None
    assert row["n_infinite"] == 1


def test_unknown_column_offers_the_nearest(table):
    with pytest.raises(UsageError, match="'model'"):
        summarize(table, ["modle"])


def test_components_are_summarized_apart_and_are_no_problems(table):
    both = pl.concat([table.with_columns(component=pl.lit(name)) for name in ("", "edges")])
    assert summarize(both).select("component", "n", "mean").rows() == [("", 3, 3.0), ("edges", 3, 3.0)]
    assert problems(both) == [("error", "d.png: truncated", 1)]


def test_problems_and_shifts(table):
    assert problems(table) == [("error", "d.png: truncated", 1)]
    assert shifted_pairs(table) == (2, 7.0)
