"""Reliability of a panel: one rater against the others, split halves, and what the raters' noise leaves to reach."""

import itertools
import math

import numpy as np
import pytest
import scipy.stats

from iqa_registry.errors import UsageError
from iqa_registry.statistics.agreement import srocc
from iqa_registry.statistics.inconsistency import align_to_levels, chance, inconsistency
from iqa_registry.statistics.raters import icc, trimmed_mean
from iqa_registry.statistics.reliability import (
    against_the_others,
    most_correlation,
    noise_bound,
    spearman_brown,
    split_half,
    within_rater,
)

NAN = math.nan


def sample(images, raters, missing=0.0, seed=0):
    """Ratings of known quality with noise, some of them missing."""
    generator = np.random.default_rng(seed)
    table = generator.uniform(size=(images, 1)) + 0.2 * generator.normal(size=(images, raters))
    return np.where(generator.random(table.shape) < missing, NAN, table)


def panel(images, raters, reliability, seed):
    """The truth and ratings whose single-rater ICC is ``reliability``; raters have biases."""
    generator = np.random.default_rng(seed)
    truth = generator.normal(size=images)
    noise = generator.normal(size=(images, raters)) * math.sqrt((1 - reliability) / reliability)
    return truth, truth[:, None] + noise + generator.normal(size=raters)


def test_a_rater_is_judged_as_a_metric():
    table = np.round(sample(25, 5, missing=0.2, seed=1), 1)
    found = against_the_others(table)
    for rater in range(5):
        own, others = table[:, rater], trimmed_mean(np.delete(table, rater, axis=1))
        shared = np.isfinite(own) & np.isfinite(others)
        own, others = own[shared], others[shared]
        assert found.inconsistency[rater] == inconsistency(align_to_levels(own, others), others)
        assert found.chance[rater] == chance(others)
        assert found.srocc[rater] == pytest.approx(scipy.stats.spearmanr(own, others).statistic)
        assert found.images[rater] == shared.sum()
    assert found.mean_inconsistency == pytest.approx(found.inconsistency.mean())
    assert found.mean_inconsistency < found.mean_chance


def test_a_rater_is_perfect_where_raters_agree_on_the_order_only():
    truth = np.linspace(0, 1, 12)
    found = against_the_others(np.stack([truth, truth**2, np.sqrt(truth), 5 * truth - 2], axis=1))
    np.testing.assert_allclose(found.inconsistency, 0, atol=1e-15)
    np.testing.assert_allclose(found.srocc, 1)


def test_raters_without_variance_or_images():
    found = against_the_others([[1.0, 2.0, NAN, 0.5], [2.0, 2.0, NAN, NAN], [3.0, 2.0, NAN, NAN]])
    np.testing.assert_array_equal(found.images, [3, 3, 0, 1])
    np.testing.assert_array_equal(np.isnan(found.srocc), [False, True, True, True])
    np.testing.assert_array_equal(np.isnan(found.inconsistency), [False, False, True, True])
    assert np.isnan(against_the_others([[1.0, 2.0]]).mean_inconsistency)
    with pytest.raises(UsageError, match="2 raters at least"):
        against_the_others([[1.0], [2.0]])


def test_halves_of_other_sizes_step_up_to_the_same_whole():
    single = 0.5
    of = {k: k * single / (1 + (k - 1) * single) for k in (1, 2, 3, 4, 5)}
    for first, second in ((1, 1), (1, 2), (2, 3), (1, 4)):
        parts = math.sqrt(of[first] * of[second])
        whole = first + second
        assert spearman_brown(parts, first / whole) == pytest.approx(
            whole * single / (1 + (whole - 1) * single), abs=1e-12
        )


def test_split_half_is_the_mean_over_all_splits():
    table = sample(30, 4)
    found = []
    for half in itertools.combinations(range(4), 2):
        other = [rater for rater in range(4) if rater not in half]
        found.append(scipy.stats.pearsonr(table[:, half].mean(1), table[:, other].mean(1)).statistic)
    r = np.mean(found)
    assert split_half(table) == pytest.approx(2 * r / (1 + r), abs=1e-12)
    assert split_half(table + np.arange(4)) == pytest.approx(split_half(table), abs=1e-12)


