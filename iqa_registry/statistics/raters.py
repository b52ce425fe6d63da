"""Raters: their mean, their agreement with each other, and their bias.

Ratings come as an array ``(n, k)``: n images, k raters, NaN where a rater did not rate an image.

Sources:
    ICC: Shrout and Fleiss, "Intraclass correlations", Psychological Bulletin 86(2):420-428, 1979,
    doi:10.1037/0033-2909.86.2.420; McGraw and Wong, Psychological Methods 1(1):30-46, 1996,
    doi:10.1037/1082-989X.1.1.30; for missing ratings Henderson's method 3, "Estimation of variance and covariance
    components", Biometrics 9(2):226-252, 1953, doi:10.2307/3001853.
    Alpha: Krippendorff, "Computing Krippendorff's Alpha-Reliability", University of Pennsylvania, 2011.
    Trimmed mean: Xie et al., "K-CROSS", arXiv:2307.04296.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from iqa_registry.errors import UsageError
from iqa_registry.statistics.arrays import Array

Form = Literal["1,1", "1,k", "2,1", "2,k", "3,1", "3,k"]
Level = Literal["interval", "ordinal", "nominal"]

FORMS: dict[str, str] = {
    "1,1": "ICC(1,1): one-way random, absolute agreement, single rater",
    "1,k": "ICC(1,k): one-way random, absolute agreement, mean of k raters",
    "2,1": "ICC(2,1): two-way random, absolute agreement, single rater",
    "2,k": "ICC(2,k): two-way random, absolute agreement, mean of k raters",
    "3,1": "ICC(3,1): two-way mixed, consistency, single rater",
    "3,k": "ICC(3,k): two-way mixed, consistency, mean of k raters",
}
_NO_SPREAD = 1e-12


def trimmed_mean(ratings: ArrayLike, drop: int = 1) -> Array:
    """Mean of each image's ratings without the ``drop`` highest and the ``drop`` lowest.

    K-CROSS averages ten radiologists so. An image with fewer than ``2 drop + 1`` ratings gets the plain mean, one
    without any gets NaN.

    Args:
        ratings: ``(n, k)``, NaN where missing.
        drop: how many at each end; 0 is the plain mean.

    Returns:
        ``(n,)`` means.

    Raises:
        UsageError: no ``(n, k)`` array, an infinite rating, or ``drop`` below 0.

    Example:
        >>> trimmed_mean([[0.1, 0.4, 0.5, 0.9], [0.2, np.nan, 0.4, np.nan]])
        array([0.45, 0.3 ])
    """
    table = rating_table(ratings)
    if drop < 0:
        raise UsageError(f"drop must be 0 or more, got {drop}.")
    ordered = np.sort(table, axis=1)
    counts = np.isfinite(table).sum(axis=1, keepdims=True)
    dropped = np.where(counts > 2 * drop, drop, 0)
    place = np.arange(table.shape[1])
    kept = (place >= dropped) & (place < counts - dropped)
    return ratio(np.where(kept, ordered, 0.0).sum(axis=1), kept.sum(axis=1))


def pooled(single: Array, pool: str) -> Array:
    """One rating per image from individual raters' scores ``(n, k)``: ``trimmed-mean``, ``mean`` or ``median``.

    Example:
        >>> pooled(np.array([[0.1, 0.5, 0.6], [0.2, np.nan, np.nan]]), "median")
        array([0.5, 0.2])
    """
    if pool == "trimmed-mean":
        return trimmed_mean(single)
    there = ~np.isnan(single).all(axis=1)
    result = np.full(len(single), np.nan)
    result[there] = (np.nanmedian if pool == "median" else np.nanmean)(single[there], axis=1)
    return result


def bias(ratings: ArrayLike) -> Array:
    """Each rater's mean deviation from the mean of the others, over the images that the rater shares with others.

    Args:
        ratings: ``(n, k)``, NaN where missing.

    Returns:
        ``(k,)``, on the scale of the ratings: above 0 rates higher than the others. NaN for a rater who shares no
        image with another.

    Raises:
        UsageError: no ``(n, k)`` array with two raters at least, or an infinite rating.

    Example:
        >>> bias([[0.3, 0.2, 0.1], [0.7, 0.4, np.nan]]).round(3)
        array([ 0.225, -0.15 , -0.15 ])
    """
    table = rating_table(ratings, raters=2)
    rated = np.isfinite(table)
    values = np.where(rated, table, 0.0)
    others = rated.sum(axis=1, keepdims=True) - rated
    mean = ratio(values.sum(axis=1, keepdims=True) - values, others)
    shared = rated & (others > 0)
    return ratio(np.where(shared, values - mean, 0.0).sum(axis=0), shared.sum(axis=0))


def krippendorff_alpha(ratings: ArrayLike, level: Level = "interval") -> float:
    """Krippendorff's alpha: 1 - observed / expected disagreement; 1 perfect, 0 as if ratings were drawn at random.

    With n ratings in all on images that have at least two, m of them on image u, and d the difference function::

        D_o = 1/n  sum_u 1/(m_u - 1) sum_{i != j in u} d(i, j)
        D_e = 1/(n (n - 1)) sum_{i != j} d(i, j)

    d is ``(a - b)^2`` for ``interval``, ``a != b`` for ``nominal``; for ``ordinal`` it is ``(a - b)^2`` of the ranks,
    equal ratings sharing their mean rank, which is Krippendorff's sum over the levels between a and b.

    Args:
        ratings: ``(n, k)``, NaN where missing.
        level: of measurement.

    Returns:
        Alpha, at most 1; NaN where all ratings are equal.

    Raises:
        UsageError: no ``(n, k)`` array, an infinite rating, no image with two ratings, or an unknown level.

    Example:
        >>> table = [[1, 1, np.nan], [2, 2, 3], [3, 3, 7], [1, 2, 1], [np.nan, 4, np.nan]]
        >>> [round(krippendorff_alpha(table, level), 4) for level in ("interval", "ordinal", "nominal")]
        [0.4643, 0.7727, 0.3023]
    """
    from scipy.stats import rankdata

    table = rating_table(ratings)
    if level not in ("interval", "ordinal", "nominal"):
        raise UsageError(f"level must be interval, ordinal or nominal, got {level!r}.")
    rated = np.isfinite(table)
    rated &= rated.sum(axis=1, keepdims=True) > 1
    if not rated.any():
        raise UsageError("Krippendorff's alpha needs images with at least two ratings; there is none.")
    images = np.nonzero(rated)[0]
    values, sizes = table[rated], rated.sum(axis=1)
    if np.ptp(values) == 0:
        return float("nan")
    if level == "nominal":
        within, total = _unlike_pairs(values, images, sizes)
    else:
        within, total = _squared_pairs(rankdata(values) if level == "ordinal" else values, images, sizes)
    observed = float((within[sizes > 1] / (sizes[sizes > 1] - 1)).sum())
    return 1 - observed * (values.size - 1) / total


def _unlike_pairs(values: Array, images: NDArray[np.intp], sizes: NDArray[np.intp]) -> tuple[Array, float]:
    """Ordered pairs of ratings that differ: within each image, and in all."""
    levels, codes, counts = np.unique(values, return_inverse=True, return_counts=True)
    cells, repeats = np.unique(images * levels.size + codes, return_counts=True)
    like = np.bincount(cells // levels.size, weights=repeats**2.0, minlength=sizes.size)
    return np.asarray(sizes**2.0 - like, dtype=np.float64), float(values.size**2.0 - (counts**2.0).sum())


def _squared_pairs(values: Array, images: NDArray[np.intp], sizes: NDArray[np.intp]) -> tuple[Array, float]:
    """Sum of squared differences over ordered pairs: within each image, and in all."""
    values = values - values.mean()
    sums = np.bincount(images, weights=values, minlength=sizes.size).astype(np.float64)
    means = ratio(sums, sizes)
    squares = np.bincount(images, weights=(values - means[images]) ** 2, minlength=sizes.size)
    return np.asarray(2 * sizes * squares, dtype=np.float64), float(2 * values.size * (values**2).sum())


@dataclass(frozen=True, slots=True)
class IntraclassCorrelation:
    """An ICC with the name of its form and the variance components that it is made of.

    Attributes:
        value: 1 perfect; NaN where the ratings have no variance or the denominator's estimate is not positive.
        name: the form in words.
        images: that have at least one rating.
        raters: that have at least one rating.
        ratings: in all.
        k: ratings an image; their harmonic mean where some are missing.
        var_images: variance between images; may be negative, as unbiased estimates may.
        var_raters: variance between raters, likewise; NaN in one-way forms, where it is part of the error.
        var_error: the rest.
    """

    value: float
    name: str
    images: int
    raters: int
    ratings: int
    k: float
    var_images: float
    var_raters: float
    var_error: float


def icc(ratings: ArrayLike, form: Form = "2,1") -> IntraclassCorrelation:
    """Intraclass correlation of raters.

    With the components of variance of images s, raters r and error e::

        (1,1)  s / (s + e)         (1,k)  s / (s + e / k)             error holds the raters
        (2,1)  s / (s + r + e)     (2,k)  s / (s + (r + e) / k)
        (3,1)  s / (s + e)         (3,k)  s / (s + e / k)

    The components equate sums of squares with their expectations, which for complete data are the mean squares of
    Shrout and Fleiss. With missing ratings (N in all, of a images and b raters) they are Henderson's method 3 for
    ``y = mu + image + rater + error``::

        SSE                       (N - a - b + 1) e
        R(image | mu, rater)      (N - b) s + (a - 1) e
        R(rater | mu, image)      (N - a) r + (b - 1) e

    where R is what adding the term takes off the error's sum of squares. Negative components stay as they are.

    Args:
        ratings: ``(n, k)``, NaN where missing; images and raters without a rating are left out.
        form: 1 one-way, 2 two-way random (absolute agreement), 3 two-way mixed (consistency); 1 for a single rater,
            k for the mean of k.

    Returns:
        The value with its form's name and its components.

    Raises:
        UsageError: no ``(n, k)`` array, an infinite rating, an unknown form, too few ratings, or for two-way forms
            raters who are not connected by images in common.

    Example:
        >>> table = [[9, 2, 5, 8], [6, 1, 3, 2], [8, 4, 6, 8], [7, 1, 2, 6], [10, 5, 6, 9], [6, 2, 4, 7]]
        >>> result = icc(table, "2,k")
        >>> round(result.value, 4), result.name
        (0.6201, 'ICC(2,k): two-way random, absolute agreement, mean of k raters')
    """
    table = rating_table(ratings)
    if form not in FORMS:
        raise UsageError(f"the forms of the ICC are {'; '.join(FORMS)}; got {form!r}.")
    rated = np.isfinite(table)
    table = table[rated.any(axis=1)][:, rated.any(axis=0)]
    rated = np.isfinite(table)
    if not rated.any():
        raise UsageError("the ICC needs ratings; all are missing.")
    values = np.where(rated, table - table[rated].mean(), 0.0)
    images, raters, error = (_one_way if form[0] == "1" else _two_way)(values, rated)
    k = float(rated.shape[0] / (1 / rated.sum(axis=1)).sum())
    noise = error + (raters if form[0] == "2" else 0.0)
    total = images + (noise if form[2] == "1" else noise / k)
    spread = np.ptp(table[rated]) > 0 and total > _NO_SPREAD * max(abs(images), abs(noise))
    value = images / total if spread else float("nan")
    a, b = rated.shape
    return IntraclassCorrelation(value, FORMS[form], a, b, int(rated.sum()), k, images, raters, error)


def _one_way(values: Array, rated: NDArray[np.bool_]) -> tuple[float, float, float]:
    """Components of images and error of centered ratings; that of raters is NaN."""
    sizes = rated.sum(axis=1)
    n, a = int(sizes.sum()), sizes.size
    if a < 2 or n <= a:
        raise UsageError("the ICC needs at least two images, and one of them with two ratings.")
    between = float((values.sum(axis=1) ** 2 / sizes).sum())
    error = (float((values**2).sum()) - between) / (n - a)
    weight = n - float((sizes**2).sum()) / n
    return (between - (a - 1) * error) / weight, float("nan"), error


def _two_way(values: Array, rated: NDArray[np.bool_]) -> tuple[float, float, float]:
    """Components of images, raters and error of centered ratings, by Henderson's method 3."""
    (a, b), n = rated.shape, int(rated.sum())
    if a < 2 or b < 2 or n < a + b:
        raise UsageError(
            f"the ICC needs at least two images, two raters, and a rating more than their sum less one; got {a} images "
            f"and {b} raters with {n} ratings."
        )
    sizes, loads = rated.sum(axis=1), rated.sum(axis=0)
    inside = np.where(rated, values - (values.sum(axis=1) / sizes)[:, None], 0.0)
    # The normal equations of the raters, images eliminated: b by b however many images there are.
    pairs = rated.astype(np.float64)
    system = np.diag(loads.astype(np.float64)) - pairs.T @ (pairs / sizes[:, None])
    if np.linalg.matrix_rank(system, hermitian=True) < b - 1:
        raise UsageError(
            "the raters are not connected: some of them share no image with the others, directly or over a third."
        )
    right = inside.sum(axis=0)
    of_raters = float(right @ np.linalg.lstsq(system, right, rcond=None)[0])
    squares_error = float((inside**2).sum()) - of_raters
    error = squares_error / (n - a - b + 1)
    of_images = float((values**2).sum() - (values.sum(axis=0) ** 2 / loads).sum()) - squares_error
    return (of_images - (a - 1) * error) / (n - b), (of_raters - (b - 1) * error) / (n - a), error


def rating_table(ratings: ArrayLike, raters: int = 1) -> Array:
    """Ratings as a float array ``(n, k)``, NaN where missing.

    Raises:
        UsageError: another shape, fewer raters than ``raters``, or an infinite rating.

    Example:
        >>> rating_table([[1, 2], [3, 4]], raters=2).shape
        (2, 2)
    """
    table = np.asarray(ratings, dtype=np.float64)
    if table.ndim != 2 or table.shape[0] < 1 or table.shape[1] < raters:
        raise UsageError(
            f"expected ratings (images, raters) with {raters} rater{'s' * (raters > 1)} at least, got {table.shape}."
        )
    if np.isinf(table).any():
        raise UsageError(f"{int(np.isinf(table).sum())} ratings are infinite; a missing one is NaN.")
    return table


def ratio(sums: NDArray[np.floating], counts: NDArray[np.integer]) -> Array:
    """Sums over counts; NaN where the count is 0.

    Example:
        >>> ratio(np.array([1.0, 0.0]), np.array([2, 0]))
        array([0.5, nan])
    """
    return np.divide(sums, counts, out=np.full(np.shape(sums), np.nan), where=counts > 0)
