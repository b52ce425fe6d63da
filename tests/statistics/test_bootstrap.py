import numpy as np
import pytest
import scipy.stats

from iqa_registry.statistics.bootstrap import (
    cluster_counts,
    mean_interval,
    percentile_interval,
    two_sided_p_value,
)


def test_it_equals_scipy_for_independent_rows():
    values = np.random.default_rng(0).normal(size=60)
    low, high = mean_interval(values, resamples=20000)
    expected = scipy.stats.bootstrap(
        (values,), np.mean, n_resamples=20000, method="percentile", rng=np.random.default_rng(1)
    ).confidence_interval
    # Ours is the expanded interval: wider by Student's quantile and by sqrt(60 / 59), 3 % in all.
    assert low == pytest.approx(expected.low - 0.015 * (expected.high - expected.low), abs=0.01)
    assert high == pytest.approx(expected.high + 0.015 * (expected.high - expected.low), abs=0.01)


@pytest.mark.parametrize("rows", [10, 40])
def test_for_a_mean_of_normal_rows_it_is_students_interval(rows):
    values = np.random.default_rng(rows).normal(size=rows)
    expected = scipy.stats.t.interval(0.95, rows - 1, values.mean(), scipy.stats.sem(values))
    found = mean_interval(values, resamples=40000)
    assert found == pytest.approx(expected, abs=0.2 * np.ptp(expected) / rows + 0.01)


def test_samples_in_which_a_statistic_is_not_defined_are_left_out():
    samples = np.linspace(0, 1, 1001)
    with_gaps = np.concatenate([samples, np.full(400, np.nan)])
    assert percentile_interval(with_gaps, 50) == percentile_interval(samples, 50)
    assert np.isnan(percentile_interval(np.concatenate([samples, np.full(1200, np.nan)]), 50)).all()


def test_where_there_is_no_difference_few_are_found():
    generator = np.random.default_rng(0)
    p_values = []
    for _ in range(400):
        values = generator.normal(size=12)
        samples = np.concatenate([counts @ values / 12 for counts in cluster_counts(12, 400)])
        p_values.append(two_sided_p_value(samples, values.mean(), 12))
    assert 0.02 < np.mean(np.array(p_values) < 0.05) < 0.08
    assert scipy.stats.kstest(p_values, "uniform").pvalue > 0.01


def test_p_values_of_no_spread():
    assert two_sided_p_value(np.zeros(50), 0.0, 10) == 1
    assert two_sided_p_value(np.full(50, 0.5), 0.5, 10) == 0
    assert np.isnan(two_sided_p_value(np.zeros(50), 0.0, 1))


def test_it_is_the_same_each_time():
    values = np.arange(10.0)
    assert mean_interval(values) == mean_interval(values)


def test_clusters_widen_it():
    generator = np.random.default_rng(0)
    subjects = np.repeat(np.arange(10), 20)
    values = generator.normal(size=10)[subjects] + 0.1 * generator.normal(size=200)
    by_row, by_subject = mean_interval(values), mean_interval(values, subjects)
    assert by_subject[1] - by_subject[0] > 3 * (by_row[1] - by_row[0])


def test_clusters_of_one_row_are_rows():
    values = np.random.default_rng(0).normal(size=30)
    assert mean_interval(values, np.arange(30)) == mean_interval(values)


def test_one_cluster_has_no_interval():
    assert np.isnan(mean_interval([1.0, 2.0], ["a", "a"])).all()


@pytest.mark.slow
def test_it_covers_the_truth_as_often_as_it_says():
    generator = np.random.default_rng(0)
    hits = 0
    for _ in range(400):
        subjects = np.repeat(np.arange(40), 5)
        values = generator.normal(size=40)[subjects] + generator.normal(size=200)
        low, high = mean_interval(values, subjects, resamples=1000)
        hits += low <= 0 <= high
    assert 0.91 < hits / 400 < 0.98
