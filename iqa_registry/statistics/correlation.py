"""Correlation of systems: two columns of n systems, with an interval and a permutation p-value made for small n.

    Pearson   r   = sum_i (x_i - mean x) (y_i - mean y) / (|x - mean x| |y - mean y|)
    Spearman  rho = Pearson of the ranks, equal values sharing the mean of their ranks
    interval      = tanh(atanh r -+ z s), s^2 = 1 / (n - 3) for Pearson, (1 + rho^2 / 2) / (n - 3) for Spearman
    p             = min(1, 2 min(P(r* >= r), P(r* <= r))), r* over the ways to pair the two columns;
                    of n random ways P is (b + 1) / (n + 1), b of them as extreme, so that p is never 0

A bootstrap over five systems says nothing, since it can only repeat those five; hence Fisher's interval.

Sources: R. A. Fisher, "On the 'probable error' of a coefficient of correlation deduced from a small sample",
Metron 1 (1921); D. G. Bonett and T. A. Wright, "Sample size requirements for estimating Pearson, Kendall and
Spearman correlations", Psychometrika 65 (2000), doi:10.1007/BF02294183; permutation of pairs: E. J. G. Pitman,
Supplement to the Journal of the Royal Statistical Society 4 (1937), doi:10.2307/2983647; (b + 1) / (n + 1): B. Phipson
and G. K. Smyth, Statistical Applications in Genetics and Molecular Biology 9 (2010), doi:10.2202/1544-6115.1585.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache

import numpy as np
from numpy.typing import ArrayLike

from iqa_registry.errors import UsageError
from iqa_registry.statistics.arrays import Array, Index

MOST_EXACT = 8
"""Up to this many systems all n! pairings are gone through (40,320)."""
MONTE_CARLO = 9_999
"""How many random pairings stand for all of them where there are more systems."""
FEWEST = 3
"""Any two points lie on a line, so a correlation begins with three."""
_TOLERANCE = 1e-12
_CHUNK = 1 << 20


@dataclass(frozen=True, slots=True)
class Correlation:
    """A correlation of ``n`` systems; what is not defined is NaN.

    Attributes:
        value: -1 to 1, signed.
        low: lower limit of the interval.
        high: upper limit of the interval.
        p_value: two-sided, by permutation.
        n: systems that have both values.
        exact: whether ``p_value`` goes through all pairings, or through :data:`MONTE_CARLO` random ones.
    """

    value: float
    low: float
    high: float
    p_value: float
    n: int
    exact: bool


def pearson(first: ArrayLike, second: ArrayLike, level: float = 0.95, seed: int = 0) -> Correlation:
    """Pearson's correlation: how close the systems lie to a straight line.

    Args:
        first: ``(n,)``.
        second: ``(n,)``; a pair with a missing value (NaN) on either side is dropped, and ``n`` tells it.
        level: coverage of the interval, 0 to 1; see :func:`fisher_interval` for what it assumes.
        seed: of the random pairings, where there are more than :data:`MOST_EXACT` systems.

    Returns:
        The correlation; everything but ``n`` is NaN for fewer than three pairs, a constant column or an infinite
        value.

    Raises:
        UsageError: columns of different lengths.

    Example:
        >>> found = pearson([705, 556, 1037, 756, 500], [0.927, 0.934, 0.865, 0.934, 0.950])
        >>> round(found.value, 4), round(found.low, 4), round(found.high, 4), round(found.p_value, 4)
        (-0.932, -0.9956, -0.2797, 0.0667)
    """
    x, y = complete(first, second)
    if not (np.isfinite(x).all() and np.isfinite(y).all()):
        return _undefined(x.size)
    return _correlate(x, y, level, seed, ranks=False)


def spearman(first: ArrayLike, second: ArrayLike, level: float = 0.95, seed: int = 0) -> Correlation:
    """Spearman's correlation: how far both columns put the systems in the same order.

    Args and what is returned are those of :func:`pearson`; infinite values keep their place in the order.

    Raises:
        UsageError: columns of different lengths.

    Example:
        >>> found = spearman([705, 556, 1037, 756, 500], [0.927, 0.934, 0.865, 0.934, 0.950])
        >>> round(found.value, 4), round(found.p_value, 4), found.exact
        (-0.8208, 0.1333, True)
    """
    from scipy.stats import rankdata

    x, y = complete(first, second)
    return _correlate(rankdata(x), rankdata(y), level, seed, ranks=True)


def complete(first: ArrayLike, second: ArrayLike) -> tuple[Array, Array]:
    """The pairs without a missing value (NaN).

    Raises:
        UsageError: columns of different lengths.

    Example:
        >>> complete([1.0, np.nan, 3.0], [4.0, 5.0, 6.0])
        (array([1., 3.]), array([4., 6.]))
    """
    x, y = (np.asarray(values, dtype=np.float64) for values in (first, second))
    if x.ndim != 1 or x.shape != y.shape:
        raise UsageError(f"expected two columns of one length, (n,), got {x.shape} and {y.shape}.")
    known = ~(np.isnan(x) | np.isnan(y))
    return x[known], y[known]


def fisher_interval(value: float, n: int, level: float = 0.95, ranks: bool = False) -> tuple[float, float]:
    """The interval of a correlation by Fisher's z-transform.

    It assumes systems drawn independently from a population in which both columns are jointly normal (Pearson), or
    become so by monotone transforms (Spearman, whose standard error is Bonett and Wright's). Neither can be checked
    with five systems, and methods that were picked for a paper are no random draw: read it as the least uncertainty
    that there is.

    Args:
        value: the correlation.
        n: systems.
        level: coverage, 0 to 1.
        ranks: whether it is Spearman's.

    Returns:
        Lower and upper limit; NaN for fewer than four systems, and where ``value`` is 1 or -1, whose z is infinite.

    Example:
        >>> low, high = fisher_interval(0.9, 5)
        >>> round(low, 4), round(high, 4)
        (0.0861, 0.9934)
    """
    if n < 4 or not abs(value) < 1 - _TOLERANCE:
        return math.nan, math.nan
    from scipy.stats import norm

    error = math.sqrt((1 + value**2 / 2 if ranks else 1) / (n - 3))
    reach = float(norm.ppf((1 + level) / 2)) * error
    return math.tanh(math.atanh(value) - reach), math.tanh(math.atanh(value) + reach)


def permutation_p_value(first: ArrayLike, second: ArrayLike, seed: int = 0) -> tuple[float, bool]:
    """The two-sided p-value of Pearson's correlation if every pairing of the two columns is equally likely.

    Twice the smaller of the shares of pairings that correlate at least as high, and at least as low. Of ranks it is
    that of Spearman's correlation. Values within 1e-12 count as equal.

    Args:
        first: ``(n,)``, finite.
        second: ``(n,)``, finite.
        seed: of the random pairings, where there are more than :data:`MOST_EXACT` systems.

    Returns:
        The p-value, and whether it is exact; else it is that of :data:`MONTE_CARLO` random pairings and the one
        seen. NaN for a constant column or fewer than three systems.

    Example:
        >>> permutation_p_value([1, 2, 3, 4], [1, 2, 3, 5])[0] == 2 / 24
        True
    """
    x, y = _unit(np.asarray(first, dtype=np.float64)), _unit(np.asarray(second, dtype=np.float64))
    if x is None or y is None:
        return math.nan, True
    exact = x.size <= MOST_EXACT
    seen = float(x @ y)
    higher = lower = total = 0 if exact else 1
    for pairings in (x[_orders(x.size)],) if exact else _shuffled(x, seed):
        values = pairings @ y
        higher += int((values >= seen - _TOLERANCE).sum())
        lower += int((values <= seen + _TOLERANCE).sum())
        total += len(values)
    return min(1.0, 2 * min(higher, lower) / total), exact


def smallest_p_value(n: int) -> float:
    """The smallest two-sided p-value that ``n`` systems can reach at all, however strong the correlation.

    Of n! pairings of two columns of distinct values exactly one has the highest correlation, that of equal order (by
    the rearrangement inequality), and one the lowest; so it is 2 / n!. Columns with equal values reach less small ones.
    Above :data:`MOST_EXACT` systems it is what :data:`MONTE_CARLO` random pairings can show.

    Example:
        >>> round(smallest_p_value(5), 4), round(smallest_p_value(3), 4), smallest_p_value(20)
        (0.0167, 0.3333, 0.0002)
    """
    pairings = math.factorial(n) if n <= MOST_EXACT else MONTE_CARLO + 1
    return min(1.0, 2 / pairings)


def critical_value(n: int, level: float = 0.95) -> float:
    """The least |r| of ``n`` systems that differs from 0, two-sided, if both columns are normal (Student's t).

    Example:
        >>> round(critical_value(5), 4), round(critical_value(30), 4)
        (0.8783, 0.361)
    """
    if n < FEWEST:
        return math.nan
    from scipy.stats import t

    limit = float(t.ppf((1 + level) / 2, n - 2))
    return limit / math.sqrt(n - 2 + limit**2)


def _correlate(x: Array, y: Array, level: float, seed: int, ranks: bool) -> Correlation:
    first, second = _unit(x), _unit(y)
    if first is None or second is None:
        return _undefined(x.size)
    value = float(np.clip(first @ second, -1, 1))
    low, high = fisher_interval(value, x.size, level, ranks)
    p_value, exact = permutation_p_value(x, y, seed)
    return Correlation(value, low, high, p_value, x.size, exact)


def _undefined(n: int) -> Correlation:
    return Correlation(math.nan, math.nan, math.nan, math.nan, n, n <= MOST_EXACT)


def _unit(values: Array) -> Array | None:
    """Centered and of length 1; nothing where there are too few values or they are equal but for rounding."""
    if values.size < FEWEST or np.ptp(values) <= 1e-13 * np.abs(values).max():
        return None
    # Brought to the range of 1 first: squares of very large or small values leave that of floats.
    scaled = values / np.abs(values).max()
    centered = scaled - scaled.mean()
    unit: Array = centered / np.linalg.norm(centered)
    return unit


@cache
def _orders(n: int) -> Index:
    return np.array(list(itertools.permutations(range(n))), dtype=np.int64)


def _shuffled(values: Array, seed: int) -> Iterator[Array]:
    """Random orders of the values, some rows at a time so that memory does not grow with their number."""
    generator = np.random.default_rng(seed)
    step = max(1, _CHUNK // values.size)
    for start in range(0, MONTE_CARLO, step):
        rows = min(step, MONTE_CARLO - start)
        yield generator.permuted(np.tile(values, (rows, 1)), axis=1)
