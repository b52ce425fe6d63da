"""Bootstrap confidence intervals, resampled by cluster.

Slices of one subject are not independent: resampling them as if they were makes intervals too narrow. So whole
clusters (subjects) are drawn with replacement, as in Davison and Hinkley, *Bootstrap Methods and their Application*
(1997), section 3.8.

The percentile interval of few clusters is too narrow in its turn, by ``sqrt((C - 1) / C)`` and by taking normal for
Student's quantiles; :func:`percentile_interval` widens it by both, as in Hesterberg, "What Teachers Should Know About
the Bootstrap", *The American Statistician* 69 (2015), section 5.3, *expanded percentile interval*.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

RESAMPLES = 2000
_CHUNK = 1 << 20

Labels = Sequence[object] | NDArray[np.generic]


def cluster_counts(clusters: int, resamples: int, seed: int = 0) -> Iterator[NDArray[np.int64]]:
    """How often each cluster is drawn in each bootstrap sample, in chunks so that memory stays small.

    Args:
        clusters: number of clusters, C.
        resamples: number of bootstrap samples.
        seed: the same seed gives the same draws, so that statistics of different metrics can be compared.

    Yields:
        ``(chunk, C)`` counts; each row sums to C.

    Example:
        >>> [chunk.sum(axis=1).tolist() for chunk in cluster_counts(3, 2)]
        [[3, 3]]
    """
    generator = np.random.default_rng(seed)
    step = max(1, _CHUNK // clusters)
    for start in range(0, resamples, step):
        number = min(step, resamples - start)
        drawn = generator.integers(0, clusters, size=(number, clusters))
        drawn += clusters * np.arange(number)[:, None]
        yield np.bincount(drawn.ravel(), minlength=number * clusters).reshape(number, clusters)


def percentile_interval(samples: ArrayLike, clusters: int, level: float = 0.95) -> tuple[float, float]:
    """The expanded percentile interval of bootstrap samples.

    Args:
        samples: ``(B,)`` values of a statistic; samples in which it is not defined are NaN and left out.
        clusters: how many clusters were drawn from, C; for many the plain percentile interval results.
        level: coverage, 0 to 1.

    Returns:
        Lower and upper limit; both NaN where C is below 2 or half of the samples or more are NaN.

    Example:
        >>> low, high = percentile_interval(np.linspace(0, 1, 1001), clusters=10)
        >>> round(low, 3), round(high, 3)
        (0.009, 0.991)
    """
    values = np.asarray(samples, dtype=np.float64)
    known = values[~np.isnan(values)]
    if clusters < 2 or 2 * known.size <= values.size:
        return math.nan, math.nan
    tail = _expanded_tail((1 - level) / 2, clusters)
    low, high = np.quantile(known, [tail, 1 - tail])
    return float(low), float(high)


def _expanded_tail(tail: float, clusters: int) -> float:
    from scipy.special import ndtr, stdtrit

    return float(ndtr(math.sqrt(clusters / (clusters - 1)) * stdtrit(clusters - 1, tail)))


def two_sided_p_value(samples: ArrayLike, clusters: int) -> float:
    """The level at which :func:`percentile_interval` just reaches 0: is a difference of two metrics none?

    With ``a`` the smaller share of samples on one side of 0 (ties on both, and one added to numerator and denominator,
    so that it is never 0), the p-value is what solves the interval's expansion for its level.

    Args:
        samples: ``(B,)`` differences; NaN are left out.
        clusters: see :func:`percentile_interval`.

    Returns:
        0 to 1; NaN where no interval is defined.

    Example:
        >>> round(two_sided_p_value(np.linspace(-1, 19, 2001), clusters=50), 3)
        0.112
    """
    from scipy.special import ndtri, stdtr

    values = np.asarray(samples, dtype=np.float64)
    known = values[~np.isnan(values)]
    if clusters < 2 or 2 * known.size <= values.size:
        return math.nan
    share = (min((known <= 0).sum(), (known >= 0).sum()) + 1) / (known.size + 1)
    if share >= 0.5:
        return 1.0
    return float(2 * stdtr(clusters - 1, ndtri(share) * math.sqrt((clusters - 1) / clusters)))


def index_of(clusters: Labels | None, rows: int) -> tuple[NDArray[np.int64], int]:
    """Labels as numbers from 0, and how many there are; by default each row is a cluster of its own."""
    if clusters is None:
        return np.arange(rows), rows
    names, index = np.unique(np.asarray(clusters), return_inverse=True)
    return index.astype(np.int64), len(names)


def mean_interval(
    values: ArrayLike,
    clusters: Labels | None = None,
    level: float = 0.95,
    resamples: int = RESAMPLES,
    seed: int = 0,
) -> tuple[float, float]:
    """The bootstrap interval of the mean of ``values``.

    Args:
        values: ``(n,)`` finite numbers.
        clusters: ``(n,)`` labels; rows of one label are drawn together. By default each row by itself.
        level: coverage, 0 to 1.
        resamples: number of bootstrap samples.
        seed: of the random draws; the same seed gives the same interval.

    Returns:
        Lower and upper limit; both NaN where there are fewer than two clusters.

    Example:
        >>> low, high = mean_interval(np.arange(20.0), resamples=4000)
        >>> round(low, 1), round(high, 1)
        (6.8, 12.2)
    """
    numbers = np.asarray(values, dtype=np.float64)
    index, number = index_of(clusters, len(numbers))
    if number < 2:
        return math.nan, math.nan
    sums = np.bincount(index, weights=numbers)
    sizes = np.bincount(index).astype(np.float64)
    means = [(counts @ sums) / (counts @ sizes) for counts in cluster_counts(number, resamples, seed)]
    return percentile_interval(np.concatenate(means), number, level)
