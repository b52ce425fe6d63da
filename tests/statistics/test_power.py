"""Power of the paired t-test, the smallest visible difference, and equivalence within a margin."""

import math

import pytest
import scipy.stats

from iqa_registry.statistics.power import (
    equal_within,
    equivalence_p_value,
    power_of,
    standard_error,
    visible_ratio,
)


@pytest.mark.parametrize("df", [4, 19, 200])
@pytest.mark.parametrize("ratio", [0.0, 1.0, 2.5, 4.0])
def test_the_power_is_that_of_the_noncentral_t(df, ratio):
    limit = scipy.stats.t.ppf(0.975, df)
    expected = scipy.stats.nct.sf(limit, df, ratio) + scipy.stats.nct.cdf(-limit, df, ratio)
    assert power_of(ratio, df) == pytest.approx(expected, abs=2e-4)


def test_a_corrected_level_and_few_clusters_need_more():
    assert power_of(visible_ratio(19), 19) == pytest.approx(0.8)
    assert visible_ratio(19) < visible_ratio(19, 0.05 / 10) < visible_ratio(4, 0.05 / 10)
    assert math.isfinite(visible_ratio(1, 0.05 / 300))


def test_equal_means_the_90_percent_interval_is_within_the_margin():
    estimate, error, df = -0.012, 0.01, 24
    low, high = scipy.stats.t.interval(0.9, df, estimate, error)
    margin = max(-low, high)
    assert equal_within(estimate, error, df) == pytest.approx(margin)
    assert equivalence_p_value(estimate, error, df, margin) == pytest.approx(0.05)
    one_sided = scipy.stats.t.sf([(estimate + 0.04) / error, (0.04 - estimate) / error], df)
    assert equivalence_p_value(estimate, error, df, 0.04) == pytest.approx(one_sided.max())
    assert equivalence_p_value(0.0, 0.0, df, 0.01) == 0
    assert equivalence_p_value(0.02, 0.0, df, 0.01) == 1


def test_a_standard_error_needs_samples_and_clusters():
    assert math.isnan(standard_error([1.0, math.nan, math.nan], 5))
    assert math.isnan(standard_error([1.0, 2.0], 1))