def test_split_half_and_the_icc_of_the_mean_tell_the_same():
    _, table = panel(2000, 5, 0.5, 0)
    assert split_half(table) == pytest.approx(5 / 6, abs=0.02)
    assert split_half(table) == pytest.approx(icc(table, "3,k").value, abs=0.005)
    truth, table = panel(2000, 10, 0.6, 1)
    found = most_correlation(icc(table, "2,k").value)
    assert found == pytest.approx(np.corrcoef(truth, table.mean(1))[0, 1], abs=0.03)


def test_the_bound_is_what_the_truth_scores():
    bounds, found = [], []
    for seed in range(12):
        truth, table = panel(200, 6, 0.5, seed)
        pooled = trimmed_mean(table)
        bound = noise_bound(table, draws=60)
        bounds.append((bound.inconsistency, bound.srocc, bound.skill))
        reached = inconsistency(align_to_levels(truth, pooled), pooled)
        found.append((reached, srocc(truth, pooled), 1 - reached / chance(pooled)))
    # The truth's own inconsistency varies by 6 % from study to study, so its mean over 12 is known to about 2 %;
    # of trimmed means the bound errs to the low side, by some percent.
    np.testing.assert_allclose(np.mean(bounds, axis=0), np.mean(found, axis=0), rtol=0.1)


def test_the_bound_follows_the_formula_of_normal_ratings():
    _, table = panel(4000, 4, 0.5, 3)
    pooled = table.mean(axis=1)
    bound = noise_bound(table, lambda ratings: ratings.mean(axis=1), draws=20)
    expected = pooled.std() * math.sqrt(4 * (1 - math.sqrt(0.8)) / math.pi)
    assert bound.reliability == pytest.approx(0.8, abs=0.02)
    assert bound.inconsistency == pytest.approx(expected, rel=0.03)


def test_one_rater_against_the_others_bounds_nothing():
    truth, table = panel(400, 10, 0.6, 4)
    pooled = trimmed_mean(table)
    one, bound = against_the_others(table), noise_bound(table, draws=50)
    assert srocc(truth, pooled) > one.mean_srocc + 0.1
    assert bound.inconsistency < 0.6 * one.mean_inconsistency


def test_raters_without_noise_leave_no_bound():
    truth = np.linspace(0, 1, 30)
    bound = noise_bound(np.stack([truth, truth + 0.1, truth - 0.2], axis=1), draws=5)
    assert bound.inconsistency == pytest.approx(0, abs=1e-9)
    assert bound.srocc == pytest.approx(1)


def test_repeats_of_one_rater():
    generator = np.random.default_rng(5)
    table = generator.normal(size=(400, 1)) + 0.5 * generator.normal(size=(400, 2))
    found = within_rater(np.vstack([table, [[1.0, NAN]]]))
    assert found.images == 400
    assert found.icc == pytest.approx(1 / 1.25, abs=0.04)
    assert found.difference == pytest.approx(np.abs(table[:, 0] - table[:, 1]).mean())
    assert found.srocc == pytest.approx(scipy.stats.spearmanr(*table.T).statistic)
    assert math.isnan(within_rater([[1.0, 2.0]]).icc)


@pytest.mark.slow
@pytest.mark.parametrize(("images", "raters", "single"), [(200, 5, 0.5), (200, 10, 0.7), (60, 3, 0.6)])
def test_the_bound_against_a_simulated_truth(images, raters, single):
    bounds, found = [], []
    for seed in range(200):
        truth, table = panel(images, raters, single, seed)
        pooled = table.mean(axis=1)
        bound = noise_bound(table, lambda ratings: ratings.mean(axis=1), draws=100)
        bounds.append((bound.inconsistency, bound.srocc))
        found.append((inconsistency(align_to_levels(truth, pooled), pooled), srocc(truth, pooled)))
    np.testing.assert_allclose(np.mean(bounds, axis=0), np.mean(found, axis=0), rtol=0.03)
