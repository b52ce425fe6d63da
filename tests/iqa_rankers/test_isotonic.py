import numpy as np
import scipy.optimize
from hypothesis import given
from hypothesis import strategies as st

from iqa_rankers.isotonic import IsotonicRanker

ROWS = st.lists(st.tuples(st.integers(-20, 20), st.integers(0, 9)), min_size=1, max_size=40)
GRID = np.linspace(-25, 25, 301)


def fitted(scores, ratings):
    ranker = IsotonicRanker()
    ranker.fit(scores, ratings)
    return lambda values: ranker.align(values, np.zeros(len(values)))


def test_two_that_are_out_of_order_are_pooled():
    found = fitted([1.0, 2.0, 3.0, 4.0], [1.0, 3.0, 2.0, 4.0])
    np.testing.assert_allclose(found([1.0, 2.0, 3.0, 4.0]), [1, 2.5, 2.5, 4])
    np.testing.assert_allclose(found([1.5, 3.5]), [1.75, 3.25])
    np.testing.assert_allclose(found([-9.0, 9.0, -np.inf, np.inf]), [1, 4, 1, 4])


def test_equal_scores_count_by_their_number():
    found = fitted([1.0, 1.0, 1.0, 2.0], [0.0, 3.0, 6.0, 1.0])
    np.testing.assert_allclose(found([1.0, 2.0]), 2.5)


def test_an_infinite_score_counts_as_the_largest_of_the_fit():
    found, same = fitted([1.0, 2.0, np.inf], [0, 1, 5]), fitted([1.0, 2.0, 2.0], [0, 1, 5])
    np.testing.assert_array_equal(found(GRID), same(GRID))


@given(ROWS)
def test_it_never_falls_and_stays_within_the_ratings(rows):
    scores, ratings = np.array(rows, dtype=np.float64).T
    found = fitted(scores, ratings)(GRID)
    assert (np.diff(found) >= -1e-12).all()
    assert ratings.min() - 1e-12 <= found.min() <= found.max() <= ratings.max() + 1e-12


@given(ROWS)
def test_order_of_rows_and_affine_transforms_change_nothing(rows):
    scores, ratings = np.array(rows, dtype=np.float64).T
    moved = fitted(4 * scores[::-1] + 8, ratings[::-1])
    np.testing.assert_allclose(moved(4 * GRID + 8), fitted(scores, ratings)(GRID), atol=1e-12)


def test_it_is_the_least_squares_solution():
    """Against a general solver of quadratic programs: increments bounded below by 0."""
    ratings = np.random.default_rng(0).normal(size=12) + np.linspace(0, 1, 12)
    steps = np.tril(np.ones((12, 12)))
    bounds = (np.r_[-np.inf, np.zeros(11)], np.full(12, np.inf))
    expected = steps @ scipy.optimize.lsq_linear(steps, ratings, bounds, method="bvls").x
    scores = np.arange(12.0)
    np.testing.assert_allclose(fitted(scores, ratings)(scores), expected, atol=1e-9)


def test_falling_ratings_give_the_mean():
    np.testing.assert_allclose(fitted([1.0, 2.0, 3.0], [0.9, 0.5, 0.1])(GRID), 0.5)
