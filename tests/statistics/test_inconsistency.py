"""Algorithm 4, chance and skill: closed forms, exhaustive permutations, properties."""

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from iqa_registry.errors import UsageError
from iqa_registry.statistics.inconsistency import (
    align_to_levels,
    chance,
    chance_of_each,
    constant,
    inconsistency,
    skill,
)

RATINGS = st.lists(st.integers(0, 9).map(lambda level: level / 10), min_size=1, max_size=30)


def loss(scores, ratings):
    return inconsistency(align_to_levels(scores, ratings), ratings)


@given(RATINGS)
def test_chance_is_the_double_sum(ratings):
    expected = np.abs(np.subtract.outer(ratings, ratings)).mean()
    assert chance(ratings) == pytest.approx(expected, rel=1e-12, abs=1e-15)


@pytest.mark.parametrize("n", [5, 60])
def test_chance_is_the_mean_of_random_orders(n):
    generator = np.random.default_rng(0)
    ratings = np.round(generator.beta(2, 1, n), 1)
    order = generator.permuted(np.tile(ratings, (20_000, 1)), axis=1)
    assert chance(ratings) == pytest.approx(np.abs(order - ratings).mean(), abs=1e-3)


def test_chance_is_the_mean_of_all_orders():
    ratings = [0.1, 0.2, 0.2, 0.7, 0.9]
    losses = [loss(order, ratings) for order in itertools.permutations(range(5))]
    assert chance(ratings) == pytest.approx(np.mean(losses), rel=1e-12)


@pytest.mark.parametrize("offset", [0.0, 1e9])
def test_chance_keeps_its_digits_far_from_zero(offset):
    assert chance(offset + np.array([0.0, 1.0, 2.0, 5.0])) == pytest.approx(2, rel=1e-12)


@given(RATINGS)
def test_a_perfect_metric_has_none(ratings):
    assert loss(ratings, ratings) == pytest.approx(0, abs=1e-15)
    assert loss(np.exp(ratings), ratings) == pytest.approx(0, abs=1e-15)


@pytest.mark.parametrize("n", range(1, 7))
def test_the_reversed_order_is_the_worst_of_all(n):
    ratings = np.random.default_rng(n).permutation(np.arange(n) ** 2 / 40)
    losses = [loss(order, ratings) for order in itertools.permutations(range(n))]
    assert loss(-ratings, ratings) == pytest.approx(max(losses), abs=1e-15)
    assert min(losses) == 0


@given(RATINGS)
def test_constant_scores_get_the_mean_rating(ratings):
    np.testing.assert_allclose(align_to_levels(np.ones(len(ratings)), ratings), np.mean(ratings), rtol=1e-12)
    level = loss(np.ones(len(ratings)), ratings)
    assert level == pytest.approx(constant(ratings), abs=1e-15)
    assert chance(ratings) / 2 - 1e-12 <= level <= chance(ratings) + 1e-12


def test_constant_scores_reach_chance_only_where_two_halves_disagree_wholly():
    """Jensen's inequality is an equality for no spread; for two levels of equal size the constant has all of it."""
    assert constant([0.0, 1.0]) == chance([0.0, 1.0]) == 0.5
    assert constant([0.0, 0.5, 1.0]) < chance([0.0, 0.5, 1.0])
    assert constant([0.0] * 99 + [1.0]) == pytest.approx(chance([0.0] * 99 + [1.0]), rel=1e-12)


def test_one_rating_level_says_nothing():
    assert loss([3.0, 1.0, 2.0], [0.4, 0.4, 0.4]) == 0
    assert chance([0.4, 0.4, 0.4]) == 0
    assert constant([0.4, 0.4, 0.4]) == pytest.approx(0, abs=1e-15)
    assert np.isnan(skill(0.0, 0.0))


def test_skill():
    assert skill(0.0, 0.3) == 1
    assert skill(0.3, 0.3) == 0
    assert skill(0.6, 0.3) == -1


@pytest.mark.parametrize(
    ("scores", "ratings", "message"),
    [
        ([1.0], [1.0, 2.0], r"one length.*got \(1,\) and \(2,\)"),
        ([], [], "n at least 1"),
        ([[1.0]], [[1.0]], r"\(1, 1\)"),
        ([1.0, np.nan], [1.0, 2.0], r"score 1 is no number \(1 in all\)"),
        ([1.0, 2.0], [np.nan, np.inf], r"rating 0 is no number \(2 in all\)"),
    ],
)
def test_what_it_does_not_take(scores, ratings, message):
    for function in (align_to_levels, inconsistency):
        with pytest.raises(UsageError, match=message):
            function(scores, ratings)


def test_chance_of_each_image_is_its_mean_distance_from_all():
    ratings = np.round(np.random.default_rng(3).random(200), 1)
    found = chance_of_each(ratings)
    assert found == pytest.approx(np.abs(ratings[:, None] - ratings).mean(axis=1), abs=1e-12)
    assert found.mean() == pytest.approx(chance(ratings), abs=1e-12)
