"""Inconsistency of a metric with human ratings: Algorithm 4 of K-CROSS, its chance level, and skill.

With the ratings sorted, r(1) <= ... <= r(n), the image with the k-th smallest score receives r(k): the metric is
given the raters' own scale, with as many images on each level as the raters put there. Images of equal score receive
the mean of the ratings that their positions span, so that the order of the rows does not matter. Then

    I  = mean_i |aligned_i - r_i|               inconsistency, 0 is perfect
    I0 = mean over all (i, j) of |r_i - r_j|    chance: what a random order has in expectation
    skill = 1 - I / I0                          1 perfect, 0 chance, negative worse

Without I0 an inconsistency cannot be read, since both grow with the spread of the ratings.

Source: Algorithm 4 of K-CROSS (arXiv:2307.04296). Chance, skill and the rule for ties are this project's.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from iqa_registry.statistics.arrays import Array, paired, tie_starts


def align_to_levels(scores: ArrayLike, ratings: ArrayLike) -> Array:
    """Give each image the rating of its rank (Algorithm 4).

    Args:
        scores: ``(n,)``, larger is better; infinite ones keep their place in the order.
        ratings: ``(n,)``, larger is better.

    Returns:
        ``(n,)`` scores on the scale of the ratings; any strictly increasing function of the scores gives the same.

    Raises:
        UsageError: lengths that differ, no row, NaN, or an infinite rating.

    Example:
        >>> align_to_levels([30.0, 25.0, 20.0, 20.0], [0.1, 0.5, 0.9, 0.3])
        array([0.9, 0.5, 0.2, 0.2])
    """
    scores, ratings = paired(scores, ratings)
    order = np.argsort(scores)
    levels = np.sort(ratings)
    starts = tie_starts(scores[order])
    if starts.size < levels.size:
        sizes = np.diff(np.append(starts, levels.size))
        levels = np.repeat(np.add.reduceat(levels, starts) / sizes, sizes)
    aligned = np.empty_like(levels)
    aligned[order] = levels
    return aligned


def inconsistency(aligned: ArrayLike, ratings: ArrayLike) -> float:
    """Mean absolute difference of aligned scores and ratings; lower is better, 0 is perfect.

    Raises:
        UsageError: see :func:`align_to_levels`.

    Example:
        >>> ratings = [0.1, 0.5, 0.9]
        >>> round(inconsistency(align_to_levels([1.0, 3.0, 2.0], ratings), ratings), 4)
        0.2667
    """
    aligned, ratings = paired(aligned, ratings)
    return float(np.abs(aligned - ratings).mean())


def chance(ratings: ArrayLike) -> float:
    """The inconsistency of a random order in expectation: mean of |r_i - r_j| over all (i, j), i = j included.

    Computed from the sorted ratings, ``2 / n^2 * sum_k (2 k - n - 1) r(k)``, k from 1 to n.

    Raises:
        UsageError: no rating, or one that is not finite.

    Example:
        >>> round(chance([0.1, 0.5, 0.9]), 4)
        0.3556
    """
    ratings, _ = paired(ratings, ratings)
    n = ratings.size
    factors = 2.0 * np.arange(1, n + 1) - n - 1
    # The factors sum to zero: taking the mean away first loses no digits where ratings are large and close.
    return float(max(0.0, 2 / n**2 * (factors * (np.sort(ratings) - ratings.mean())).sum()))


def chance_of_each(ratings: ArrayLike) -> Array:
    """What a random order has in expectation at each image: mean over j of |r_i - r_j|; their mean is :func:`chance`.

    Raises:
        UsageError: see :func:`chance`.

    Example:
        >>> chance_of_each([0.1, 0.5, 0.9]).round(3)
        array([0.4  , 0.267, 0.4  ])
    """
    ratings, _ = paired(ratings, ratings)
    ordered = np.sort(ratings)
    below = np.searchsorted(ordered, ratings, side="right")
    sums = np.concatenate([np.zeros(1), np.cumsum(ordered)])
    n = ratings.size
    # Those not above a rating lie below it by so much in all, the others above it.
    return (ratings * below - sums[below] + sums[n] - sums[below] - ratings * (n - below)) / n


def constant(ratings: ArrayLike) -> float:
    """The inconsistency of a metric that gives all images one score: mean of |r_i - mean(r)|.

    All images tie and receive the mean rating, so this is at most :func:`chance` (Jensen's inequality) and at least
    half of it: hedging lowers an absolute error without any knowledge. It is the level that a metric with many tied
    scores has to beat.

    Raises:
        UsageError: see :func:`chance`.

    Example:
        >>> round(constant([0.1, 0.5, 0.9]), 4)
        0.2667
    """
    ratings, _ = paired(ratings, ratings)
    return float(np.abs(ratings - ratings.mean()).mean())


def skill(inconsistency: float, chance: float) -> float:
    """``1 - I / I0``: 1 perfect, 0 chance, negative worse; NaN where chance is 0 (all ratings are equal).

    Example:
        >>> round(skill(0.1488, 0.3176), 3)
        0.531
    """
    return 1 - inconsistency / chance if chance > 0 else float("nan")
