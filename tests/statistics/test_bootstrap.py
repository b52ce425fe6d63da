import numpy as np
import pytest
import scipy.stats

from iqa_registry.statistics.bootstrap import mean_interval


def test_it_equals_scipy_for_independent_rows():
    values = np.random.default_rng(0).normal(size=60)
    low, high = mean_interval(values, resamples=20000)
    expected = scipy.stats.bootstrap(
        (values,), np.mean, n_resamples=20000, method="percentile", rng=np.random.default_rng(1)
    ).confidence_interval
    assert low == pytest.approx(expected.low, abs=0.01)
    assert high == pytest.approx(expected.high, abs=0.01)


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
