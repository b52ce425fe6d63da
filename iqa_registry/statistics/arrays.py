"""What every statistic of two columns checks before it counts."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from iqa_registry.errors import UsageError

Array = NDArray[np.float64]
Index = NDArray[np.int64]


def paired(scores: ArrayLike, ratings: ArrayLike) -> tuple[Array, Array]:
    """Both columns as float arrays ``(n,)``, of one length, n at least 1, without NaN; ratings finite.

    Scores may be infinite: the PSNR of equal images is.

    Raises:
        UsageError: they are not; the message says which and where.

    Example:
        >>> paired([1, 2], [0.5, 0.1])[0]
        array([1., 2.])
    """
    first, second = (np.asarray(values, dtype=np.float64) for values in (scores, ratings))
    if first.ndim != 1 or first.shape != second.shape or first.size == 0:
        raise UsageError(
            f"expected scores and ratings of one length, (n,) with n at least 1, got {first.shape} and {second.shape}."
        )
    for name, wrong in (("score", np.isnan(first)), ("rating", ~np.isfinite(second))):
        if wrong.any():
            place = int(np.flatnonzero(wrong)[0])
            raise UsageError(
                f"{name} {place} is no number ({int(wrong.sum())} in all); drop such rows first."
            )
    return first, second


def finite(values: ArrayLike) -> Array:
    """Infinite values replaced by the largest (or smallest) finite one; 0 where none is finite.

    What needs distances cannot count with infinity, and equal images are as good as the best of the others at least.

    Example:
        >>> finite([20.0, 30.0, np.inf, -np.inf])
        array([20., 30., 30., 20.])
    """
    numbers = np.asarray(values, dtype=np.float64)
    known = numbers[np.isfinite(numbers)]
    if known.size == numbers.size:
        return numbers
    low, high = (known.min(), known.max()) if known.size else (0.0, 0.0)
    return np.clip(numbers, low, high)


def tie_starts(ordered: Array) -> Index:
    """Where each run of equal values of a sorted array begins.

    Example:
        >>> tie_starts(np.array([1.0, 1.0, 2.0, 5.0, 5.0]))
        array([0, 2, 3])
    """
    changes = np.flatnonzero(ordered[1:] != ordered[:-1]) + 1
    return np.concatenate([np.zeros(1, dtype=np.int64), changes.astype(np.int64)])
