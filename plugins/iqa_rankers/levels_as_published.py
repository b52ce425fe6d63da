"""Levels as published: the arithmetic of the public K-CROSS code, kept so that its tables can be recomputed.

With L distinct ratings in ascending order, positions 0 to n - 1 are cut into consecutive runs, one a level, each as
long as the level has images; run i stands for the value i / L. The k-th row then receives the value of the run in
which the index of the k-th smallest raw score lies:

    aligned_k = value(argsort(raw)_k)

Algorithm 4 of the paper needs the rank of the k-th score in place of argsort(raw)_k, which is the inverse
permutation. So the result depends on the order of the rows, and a metric for which smaller is better is not turned.
The numbers are near chance whatever the metric; ``levels`` is Algorithm 4 as the paper describes it.

Source: Xie et al., "K-CROSS", arXiv:2307.04296, and the code published with it.
"""

from __future__ import annotations

from typing import Annotated

import numpy as np
from numpy.typing import ArrayLike
from pydantic import Field

from iqa_registry.plugin import Ranker
from iqa_registry.statistics.arrays import Array, paired


class LevelsAsPublishedRanker(Ranker):
    """The public code's arithmetic, for comparison only; use ``levels``.

    Scores come turned so that larger is better; the public code took them raw, so they are turned back.

    Args:
        higher_is_better: the metric's own direction.

    Example:
        >>> ratings = [0.2, 0.8, 0.0, 0.4]
        >>> LevelsAsPublishedRanker().align(ratings, ratings)
        array([0.5 , 0.  , 0.75, 0.25])

        Not even a metric that equals the ratings comes out right: it should be ``[0.2, 0.8, 0.0, 0.4]``.
    """

    needs_fit = False
    warning = (
        "levels-as-published depends on the order of the rows and ignores the metric's direction:\n"
        "its numbers are near chance whatever the metric. Use levels, which is Algorithm 4 as described."
    )

    def __init__(
        self,
        higher_is_better: Annotated[
            bool, Field(description="the metric's own direction; if false, scores are turned back")
        ] = True,
    ) -> None:
        self.higher_is_better = higher_is_better

    def align(self, scores: ArrayLike, ratings: ArrayLike) -> Array:
        """Return ``(n,)`` values i / L, in the sense of the public code.

        Equal scores stand in the order of their rows.

        Raises:
            UsageError: lengths that differ, no row, NaN, an infinite rating.
        """
        scores, ratings = paired(scores, ratings)
        raw = scores if self.higher_is_better else -scores
        levels, counts = np.unique(ratings, return_counts=True)
        values = np.repeat(np.arange(levels.size) / levels.size, counts)
        return np.asarray(values[np.argsort(raw, kind="stable")], dtype=np.float64)
