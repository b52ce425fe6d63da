"""Planning a study: subjects, images and raters that are needed to see a difference between two metrics.

The study is simulated from a model of normal variables. The true quality of an image and the error of each metric are
made of a part that the images of a subject share and a part of their own; a rating is the true quality plus the rater's
noise; the mean of k raters is what both metrics are compared with::

    q_a = c_a t + sqrt(1 - c_a^2) e_a      t true quality, e_a and e_b errors with correlation w
    r   = t + noise,  variance of the noise of a mean: (1 - s) / (s k), s the ICC of one rater

So the mean rating has the reliability R = k s / (1 + (k - 1) s) (Spearman-Brown), the correlation of a metric with it
is ``c sqrt(R)``, and its SROCC ``6 / pi asin(c sqrt(R) / 2)`` (Pearson 1907). In this model the inconsistency is
``spread * sqrt(4 (1 - correlation) / pi)`` and skill is ``1 - sqrt(1 - correlation)``.

Many studies of one design are drawn, which gives the mean of the difference and its standard deviation, and from them
the power of the paired t-test. A rater's bias changes no order, so it is left out.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from iqa_registry.errors import UsageError
from iqa_registry.statistics.arrays import Array
from iqa_registry.statistics.power import POWER, power_of, visible_ratio

Statistic = Literal["inconsistency", "srocc"]
STUDIES = 6000
"""Simulated studies of a design."""
MOST_ROWS = 600
"""Larger studies are not simulated: their standard deviation follows from this one by the root of the subjects."""
MOST_SUBJECTS = 1_000_000
_BLOCK = 1 << 20


@dataclass(frozen=True, slots=True)
class Design:
    """How large a study is.

    Attributes:
        subjects: clusters, C.
        images: of each subject.
        raters: of each image.
    """

    subjects: int
    images: int = 1
    raters: int = 1


@dataclass(frozen=True, slots=True)
class Model:
    """What a study of two metrics draws from.

    Attributes:
        first: correlation of the first metric with the true quality, -1 to 1.
        second: that of the second metric.
        errors: correlation of the errors of the metrics.
        single: ICC of one rater, above 0 to 1.
        spread: standard deviation of the true quality, on the scale of the ratings.
        quality_share: share of the variance of the true quality that lies between subjects, 0 to 1.
        error_share: share of the variance of the errors that lies between subjects.
        scale: what the standard deviation of a pilot is over that of the model; 1 without a pilot.
    """

    first: float
    second: float
    errors: float = 0.0
    single: float = 1.0
    spread: float = 1.0
    quality_share: float = 0.5
    error_share: float = 0.5
    scale: float = 1.0

    def reliability(self, raters: int) -> float:
        """Of the mean of several raters (Spearman-Brown).

        Example:
            >>> round(Model(0.8, 0.7, single=0.5).reliability(3), 3)
            0.75
        """
        return raters * self.single / (1 + (raters - 1) * self.single)


@dataclass(frozen=True, slots=True)
class Plan:
    """A design and what it sees.

    Attributes:
        design: the study.
        difference: expected, second less first.
        error: its standard deviation over studies.
        power: the chance to see it.
    """

    design: Design
    difference: float
    error: float
    power: float


def correlation_of(srocc: float) -> float:
    """Pearson's correlation of normal variables with this SROCC: ``2 sin(pi SROCC / 6)``.

    Example:
        >>> round(correlation_of(0.7), 4)
        0.7167
    """
    return 2 * math.sin(math.pi * srocc / 6)


def model_of(
    statistic: Statistic,
    value: float,
    difference: float,
    *,
    single: float,
    raters: int,
    spread: float = 1.0,
    between: float | None = None,
    shares: tuple[float, float] = (0.5, 0.5),
) -> Model:
    """The model of a metric with this SROCC and another one that is worse by a difference.

    Args:
        statistic: what the difference is of.
        value: SROCC of the better metric with the mean rating.
        difference: how much worse the other one is, above 0, in units of the statistic.
        single: ICC of one rater.
        raters: the panel that ``value``, ``difference`` and ``spread`` are of.
        spread: standard deviation of the mean ratings.
        between: SROCC of the two metrics; by default their errors are independent, which needs the most subjects.
        shares: see :class:`Model`.

    Raises:
        UsageError: values out of their range, an SROCC that the noise of the raters does not allow, or metrics that
            cannot be as different and as alike.

    Example:
        >>> model = model_of("srocc", 0.7, 0.1, single=0.5, raters=4)
        >>> round(model.first, 3), round(model.second, 3)
        (0.801, 0.691)
    """
    reliability = Model(0, 0, single=single).reliability(raters)
    best = correlation_of(value)
    other = (
        correlation_of(value - difference)
        if statistic == "srocc"
        else 1 - math.pi * (math.sqrt(4 * (1 - best) / math.pi) + difference / spread) ** 2 / 4
    )
    first, second = best / math.sqrt(reliability), other / math.sqrt(reliability)
    if not abs(first) < 1:
        most = 6 / math.pi * math.asin(math.sqrt(reliability) / 2)
        raise UsageError(
            f"an SROCC of {value:.3g} is above what the noise of {raters} raters with an ICC of {single:.3g} leaves "
            f"({most:.3f}). Name a smaller one."
        )
    if not abs(second) < 1:
        raise UsageError(f"no metric is worse than an SROCC of {value:.3g} by {difference:.3g} {statistic}.")
    spread *= math.sqrt(reliability)
    model = Model(first, second, 0.0, single, spread, *shares)
    if between is None:
        return model
    room = math.sqrt((1 - first**2) * (1 - second**2))
    errors = (correlation_of(between) - first * second) / room
    if not -1 < errors < 1:
        raise UsageError(
            f"two metrics with an SROCC of {between:.3g} to each other cannot have these SROCC to the ratings."
        )
    return replace(model, errors=errors)


def simulate(
    model: Model, design: Design, statistic: Statistic, studies: int = STUDIES, seed: int = 0
) -> Array:
    """The difference of two metrics, second less first, in simulated studies.

    Args:
        model: what is drawn from.
        design: the size of a study.
        statistic: what is compared.
        studies: how many, B.
        seed: of the draws.

    Returns:
        ``(B,)`` differences.

    Example:
        >>> found = simulate(Model(0.9, 0.6), Design(50), "srocc", studies=200)
        >>> round(float(found.mean()), 2)
        -0.32
    """
    generator = np.random.default_rng(seed)
    rows = design.subjects * design.images
    step = max(1, _BLOCK // rows)
    parts = [min(step, studies - start) for start in range(0, studies, step)]
    of = _inconsistencies if statistic == "inconsistency" else _sroccs
    return np.concatenate([_differences(model, design, of, part, generator) for part in parts])


def _differences(
    model: Model,
    design: Design,
    of: Callable[[Array, Array], Array],
    studies: int,
    generator: np.random.Generator,
) -> Array:
    shape = (studies, design.subjects, design.images)

    def normal(share: float) -> Array:
        own = generator.standard_normal(shape)
        common = generator.standard_normal((*shape[:2], 1))
        drawn: Array = (math.sqrt(share) * common + math.sqrt(1 - share) * own).reshape(studies, -1)
        return drawn

    quality, error, other = (normal(s) for s in (model.quality_share, model.error_share, model.error_share))
    other = model.errors * error + math.sqrt(1 - model.errors**2) * other
    noise = math.sqrt((1 - model.single) / (model.single * design.raters))
    ratings = model.spread * (quality + noise * generator.standard_normal(quality.shape))
    first = model.first * quality + math.sqrt(1 - model.first**2) * error
    second = model.second * quality + math.sqrt(1 - model.second**2) * other
    return of(second, ratings) - of(first, ratings)


def _ranks(values: Array) -> Array:
    order = np.argsort(values, axis=1)
    ranks = np.empty(values.shape, dtype=np.int64)
    np.put_along_axis(ranks, order, np.arange(values.shape[1])[None], axis=1)
    return ranks  # type: ignore[return-value]


def _sroccs(scores: Array, ratings: Array) -> Array:
    n = scores.shape[1]
    squares = ((_ranks(scores) - _ranks(ratings)).astype(np.float64) ** 2).sum(axis=1)
    return np.asarray(1 - 6 * squares / (n * (n**2 - 1)), dtype=np.float64)


def _inconsistencies(scores: Array, ratings: Array) -> Array:
    aligned = np.take_along_axis(np.sort(ratings, axis=1), _ranks(scores), axis=1)  # type: ignore[arg-type]
    return np.asarray(np.abs(aligned - ratings).mean(axis=1), dtype=np.float64)


def plan_of(
    model: Model,
    design: Design,
    statistic: Statistic,
    alpha: float = 0.05,
    studies: int = STUDIES,
    seed: int = 0,
) -> Plan:
    """What a design sees.

    Example:
        >>> plan = plan_of(Model(0.9, 0.8), Design(40), "srocc", studies=500)
        >>> round(plan.power, 1)
        0.3
    """
    drawn = replace(design, subjects=max(5, min(design.subjects, MOST_ROWS // design.images)))
    found = simulate(model, drawn, statistic, studies, seed)
    error = model.scale * float(found.std(ddof=1)) * math.sqrt(drawn.subjects / design.subjects)
    difference = float(found.mean())
    power = power_of(abs(difference) / error, design.subjects - 1, alpha) if error > 0 else 1.0
    return Plan(design, difference, error, power)


def subjects_needed(
    model: Model,
    design: Design,
    statistic: Statistic,
    power: float = POWER,
    alpha: float = 0.05,
    seed: int = 0,
) -> Plan:
    """The fewest subjects with which a study sees the difference with this power.

    Args:
        model: what is drawn from.
        design: images of a subject and raters; its subjects are where the search starts.
        statistic: what is compared.
        power: above ``alpha``, below 1.
        alpha: level of the two-sided test; for the first of m comparisons after Holm, 0.05 / m.
        seed: of the draws.

    Raises:
        UsageError: more than a million subjects are needed.

    Example:
        >>> plan = subjects_needed(Model(0.9, 0.8), Design(40), "srocc")
        >>> plan.design.subjects, round(plan.power, 2)
        (127, 0.8)
    """
    for _ in range(3):
        found = plan_of(model, design, statistic, alpha, seed=seed)
        if found.difference == 0:
            raise UsageError("two equal metrics have no difference to see. Name one above 0.")
        needed = _solve(found, power, alpha)
        if abs(needed - design.subjects) <= 0.05 * design.subjects:
            break
        design = replace(design, subjects=needed)
    error = found.error * math.sqrt(found.design.subjects / needed)
    reached = power_of(abs(found.difference) / error, needed - 1, alpha)
    return Plan(replace(design, subjects=needed), found.difference, error, reached)


def _solve(found: Plan, power: float, alpha: float) -> int:
    """Subjects at which the power is reached, the error falling with the root of their number."""
    ratio = abs(found.difference) / found.error / math.sqrt(found.design.subjects)
    subjects = max(3, math.floor((visible_ratio(10_000, alpha, power) / ratio) ** 2))
    while ratio * math.sqrt(subjects) < visible_ratio(subjects - 1, alpha, power):
        subjects += 1 if subjects < 1000 else subjects // 1000
        if subjects > MOST_SUBJECTS:
            raise UsageError(
                "more than a million subjects are needed. Name a larger difference, or more raters or images."
            )
    return subjects
