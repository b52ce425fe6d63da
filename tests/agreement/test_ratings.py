"""Ratings beside scores: means, individual raters, missing ones, images on one side only."""

import numpy as np
import polars as pl
import pytest

from iqa_registry.agreement.ratings import HowRated, rate
from iqa_registry.agreement.scores import Scores
from iqa_registry.errors import UsageError

SCORES = Scores(
    pl.DataFrame({"pair_id": list("abcd"), "psnr": [20.0, 30.0, 25.0, 22.0]}), {"psnr": True}, "the run"
)


def ratings(**columns):
    return pl.DataFrame({"pair_id": list("abcd"), **columns})


def test_a_column_of_ratings_is_joined_by_image():
    rated = rate(SCORES, ratings(rating=[0.1, 0.9, 0.5, 0.3])[::-1])
    assert rated.ratings.tolist() == [0.1, 0.9, 0.5, 0.3]
    assert rated.single is None
    assert rated.notes == []


def test_ratings_in_the_table_of_scores():
    own = Scores(SCORES.table.with_columns(rating=pl.Series([0.1, 0.9, 0.5, 0.3])), {"psnr": True}, "the run")
    assert rate(own).ratings.tolist() == [0.1, 0.9, 0.5, 0.3]


def test_no_ratings_at_all():
    with pytest.raises(UsageError, match=r"the run: holds no ratings .*--ratings FILE"):
        rate(SCORES)


def test_of_single_raters_the_highest_and_the_lowest_are_dropped():
    raters = {f"rater_{number}": [0.1 * number, 0.5, 0.5, 0.5] for number in range(5)}
    rated = rate(SCORES, ratings(**raters))
    assert rated.ratings.round(6).tolist() == [0.2, 0.5, 0.5, 0.5]
    assert rated.single.shape == (4, 5)
    assert list(rated.raters) == list(raters)


@pytest.mark.parametrize(("pool", "expected"), [("mean", 0.34), ("median", 0.2), ("trimmed-mean", 0.8 / 3)])
def test_how_single_raters_become_one_rating(pool, expected):
    values = [0.0, 0.1, 0.2, 0.5, 0.9]
    raters = {f"rater_{number}": [value] * 4 for number, value in enumerate(values)}
    assert rate(SCORES, ratings(**raters), HowRated(pool=pool)).ratings[0] == pytest.approx(expected)


def test_one_row_a_rating_with_missing_ones():
    table = pl.DataFrame(
        {
            "pair_id": ["a", "a", "b", "c", "c"],
            "rater": ["x", "y", "x", "x", "y"],
            "rating": [0.1, 0.3, 0.9, None, 0.5],
        }
    )
    rated = rate(SCORES, table)
    assert rated.ratings.tolist() == [0.2, 0.9, 0.5]
    assert np.isnan(rated.single[[1, 2], [1, 0]]).all()
    assert rated.notes == ["1 images in the run have no rating in the ratings: d"]


def test_images_on_one_side_only_are_named():
    table = pl.DataFrame({"pair_id": ["a", "b", "y", "z"], "rating": [0.1, 0.2, 0.3, 0.4]})
    rated = rate(SCORES, table)
    assert rated.scores.table["pair_id"].to_list() == ["a", "b"]
    assert rated.notes == [
        "2 images in the run have no rating in the ratings: c, d",
        "2 images in the ratings have no score in the run: y, z",
    ]


def test_a_rating_that_is_left_empty_counts_as_none():
    rated = rate(SCORES, ratings(rating=[0.1, None, 0.5, 0.3]))
    assert rated.notes == ["1 images in the run have no rating in the ratings: b"]
    assert len(rated.ratings) == 3


def test_an_empty_cell_in_the_table_of_scores():
    own = Scores(
        SCORES.table.with_columns(rating=pl.Series([0.1, None, 0.5, 0.3])), {"psnr": True}, "the run"
    )
    assert rate(own).notes == ["1 images have no rating: b"]


def test_ratings_of_images_that_were_not_selected_are_not_missed():
    from iqa_registry.agreement.scores import select

    some = select(SCORES, ["psnr=:23"])
    rated = rate(some, ratings(rating=[0.1, 0.9, 0.5, 0.3]), among=SCORES)
    assert (rated.notes, rated.ratings.tolist()) == ([], [0.1, 0.3])


def test_a_scale_read_from_its_other_end():
    rated = rate(SCORES, ratings(rating=[1, 5, 3, 2]), HowRated(higher_is_better=False))
    assert rated.ratings.tolist() == [5.0, 1.0, 3.0, 4.0]


def test_named_raters_come_before_a_column_of_ratings():
    table = ratings(rating=[0.0] * 4, ann=[0.1, 0.2, 0.3, 0.4], bob=[0.3, 0.4, 0.5, 0.6])
    rated = rate(SCORES, table, HowRated(raters=("ann", "bob")))
    assert rated.ratings.tolist() == pytest.approx([0.2, 0.3, 0.4, 0.5])


@pytest.mark.parametrize(
    ("table", "message"),
    [
        (ratings(score=[1, 2, 3, 4]), r"has no column 'rating'"),
        (ratings(rating=["good", "bad", "good", "bad"]), "does not hold only numbers"),
        (ratings(rating=[0.1, float("inf"), 0.2, 0.3]), "infinite rating"),
        (pl.DataFrame({"pair_id": ["a", "a"], "rating": [0.1, 0.2]}), "a are listed twice"),
        (pl.DataFrame({"pair_id": ["a"] * 2, "rater": ["x"] * 2, "rating": [0.1, 0.2]}), "x rates 'a' twice"),
        (pl.DataFrame({"pair_id": ["q"], "rating": [0.1]}), "no image has both a score and a rating"),
        (pl.DataFrame({"image": ["a"], "rating": [0.1]}), r"has no column 'pair_id' \(--id\)"),
    ],
)
def test_ratings_that_cannot_be_used(table, message):
    with pytest.raises(UsageError, match=message):
        rate(SCORES, table)


def test_repeats_are_averaged_and_kept():
    table = pl.DataFrame({"pair_id": ["a", "b", "c"], "psnr": [20.0, 30.0, 25.0]})
    rows = [
        (i, r, n, v)
        for n in (1, 2)
        for r, shift in (("x", 0.0), ("y", 1.0))
        for i, v in zip("abc", (1 + shift, 2 * n, 3.0), strict=True)
    ]
    ratings = pl.DataFrame(rows, schema=["pair_id", "rater", "repeat", "rating"], orient="row")
    rated = rate(Scores(table, {"psnr": True}, "here"), ratings)
    assert rated.single.tolist() == [[1, 2], [3, 3], [3, 3]]
    assert rated.repeats["x"].rows() == [("a", 1, 1), ("b", 2, 4), ("c", 3, 3)]
    with pytest.raises(UsageError, match="add a column 'repeat'"):
        rate(Scores(table, {"psnr": True}, "here"), ratings.drop("repeat"))


def test_rows_of_raters_without_any_rating(tmp_path):
    (tmp_path / "ratings.csv").write_text('pair_id;rater;rating\n"1";7;\n')
    scores = Scores(pl.DataFrame({"pair_id": ["1"], "psnr": [20.5]}), {"psnr": True}, "scores")
    with pytest.raises(UsageError, match=r"ratings\.csv: holds no ratings in the column 'rating'"):
        rate(scores, tmp_path / "ratings.csv")
