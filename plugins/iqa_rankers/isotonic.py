"""Isotonic: the non-decreasing mapping of least squared error.

The knots are the fitted values at the distinct scores (pool adjacent violators); between knots the mapping is a
straight line, beyond the outermost it is constant. No form is presumed but the order, so this is the most that any
increasing mapping could do on the rows of the fit.

Source: Ayer, Brunk, Ewing, Reid and Silverman, "An empirical distribution function for sampling with incomplete
information", Annals of Mathematical Statistics 26(4):641-647, 1955, doi:10.1214/aoms/1177728423. The fit is
:func:`scipy.optimize.isotonic_regression`.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from iqa_registry.plugin import Ranker, UsageError
from iqa_registry.statistics.arrays import Array, finite, paired
from iqa_registry.statistics.mapping import tied_means


class IsotonicRanker(Ranker):
    """Isotonic regression of the ratings on the scores, fitted on other rows than it is applied to.

    An infinite score counts as the largest (smallest) finite one of the fit; equal scores share one knot.

    Example:
        >>> ranker = IsotonicRanker()
        >>> ranker.fit([1.0, 2.0, 3.0, 4.0], [0.1, 0.5, 0.3, 0.9])
        >>> ranker.align([0.0, 1.5, 2.5, 4.0, 9.0], [0.0, 0.0, 0.0, 0.0, 0.0])
        array([0.1 , 0.25, 0.4 , 0.9 , 0.9 ])
    """

    def __init__(self) -> None:
        self.knots: tuple[Array, Array] | None = None

    def fit(self, scores: ArrayLike, ratings: ArrayLike) -> None:
        """Fit to ``scores`` ``(n,)``, larger is better, and ``ratings`` ``(n,)``.

        Raises:
            UsageError: lengths that differ, no row, NaN, an infinite rating.
        """
        from scipy.optimize import isotonic_regression

        scores, ratings = paired(scores, ratings)
        places, means, counts = tied_means(finite(scores), ratings)
        self.knots = places, np.asarray(isotonic_regression(means, weights=counts).x, dtype=np.float64)

    def align(self, scores: ArrayLike, ratings: ArrayLike) -> Array:
        """Return ``(n,)`` values of the mapping; the ratings of these rows are not looked at.

        Raises:
            UsageError: not fitted yet, lengths that differ, no row, NaN.
        """
        if self.knots is None:
            raise UsageError("ranker 'isotonic' is not fitted yet: call fit with scores and ratings first.")
        scores, _ = paired(scores, ratings)
        places, values = self.knots
        return np.asarray(np.interp(np.clip(scores, places[0], places[-1]), places, values), dtype=np.float64)
