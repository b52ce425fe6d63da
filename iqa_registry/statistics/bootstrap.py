"""Bootstrap confidence intervals of a mean, resampled by cluster.

Slices of one subject are not independent: resampling them as if they were makes intervals too narrow. So whole
clusters (subjects) are drawn with replacement, as in Davison and Hinkley, *Bootstrap Methods and their
Application* (1997), section 3.8, and the percentile interval is taken.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

RESAMPLES = 2000
_CHUNK = 1 << 20


def mean_interval(
    values: ArrayLike,
    clusters: Sequence[object] | NDArray[np.generic] | None = None,
    level: float = 0.95,
    resamples: int = RESAMPLES,
    seed: int = 0,
) -> tuple[float, float]:
    """The percentile bootstrap interval of the mean of ``values``.

    Args:
        values: ``(n,)`` finite numbers.
        clusters: ``(n,)`` labels; rows of one label are drawn together. By default each row by itself.
        level: coverage, 0 to 1.
        resamples: number of bootstrap samples.
        seed: of the random draws; the same seed gives the same interval.

    Returns:
        Lower and upper limit; both NaN where there are fewer than two clusters.

    Example:
        >>> low, high = mean_interval([1.0, 2.0, 3.0, 4.0], resamples=4000)
        >>> round(low, 2), round(high, 2)
        (1.5, 3.5)
    """
    numbers = np.asarray(values, dtype=np.float64)
    labels = np.arange(len(numbers)) if clusters is None else np.asarray(clusters)
    _, index = np.unique(labels, return_inverse=True)
    counts = np.bincount(index).astype(np.float64)
    if len(counts) < 2:
        return float("nan"), float("nan")
    sums = np.bincount(index, weights=numbers)
    generator = np.random.default_rng(seed)
    means = np.empty(resamples)
    # Drawn in chunks, so that memory does not grow with the number of clusters times that of resamples.
    step = max(1, _CHUNK // len(counts))
    for start in range(0, resamples, step):
        stop = min(start + step, resamples)
        drawn = generator.integers(0, len(counts), size=(stop - start, len(counts)))
        means[start:stop] = sums[drawn].sum(axis=1) / counts[drawn].sum(axis=1)
    tail = (1 - level) / 2
    low, high = np.quantile(means, [tail, 1 - tail])
    return float(low), float(high)
