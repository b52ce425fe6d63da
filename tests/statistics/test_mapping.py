"""The logistic mappings against scipy's curve_fit, closed forms, and what they must do in degenerate cases."""

import numpy as np
import pytest
import scipy.optimize
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import expit

from iqa_registry.errors import UsageError
from iqa_registry.statistics import mapping
from iqa_registry.statistics.mapping import fit_logistic, tied_means


def four(q, b1, b2, b3, b4):
    return b2 + (b1 - b2) / (1 + np.exp(-(q - b3) / abs(b4)))


def five(q, b1, b2, b3, b4, b5):
    return b1 * (0.5 - 1 / (1 + np.exp(b2 * (q - b3)))) + b4 * q + b5


CURVES = {4: (four, (0.9, 0.1, 29.0, 2.0)), 5: (five, (0.6, 0.8, 29.0, 0.02, 0.1))}


def sample(parameters, n=200, noise=0.05, seed=0):
    generator = np.random.default_rng(seed)
    scores = generator.normal(30, 4, n)
    curve, truth = CURVES[parameters]
    return scores, curve(scores, *truth) + noise * generator.normal(size=n)


def error(curve, scores, ratings):
    return float(((curve(scores) - ratings) ** 2).sum())


@pytest.mark.parametrize("parameters", [4, 5])
def test_without_noise_the_truth_comes_back(parameters):
    found = fit_logistic(*sample(parameters, noise=0.0), parameters=parameters)
    assert found.form == f"logistic{parameters}"
    assert found.converged
    np.testing.assert_allclose(found.parameters, CURVES[parameters][1], rtol=1e-5)


@pytest.mark.parametrize("parameters", [4, 5])
@pytest.mark.parametrize("seed", range(3))
def test_it_equals_curve_fit_started_at_the_truth(parameters, seed):
    scores, ratings = sample(parameters, seed=seed)
    curve, truth = CURVES[parameters]
    expected, _ = scipy.optimize.curve_fit(curve, scores, ratings, p0=truth, maxfev=10000, xtol=1e-12)
    found = fit_logistic(scores, ratings, parameters)
    np.testing.assert_allclose(found(scores), curve(scores, *expected), atol=1e-5)


@pytest.mark.parametrize("parameters", [4, 5])
def test_the_parameters_are_those_of_the_formula(parameters):
    scores, ratings = sample(parameters)
    found = fit_logistic(scores, ratings, parameters)
    np.testing.assert_allclose(found(scores), CURVES[parameters][0](scores, *found.parameters), atol=1e-12)


@pytest.mark.parametrize("parameters", [4, 5])
def test_a_falling_curve_is_found(parameters):
    scores, ratings = sample(parameters)
    up, down = (fit_logistic(scores, sign * ratings, parameters) for sign in (1, -1))
    np.testing.assert_allclose(up(scores), -down(scores), atol=1e-6)


@settings(deadline=None, max_examples=25)
@given(
    seed=st.integers(0, 1000),
    scale=st.sampled_from([1e-6, 0.3, 1e5]),
    shift=st.floats(-1e3, 1e3),
    parameters=st.sampled_from([4, 5]),
)
def test_order_of_rows_and_affine_transforms_of_the_scores_change_nothing(seed, scale, shift, parameters):
    scores, ratings = sample(parameters, n=60, seed=seed)
    rows = np.random.default_rng(seed).permutation(60)
    found = fit_logistic(scores, ratings, parameters)(scores)
    moved = scale * (scores + shift)
    again = fit_logistic(moved[rows], ratings[rows], parameters)(moved)
    np.testing.assert_allclose(again, found, atol=2e-3)


@settings(deadline=None, max_examples=60)
@given(
    rows=st.lists(
        st.tuples(st.floats(-1e3, 1e3) | st.floats(allow_nan=False), st.integers(0, 9)), min_size=1
    ),
    parameters=st.sampled_from([4, 5]),
)
def test_it_is_never_worse_than_the_constant_and_never_fails(rows, parameters):
    scores, ratings = np.array(rows, dtype=np.float64).T
    found = fit_logistic(scores, ratings, parameters)
    assert np.isfinite(found(scores)).all()
    assert error(found, scores, ratings) <= ((ratings - ratings.mean()) ** 2).sum() * (1 + 1e-6) + 1e-6


@pytest.mark.parametrize("seed", range(5))
def test_no_other_start_ends_lower(seed):
    """Noisy ratings have local minima; a general least-squares solver tries ten starts."""
    generator = np.random.default_rng(seed)
    scores = generator.normal(size=40)
    ratings = np.round(expit(2 * scores) + 0.3 * generator.normal(size=40), 1)
    bounds = ([-1e3, -1e3, -5, 1e-4], [1e3, 1e3, 5, 1e3])
    ends = [
        scipy.optimize.least_squares(
            lambda theta: theta[1] + (theta[0] - theta[1]) * expit((scores - theta[2]) / theta[3]) - ratings,
            [1, -1, place, width],
            bounds=bounds,
            x_scale=[1, 1, 1, width],
        ).cost
        for place in np.quantile(scores, np.linspace(0.1, 0.9, 5))
        for width in (0.1, 1.0)
    ]
    assert error(fit_logistic(scores, ratings), scores, ratings) <= 2 * min(ends) * (1 + 1e-4)


