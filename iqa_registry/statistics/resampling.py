"""All agreement statistics of one metric in each bootstrap sample, without building the samples.

A sample is how often each cluster was drawn, hence a weight of each row. Scores and ratings are sorted once; in each
sample, ranks, levels and Algorithm 4 follow from sums of weights along those orders, and what is a sum over rows or
over pairs of rows follows from sums per cluster or per pair of clusters. Rows drawn twice tie with themselves, as in a
sample that was written out; the tests hold both against each other.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from iqa_registry.statistics.arrays import Array, Index, finite, paired, tie_starts

MOST_ROWS_FOR_PAIRS = 20_000
"""Above it the n^2 pairs of rows are not counted, and KROCC and pairwise accuracy have no interval."""
MOST_CLUSTERS_FOR_PAIRS = 10_000
_BLOCK = 1 << 24

Counts = NDArray[np.int64]


class Ratings:
    """What does not depend on the scores: the ratings' order, their levels and the clusters.

    Args:
        ratings: ``(n,)``.
        clusters: ``(n,)`` numbers from 0.
    """

    def __init__(self, ratings: Array, clusters: Index) -> None:
        self.values = ratings
        self.clusters = clusters
        self.order = np.argsort(ratings, kind="stable")
        self.sorted = ratings[self.order]
        self.levels, self.level_of = np.unique(ratings, return_inverse=True)
        self.number = int(clusters.max()) + 1
        self.by_cluster = np.argsort(clusters, kind="stable")
        self.starts = np.searchsorted(clusters[self.by_cluster], np.arange(self.number))
        self._centered = self.levels - ratings.mean()

    def level_counts(self, weights: Counts) -> Counts:
        """Rows on each level in one sample."""
        return np.bincount(self.level_of, weights=weights, minlength=len(self.levels)).astype(np.int64)

    def chance(self, counts: Counts) -> float:
        """:func:`~iqa_registry.statistics.inconsistency.chance` of one sample, by its rows on each level."""
        rows = counts.sum()
        factors = counts * (2 * (np.cumsum(counts) - counts) + counts - rows)
        return float(max(0.0, 2 / rows**2 * (factors * self._centered).sum()))

    def sums(self, columns: Array) -> Array:
        """``(n, k)`` columns summed per cluster, ``(C, k)``."""
        return np.add.reduceat(columns[self.by_cluster], self.starts, axis=0)


class Resampled:
    """One metric's scores against ratings, ready for any number of bootstrap samples.

    Args:
        scores: ``(n,)``, larger is better; may be infinite.
        ratings: see :class:`Ratings`.
        mapped: ``(n,)`` scores after the logistic mapping, held as they are: the interval of PLCC and RMSE is the one
            given the mapping.
        aligned: ``(n,)`` scores aligned by a ranker whose alignment is held as it is; by default Algorithm 4 is
            carried out anew in each sample.
        pairs: whether KROCC and pairwise accuracy are computed, which take the most time.
    """

    def __init__(
        self,
        scores: Array,
        ratings: Ratings,
        mapped: Array | None = None,
        aligned: Array | None = None,
        pairs: bool = True,
    ) -> None:
        scores, _ = paired(scores, ratings.values)
        self._ratings = ratings
        self._order = np.argsort(scores, kind="stable")
        self._starts = tie_starts(scores[self._order])
        self._runs = np.repeat(
            np.arange(len(self._starts)), np.diff(np.append(self._starts, len(self._order)))
        )
        self._tied = len(self._starts) < len(self._order)
        self._ordered_ratings = ratings.values[self._order]
        self._ordered_levels = ratings.level_of[self._order]
        self._raw_moments = self._moments(finite(scores))
        self._mapped_moments = None if mapped is None else self._moments(mapped)
        self._errors = None
        if aligned is not None:
            errors = np.abs(aligned - ratings.values)
            self._errors = ratings.sums(np.stack([errors, np.ones_like(errors)], axis=1))
        few = pairs and len(scores) <= MOST_ROWS_FOR_PAIRS and ratings.number <= MOST_CLUSTERS_FOR_PAIRS
        self._pairs = self._signs(scores) if few else None

    def evaluate(self, counts: Counts) -> dict[str, Array]:
        """Each statistic in each sample.

        Args:
            counts: ``(b, C)``, how often each cluster was drawn.

        Returns:
            Name to ``(b,)`` values; NaN in samples in which a statistic is not defined.
        """
        rows = [self._in_order(counts[number]) for number in range(len(counts))]
        found = {name: np.array([row[name] for row in rows]) for name in ("inconsistency", "chance", "srocc")}
        if self._errors is not None:
            sums = counts @ self._errors
            found["inconsistency"] = sums[:, 0] / sums[:, 1]
        with np.errstate(divide="ignore", invalid="ignore"):
            found["skill"] = np.where(
                found["chance"] > 0, 1 - found["inconsistency"] / found["chance"], np.nan
            )
            found["plcc_raw"], _ = _pearson(counts @ self._raw_moments)
            if self._mapped_moments is not None:
                found["plcc"], found["rmse"] = _pearson(counts @ self._mapped_moments)
            if self._pairs is not None:
                tied, levels = ([row[name] for row in rows] for name in ("tied", "levels"))
                found |= self._of_pairs(self._pairs, counts, tied, levels)
        return found

    def _in_order(self, counts: Counts) -> dict[str, float]:
        """What needs the orders, in one sample."""
        ratings = self._ratings
        weights = counts[ratings.clusters]
        ordered = weights[self._order]
        runs = np.add.reduceat(ordered, self._starts) if self._tied else ordered
        ends = np.cumsum(runs)
        total = int(ends[-1])
        levels = ratings.level_counts(weights)
        result = {
            "chance": ratings.chance(levels),
            "srocc": self._srocc(ordered, runs, ends, levels),
            "tied": float((runs.astype(np.float64) ** 2).sum()),
            "levels": float((levels.astype(np.float64) ** 2).sum()),
            "inconsistency": math.nan,
        }
        if self._errors is None:
            heights = np.repeat(ratings.sorted, weights[ratings.order])
            below = np.concatenate([np.zeros(1), np.cumsum(heights)])
            aligned = (below[ends] - below[ends - runs]) / np.maximum(runs, 1)
            if self._tied:
                aligned = aligned[self._runs]
            result["inconsistency"] = float(np.abs(aligned - self._ordered_ratings) @ ordered) / total
        return result

    def _srocc(self, ordered: Counts, runs: Counts, ends: Counts, levels: Counts) -> float:
        total = int(ends[-1])
        # Mean ranks, less their mean, which is the same on both sides.
        scores = ends - runs / 2 - total / 2
        ratings = np.cumsum(levels) - levels / 2 - total / 2
        spread = (runs @ scores**2) * (levels @ ratings**2)
        if not spread > 0:
            return math.nan
        by_row = scores[self._runs] if self._tied else scores
        return float((ordered * by_row) @ ratings[self._ordered_levels] / math.sqrt(spread))

    def _moments(self, values: Array) -> Array:
        """Sums per cluster from which correlation and squared error follow; centered, so that no digits are lost."""
        first = values - values.mean()
        second = self._ratings.values - self._ratings.values.mean()
        squared = (values - self._ratings.values) ** 2
        columns = [np.ones_like(first), first, second, first**2, second**2, first * second, squared]
        return self._ratings.sums(np.stack(columns, axis=1))

    def _signs(self, scores: Array) -> NDArray[np.float32]:
        """``(C, C)``: concordant minus discordant pairs of rows between two clusters."""
        ratings = self._ratings
        ranks = np.empty(len(scores), dtype=np.int32)
        ranks[self._order] = self._runs
        ranks = ranks[ratings.by_cluster]
        levels = ratings.level_of[ratings.by_cluster].astype(np.int32)
        result = np.zeros((ratings.number, ratings.number), dtype=np.float32)
        step = max(1, _BLOCK // len(scores))
        clusters = ratings.clusters[ratings.by_cluster]
        for start in range(0, len(scores), step):
            part = slice(start, start + step)
            signs = np.sign(ranks[part, None] - ranks, dtype=np.int32).astype(np.int8)
            signs *= np.sign(levels[part, None] - levels, dtype=np.int32).astype(np.int8)
            if ratings.number == len(scores):
                result[part] = signs
            else:
                np.add.at(
                    result, clusters[part], np.add.reduceat(signs, ratings.starts, axis=1, dtype=np.int32)
                )
        return result

    def _of_pairs(
        self, signs: NDArray[np.float32], counts: Counts, tied: list[float], levels: list[float]
    ) -> dict[str, Array]:
        drawn = counts.astype(np.float32)
        difference = np.einsum("bc,bc->b", drawn @ signs, drawn, dtype=np.float64)
        rows = (counts @ np.bincount(self._ratings.clusters)).astype(np.float64)
        apart = rows**2 - np.array(tied), rows**2 - np.array(levels)
        return {
            "krocc": difference / np.sqrt(apart[0] * apart[1]),
            "pairwise_accuracy": (1 + difference / apart[1]) / 2,
        }


def _pearson(sums: Array) -> tuple[Array, Array]:
    """Correlation and root mean square error from sums of :meth:`Resampled._moments`, ``(b, 7)``."""
    rows, first, second, first_2, second_2, product, squared = sums.T
    covariance = product / rows - first * second / rows**2
    spread = (first_2 / rows - (first / rows) ** 2) * (second_2 / rows - (second / rows) ** 2)
    correlation = np.where(spread > 1e-24, covariance / np.sqrt(np.maximum(spread, 1e-300)), np.nan)
    return np.clip(correlation, -1, 1), np.sqrt(squared / rows)
