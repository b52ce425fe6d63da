"""What a study can see: power of the paired t-test, the smallest difference, and tests of equivalence.

A difference of two metrics is tested by Student's t of its bootstrap standard error. If the true difference is d
standard errors, t follows the noncentral distribution with that parameter, which gives the power.

Source of the two one-sided tests: Schuirmann, Journal of Pharmacokinetics and Biopharmaceutics 15 (1987),
doi:10.1007/BF01068419.
"""

from __future__ import annotations

import math
from functools import cache

import numpy as np
from numpy.typing import ArrayLike

from iqa_registry.statistics.arrays import Array

POWER = 0.8
"""The chance to see a difference that a study is planned for, by convention."""


def standard_error(samples: ArrayLike, clusters: float) -> float:
    """The standard error from bootstrap samples, corrected for the number of clusters; NaN are left out.

    Args:
        samples: ``(B,)``.
        clusters: that were drawn from, C.

    Returns:
        NaN where C is below 2 or half of the samples or more are NaN.

    Example:
        >>> round(standard_error([0.1, 0.2, 0.3], clusters=5), 4)
        0.1118
    """
    values = np.asarray(samples, dtype=np.float64)
    known = values[~np.isnan(values)]
    if clusters < 2 or 2 * known.size <= values.size:
        return math.nan
    return float(known.std(ddof=1)) * math.sqrt(clusters / (clusters - 1))


def power_of(ratio: float, df: float, alpha: float = 0.05) -> float:
    """The chance that a two-sided t-test sees a difference.

    Args:
        ratio: the true difference in standard errors.
        df: degrees of freedom, clusters less one.
        alpha: level of the test.

    Example:
        >>> round(power_of(2.8, 1000), 2), round(power_of(0, 10), 2)
        (0.8, 0.05)
    """
    from scipy.special import ndtr, stdtrit

    # Mean over the estimated standard error's distribution: scipy's noncentral t is NaN far out in the tail.
    reach = stdtrit(df, 1 - alpha / 2) * _errors(df)
    return float(np.mean(ndtr(ratio - reach) + ndtr(-ratio - reach)))


@cache
def _errors(df: float) -> Array:
    """Quantiles of an estimated standard error over the true one."""
    from scipy.stats import chi2

    result: Array = np.sqrt(chi2.ppf((np.arange(2000) + 0.5) / 2000, df) / df)
    return result


@cache
def visible_ratio(df: float, alpha: float = 0.05, power: float = POWER) -> float:
    """The smallest true difference, in standard errors, that the test sees with this power.

    Example:
        >>> round(visible_ratio(1000), 3), round(visible_ratio(9), 3)
        (2.804, 3.15)
    """
    from scipy.optimize import brentq

    return float(brentq(lambda ratio: power_of(ratio, df, alpha) - power, 0, 1e6))


def equivalence_p_value(estimate: float, error: float, df: float, margin: float) -> float:
    """Are two values equal within a margin? The larger p-value of two one-sided t-tests (TOST).

    Args:
        estimate: their difference.
        error: its standard error.
        df: degrees of freedom.
        margin: above 0; what counts as practically equal.

    Returns:
        Below 0.05: they differ by less than the margin, at the 5 % level. It is the same as the 90 % interval within
        the margins.

    Example:
        >>> round(equivalence_p_value(0.01, 0.01, 30, margin=0.03), 3)
        0.027
    """
    from scipy.special import stdtr

    if math.isnan(error):
        return math.nan
    if error == 0:
        return 0.0 if abs(estimate) < margin else 1.0
    return float(stdtr(df, (abs(estimate) - margin) / error))


def equal_within(estimate: float, error: float, df: float, alpha: float = 0.05) -> float:
    """The smallest margin within which two values are equal by :func:`equivalence_p_value`.

    Example:
        >>> margin = equal_within(0.01, 0.01, 30)
        >>> round(margin, 4), round(equivalence_p_value(0.01, 0.01, 30, margin), 3)
        (0.027, 0.05)
    """
    from scipy.special import stdtrit

    return abs(estimate) + float(stdtrit(df, 1 - alpha)) * error
