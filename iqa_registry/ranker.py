"""Ranker interface: how a metric's scores are brought onto the raters' scale before the two are compared."""

from __future__ import annotations

from abc import ABC, abstractmethod

import numpy as np
from numpy.typing import NDArray

from iqa_registry.specs import RankerSpec

Array = NDArray[np.float64]


class Ranker(ABC):
    """Brings scores onto the scale of ratings.

    A ranker that fits a curve is fitted on some rows and applied to others; one that only orders
    (Algorithm 4 of K-CROSS) overrides :meth:`fit` with nothing to do.
    """

    spec: RankerSpec | None = None
    """The declaration; set by the registry."""
    needs_fit: bool = True
    """Whether the ranker must never be applied to the rows that it was fitted on."""

    def fit(self, scores: Array, ratings: Array) -> None:  # noqa: B027 - rankers that only order learn nothing
        """Learn the mapping from ``scores`` ``(n,)``, larger is better, to ``ratings`` ``(n,)``."""

    @abstractmethod
    def align(self, scores: Array, ratings: Array) -> Array:
        """Return ``(n,)`` scores on the scale of ``ratings``."""
