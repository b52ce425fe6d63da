"""One metric against the ratings of one group of images: every statistic, and each in the bootstrap samples."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, TypedDict

import numpy as np

from iqa_registry.ranker import FOLDS, LevelRanker, Ranker, align_out_of_sample, map_out_of_sample
from iqa_registry.statistics import agreement, inconsistency
from iqa_registry.statistics.arrays import Array, Index, tie_starts
from iqa_registry.statistics.bootstrap import (
    RESAMPLES,
    cluster_counts,
    index_of,
    percentile_interval,
    reflected,
)
from iqa_registry.statistics.raters import pooled
from iqa_registry.statistics.resampling import Ratings, Resampled
from iqa_registry.statistics.sources import DRAWS, Source, stretched, unit_draws, widened

STATISTICS = ("inconsistency", "skill", "srocc", "krocc", "plcc", "plcc_raw", "rmse", "pairwise_accuracy")
"""What is reported of each metric, each with an interval."""

LIMITS = {
    "inconsistency": (0.0, math.inf),
    "rmse": (0.0, math.inf),
    "skill": (-math.inf, 1.0),
    "pairwise_accuracy": (0.0, 1.0),
}
"""Where a statistic ends, if not at -1 and 1."""


class SettingFields(TypedDict, total=False):
    """The keyword arguments of :func:`iqa_registry.agree`: the fields of :class:`Settings`, for editors and mypy."""

    group_by: Sequence[str]
    cluster: str | None
    resamples: int
    level: float
    seed: int
    folds: int
    each: bool
    apart: Sequence[str]
    equal_within: float | None
    acceptable: float | None
    rated_pairs: bool
    random_raters: bool


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
        apart: metrics that do not apply to every image. Each is judged on those that it scored, listed after the
            others and not compared with them; the others are judged as if it were not there.
        equal_within: two metrics whose inconsistencies differ by less count as practically equal, if the study can
            show it; by default this is not tested.
        acceptable: images with a rating of at least this are acceptable: adds the AUC of telling them from the others.
        rated_pairs: adds the AUCs of the pairs of images that the individual raters tell apart (Krasula et al. 2016).
        random_raters: intervals and comparisons that hold for other raters too: individual raters are drawn as
            subjects are. By default they hold for the raters of the study.
    """

    group_by: Sequence[str] = ()
    cluster: str | None = None
    resamples: int = RESAMPLES
    level: float = 0.95
    seed: int = 0
    folds: int = FOLDS
    each: bool = False
    apart: Sequence[str] = ()
    equal_within: float | None = None
    acceptable: float | None = None
    rated_pairs: bool = False
    random_raters: bool = False


@dataclass
class Judged:
    """One metric in one group, its rows sorted by score.

    Attributes:
        metric: its name.
        scores: ``(n,)``, turned so that larger is better.
        ratings: ``(n,)``.
        aligned: ``(n,)`` scores on the raters' scale, by the ranker.
        mapped: ``(n,)`` scores after the logistic mapping, fitted on other clusters.
        rows: which rows of the group they are.
        row: what is reported.
        samples: statistic to ``(resamples,)`` values.
        sources: statistic to what other raters or seeds would do to it.
    """

    metric: str
    scores: Array
    ratings: Array
    aligned: Array
    mapped: Array
    rows: Index
    row: dict[str, Any] = field(default_factory=dict)
    samples: dict[str, Array] = field(default_factory=dict)
    sources: dict[str, list[Source]] = field(default_factory=dict)


@dataclass(frozen=True)
class Column:
    """What a metric is judged on.

    Attributes:
        metric: its name.
        higher_is_better: its direction.
        values: ``(n,)`` scores as the metric gives them.
        ratings: ``(n,)``.
        clusters: ``(n,)`` numbers.
        folds: ``(n,)``, which fold each row is held out in.
        rows: ``(n,)``, which rows of the group they are.
        single: ``(n, k)`` ratings of the individual raters, where they are to be drawn too.
        pool: how these become one.
    """

    metric: str
    higher_is_better: bool
    values: Array
    ratings: Array
    clusters: Index
    folds: Index
    rows: Index
    single: Array | None = None
    pool: str = "trimmed-mean"


def judge_metric(column: Column, ranker: Ranker, settings: Settings) -> Judged:
    """Judge one metric.

    Raises:
        UsageError: the ranker fits and there is one cluster only.
    """
    scores = column.values if column.higher_is_better else -column.values
    levels = isinstance(ranker, LevelRanker)
    # Everything is sorted once, and whatever sorts again below finds its work done. A ranker of the published code
    # minds the order of the rows, so others than ours align before.
    order = np.argsort(scores)
    if levels:
        aligned = ranker.align(scores[order], column.ratings[order])
    else:
        aligned = align_out_of_sample(ranker, scores, column.ratings, column.clusters, settings.folds)[order]
    scores, ratings, clusters = scores[order], column.ratings[order], column.clusters[order]
    mapped = _mapped(scores, ratings, column.folds[order])
    judged = Judged(column.metric, scores, ratings, aligned, mapped, column.rows[order])
    judged.row = {"metric": column.metric, "higher_is_better": column.higher_is_better} | _point(judged)
    number = len(np.unique(clusters))
    judged.row["clusters"] = number
    if settings.resamples and number > 1:
        single = None if column.single is None else column.single[order]
        _add_samples(judged, clusters, levels, settings)
        if single is not None:
            _add_raters(judged, single, column.pool, clusters, levels, settings)
        add_intervals(judged, number, settings)
    return judged


