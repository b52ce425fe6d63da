"""SROCC, KROCC, PLCC, RMSE and pairwise accuracy against scipy, against counting, and where nothing is defined."""

import itertools

import numpy as np
import pytest
import scipy.stats
from hypothesis import given, settings
from hypothesis import strategies as st

from iqa_registry.errors import UsageError
from iqa_registry.statistics.agreement import accuracy_of, krocc, pairwise_accuracy, plcc, rmse, srocc

GENERATOR = np.random.default_rng(0)
RATINGS = np.round(GENERATOR.random(80), 1)
SCORES = np.round(RATINGS + 0.3 * GENERATOR.normal(size=80), 1)


def test_they_are_scipys():
    assert srocc(SCORES, RATINGS) == pytest.approx(
        scipy.stats.spearmanr(SCORES, RATINGS).statistic, abs=1e-15
    )
    assert krocc(SCORES, RATINGS) == pytest.approx(
        scipy.stats.kendalltau(SCORES, RATINGS).statistic, abs=1e-15
    )
    assert plcc(SCORES, RATINGS) == pytest.approx(scipy.stats.pearsonr(SCORES, RATINGS).statistic, abs=1e-15)


def test_they_are_pingouins():
    pingouin = pytest.importorskip("pingouin")
    for method, ours in (("spearman", srocc), ("kendall", krocc), ("pearson", plcc)):
        theirs = pingouin.corr(SCORES, RATINGS, method=method)["r"].iloc[0]
        assert ours(SCORES, RATINGS) == pytest.approx(theirs, abs=1e-12)


def counted(scores, ratings):
    """Pairs with different ratings, one by one."""
    pairs = [(a, b) for a, b in itertools.combinations(range(len(scores)), 2) if ratings[a] != ratings[b]]
    points = [
        0.5 if scores[a] == scores[b] else float((scores[a] > scores[b]) == (ratings[a] > ratings[b]))
        for a, b in pairs
    ]
    return np.mean(points)


@settings(max_examples=100, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 6), st.integers(0, 4)), min_size=2, max_size=12))
def test_pairwise_accuracy_is_what_counting_gives(rows):
    scores, ratings = (np.array(column, dtype=float) for column in zip(*rows, strict=True))
    if np.ptp(ratings) == 0:
        assert np.isnan(pairwise_accuracy(scores, ratings))
    else:
        assert pairwise_accuracy(scores, ratings) == pytest.approx(counted(scores, ratings), abs=1e-12)


def test_pairwise_accuracy_follows_from_somers_d():
    somers = scipy.stats.somersd(RATINGS, SCORES).statistic
    assert pairwise_accuracy(SCORES, RATINGS) == pytest.approx((1 + somers) / 2, abs=1e-12)


def test_pairwise_accuracy_from_a_known_krocc():
    assert accuracy_of(krocc(SCORES, RATINGS), SCORES, RATINGS) == pairwise_accuracy(SCORES, RATINGS)


@pytest.mark.parametrize("function", [srocc, krocc, plcc])
@pytest.mark.parametrize(
    ("scores", "ratings"),
    [([1.0, 1.0, 1.0], [0.1, 0.2, 0.3]), ([1.0, 2.0, 3.0], [0.5, 0.5, 0.5]), ([1.0], [0.5])],
)
def test_without_variance_there_is_no_correlation(function, scores, ratings):
    assert np.isnan(function(scores, ratings))


def test_variance_that_is_rounding_is_none():
    assert np.isnan(plcc([0.3, 0.3 + 5e-17, 0.1 + 0.2], [0.1, 0.5, 0.9]))


def test_infinite_scores():
    assert srocc([1.0, np.inf, 2.0], [0.1, 0.9, 0.5]) == pytest.approx(1)
    assert plcc([1.0, np.inf, 2.0], [0.1, 0.9, 0.5]) == plcc([1.0, 2.0, 2.0], [0.1, 0.9, 0.5])


def test_rmse_by_hand():
    assert rmse([0.1, 0.3], [0.2, 0.6]) == pytest.approx(np.sqrt((0.01 + 0.09) / 2))


@pytest.mark.parametrize("function", [srocc, krocc, plcc, rmse, pairwise_accuracy])
@pytest.mark.parametrize(
    ("scores", "ratings", "message"),
    [
        ([1.0, 2.0], [0.1], "of one length"),
        ([], [], "n at least 1"),
        ([np.nan, 1.0], [0.1, 0.2], r"score 0 is no number \(1 in all\)"),
        ([1.0, 2.0], [0.1, np.inf], "rating 1 is no number"),
    ],
)
def test_columns_that_cannot_be_compared(function, scores, ratings, message):
    with pytest.raises(UsageError, match=message):
        function(scores, ratings)
