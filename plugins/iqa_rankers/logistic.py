"""Logistic: the mapping that quality studies fit before they state PLCC and RMSE.

    4 parameters  f(q) = b2 + (b1 - b2) / (1 + exp(-(q - b3) / |b4|))
    5 parameters  f(q) = b1 (1/2 - 1 / (1 + exp(b2 (q - b3)))) + b4 q + b5

Sources: 4: Video Quality Experts Group, final report of FR-TV Phase II (2003), and ITU-T P.1401; 5: Sheikh, Sabir and
Bovik, IEEE Transactions on Image Processing 15(11):3440-3451, 2006, doi:10.1109/TIP.2006.881959. The fit is
:func:`iqa_registry.statistics.mapping.fit_logistic`.
"""

from __future__ import annotations

from typing import Annotated, Literal

from numpy.typing import ArrayLike
from pydantic import Field

from iqa_registry.plugin import Ranker, UsageError
from iqa_registry.statistics.arrays import Array, paired
from iqa_registry.statistics.mapping import Mapping, fit_logistic


class LogisticRanker(Ranker):
    """The logistic mapping, fitted by least squares on other rows than it is applied to.

    The sign of the slope is free: a metric whose direction is declared wrongly is turned by the fit.

    Args:
        parameters: 4 (VQEG, ITU-T P.1401) or 5 (Sheikh, Sabir and Bovik: a linear term besides).

    Example:
        >>> import numpy as np
        >>> scores = np.linspace(20, 40, 9)
        >>> ratings = 0.1 + 0.8 / (1 + np.exp(-(scores - 28) / 2))
        >>> ranker = LogisticRanker()
        >>> ranker.fit(scores, ratings)
        >>> ranker.align([26.0, 28.0, 30.0], [0.0, 0.0, 0.0]).round(3)
        array([0.315, 0.5  , 0.685])
    """

    def __init__(
        self,
        parameters: Annotated[
            Literal[4, 5], Field(description="4: VQEG, ITU-T P.1401; 5: Sheikh et al. 2006")
        ] = 4,
    ) -> None:
        self.parameters = parameters
        self.mapping: Mapping | None = None

    def fit(self, scores: ArrayLike, ratings: ArrayLike) -> None:
        """Fit the curve to ``scores`` ``(n,)``, larger is better, and ``ratings`` ``(n,)``.

        Raises:
            UsageError: lengths that differ, no row, NaN, an infinite rating.
        """
        self.mapping = fit_logistic(scores, ratings, self.parameters)

    def align(self, scores: ArrayLike, ratings: ArrayLike) -> Array:
        """Return ``(n,)`` values of the curve; the ratings of these rows are not looked at.

        Raises:
            UsageError: not fitted yet, lengths that differ, no row, NaN.
        """
        if self.mapping is None:
            raise UsageError("ranker 'logistic' is not fitted yet: call fit with scores and ratings first.")
        scores, _ = paired(scores, ratings)
        return self.mapping(scores)
