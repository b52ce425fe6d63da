"""AUC of acceptable images and of pairs that raters tell apart; its interval and the comparison of two."""

import numpy as np
import pytest
import scipy.stats

from iqa_registry.statistics.acceptability import RatedPairs, Separation, acceptable_auc
from iqa_registry.statistics.bootstrap import cluster_counts, percentile_interval, two_sided_p_value
from simulated_studies import draw


def delong(scores, positive):
    """AUCs of the columns and their covariance by DeLong's formula, for independent rows."""
    parts = []
    for values in scores.T:
        wins = np.sign(values[positive][:, None] - values[~positive][None]) / 2 + 0.5
        parts.append((wins.mean(), wins.mean(axis=1), wins.mean(axis=0)))
    first, second = (np.cov([part[side] for part in parts]) for side in (1, 2))
    return np.array([part[0] for part in parts]), first / positive.sum() + second / (~positive).sum()


def test_the_area_is_that_of_mann_and_whitney():
    generator = np.random.default_rng(0)
    ratings = generator.random(80)
    scores = np.round(ratings + 0.4 * generator.normal(size=80), 1)
    good = ratings >= 0.6
    expected = scipy.stats.mannwhitneyu(scores[good], scores[~good]).statistic / good.sum() / (~good).sum()
    assert acceptable_auc(scores, ratings, 0.6) == pytest.approx(expected, abs=1e-12)
    assert acceptable_auc(-scores, ratings, 0.6) == pytest.approx(1 - expected, abs=1e-12)
    assert np.isnan(acceptable_auc(scores, ratings, 2.0))
    assert acceptable_auc([1.0, 2.0, np.inf], [0.0, 0.5, 1.0], 0.9) == 1


def test_a_sample_equals_the_one_written_out():
    scores, ratings, subjects = draw(12, 4, np.random.default_rng(1))
    values, good = np.round(scores[:, 0], 1), ratings > 0
    found = Separation(values, good, subjects)
    (counts,) = cluster_counts(12, 8)
    for sample, drawn in zip(found.samples(counts), counts, strict=True):
        rows = np.repeat(np.arange(len(values)), drawn[subjects])
        expected = Separation(values[rows], good[rows], subjects[rows]).auc()
        assert sample == pytest.approx(expected, abs=1e-12)


def test_error_and_comparison_are_those_of_delong_where_rows_are_independent():
    scores, ratings, rows = draw(300, 1, np.random.default_rng(2), (0.6, 1.0))
    good = ratings > 0.3
    areas, covariance = delong(scores, good)
    both = [Separation(scores[:, number], good, rows) for number in (0, 1)]
    drawn = np.stack(
        [np.concatenate([part.samples(counts) for counts in cluster_counts(300, 3000)]) for part in both]
    )
    assert [part.auc() for part in both] == pytest.approx(areas, abs=1e-12)
    np.testing.assert_allclose(np.cov(drawn), covariance, rtol=0.12)
    z = (areas[0] - areas[1]) / np.sqrt(covariance[0, 0] + covariance[1, 1] - 2 * covariance[0, 1])
    p = two_sided_p_value(drawn[0] - drawn[1], areas[0] - areas[1], 300)
    assert p == pytest.approx(2 * scipy.stats.norm.sf(abs(z)), abs=0.02)


def test_pairs_are_told_apart_by_a_paired_t_test():
    generator = np.random.default_rng(3)
    table = generator.normal(size=(12, 1)) + 0.4 * generator.normal(size=(12, 5)) + generator.normal(size=5)
    pairs = RatedPairs(table, np.arange(12))
    for (first, second), difference, different in zip(
        pairs.images, pairs.difference, pairs.different, strict=True
    ):
        test = scipy.stats.ttest_rel(table[first], table[second])
        assert different == (test.pvalue < 0.05)
        assert difference == pytest.approx((table[first] - table[second]).mean())
    truth = table.mean(axis=1)
    assert pairs.judge(truth)[1:] == (1, 1)
    assert pairs.judge(-truth)[1:] == (0, 0)
    assert pairs.judge(np.zeros(12)) == (0.5, 0.5, 0.5)


def test_a_pair_counts_as_often_as_both_images_are_drawn():
    generator = np.random.default_rng(4)
    table = generator.normal(size=(9, 1)) + 0.5 * generator.normal(size=(9, 4))
    clusters = np.repeat(np.arange(3), 3)
    scores = table[:, 0] + generator.normal(size=9)
    pairs = RatedPairs(table, clusters)
    apart, _ = pairs.separations(scores)
    counts = np.array([[2, 1, 0]])
    weights = counts[0][clusters[pairs.images]].prod(axis=1)
    rows = np.repeat(np.arange(len(weights)), weights)
    gap = np.abs(scores[pairs.images[:, 0]] - scores[pairs.images[:, 1]])
    expected = Separation(gap[rows], pairs.different[rows], rows).auc()
    assert apart.samples(counts)[0] == pytest.approx(expected)


@pytest.mark.slow
def test_coverage_of_the_interval_and_size_of_the_comparison():
    scores, ratings, _ = draw(100_000, 4, np.random.default_rng(9), (0.8, 0.8))
    truth = acceptable_auc(scores[:, 0], ratings, 0.5)
    covered = different = 0
    for seed in range(600):
        scores, ratings, subjects = draw(40, 4, np.random.default_rng(seed), (0.8, 0.8))
        both = [Separation(scores[:, number], ratings >= 0.5, subjects) for number in (0, 1)]
        (counts,) = cluster_counts(40, 500)
        drawn = [part.samples(counts) for part in both]
        low, high = percentile_interval(drawn[0], 40)
        covered += low <= truth <= high
        different += two_sided_p_value(drawn[0] - drawn[1], both[0].auc() - both[1].auc(), 40) < 0.05
    assert 0.92 < covered / 600 < 0.97
    assert 0.02 < different / 600 < 0.07
