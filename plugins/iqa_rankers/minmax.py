"""Minmax: scores scaled to [0, 1] within their group.

    aligned_i = (q_i - min q) / (max q - min q)

The public code of K-CROSS calls this "regression". It presumes that the ratings span [0, 1] and that the best and the
worst image of a group deserve these two values, so one outlier moves all the others.

Source: Xie et al., "K-CROSS", arXiv:2307.04296, and the code published with it.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from iqa_registry.plugin import Ranker
from iqa_registry.statistics.arrays import Array, finite, paired


class MinMaxRanker(Ranker):
    """Scores scaled to [0, 1] within the group; nothing is fitted to the ratings.

    An infinite score counts as the largest (smallest) finite one. Scores that are all equal say nothing and stand in
    the middle, at 0.5.

    Example:
        >>> MinMaxRanker().align([20.0, 30.0, 22.5, float("inf")], [0.1, 0.9, 0.3, 0.9])
        array([0.  , 1.  , 0.25, 1.  ])
    """

    needs_fit = False

    def align(self, scores: ArrayLike, ratings: ArrayLike) -> Array:
        """Return ``(n,)`` numbers from 0 to 1; ``scores`` ``(n,)``, larger is better, ratings are not looked at.

        Raises:
            UsageError: lengths that differ, no row, NaN.
        """
        scores, _ = paired(scores, ratings)
        # Halved first, so that no difference of finite scores overflows.
        halves = finite(scores) / 2
        above = halves - halves.min()
        span = above.max()
        return above / span if span > 0 else np.full(scores.shape, 0.5)
