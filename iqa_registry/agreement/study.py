"""Which metric to trust: each metric against the ratings, in groups, with intervals and paired comparisons.

In each group all metrics are judged on the same images by default, and all from the same bootstrap samples, so that the
difference of two metrics has an interval of its own, narrower than those of the two.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl

from iqa_registry.agreement.comparison import compare
from iqa_registry.agreement.ratings import Rated
from iqa_registry.agreement.tables import column_of
from iqa_registry.errors import UsageError
from iqa_registry.ranker import FOLDS, LevelRanker, Ranker, align_out_of_sample, fold_of
from iqa_registry.statistics import agreement, inconsistency
from iqa_registry.statistics.arrays import Array, Index
from iqa_registry.statistics.bootstrap import RESAMPLES, cluster_counts, index_of, percentile_interval
from iqa_registry.statistics.resampling import Ratings, Resampled

if TYPE_CHECKING:
    from numpy.typing import NDArray

STATISTICS = ("inconsistency", "skill", "srocc", "krocc", "plcc", "plcc_raw", "rmse", "pairwise_accuracy")
"""What is reported of each metric, each with an interval."""
SMALLER_IS_BETTER = ("inconsistency", "rmse")
ALL = "all images"
SUBJECT, REGION = "subject", "region"
Progress = Callable[[float, int], None]


@dataclass(frozen=True)
class Settings:
    """How agreement is measured.

    Attributes:
        group_by: columns; each combination of their values is judged by itself. A table with several regions is always
            grouped by them.
        cluster: the column whose values are drawn together by the bootstrap and held out together by
            cross-validation; by default ``subject`` where there is one, else each image by itself. ``none`` for that.
        resamples: bootstrap samples; 0 for none.
        level: coverage of the intervals, and of the comparisons.
        seed: of the random draws.
        folds: of the cross-validation of rankers that fit.
        each: judge each metric on all images that it scored, even where others did not.
    """

    group_by: Sequence[str] = ()
    cluster: str | None = None
    resamples: int = RESAMPLES
    level: float = 0.95
    seed: int = 0
    folds: int = FOLDS
    each: bool = False


@dataclass
class Judged:
    """One metric in one group.

    Attributes:
        metric: its name.
        scores: ``(n,)``, turned so that larger is better.
        ratings: ``(n,)``.
        aligned: ``(n,)`` scores on the raters' scale, by the ranker.
        mapped: ``(n,)`` scores after the logistic mapping, fitted on other clusters.
        rows: which rows of the group they are.
        row: what is reported.
        samples: statistic to ``(resamples,)`` values.
    """

    metric: str
    scores: Array
    ratings: Array
    aligned: Array
    mapped: Array
    rows: NDArray[np.int64]
    row: dict[str, Any] = field(default_factory=dict)
    samples: dict[str, Array] = field(default_factory=dict)


@dataclass
class Group:
    """One group of images.

    Attributes:
        keys: the group columns' values.
        table: its rows of the score table.
        ratings: ``(n,)``.
        clusters: ``(n,)`` numbers from 0.
        single: ``(n, k)`` single ratings, or ``None``.
        judged: the metrics, the most consistent first.
        comparisons: one row for each pair of metrics.
        notes: what to know about it, a line each.
    """

    keys: dict[str, Any]
    table: pl.DataFrame
    ratings: Array
    clusters: Index
    single: Array | None = None
    judged: list[Judged] = field(default_factory=list)
    comparisons: list[dict[str, Any]] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    @property
    def name(self) -> str:
        """Say ``ixi, munit``."""
        return ", ".join(str(value) for value in self.keys.values()) or ALL


def judge(rated: Rated, ranker: Ranker | None = None, settings: Settings | None = None, progress: Progress | None = None) -> list[Group]:
    """Measure each metric's agreement with the ratings.

    Args:
        rated: scores and ratings, see :func:`~iqa_registry.agreement.ratings.rate`.
        ranker: brings scores onto the raters' scale; by default Algorithm 4 of K-CROSS.
        settings: groups, clusters, bootstrap.
        progress: called with the metrics done and in all.

    Returns:
        The groups in the order of the table, in each the metrics with the smallest inconsistency first.

    Raises:
        UsageError: a column that is not there, no clusters to fit on, or metrics that share no image.

    Example:
        >>> from iqa_registry.agreement.scores import Scores
        >>> table = pl.DataFrame({"pair_id": list("abcd"), "psnr": [20.0, 30.0, 25.0, 22.0]})
        >>> rated = Rated(Scores(table, {"psnr": True}, "here"), np.array([0.1, 0.9, 0.3, 0.5]))
        >>> judged = judge(rated, settings=Settings(resamples=0))[0].judged[0]
        >>> judged.row["inconsistency"], round(judged.row["skill"], 3)
        (0.1, 0.692)
    """
    settings = settings or Settings()
    ranker = ranker or LevelRanker()
    groups = list(_groups(rated, settings))
    done, total = 0, len(groups) * len(rated.scores.metrics)
    for group in groups:
        for metric, rows in _rows_of(group, rated, settings):
            if rows.size:
                group.judged.append(_judge(group, metric, rows, rated, ranker, settings))
            else:
                group.notes.append(f"{metric} scored no image here")
            done += 1
            if progress:
                progress(done, total)
        group.judged.sort(key=lambda judged: judged.row["inconsistency"])
        group.comparisons = compare(group.judged, group.clusters, settings.level)
        _mark_best(group)
    return groups


def _groups(rated: Rated, settings: Settings) -> Iterator[Group]:
    table = rated.scores.table.with_row_index("_row")
    keys = list(settings.group_by)
    for name in keys:
        column_of(table, name, rated.scores.place, "--group-by")
    if REGION in table.columns and REGION not in keys and table[REGION].n_unique() > 1:
        keys.append(REGION)
    clusters = _clusters(table, settings, rated.scores.place)
    parts = table.group_by(keys, maintain_order=True) if keys else [((), table)]
    for values, part in parts:
        rows = part["_row"].to_numpy()
        labels = None if clusters is None else clusters[rows]
        yield Group(
            dict(zip(keys, values, strict=True)),
            part.drop("_row"),
            rated.ratings[rows],
            index_of(labels, len(rows))[0],
            None if rated.single is None else rated.single[rows],
        )


def _clusters(table: pl.DataFrame, settings: Settings, place: str) -> NDArray[Any] | None:
    """The label of each row; rows without one are clusters of their own."""
    if settings.cluster == "none":
        return None
    if settings.cluster is None:
        if SUBJECT not in table.columns or table[SUBJECT].n_unique() < 2:
            return None
        column = table[SUBJECT]
    else:
        column = column_of(table, settings.cluster, place, "--cluster")
    own = pl.format("row {}", pl.col("_row"))
    return table.select(pl.coalesce(column.cast(pl.String), own)).to_series().to_numpy()


def _rows_of(group: Group, rated: Rated, settings: Settings) -> Iterator[tuple[str, NDArray[np.int64]]]:
    """Each metric with the rows on which it is judged."""
    scores = group.table.select(rated.scores.metrics)
    there = {name: scores[name].is_not_null().to_numpy() for name in rated.scores.metrics}
    some = {name: rows for name, rows in there.items() if rows.any()}
    if not some:
        raise UsageError(f"{rated.scores.place}: {group.name}: no image is scored.")
    common = np.logical_and.reduce(list(some.values()))
    if not settings.each:
        lost = int((~common).sum())
        if lost:
            worst = min(some, key=lambda name: int(some[name].sum()))
            group.notes.append(
                f"{lost} of {len(common)} images are left out because not every metric scored them "
                f"({worst}: {int(some[worst].sum())}); --each judges each metric on all that it scored"
            )
        if not common.any():
            raise UsageError(f"{rated.scores.place}: {group.name}: no image is scored by all metrics; try --each.")
    for name, rows in there.items():
        used = rows if settings.each or name not in some else common
        yield name, np.flatnonzero(used)


def _judge(group: Group, metric: str, rows: NDArray[np.int64], rated: Rated, ranker: Ranker, settings: Settings) -> Judged:
    column = group.table[metric].to_numpy()[rows].astype(np.float64)
    scores = column if rated.scores.higher_is_better[metric] else -column
    ratings, clusters = group.ratings[rows], group.clusters[rows]
    mapped = _mapped(scores, ratings, clusters, settings.folds)
    aligned = align_out_of_sample(ranker, scores, ratings, clusters, settings.folds)
    judged = Judged(metric, scores, ratings, aligned, mapped, rows)
    judged.row = {"metric": metric, "higher_is_better": rated.scores.higher_is_better[metric]} | _point(judged)
    judged.row["clusters"] = len(np.unique(clusters))
    if settings.resamples and judged.row["clusters"] > 1:
        _add_intervals(judged, clusters, isinstance(ranker, LevelRanker), settings)
    return judged


def _mapped(scores: Array, ratings: Array, clusters: Index, folds: int) -> Array:
    """Scores after the logistic mapping of four parameters, fitted on the other folds; NaN with a single cluster."""
    from iqa_registry.statistics.mapping import fit_logistic

    fold = fold_of(clusters, folds)
    mapped = np.full_like(scores, np.nan)
    for held_out in range(int(fold.max()) + 1) if fold.max() else ():
        test = fold == held_out
        mapped[test] = fit_logistic(scores[~test], ratings[~test])(scores[test])
    return mapped


def _point(judged: Judged) -> dict[str, Any]:
    """Every statistic of one metric, without intervals."""
    scores, ratings = judged.scores, judged.ratings
    chance = inconsistency.chance(ratings)
    found = inconsistency.inconsistency(judged.aligned, ratings)
    known = not np.isnan(judged.mapped).any()
    return {
        "n": len(scores),
        "inconsistency": found,
        "skill": inconsistency.skill(found, chance),
        "chance": chance,
        "constant": inconsistency.constant(ratings),
        "srocc": agreement.srocc(scores, ratings),
        "krocc": agreement.krocc(scores, ratings),
        "plcc": agreement.plcc(judged.mapped, ratings) if known else math.nan,
        "plcc_raw": agreement.plcc(scores, ratings),
        "rmse": agreement.rmse(judged.mapped, ratings) if known else math.nan,
        "pairwise_accuracy": agreement.pairwise_accuracy(scores, ratings),
        "tied": 1 - len(np.unique(scores)) / len(scores),
        "infinite": int(np.isinf(scores).sum()),
    }


def _add_intervals(judged: Judged, clusters: Index, levels: bool, settings: Settings) -> None:
    index, number = index_of(clusters, len(clusters))
    known = not np.isnan(judged.mapped).any()
    resampled = Resampled(
        judged.scores,
        Ratings(judged.ratings, index),
        mapped=judged.mapped if known else None,
        aligned=None if levels else judged.aligned,
    )
    found = [resampled.evaluate(counts) for counts in cluster_counts(number, settings.resamples, settings.seed)]
    judged.samples = {name: np.concatenate([part[name] for part in found]) for name in found[0]}
    for name, samples in judged.samples.items():
        if name == "inconsistency":
            samples = reflected(samples, judged.row[name])
        low, high = percentile_interval(samples, number, settings.level)
        judged.row[f"{name}_low"], judged.row[f"{name}_high"] = low, high


def reflected(samples: Array, estimate: float) -> Array:
    """Bootstrap samples moved to where the bias that they show is taken away.

    Algorithm 4 gives a metric the raters' scale as it is in the sample, which makes the inconsistency of few clusters
    too small, and that of a bootstrap sample of them, with fewer distinct ones, smaller again by about as much. So
    samples that lie around ``estimate - bias`` are moved to lie around ``estimate + bias``; none goes below 0.

    Example:
        >>> reflected(np.array([0.1, 0.2]), 0.17)
        array([0.14, 0.24])
    """
    return np.maximum(0.0, samples + 2 * (estimate - np.nanmean(samples)))


def _mark_best(group: Group) -> None:
    """Mark the most consistent metric and those that are not distinguishable from it."""
    if not group.judged:
        return
    first = group.judged[0].metric
    apart = {
        row["second"] if row["first"] == first else row["first"]
        for row in group.comparisons
        if first in (row["first"], row["second"]) and row["distinguishable"]
    }
    compared = {name for row in group.comparisons for name in (row["first"], row["second"])}
    for judged in group.judged:
        name = judged.metric
        judged.row["best"] = name == first or (name in compared and name not in apart)
