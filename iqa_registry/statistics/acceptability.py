"""How well scores tell acceptable images from others, and different pairs from alike ones: areas under ROC curves.

    acceptable        ratings at or above a threshold; AUC of the score
    different         pairs that the raters tell apart; AUC of |score difference| against pairs that they do not
    better            of the different pairs, which is better; AUC of the score difference, and the share that is right

An AUC is the chance that a positive case has a higher score than a negative one, equal scores counting half: 1 perfect,
0.5 chance. Intervals draw whole clusters, and all metrics see the same draws, so that AUCs can be compared pairwise.

Source: L. Krasula, K. Fliegel, P. Le Callet, M. Klima, "On the accuracy of objective image and video quality models:
New methodology for performance evaluation", QoMEX 2016, doi:10.1109/QoMEX.2016.7498936. There the AUCs are compared by
Hanley and McNeil's formula, which takes pairs for independent; here by a bootstrap of clusters, which does not.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import ArrayLike, NDArray

from iqa_registry.statistics.arrays import Array, Index, paired, tie_starts
from iqa_registry.statistics.raters import rating_table

MOST_PAIRS = 80_000
"""Of more pairs (400 images) an even choice is taken."""
_CHUNK = 1 << 22


class Separation:
    """Cases with a score and a side, ready for any number of bootstrap samples.

    Args:
        scores: ``(m,)``, larger for the positive side; may be infinite.
        positive: ``(m,)``, which side a case is on.
        clusters: ``(m,)`` cluster of each case, numbers from 0; for pairs ``(m, 2)``, that of each image.

    Example:
        >>> found = Separation(np.array([1.0, 2, 2, 3]), np.array([False, False, True, True]), np.arange(4))
        >>> found.auc(), found.samples(np.array([[1, 1, 1, 1], [2, 0, 2, 0]]))
        (0.875, array([0.875, 1.   ]))
    """

    def __init__(self, scores: Array, positive: NDArray[np.bool_], clusters: Index) -> None:
        order = np.argsort(scores, kind="stable")
        self._starts = tie_starts(scores[order]) if scores.size else np.zeros(0, dtype=np.int64)
        self._positive = positive[order].astype(np.float64)
        self._clusters = clusters[order]

    def auc(self) -> float:
        """The area with each case once; NaN where one side has none."""
        return float(self._areas(np.ones((1, self._positive.size)))[0])

    def samples(self, counts: NDArray[np.int64]) -> Array:
        """The area in each sample, ``(b,)``, NaN where one side is empty.

        Args:
            counts: ``(b, C)``, how often each cluster is drawn; a pair of images of two clusters counts as often as
                both were drawn together.
        """
        step = max(1, _CHUNK // max(1, self._positive.size))
        return np.concatenate(
            [self._areas(self._weights(counts[at : at + step])) for at in range(0, len(counts), step)]
        )

    def _weights(self, counts: NDArray[np.int64]) -> Array:
        if self._clusters.ndim == 1:
            return counts[:, self._clusters].astype(np.float64)
        weights = counts[:, self._clusters[:, 0]] * counts[:, self._clusters[:, 1]]
        return np.asarray(weights, dtype=np.float64)

    def _areas(self, weights: Array) -> Array:
        if not self._starts.size:
            return np.full(len(weights), np.nan)
        positive = np.add.reduceat(weights * self._positive, self._starts, axis=1)
        negative = np.add.reduceat(weights * (1 - self._positive), self._starts, axis=1)
        below = np.cumsum(negative, axis=1) - negative / 2
        sides = positive.sum(axis=1) * negative.sum(axis=1)
        return np.divide(
            (positive * below).sum(axis=1), sides, out=np.full(len(weights), np.nan), where=sides > 0
        )


def acceptable_auc(scores: ArrayLike, ratings: ArrayLike, threshold: float) -> float:
    """AUC of telling images with a rating of at least ``threshold`` from the others.

    Args:
        scores: ``(n,)``, larger is better.
        ratings: ``(n,)``.
        threshold: on the scale of the ratings.

    Returns:
        0 to 1; NaN where all images are on one side.

    Raises:
        UsageError: lengths that differ, no row, NaN, or an infinite rating.

    Example:
        >>> acceptable_auc([20.0, 30.0, 25.0, 28.0], [0.1, 0.8, 0.6, 0.5], threshold=0.6)
        0.75
    """
    scores, ratings = paired(scores, ratings)
    return Separation(scores, ratings >= threshold, np.arange(scores.size)).auc()


class RatedPairs:
    """Which pairs of images the raters tell apart, by a paired t-test over those who rated both (5 %).

    Args:
        single: ``(n, k)`` ratings, NaN where missing, larger is better.
        clusters: ``(n,)`` numbers from 0.
        level: of the test.

    Attributes:
        images: ``(m, 2)`` rows of each pair with at least two raters in common.
        difference: ``(m,)`` mean difference of their ratings, first less second.
        different: ``(m,)``, whether it is significant.

    Example:
        >>> pairs = RatedPairs(np.array([[1.0, 1.1, 0.9], [1.0, 0.9, 1.1], [4.0, 4.2, 4.1]]), np.arange(3))
        >>> pairs.images.tolist(), pairs.different.tolist()
        ([[0, 1], [0, 2], [1, 2]], [False, True, True])
        >>> [round(value, 2) for value in pairs.judge(np.array([1.0, 2.0, 3.0]))]
        [0.75, 1.0, 1.0]
    """

    def __init__(self, single: ArrayLike, clusters: Index, level: float = 0.05) -> None:
        from scipy.special import stdtrit

        table = rating_table(single, raters=2)
        first, second = np.triu_indices(len(table), 1)
        if first.size > MOST_PAIRS:
            chosen = np.linspace(0, first.size - 1, MOST_PAIRS).astype(np.int64)
            first, second = first[chosen], second[chosen]
        differences = table[first] - table[second]
        known = np.isfinite(differences).sum(axis=1)
        kept = known > 1
        differences, known = differences[kept], known[kept]
        self.images = np.stack([first, second], axis=1)[kept]
        self.clusters = clusters[self.images]
        self.difference = np.nanmean(differences, axis=1) if len(known) else np.zeros(0)
        error = np.nanstd(differences, axis=1, ddof=1) / np.sqrt(known) if len(known) else np.zeros(0)
        self.different = np.abs(self.difference) > stdtrit(known - 1, 1 - level / 2) * error
        self.different &= self.difference != 0

    def separations(self, scores: Array) -> tuple[Separation, Separation]:
        """Different against similar pairs by |score difference|, and better against worse by the score difference."""
        gap = self._gap(scores)
        apart = Separation(np.abs(gap), self.different, self.clusters)
        # Each different pair is one case of either side: as it is, and turned round.
        gap, better = gap[self.different], self.difference[self.different] > 0
        clusters = self.clusters[self.different]
        both = Separation(
            np.concatenate([gap, -gap]),
            np.concatenate([better, ~better]),
            np.concatenate([clusters, clusters]),
        )
        return apart, both

    def order_correct(self, scores: Array) -> float:
        """The share of the different pairs that scores order right, ties counting half; NaN where there are none."""
        gap = self._gap(scores)[self.different]
        if not gap.size:
            return math.nan
        right = np.sign(gap) * np.sign(self.difference[self.different])
        return float(np.mean((1 + right) / 2))

    def judge(self, scores: Array) -> tuple[float, float, float]:
        """AUC of different against similar, AUC of better against worse, and the share of pairs ordered right."""
        apart, order = self.separations(scores)
        return apart.auc(), order.auc(), self.order_correct(scores)

    def _gap(self, scores: Array) -> Array:
        """First less second of each pair; 0 where both are infinite alike."""
        with np.errstate(invalid="ignore"):
            return np.nan_to_num(scores[self.images[:, 0]] - scores[self.images[:, 1]], nan=0.0)
