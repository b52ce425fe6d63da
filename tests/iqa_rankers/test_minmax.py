import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from iqa_rankers.minmax import MinMaxRanker

FINITE = st.floats(allow_nan=False, allow_infinity=False)


def align(scores):
    return MinMaxRanker().align(scores, np.zeros(len(scores)))


def test_the_formula():
    scores = np.random.default_rng(0).normal(30, 4, 20)
    expected = (scores - scores.min()) / (scores.max() - scores.min())
    np.testing.assert_allclose(align(scores), expected, rtol=1e-12)
    np.testing.assert_allclose(align(7 * scores - 3), expected, rtol=1e-9)


def test_the_ratings_are_not_looked_at():
    scores = [20.0, 30.0, 22.5]
    np.testing.assert_array_equal(MinMaxRanker().align(scores, [5.0, 6.0, 7.0]), align(scores))


def test_infinite_scores_count_as_the_largest_finite_one():
    np.testing.assert_array_equal(align([np.inf, 20.0, 30.0, -np.inf, 25.0]), [1, 0, 1, 0, 0.5])


@pytest.mark.parametrize("scores", [[3.0, 3.0], [3.0], [np.inf, np.inf], [3.0, np.inf]])
def test_scores_that_say_nothing_stand_in_the_middle(scores):
    np.testing.assert_array_equal(align(scores), 0.5)


@given(st.lists(FINITE, min_size=1))
def test_it_keeps_the_order_and_stays_within_0_and_1(scores):
    found = align(scores)
    assert ((found >= 0) & (found <= 1)).all()
    assert (np.diff(found[np.argsort(scores)]) >= 0).all()
