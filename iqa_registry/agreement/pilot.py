"""A pilot study as the model of a larger one: what :mod:`iqa_registry.statistics.planning` needs, measured."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np

from iqa_registry.agreement.judging import Judged
from iqa_registry.agreement.study import Group
from iqa_registry.errors import UsageError
from iqa_registry.statistics.agreement import srocc
from iqa_registry.statistics.arrays import Array, Index
from iqa_registry.statistics.planning import Design, Model, Statistic, model_of, simulate
from iqa_registry.statistics.power import standard_error
from iqa_registry.statistics.raters import icc

MOST_SINGLE = 0.999


@dataclass(frozen=True, slots=True)
class Pilot:
    """Two metrics of a pilot.

    Attributes:
        metrics: the better one first.
        value: SROCC of the better one.
        difference: how much worse the other one is, by the statistic.
        design: size of the pilot; images of a subject rounded.
        model: of the difference that is planned for.
        error: standard error of the pilot's difference.
    """

    metrics: tuple[str, str]
    value: float
    difference: float
    design: Design
    model: Model
    error: float


def read_pilot(group: Group, statistic: Statistic, difference: float | None = None) -> Pilot:
    """Measure what a plan needs.

    Args:
        group: a study that was judged with bootstrap samples; its raters tell the ICC.
        statistic: what the difference is of.
        difference: that is planned for; by default the pilot's.

    Raises:
        UsageError: fewer than two metrics or clusters, or a difference that the model cannot have.
    """
    if len(group.judged) < 2:
        raise UsageError("a plan compares two metrics, and the pilot has one. Add --metric NAME.")
    first, second = _two(group, statistic)
    if not (first.samples and second.samples):
        raise UsageError("the pilot has a single subject. Name the column of subjects with --cluster.")
    at = "inconsistency" if statistic == "inconsistency" else "srocc"
    found = abs(first.row[at] - second.row[at])
    wanted = found if difference is None else difference
    if not wanted > 0:
        raise UsageError("the two metrics do not differ in the pilot. Name a --difference.")
    number = int(group.clusters.max()) + 1
    raters, single = _raters(group)
    design = Design(number, max(1, round(len(first.rows) / number)), raters)
    order = [np.argsort(item.rows) for item in (first, second)]
    scores = [item.scores[rows] for item, rows in zip((first, second), order, strict=True)]
    clusters = group.clusters[np.sort(first.rows)]
    model = model_of(
        statistic,
        first.row["srocc"],
        wanted,
        single=single,
        raters=raters,
        spread=float(first.ratings.std()),
        between=srocc(*scores),
        shares=(_share(first.ratings[order[0]], clusters), _share(scores[0], clusters)),
    )
    error = standard_error(first.samples[at] - second.samples[at], number)
    drawn = float(simulate(model, design, statistic, 2000).std(ddof=1))
    model = replace(model, scale=error / drawn if drawn > 0 else 1.0)
    return Pilot((first.metric, second.metric), first.row["srocc"], found, design, model, error)


def _two(group: Group, statistic: Statistic) -> tuple[Judged, Judged]:
    """The two most consistent metrics, the better one by the statistic first."""
    chosen = group.judged[:2]
    if not np.array_equal(np.sort(chosen[0].rows), np.sort(chosen[1].rows)):
        raise UsageError("a plan compares two metrics of the same images. Name two with --metric.")
    better = (lambda item: item.row["inconsistency"]) if statistic == "inconsistency" else _reverse_srocc
    first, second = sorted(chosen, key=better)
    return first, second


def _reverse_srocc(item: Judged) -> float:
    return -float(item.row["srocc"])


def _raters(group: Group) -> tuple[int, float]:
    """Raters of an image and the ICC of one, for their order: biases do not count."""
    if group.panel is None:
        return 1, MOST_SINGLE
    found = icc(group.panel.single, "3,1")
    return max(1, round(found.k)), min(MOST_SINGLE, max(0.01, found.value))


def _share(values: Array, clusters: Index) -> float:
    """Share of the variance between clusters (one-way ICC of the ranks), 0 to 1."""
    from scipy.stats import rankdata

    number = int(clusters.max()) + 1
    if number == len(values):
        return 0.0
    ranks = rankdata(values)
    sizes = np.bincount(clusters).astype(np.float64)
    means = np.bincount(clusters, ranks) / np.maximum(sizes, 1)
    between = float((sizes * (means - ranks.mean()) ** 2).sum()) / (number - 1)
    within = float(((ranks - means[clusters]) ** 2).sum()) / (len(ranks) - number)
    size = (len(ranks) - float((sizes**2).sum()) / len(ranks)) / (number - 1)
    total = between + (size - 1) * within
    share = (between - within) / total if total > 0 else 0.0
    return min(1.0, max(0.0, share)) if math.isfinite(share) else 0.0
