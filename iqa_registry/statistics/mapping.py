"""The logistic mappings of image-quality studies, fitted by least squares.

Quality studies map a metric's scores q onto the scale of the ratings before they state PLCC and RMSE, because raters
saturate at both ends of their scale. Two mappings are in use:

    4 parameters  f(q) = b2 + (b1 - b2) / (1 + exp(-(q - b3) / |b4|))
    5 parameters  f(q) = b1 (1/2 - 1 / (1 + exp(b2 (q - b3)))) + b4 q + b5

Sources: 4: Video Quality Experts Group, final report of FR-TV Phase II (2003), and ITU-T P.1401; 5: Sheikh, Sabir and
Bovik, "A statistical evaluation of recent full reference image quality assessment algorithms", IEEE Transactions on
Image Processing 15(11):3440-3451, 2006, doi:10.1109/TIP.2006.881959.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal

import numpy as np
from numpy.typing import ArrayLike

from iqa_registry.errors import UsageError
from iqa_registry.statistics.arrays import Array, finite, paired, tie_starts

if TYPE_CHECKING:
    from scipy.optimize import OptimizeResult

EXACT = 20_000
"""Up to so many distinct scores the fit uses each of them."""
BINS = 4096
"""Above that, it uses so many bins of about equally many rows."""
COARSE = 256
"""The search for a good start uses so many."""
STEP = 0.1
"""A curve of a smaller width, in standard deviations of the scores, is a step."""
NEAREST = 0.05
"""The quantile of the distances from the best score that is added to all, so that the best has a logarithm."""
_LIMITS, _CLOSEST = (-1e100, 1e100), 1e-100
_LOCATIONS = np.linspace(0.02, 0.98, 25)
_WIDTHS = (0.01, 0.03, 0.1, 0.3, 1.0, 3.0)
_STARTS = 4
_NARROWEST, _WIDEST = 1e-4, 1e3
_TOLERANCE = 1e-11
_FIRST_STEPS, _STEPS = 25, 200


@dataclass(frozen=True, slots=True)
class Mapping:
    """A fitted curve from scores to ratings; call it on an array of scores.

    Attributes:
        form: ``logistic4``, ``logistic5``, or ``line`` where no logistic can be fitted.
        parameters: b1, b2, ... of the formula; slope and intercept of a line (slope 0: the mean rating).
        converged: whether the search ended before its limit of steps.
        low: the smallest finite score of the fit; -inf counts as this.
        high: the largest; inf counts as this.
        best: where the curve is one of ``-log(best - score + offset)``, the largest score of the fit; else ``None``.
        offset: see ``best``.
    """

    form: Literal["logistic4", "logistic5", "line"]
    parameters: tuple[float, ...]
    converged: bool
    low: float
    high: float
    best: float | None = None
    offset: float = 0.0

    def scaled(self, scores: Array) -> Array:
        """Scores on the scale that the curve was fitted on; those above the best count as the best."""
        if self.best is None:
            return scores
        return np.asarray(-np.log(np.maximum(self.best - scores, 0.0) + self.offset), dtype=np.float64)

    def __call__(self, scores: ArrayLike) -> Array:
        """Map scores of any shape; finite scores beyond those of the fit are extrapolated."""
        values = np.asarray(scores, dtype=np.float64)
        values = np.clip(np.nan_to_num(values, nan=np.nan, neginf=self.low, posinf=self.high), *_LIMITS)
        values, b = self.scaled(values), self.parameters
        if self.form == "line":
            return b[0] * values + b[1]
        if self.form == "logistic4":
            return b[1] + (b[0] - b[1]) * _sigmoid((values - b[2]) / abs(b[3]))
        return b[0] * (_sigmoid(b[1] * (values - b[2])) - 0.5) + b[3] * values + b[4]


def fit_logistic(scores: ArrayLike, ratings: ArrayLike, parameters: Literal[4, 5] = 4) -> Mapping:
    """Fit the logistic mapping of 4 or 5 parameters by least squares.

    The same rows in any order give the same curve. A coarse search over place and width of the slope, in which the
    other parameters are solved for exactly, gives four starts; from each, the trust-region method of
    :mod:`scipy.optimize` with the analytic Jacobian takes a few steps down, and from the best of these it goes on to
    the end (of more than 256 distinct scores, this choice is made on 256 bins). So the curve is never worse than the
    mean rating, and with 5 parameters never worse than the least-squares line. The slope's width is kept between
    1e-4 and 1e3 standard deviations of the scores. Where ratings hardly follow the scores, the sum of squares has many
    local minima, and the one found need not be the lowest.

    Where scores crowd at their best end, as those of SSIM do at 1, the best curve of 4 parameters is a step that rises
    within the last few of them (a width below 0.1 standard deviations). It is then fitted to the logarithm of the
    distance from the best score too, and that curve is taken if its sum of squares is smaller.

    Equal scores are first replaced by their mean rating, weighted by their number, which changes nothing. Where more
    than 20,000 distinct scores are left, they are cut, in order, into 4096 bins of about equally many rows, and the
    mean score and mean rating of each are fitted, weighted likewise.

    Where there is no logistic to fit: equal scores (all within 1e-100), equal ratings, or one mean rating for all
    scores give the mean rating; fewer distinct scores than parameters give the least-squares line.

    Args:
        scores: ``(n,)``; an infinite score counts as the largest (smallest) finite one, one beyond 1e100 as 1e100.
        ratings: ``(n,)`` finite numbers.
        parameters: 4 or 5.

    Returns:
        The curve, on the scale of ``scores``.

    Raises:
        UsageError: another number of parameters, lengths that differ, no row, NaN, an infinite rating.

    Example:
        >>> scores = np.linspace(20, 40, 9)
        >>> mapping = fit_logistic(scores, 0.1 + 0.8 / (1 + np.exp(-(scores - 28) / 2)))
        >>> [round(value, 4) for value in mapping.parameters]
        [0.9, 0.1, 28.0, 2.0]
        >>> mapping([28.0, float("inf")]).round(3)
        array([0.5  , 0.898])
    """
    if parameters not in (4, 5):
        raise UsageError(f"the logistic mapping has 4 or 5 parameters, not {parameters!r}.")
    scores, ratings = paired(scores, ratings)
    mapping = _fit(scores, ratings, parameters)
    known = np.clip(finite(scores), *_LIMITS)
    if mapping.form != "logistic4" or abs(mapping.parameters[3]) >= STEP * known.std():
        return mapping
    best = float(known.max())
    distances = best - known
    offset = float(np.quantile(distances[distances > 0], NEAREST))
    on_log = _fit(-np.log(distances + offset), ratings, parameters)
    on_log = replace(on_log, low=mapping.low, high=mapping.high, best=best, offset=offset)
    errors = [float(((curve(known) - ratings) ** 2).sum()) for curve in (on_log, mapping)]
    return on_log if errors[0] < errors[1] else mapping


def _fit(scores: Array, ratings: Array, parameters: Literal[4, 5]) -> Mapping:
    """The curve of :func:`fit_logistic` on the scale of the scores."""
    q, r, weights = tied_means(np.clip(finite(scores), *_LIMITS), ratings)
    low, high = float(q[0]), float(q[-1])
    if q[-1] - q[0] < _CLOSEST or np.ptp(ratings) == 0:
        return Mapping("line", (0.0, float(ratings.mean())), True, low, high)
    if q.size < parameters:
        return Mapping("line", _line(q, r, weights), True, low, high)
    if q.size > EXACT:
        q, r, weights = _bins(q, r, weights, BINS)
    center, spread = _moments(q, weights)
    middle, scale = _moments(r, weights)
    if scale == 0:
        return Mapping("line", (0.0, middle), True, low, high)
    problem = _Problem((q - center) / spread, (r - middle) / scale, weights, linear=parameters == 5)
    fitted, converged = _search(problem)
    base, height, place, log_width, *rest = fitted
    base, height = middle + scale * base, scale * height
    place, width = center + spread * place, spread * float(np.exp(log_width))
    if parameters == 4:
        return Mapping("logistic4", (base + height, base, place, width), converged, low, high)
    slope = scale * rest[0] / spread
    shift = base + height / 2 - slope * center
    return Mapping("logistic5", (height, 1 / width, place, slope, shift), converged, low, high)


def tied_means(scores: Array, ratings: Array) -> tuple[Array, Array, Array]:
    """Distinct scores in ascending order, the mean rating of each, and how many rows it stands for.

    A least-squares fit to these, weighted by the counts, is the fit to all rows.

    Example:
        >>> tied_means(np.array([2.0, 1.0, 2.0]), np.array([0.2, 0.5, 0.4]))
        (array([1., 2.]), array([0.5, 0.3]), array([1., 2.]))
    """
    order = np.argsort(scores)
    ordered = scores[order]
    starts = tie_starts(ordered)
    counts = np.diff(np.append(starts, ordered.size)).astype(np.float64)
    return ordered[starts], np.add.reduceat(ratings[order], starts) / counts, counts


def _bins(q: Array, r: Array, weights: Array, bins: int) -> tuple[Array, Array, Array]:
    """Runs of sorted scores with about equally many rows: their means, and the number of rows."""
    before = np.cumsum(weights) - weights
    starts = tie_starts(np.floor(before * (bins / weights.sum())))
    total = np.add.reduceat(weights, starts)
    return np.add.reduceat(weights * q, starts) / total, np.add.reduceat(weights * r, starts) / total, total


def _moments(values: Array, weights: Array) -> tuple[float, float]:
    mean = float(np.average(values, weights=weights))
    return mean, float(np.sqrt(np.average((values - mean) ** 2, weights=weights)))


def _line(q: Array, r: Array, weights: Array) -> tuple[float, float]:
    center, middle = np.average(q, weights=weights), np.average(r, weights=weights)
    variance = float((weights * (q - center) ** 2).sum())
    slope = float((weights * (q - center) * (r - middle)).sum()) / variance
    return slope, float(middle - slope * center)


def _sigmoid(values: Array) -> Array:
    """1 / (1 + exp(-x)) without overflow."""
    result: Array = 0.5 + 0.5 * np.tanh(0.5 * values)
    return result


@dataclass(frozen=True, slots=True)
class _Problem:
    """Weighted least squares of base + height * sigmoid((z - place) / width) + slope * z.

    A point is (base, height, place, log width), and the slope where there is a linear term.
    """

    z: Array
    y: Array
    weights: Array
    linear: bool

    @property
    def root(self) -> Array:
        result: Array = np.sqrt(self.weights / self.weights.sum())
        return result

    def design(self, place: float, log_width: float) -> Array:
        curve = _sigmoid((self.z - place) * np.exp(-log_width))
        return np.stack([np.ones_like(self.z), curve] + [self.z] * self.linear, axis=1) * self.root[:, None]

    def solve(self, place: float, log_width: float) -> tuple[float, Array]:
        """The least error for one place and width, and the point that has it."""
        design, target = self.design(place, log_width), self.root * self.y
        solution = np.linalg.lstsq(design, target, rcond=None)[0]
        point = np.array([*solution[:2], place, log_width, *solution[2:]])
        return float(((design @ solution - target) ** 2).sum()), point

    def residuals(self, point: Array) -> Array:
        result: Array = self.design(point[2], point[3]) @ np.delete(point, (2, 3)) - self.root * self.y
        return result

    def jacobian(self, point: Array) -> Array:
        steepness = np.exp(-point[3])
        inside = (self.z - point[2]) * steepness
        curve = _sigmoid(inside)
        rise = point[1] * curve * (1 - curve)
        columns = [np.ones_like(self.z), curve, -rise * steepness, -rise * inside] + [self.z] * self.linear
        return np.stack(columns, axis=1) * self.root[:, None]

    def descend(self, start: Array, steps: int) -> OptimizeResult:
        from scipy.optimize import least_squares

        bounds = np.full((2, start.size), [[-np.inf], [np.inf]])
        bounds[:, 2] = 2 * self.z[0] - self.z[-1], 2 * self.z[-1] - self.z[0]
        bounds[:, 3] = np.log([_NARROWEST, _WIDEST])
        limits = dict.fromkeys(("ftol", "xtol", "gtol"), _TOLERANCE) | {"max_nfev": steps}
        return least_squares(self.residuals, start, self.jacobian, bounds, x_scale="jac", **limits)


def _search(problem: _Problem) -> tuple[list[float], bool]:
    """The best point, and whether the descent to it ended before its limit of steps.

    Of many rows, the choice among several descents is made on few bins.
    """
    few = problem
    if problem.z.size > COARSE:
        few = _Problem(*_bins(problem.z, problem.y, problem.weights, COARSE), problem.linear)
    first = min((few.descend(start, _FIRST_STEPS) for start in _starts(few)), key=lambda result: result.cost)
    best = problem.descend(problem.solve(first.x[2], first.x[3])[1], _STEPS)
    return [float(value) for value in best.x], bool(best.status > 0)


def _starts(problem: _Problem) -> list[Array]:
    """The best points on a grid of places and widths; one a place, for its widths lead to the same end."""
    cumulated = np.cumsum(problem.root**2)
    last = problem.z.size - 1
    places = np.unique(problem.z[np.minimum(np.searchsorted(cumulated, _LOCATIONS), last)])
    solved = [
        min((problem.solve(place, np.log(width)) for width in _WIDTHS), key=lambda item: item[0])
        for place in places
    ]
    return [point for _, point in sorted(solved, key=lambda item: item[0])[:_STARTS]]
