"""Correlations of systems against scipy, what few of them can show, and columns that define none."""

import itertools
import math

import numpy as np
import pytest
import scipy.stats
from hypothesis import assume, given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from iqa_registry.errors import UsageError
from iqa_registry.statistics.correlation import (
    MONTE_CARLO,
    critical_value,
    fisher_interval,
    pearson,
    permutation_p_value,
    smallest_p_value,
    spearman,
)

COLUMNS = arrays(float, (2, 6), elements=st.integers(-4, 4).map(lambda value: value / 4))


@given(COLUMNS)
def test_values_equal_scipy(columns):
    x, y = columns
    assume(np.ptp(x) > 0 and np.ptp(y) > 0)
    assert pearson(x, y).value == pytest.approx(scipy.stats.pearsonr(x, y).statistic, abs=1e-12)
    assert spearman(x, y).value == pytest.approx(scipy.stats.spearmanr(x, y).statistic, abs=1e-12)


@pytest.mark.parametrize("seed", range(5))
def test_exact_p_value_equals_scipy(seed):
    # Rounded, so that there are ties.
    x, y = np.random.default_rng(seed).normal(size=(2, 6)).round(1)

    def statistic(values, axis=-1):
        return np.round(((values - x.mean()) * (y - y.mean())).sum(axis=axis), 10)

    expected = scipy.stats.permutation_test((x,), statistic, permutation_type="pairings", vectorized=True)
    assert permutation_p_value(x, y) == (pytest.approx(expected.pvalue, abs=1e-12), True)


def test_monte_carlo_comes_close_to_the_exact_value():
    x, y = np.random.default_rng(3).normal(size=(2, 9))
    values = [np.dot(order, y - y.mean()) for order in itertools.permutations(x)]
    seen = np.dot(x, y - y.mean())
    expected = 2 * min((np.array(values) >= seen - 1e-12).mean(), (np.array(values) <= seen + 1e-12).mean())
    found, exact = permutation_p_value(x, y)
    assert not exact
    assert found == pytest.approx(expected, abs=5 * math.sqrt(expected / MONTE_CARLO))
    assert permutation_p_value(x, y, seed=0)[0] == found != permutation_p_value(x, y, seed=1)[0]


@pytest.mark.parametrize("n", [3, 4, 5, 6])
@pytest.mark.parametrize("sign", [1, -1])
def test_smallest_p_value_is_reached_by_equal_and_by_reverse_order(n, sign):
    x, y = np.sort(np.random.default_rng(n).normal(size=(2, n)))
    assert pearson(x, sign * y).p_value == spearman(x, sign * y).p_value == smallest_p_value(n)
    assert smallest_p_value(n) == 2 / math.factorial(n)
    others = [permutation_p_value(order, y)[0] for order in itertools.permutations(x)]
    assert sum(value == smallest_p_value(n) for value in others) == 2


def test_five_systems():
    assert smallest_p_value(5) == pytest.approx(2 / 120)
    # The usual table of critical values of r gives 0.878 for 3 degrees of freedom.
    assert critical_value(5) == pytest.approx(0.878, abs=5e-4)
    t = 0.9 * math.sqrt(3 / (1 - 0.9**2))
    assert (2 * scipy.stats.t.sf(t, 3) < 0.05) == (critical_value(5) < 0.9)


def test_pearson_interval_equals_scipy():
    x, y = np.random.default_rng(0).normal(size=(2, 12))
    expected = scipy.stats.pearsonr(x, y).confidence_interval(0.9)
    found = pearson(x, y, level=0.9)
    assert (found.low, found.high) == (pytest.approx(expected.low), pytest.approx(expected.high))


def test_spearman_interval_is_wider_by_bonett_and_wright():
    low, high = fisher_interval(0.6, 20, ranks=True)
    width = (math.atanh(high) - math.atanh(low)) / 2
    assert width == pytest.approx(1.959964 * math.sqrt((1 + 0.18) / 17), abs=1e-6)


@pytest.mark.parametrize(("value", "n"), [(0.5, 3), (1.0, 9), (-1.0, 9), (math.nan, 9)])
def test_interval_that_does_not_exist(value, n):
    assert np.isnan(fisher_interval(value, n)).all()


@pytest.mark.parametrize("correlation", [pearson, spearman])
@pytest.mark.parametrize(
    ("x", "y"),
    [([1, 1, 1, 1], [1, 2, 3, 4]), ([1, 2], [1, 2]), ([], [])],
    ids=["constant", "two systems", "none"],
)
def test_no_correlation(correlation, x, y):
    found = correlation(x, y)
    assert np.isnan([found.value, found.low, found.high, found.p_value]).all()
    assert found.n == len(x)


def test_rounding_makes_no_line_of_a_constant_column():
    assert math.isnan(pearson([0.1 + 0.2, 0.3, 0.3], [1, 2, 3]).value)


@pytest.mark.parametrize("correlation", [pearson, spearman])
def test_missing_values_drop_their_pair(correlation):
    x, y = [1, 2, np.nan, 4, 7, 5], [2, 1, 3, 9, 8, np.nan]
    assert correlation(x, y) == correlation([1, 2, 4, 7], [2, 1, 9, 8])
    assert correlation(x, y).n == 4


def test_infinite_score_has_a_rank_and_no_place_on_a_line():
    assert spearman([1, 2, np.inf, 4], [1, 2, 4, 3]).value == pytest.approx(1)
    assert math.isnan(pearson([1, 2, np.inf, 4], [1, 2, 4, 3]).value)


def test_scale_of_the_values_does_not_matter():
    x, y = np.random.default_rng(0).normal(size=(2, 6))
    assert pearson(x * 1e200, y * 1e-200).value == pytest.approx(pearson(x, y).value)


def test_lengths_that_differ():
    with pytest.raises(UsageError, match=r"one length, \(n,\), got \(2,\) and \(3,\)"):
        pearson([1, 2], [1, 2, 3])
