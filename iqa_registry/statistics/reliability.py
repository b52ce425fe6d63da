"""How reliable a panel of raters is, and what its noise leaves for metrics to reach.

Ratings come as an array ``(n, k)``: n images, k raters, NaN where a rater did not rate an image.

Three things that are easily taken for each other:

- :func:`against_the_others`: how well one rater does where a metric stands. It is **no bound**: the rater has noise of
  its own, and a metric that knew the true quality would do better.
- :func:`split_half`: how far the mean of the panel would agree with that of another such panel. Its square root, or
  that of the ICC of the mean (:func:`most_correlation`), is the correlation that the true quality has with the mean.
- :func:`noise_bound`: what a metric that orders the images by their true quality would be expected to score, because
  the rating that it is compared with has noise.

Sources: Spearman, "Correlation calculated from faulty data", and Brown, both British Journal of Psychology 3 (1910);
halves of unequal size: Horst, "Estimating total test reliability from parts of unequal length", Educational and
Psychological Measurement 11 (1951), doi:10.1177/001316445101100306. The bound is this project's.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from iqa_registry.errors import UsageError
from iqa_registry.statistics.agreement import plcc, srocc
from iqa_registry.statistics.arrays import Array
from iqa_registry.statistics.inconsistency import align_to_levels, chance, inconsistency
from iqa_registry.statistics.raters import icc, rating_table, ratio, trimmed_mean

MOST_SPLITS = 200
"""All ways to halve the raters are taken if they are no more than this, else as many random ones."""
DRAWS = 400
"""Simulated panels behind the bound."""

Pool = Callable[[Array], Array]


@dataclass(frozen=True, slots=True)
class AgainstTheOthers:
    """How well individual raters do when each is judged as a metric is.

    Attributes:
        inconsistency: ``(k,)``; lower is better.
        chance: ``(k,)`` inconsistency of a random order on the same images.
        srocc: ``(k,)``; NaN where a rater or the others gave one rating only.
        images: ``(k,)`` number of images behind each.
        mean_inconsistency: over the raters that have one; NaN if none has. The other two means likewise.
        mean_chance: see above.
        mean_srocc: see above.
    """

    inconsistency: Array
    chance: Array
    srocc: Array
    images: NDArray[np.int64]
    mean_inconsistency: float
    mean_chance: float
    mean_srocc: float


def against_the_others(ratings: ArrayLike, drop: int = 1) -> AgainstTheOthers:
    """Judge each rater against the trimmed mean of the others, as a metric is judged against the ratings.

    The trimmed mean of the others is the reference and gives the scale; the rater takes the metric's part and counts
    by rank alone: ``inconsistency(align_to_levels(rater, others), others)``. So a rater who uses another part of the
    scale loses nothing, just as a metric does not. Only images count that the rater and another one rated.

    It bounds nothing: see :func:`noise_bound` for what a metric can be expected to reach.

    Args:
        ratings: ``(n, k)``, NaN where missing.
        drop: see :func:`~iqa_registry.statistics.raters.trimmed_mean`.

    Returns:
        The values of each rater, NaN for one with fewer than two images in common with others, and their means.

    Raises:
        UsageError: no ``(n, k)`` array with two raters at least, an infinite rating, or ``drop`` below 0.

    Example:
        >>> found = against_the_others([[0.1, 0.2, 0.1], [0.5, 0.3, 0.4], [0.7, 0.9, 0.3], [0.8, 0.8, 0.9]])
        >>> found.inconsistency.round(3), round(found.mean_srocc, 3)
        (array([0.   , 0.175, 0.2  ]), 0.811)
    """
    table = rating_table(ratings, raters=2)
    raters = table.shape[1]
    values = np.full((3, raters), np.nan)
    images = np.zeros(raters, dtype=np.int64)
    for number in range(raters):
        own, others = table[:, number], trimmed_mean(np.delete(table, number, axis=1), drop)
        shared = np.isfinite(own) & np.isfinite(others)
        images[number] = shared.sum()
        if images[number] > 1:
            values[:, number] = _judge(own[shared], others[shared])
    known = np.isfinite(values)
    means = ratio(np.where(known, values, 0.0).sum(axis=1), known.sum(axis=1))
    return AgainstTheOthers(values[0], values[1], values[2], images, *map(float, means))


def _judge(own: Array, others: Array) -> tuple[float, float, float]:
    """Inconsistency, chance and SROCC of one rater against the others."""
    return inconsistency(align_to_levels(own, others), others), chance(others), srocc(own, others)


def spearman_brown(correlation: float, share: float = 0.5) -> float:
    """The reliability of the whole from the correlation of its two parts.

    For halves it is Spearman's and Brown's ``2 r / (1 + r)``; for parts of other sizes, p and 1 - p, Horst's formula,
    which becomes theirs at p = 1/2.

    Args:
        correlation: of the two parts, -1 to 1.
        share: p, the share of the raters in one of them, above 0 and below 1.

    Example:
        >>> round(spearman_brown(0.6), 3), round(spearman_brown(0.6, 1 / 3), 3)
        (0.75, 0.767)
    """
    if share == 0.5 or not 0 < correlation < 1:
        return 2 * correlation / (1 + correlation) if correlation > -1 else -math.inf
    square, product = correlation**2, share * (1 - share)
    return (correlation * math.sqrt(square + 4 * product * (1 - square)) - square) / (
        2 * product * (1 - square)
    )


def split_half(ratings: ArrayLike, seed: int = 0, ranks: bool = False) -> float:
    """Split-half reliability of the mean rating: the correlation of two halves of the panel, stepped up to its size.

    The raters are halved in all ways (:data:`MOST_SPLITS` random ones where there are more), the means of the halves
    are correlated, the correlations averaged and stepped up by :func:`spearman_brown`. A rater's bias changes no
    correlation where all rated the same images.

    Args:
        ratings: ``(n, k)``, NaN where missing.
        seed: of the random halves.
        ranks: correlate by Spearman, not by Pearson.

    Returns:
        At most 1; NaN where no two halves share images with more than one rating.

    Raises:
        UsageError: no ``(n, k)`` array with two raters at least, or an infinite rating.

    Example:
        >>> table = [[0.1, 0.2, 0.1], [0.5, 0.3, 0.4], [0.7, 0.9, 0.3], [0.8, 0.8, 0.9]]
        >>> round(split_half(table), 3), round(split_half(table, ranks=True), 3)
        (0.892, 0.905)
    """
    table = rating_table(ratings, raters=2)
    k = table.shape[1]
    found = [_of_halves(table[:, half], np.delete(table, half, axis=1), ranks) for half in _halves(k, seed)]
    known = [value for value in found if not math.isnan(value)]
    return spearman_brown(float(np.mean(known)), (k // 2) / k) if known else math.nan


def _halves(k: int, seed: int) -> list[list[int]]:
    if math.comb(k, k // 2) <= 2 * MOST_SPLITS:
        halves = [list(half) for half in itertools.combinations(range(k), k // 2)]
        # Of an even number each split comes twice, once from either side.
        return [half for half in halves if k % 2 or 0 in half]
    generator = np.random.default_rng(seed)
    return [generator.permutation(k)[: k // 2].tolist() for _ in range(MOST_SPLITS)]


def _of_halves(first: Array, second: Array, ranks: bool) -> float:
    means = [trimmed_mean(half, drop=0) for half in (first, second)]
    shared = np.isfinite(means[0]) & np.isfinite(means[1])
    if shared.sum() < 3:
        return math.nan
    return (srocc if ranks else plcc)(means[0][shared], means[1][shared])


def most_correlation(reliability: float) -> float:
    """The correlation of the true quality with a mean rating of this reliability: its square root.

    With ICC(2,k) the biases of the raters count as noise, which they are only where raters saw different images; where
    all saw the same ones, ICC(3,k) is the reliability of the order.

    Example:
        >>> round(most_correlation(0.96), 4)
        0.9798
    """
    return math.sqrt(reliability) if reliability >= 0 else math.nan


@dataclass(frozen=True, slots=True)
class NoiseBound:
    """What a metric that orders the images by their true quality is expected to score.

    Attributes:
        inconsistency: by Algorithm 4; a metric below it by more than its interval fits the noise of these raters.
        skill: its skill.
        srocc: its SROCC.
        reliability: share of the variance of the pooled ratings that is not noise, 0 to 1.
    """

    inconsistency: float
    skill: float
    srocc: float
    reliability: float


def noise_bound(
    ratings: ArrayLike, pool: Pool = trimmed_mean, draws: int = DRAWS, seed: int = 0
) -> NoiseBound:
    """The bound that the raters' noise sets on inconsistency and SROCC, by simulation from the ratings themselves.

    Each rating is taken as true quality plus the rater's bias plus noise. The noise is what the ratings differ by from
    the mean of their image and of their rater, scaled to the variance of error of the two-way ICC, and drawn anew for
    every simulated panel; the true quality is the pooled rating, drawn towards its mean until both variances add up
    again. Then the truth is judged as a metric is, against the pooled ratings of each simulated panel.

    It errs to the low side, as a bound should: in simulated studies it was 2 to 3 % below what the truth scored with
    5 to 10 raters and normal or even quality, and 8 % below with three raters and skewed quality.

    For normal ratings it is ``s sqrt(4 (1 - sqrt(R)) / pi)``, s the spread of the pooled ratings and R their
    reliability. The noise is drawn alike for all images: where raters differ more on some of them, the bound is that
    of their mean noise.

    Args:
        ratings: ``(n, k)``, NaN where missing; images without any are left out.
        pool: how the ratings ``(n, k)`` become one per image.
        draws: simulated panels.
        seed: of their draws.

    Raises:
        UsageError: see :func:`~iqa_registry.statistics.raters.icc`.

    Example:
        >>> generator = np.random.default_rng(0)
        >>> truth = generator.normal(size=300)
        >>> bound = noise_bound(truth[:, None] + generator.normal(size=(300, 4)))
        >>> round(bound.reliability, 2), round(bound.inconsistency, 2), round(bound.srocc, 2)
        (0.79, 0.43, 0.87)
    """
    table = rating_table(ratings, raters=2)
    table = table[np.isfinite(table).any(axis=1)]
    pooled = pool(table)
    residuals = _residuals(table) * math.sqrt(max(0.0, icc(table, "3,1").var_error))
    generator = np.random.default_rng(seed)
    missing = np.isnan(table)
    noise = [pool(np.where(missing, np.nan, generator.choice(residuals, table.shape))) for _ in range(draws)]
    spread, error = float(pooled.var()), float(np.mean([part.var() for part in noise]))
    reliability = max(0.0, 1 - error / spread) if spread > 0 else math.nan
    truth = pooled.mean() + math.sqrt(max(0.0, reliability)) * (pooled - pooled.mean())
    judged = np.array([_judge(truth, truth + part) for part in noise])
    found, random, order = judged.mean(axis=0)
    return NoiseBound(float(found), 1 - float(found / random), float(order), reliability)


def _residuals(table: Array) -> Array:
    """What is left of the ratings without the effects of images and raters, of variance 1; zeros where nothing is."""
    rest = table.copy()
    for _ in range(20):
        for axis in (0, 1):
            rest = rest - np.nan_to_num(np.nanmean(rest, axis=axis, keepdims=True))
    several = np.isfinite(table).sum(axis=1) > 1
    values = rest[several][np.isfinite(rest[several])]
    values = values - values.mean()
    spread = values.std()
    return np.asarray(values / spread if spread > 0 else np.zeros_like(values), dtype=np.float64)


@dataclass(frozen=True, slots=True)
class Repeats:
    """How far a rater agrees with themselves.

    Attributes:
        images: that were rated at least twice.
        icc: ICC(2,1) of the repeats, absolute agreement; NaN for too few images.
        difference: mean absolute difference of two repeats of an image.
        srocc: mean SROCC of two repeats; NaN where one of them has one rating only.
    """

    images: int
    icc: float
    difference: float
    srocc: float


def within_rater(ratings: ArrayLike) -> Repeats:
    """Judge the repeats of one rater: what is left of their noise when the rater stays the same.

    Args:
        ratings: ``(n, m)``, one column per repeat, NaN where missing; images with one repeat are left out.

    Raises:
        UsageError: no ``(n, m)`` array with two repeats at least, or an infinite rating.

    Example:
        >>> found = within_rater([[1, 1], [2, 3], [4, 4], [5, 4], [3, 3]])
        >>> found.images, round(found.icc, 3), round(found.difference, 2)
        (5, 0.897, 0.4)
    """
    table = rating_table(ratings, raters=2)
    table = table[np.isfinite(table).sum(axis=1) > 1]
    if not len(table):
        return Repeats(0, math.nan, math.nan, math.nan)
    differences, orders = [], []
    for first, second in itertools.combinations(range(table.shape[1]), 2):
        both = table[np.isfinite(table[:, [first, second]]).all(axis=1)][:, [first, second]]
        if len(both):
            differences += np.abs(both[:, 0] - both[:, 1]).tolist()
            orders.append(srocc(both[:, 0], both[:, 1]))
    known = [value for value in orders if not math.isnan(value)]
    try:
        value = icc(table, "2,1").value
    except UsageError:
        value = math.nan
    return Repeats(
        len(table), value, float(np.mean(differences)), float(np.mean(known)) if known else math.nan
    )
