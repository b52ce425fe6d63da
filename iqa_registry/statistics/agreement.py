"""Agreement of one column of scores with one column of ratings: SROCC, KROCC, PLCC, RMSE and pairwise accuracy.

The coefficients are scipy's; what stands here is what scipy leaves open: infinite scores, columns without variance, and
the share of image pairs that a metric orders as the raters do.

Scores are turned so that larger is better, so +1 is perfect agreement. SROCC and KROCC depend on the order alone and
are the primary ones; PLCC and RMSE need scores on the raters' scale, which IQA studies reach with a logistic mapping
(ITU-T P.1401): see :mod:`iqa_registry.statistics.mapping`.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import ArrayLike

from iqa_registry.statistics.arrays import Array, finite, paired


def _flat(values: Array) -> bool:
    """Whether a column has no variance, so that no correlation is defined."""
    return bool(values.size < 2 or (values == values[0]).all())


def _nearly_flat(values: Array) -> bool:
    """Whether what varies is rounding: a correlation of it would be noise (scipy warns at the same limit)."""
    mean = float(values.mean())
    return bool(np.linalg.norm(values - mean) < 1e-13 * abs(mean))


def srocc(scores: ArrayLike, ratings: ArrayLike) -> float:
    """Spearman's rank-order correlation coefficient, ties by mean ranks (scipy).

    Args:
        scores: ``(n,)``, larger is better; may be infinite.
        ratings: ``(n,)``.

    Returns:
        -1 to 1; NaN where one column is constant.

    Raises:
        UsageError: lengths that differ, no row, NaN, or an infinite rating.

    Example:
        >>> round(srocc([20.0, 25.0, 24.0, np.inf], [0.1, 0.5, 0.5, 0.9]), 4)
        0.9487
    """
    from scipy.stats import spearmanr

    scores, ratings = paired(scores, ratings)
    if _flat(scores) or _flat(ratings):
        return math.nan
    return float(spearmanr(scores, ratings).statistic)


def krocc(scores: ArrayLike, ratings: ArrayLike) -> float:
    """Kendall's rank-order correlation coefficient, tau-b (scipy): ties on either side taken into account.

    Args and errors are those of :func:`srocc`.

    Example:
        >>> round(krocc([20.0, 25.0, 24.0, np.inf], [0.1, 0.5, 0.5, 0.9]), 4)
        0.9129
    """
    from scipy.stats import kendalltau

    scores, ratings = paired(scores, ratings)
    if _flat(scores) or _flat(ratings):
        return math.nan
    return float(kendalltau(scores, ratings).statistic)


def plcc(scores: ArrayLike, ratings: ArrayLike) -> float:
    """Pearson's linear correlation coefficient (scipy); an infinite score counts as the largest finite one.

    Args and errors are those of :func:`srocc`; NaN also where a column varies by no more than rounding.

    Example:
        >>> round(plcc([20.0, 25.0, 24.0, 30.0], [0.1, 0.5, 0.5, 0.9]), 4)
        0.9926
    """
    from scipy.stats import pearsonr

    scores, ratings = paired(scores, ratings)
    scores = finite(scores)
    if any(_flat(values) or _nearly_flat(values) for values in (scores, ratings)):
        return math.nan
    return float(pearsonr(scores, ratings).statistic)


def rmse(aligned: ArrayLike, ratings: ArrayLike) -> float:
    """Root mean square error of scores on the raters' scale; 0 is perfect.

    Args and errors are those of :func:`srocc`.

    Example:
        >>> round(rmse([0.2, 0.5, 0.8], [0.1, 0.5, 0.9]), 4)
        0.0816
    """
    aligned, ratings = paired(aligned, ratings)
    return float(np.sqrt(np.mean((finite(aligned) - ratings) ** 2)))


def pairwise_accuracy(scores: ArrayLike, ratings: ArrayLike) -> float:
    """Of the image pairs with different ratings, the share that the scores order alike; equal scores count half.

    Equals ``(1 + D) / 2`` with Somers' D of the scores given the ratings: 1 perfect, 0.5 chance, 0 reversed.

    Args and errors are those of :func:`srocc`.

    Returns:
        0 to 1; NaN where all ratings are equal.

    Example:
        >>> pairwise_accuracy([20.0, 25.0, 24.0, 24.0], [0.1, 0.5, 0.5, 0.9])
        0.7
    """
    return accuracy_of(krocc(scores, ratings), scores, ratings)


def accuracy_of(krocc: float, scores: ArrayLike, ratings: ArrayLike) -> float:
    """:func:`pairwise_accuracy` where :func:`krocc` is known, which is what takes the time.

    Example:
        >>> scores, ratings = [20.0, 25.0, 24.0, 24.0], [0.1, 0.5, 0.5, 0.9]
        >>> accuracy_of(krocc(scores, ratings), scores, ratings)
        0.7
    """
    scores, ratings = paired(scores, ratings)
    if _flat(ratings):
        return math.nan
    if _flat(scores):
        return 0.5
    pairs = ratings.size * (ratings.size - 1) / 2
    apart = [pairs - _tied(values) for values in (scores, ratings)]
    # Kendall's tau-b is (concordant - discordant) / sqrt(product of the pairs that either side tells apart).
    difference = krocc * math.sqrt(apart[0] * apart[1])
    return (1 + difference / apart[1]) / 2


def _tied(values: Array) -> float:
    """Number of pairs of equal values."""
    _, counts = np.unique(values, return_counts=True)
    return float((counts * (counts - 1) / 2).sum())