def _mapped(scores: Array, ratings: Array, folds: Index) -> Array:
    """Scores after the logistic mapping of four parameters, fitted on the other folds; NaN with a single fold."""
    from iqa_registry.statistics.mapping import fit_logistic

    if np.ptp(folds) == 0:
        return np.full_like(scores, np.nan)

    def fitted(scores: Array, ratings: Array) -> Callable[[Array, Array], Array]:
        mapping = fit_logistic(scores, ratings)
        return lambda others, _: mapping(others)

    return map_out_of_sample(fitted, scores, ratings, folds)


def _point(judged: Judged) -> dict[str, Any]:
    """Every statistic of one metric, without intervals."""
    scores, ratings = judged.scores, judged.ratings
    chance = inconsistency.chance(ratings)
    found = inconsistency.inconsistency(judged.aligned, ratings)
    known = not np.isnan(judged.mapped).any()
    krocc = agreement.krocc(scores, ratings)
    return {
        "n": len(scores),
        "inconsistency": found,
        "skill": inconsistency.skill(found, chance),
        "chance": chance,
        "constant": inconsistency.constant(ratings),
        "srocc": agreement.srocc(scores, ratings),
        "krocc": krocc,
        "plcc": agreement.plcc(judged.mapped, ratings) if known else math.nan,
        "plcc_raw": agreement.plcc(scores, ratings),
        "rmse": agreement.rmse(judged.mapped, ratings) if known else math.nan,
        "pairwise_accuracy": agreement.accuracy_of(krocc, scores, ratings),
        "tied": 1 - len(tie_starts(scores)) / len(scores),
        "infinite": int(np.isinf(scores).sum()),
    }


def _add_samples(judged: Judged, clusters: Index, levels: bool, settings: Settings) -> None:
    index, number = index_of(clusters, len(clusters))
    resampled = _resampled(judged, Ratings(judged.ratings, index), levels)
    found = [
        resampled.evaluate(counts) for counts in cluster_counts(number, settings.resamples, settings.seed)
    ]
    judged.samples = {name: np.concatenate([part[name] for part in found]) for name in found[0]}


def _resampled(judged: Judged, ratings: Ratings, levels: bool, pairs: bool = True) -> Resampled:
    known = not np.isnan(judged.mapped).any()
    mapped, aligned = judged.mapped if known else None, None if levels else judged.aligned
    return Resampled(judged.scores, ratings, mapped, aligned, pairs)


def _add_raters(
    judged: Judged, single: Array, pool: str, clusters: Index, levels: bool, settings: Settings
) -> None:
    """What other raters would do to each statistic: raters drawn alone, and together with clusters."""
    index, number = index_of(clusters, len(clusters))
    (counts, *_) = cluster_counts(number, settings.resamples, settings.seed)
    draws = unit_draws(single.shape[1], min(DRAWS, len(counts)), settings.seed)
    rows: list[dict[str, Array]] = []
    for chosen, drawn in zip(draws, counts, strict=False):
        ratings = pooled(single[:, chosen], pool)
        # An image that none of the drawn raters saw keeps its rating.
        ratings = np.where(np.isnan(ratings), judged.ratings, ratings)
        resampled = _resampled(judged, Ratings(ratings, index), levels, pairs=False)
        rows.append(resampled.evaluate(np.stack([np.ones_like(drawn), drawn])))
    for name in rows[0]:
        alone, both = np.array([row[name] for row in rows]).T
        judged.sources[name] = [Source(alone, both, single.shape[1])]


def add_intervals(judged: Judged, number: int, settings: Settings) -> None:
    """Add the interval of each statistic to the row, from its samples over clusters and its further sources."""
    chance = judged.samples["chance"]
    shown = judged.samples | {
        "inconsistency": reflected(judged.samples["inconsistency"], judged.row["inconsistency"])
    }
    # Skill is made of the very samples that the interval of the inconsistency is made of, and of chance's, which is
    # too small in samples of few clusters for the same reason.
    random = reflected(chance, judged.row["chance"])
    shown["skill"] = 1 - np.divide(
        shown["inconsistency"], random, out=np.full_like(random, np.nan), where=random > 0
    )
    del shown["chance"]
    for name, samples in shown.items():
        # Those of pairs are not drawn with other raters, which takes too long; they follow the order as SROCC does.
        like = name if name in judged.sources else "srocc"
        factor, clusters = widened(judged.samples[like], judged.sources.get(like, ()), number)
        low, high = percentile_interval(
            stretched(samples, judged.row[name], factor), clusters, settings.level
        )
        floor, most = LIMITS.get(name, (-1.0, 1.0))
        judged.row[f"{name}_low"], judged.row[f"{name}_high"] = max(low, floor), min(high, most)