def test_five_parameters_are_never_worse_than_the_line():
    generator = np.random.default_rng(0)
    for _ in range(10):
        scores, ratings = generator.normal(size=(2, 30))
        line = np.polynomial.Polynomial.fit(scores, ratings, 1)
        assert error(fit_logistic(scores, ratings, 5), scores, ratings) <= error(line, scores, ratings) + 1e-9


@pytest.mark.parametrize("parameters", [4, 5])
@pytest.mark.parametrize(
    ("scores", "ratings"),
    [
        ([3.0] * 8, np.arange(8.0)),
        (np.arange(8.0), [0.3] * 8),
        ([1.0], [0.4]),
        ([np.inf] * 6, np.arange(6.0)),
    ],
    ids=["equal scores", "equal ratings", "one row", "all infinite"],
)
def test_the_mean_rating_where_there_is_nothing_to_fit(scores, ratings, parameters):
    found = fit_logistic(scores, ratings, parameters)
    assert found.form == "line"
    np.testing.assert_allclose(found([-5.0, 0.0, 99.0, np.inf]), np.mean(ratings), rtol=1e-12)


@pytest.mark.parametrize(("parameters", "distinct"), [(4, 3), (5, 4), (4, 2)])
def test_the_line_where_there_are_fewer_distinct_scores_than_parameters(parameters, distinct):
    scores = np.resize(np.arange(distinct) ** 2.0, 12)
    ratings = np.random.default_rng(0).normal(size=12)
    found = fit_logistic(scores, ratings, parameters)
    assert found.form == "line"
    np.testing.assert_allclose(found.parameters, np.polyfit(scores, ratings, 1), rtol=1e-9)


def test_a_step_is_fitted_and_a_straight_line_nearly():
    scores = np.linspace(0, 1, 50)
    for ratings, tolerance in ((np.where(scores > 0.5, 1.0, 0.0), 1e-6), (2 * scores - 3, 1e-3)):
        np.testing.assert_allclose(fit_logistic(scores, ratings)(scores), ratings, atol=tolerance)


def test_infinite_scores_count_as_the_largest_and_smallest_of_the_fit():
    scores, ratings = sample(4)
    top = scores.max()
    found = fit_logistic(np.append(scores, np.inf), np.append(ratings, 1.0))
    same = fit_logistic(np.append(scores, top), np.append(ratings, 1.0))
    assert found == same
    np.testing.assert_array_equal(found([np.inf, -np.inf]), found([top, scores.min()]))
    assert np.isnan(found([np.nan])).all()


@pytest.mark.parametrize("parameters", [4, 5])
def test_bins_agree_with_the_full_fit(parameters, monkeypatch):
    scores, ratings = sample(parameters, n=30_000, noise=0.2)
    grid = np.quantile(scores, np.linspace(0.001, 0.999, 200))
    binned = fit_logistic(scores, ratings, parameters)
    monkeypatch.setattr(mapping, "EXACT", scores.size)
    full = fit_logistic(scores, ratings, parameters)
    assert binned.parameters != full.parameters
    np.testing.assert_allclose(binned(grid), full(grid), atol=1e-3)


def test_bins_hold_equally_many_rows_and_keep_the_means():
    scores, ratings = sample(4, n=50_000)
    groups = tied_means(np.round(scores, 4), ratings)
    places, means, counts = mapping._bins(*groups, mapping.BINS)
    assert 4000 < counts.size <= mapping.BINS
    assert counts.sum() == 50_000
    assert counts.max() < 3 * 50_000 / mapping.BINS
    assert (np.diff(places) > 0).all()
    assert np.average(means, weights=counts) == pytest.approx(ratings.mean(), abs=1e-12)


def test_fitting_tied_means_is_fitting_all_rows():
    scores, ratings = sample(4)
    scores = np.round(scores)
    expected, _ = scipy.optimize.curve_fit(four, scores, ratings, p0=CURVES[4][1], xtol=1e-12)
    np.testing.assert_allclose(fit_logistic(scores, ratings)(scores), four(scores, *expected), atol=1e-6)


def test_what_it_does_not_take():
    with pytest.raises(UsageError, match="4 or 5 parameters, not 3"):
        fit_logistic([1.0, 2.0], [1.0, 2.0], 3)
    with pytest.raises(UsageError, match="one length"):
        fit_logistic([1.0, 2.0], [1.0])
    with pytest.raises(UsageError, match="score 1 is no number"):
        fit_logistic([1.0, np.nan], [1.0, 2.0])


def test_scores_that_crowd_at_their_best_end_get_no_step():
    generator = np.random.default_rng(0)
    ratings = generator.random(300)
    scores = 1 - np.exp(-8 * ratings + 1.5 * generator.normal(size=300))
    fitted = fit_logistic(scores, ratings)
    assert fitted.best == scores.max()
    # It rises over most of the order of the scores, not within the last few of them.
    curve = fitted(np.sort(scores))
    middle = (curve > curve[0] + 0.1 * np.ptp(curve)) & (curve < curve[-1] - 0.1 * np.ptp(curve))
    assert middle.mean() > 0.4
    assert np.all(np.diff(curve) >= -1e-12)
    assert fitted([np.inf, 2.0]) == pytest.approx(fitted([scores.max()] * 2))
    # On a scale without a crowd nothing changes.
    assert fit_logistic(-np.log(1 - scores), ratings).best is None
