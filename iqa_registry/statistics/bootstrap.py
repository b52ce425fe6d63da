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

from iqa_registry.statistics.power import standard_error

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


def percentile_interval(samples: ArrayLike, clusters: float, level: float = 0.95) -> tuple[float, float]:
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


def _expanded_tail(tail: float, clusters: float) -> float:
    from scipy.special import ndtr, stdtrit

    return float(ndtr(math.sqrt(clusters / (clusters - 1)) * stdtrit(clusters - 1, tail)))


def two_sided_p_value(samples: ArrayLike, estimate: float, clusters: float) -> float:
    """Is a difference none? Student's t of the estimate by its bootstrap standard error, with C - 1 degrees of freedom.

    A p-value counted from the samples could not fall below 2 / B, and less far still where few clusters widen the
    interval, so that a correction for many comparisons would leave nothing.

    Args:
        samples: ``(B,)`` differences; NaN are left out.
        estimate: the difference itself.
        clusters: how many clusters were drawn from, C.

    Returns:
        0 to 1; 1 where the difference is 0 in every sample; NaN where no interval is defined either.

    Example:
        >>> samples = np.random.default_rng(0).normal(0.02, 0.01, 2000)
        >>> round(two_sided_p_value(samples, 0.02, clusters=20), 3)
        0.066
    """
    from scipy.special import stdtr

    error = standard_error(samples, clusters)
    if math.isnan(error):
        return math.nan
    if error == 0:
        return 1.0 if estimate == 0 else 0.0
    return float(2 * stdtr(clusters - 1, -abs(estimate) / error))


def reflected(samples: ArrayLike, estimate: float) -> NDArray[np.float64]:
    """Bootstrap samples of a distance, scaled to where the bias that they show is taken away.

    Algorithm 4 gives a metric the raters' scale as it is in the sample, which makes the inconsistency of few clusters
    too small, and that of a bootstrap sample of them, with fewer distinct ones, smaller again by about the same share.
    So samples that lie around ``estimate / f`` are moved to lie around ``estimate * f``. A factor, since the spread of
    an inconsistency grows with it: over simulated studies of 12 and of 40 clusters, shifting by a difference covered
    the truth in 90 and 91 % of cases, scaling in 92 % of both, neither in 86 and 89 %.

    Example:
        >>> reflected(np.array([0.1, 0.2]), 0.18).round(3)
        array([0.144, 0.288])
    """
    values = np.asarray(samples, dtype=np.float64)
    mean = float(np.nanmean(values))
    return values * (estimate / mean) ** 2 if mean > 0 else values


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
