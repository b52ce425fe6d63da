"""Rankers: how a metric's scores are brought onto the raters' scale before the two are compared.

:class:`Ranker` is the interface; :class:`LevelRanker` is Algorithm 4 of K-CROSS. A ranker that fits a curve is never
scored on the rows that it was fitted on: see :func:`align_out_of_sample`.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

from iqa_registry.errors import UsageError
from iqa_registry.specs import RankerSpec
from iqa_registry.statistics.arrays import Array, Index, paired
from iqa_registry.statistics.inconsistency import align_to_levels

FOLDS = 5


class Ranker(ABC):
    """Brings scores onto the scale of ratings.

    A ranker that fits a curve is fitted on some rows and applied to others; one that only orders
    (Algorithm 4 of K-CROSS) overrides :meth:`fit` with nothing to do.
    """

    spec: RankerSpec | None = None
    """The declaration; set by the registry."""
    needs_fit: bool = True
    """Whether the ranker must never be applied to the rows that it was fitted on."""
    warning: str | None = None
    """What users of its numbers must know; shown with them."""

    def fit(self, scores: Array, ratings: Array) -> None:  # noqa: B027 - rankers that only order learn nothing
        """Learn the mapping from ``scores`` ``(n,)``, larger is better, to ``ratings`` ``(n,)``."""

    @abstractmethod
    def align(self, scores: Array, ratings: Array) -> Array:
        """Return ``(n,)`` scores on the scale of ``ratings``.

        A ranker that was fitted must not look at ``ratings``: they are those of the rows to be judged.
        """


class LevelRanker(Ranker):
    """Algorithm 4 of K-CROSS: the image with the k-th smallest score receives the k-th smallest rating.

    Images of equal score receive the mean of the ratings that their positions span. Nothing is fitted: the result
    depends on the order of the scores alone. Source: arXiv:2307.04296; :mod:`iqa_registry.statistics.inconsistency`
    has the formula.

    Example:
        >>> LevelRanker().align([20.0, 30.0, 25.0], [0.1, 0.5, 0.9])
        array([0.1, 0.9, 0.5])
    """

    needs_fit = False

    def align(self, scores: ArrayLike, ratings: ArrayLike) -> Array:
        """Return ``(n,)`` ratings by rank of ``scores`` ``(n,)``, larger is better."""
        return align_to_levels(scores, ratings)


def fold_of(clusters: Sequence[object] | NDArray[np.generic], folds: int = FOLDS) -> Index:
    """Which fold each row is held out in: whole clusters, so that the folds have about equally many rows.

    Args:
        clusters: ``(n,)`` labels; rows of one label fall into one fold.
        folds: how many; fewer where there are fewer clusters.

    Returns:
        ``(n,)`` numbers from 0.

    Example:
        >>> fold_of(["a", "a", "b", "c", "c", "d"], folds=2)
        array([0, 0, 0, 1, 1, 1])
    """
    _, index = np.unique(np.asarray(clusters), return_inverse=True)
    sizes = np.bincount(index)
    filled = np.zeros(min(folds, sizes.size), dtype=np.int64)
    fold = np.empty(sizes.size, dtype=np.int64)
    # The largest first, each into the fold that is emptiest so far.
    for cluster in np.argsort(-sizes, kind="stable"):
        fold[cluster] = np.argmin(filled)
        filled[fold[cluster]] += sizes[cluster]
    return fold[index]


def align_out_of_sample(
    ranker: Ranker,
    scores: ArrayLike,
    ratings: ArrayLike,
    clusters: Sequence[object] | NDArray[np.generic] | None = None,
    folds: int = FOLDS,
) -> Array:
    """Align scores; a ranker that fits is fitted on the other folds, clusters kept whole.

    Args:
        ranker: see :class:`Ranker`.
        scores: ``(n,)``, larger is better.
        ratings: ``(n,)``.
        clusters: ``(n,)`` labels, subjects say; by default each row by itself.
        folds: of the cross-validation.

    Returns:
        ``(n,)`` scores on the scale of the ratings.

    Raises:
        UsageError: fewer than two clusters for a ranker that fits, lengths that differ, NaN.

    Example:
        >>> align_out_of_sample(LevelRanker(), [2.0, 1.0], [0.4, 0.6])
        array([0.6, 0.4])
    """
    scores, ratings = paired(scores, ratings)
    if not ranker.needs_fit:
        return np.asarray(ranker.align(scores, ratings), dtype=np.float64)
    fold = fold_of(np.arange(scores.size) if clusters is None else clusters, folds)
    if fold.max() == 0:
        raise UsageError(
            f"ranker {ranker.spec.name if ranker.spec else type(ranker).__name__!r} is fitted on other subjects than "
            "it is applied to: it needs at least two subjects."
        )

    def fitted(scores: Array, ratings: Array) -> Callable[[Array, Array], Array]:
        ranker.fit(scores, ratings)
        return ranker.align

    return map_out_of_sample(fitted, scores, ratings, fold)


def map_out_of_sample(
    fit: Callable[[Array, Array], Callable[[Array, Array], Array]],
    scores: Array,
    ratings: Array,
    fold: Index,
) -> Array:
    """Map the scores of each fold by what is fitted to the others.

    Args:
        fit: takes scores and ratings, gives the mapping, which takes scores and ratings too.
        scores: ``(n,)``.
        ratings: ``(n,)``.
        fold: ``(n,)``, see :func:`fold_of`; at least two.

    Returns:
        ``(n,)`` mapped scores.

    Example:
        >>> def mean(scores, ratings):
        ...     return lambda others, _: np.full_like(others, ratings.mean())
        >>> map_out_of_sample(mean, np.zeros(3), np.array([0.1, 0.3, 0.9]), np.array([0, 0, 1]))
        array([0.9, 0.9, 0.2])
    """
    mapped = np.empty_like(scores)
    for held_out in np.unique(fold):
        test = fold == held_out
        train = np.flatnonzero(~test)
        mapped[test] = fit(scores[train], ratings[train])(scores[test], ratings[test])
    return mapped
