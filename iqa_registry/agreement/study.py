"""Which metric to trust: each metric against the ratings, in groups, with intervals and paired comparisons.

In each group all metrics are judged on the same images by default, and all from the same bootstrap samples, so that the
difference of two metrics has an interval of its own, narrower than those of the two.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl

from iqa_registry.agreement.comparison import add_stability, compare
from iqa_registry.agreement.judging import Column, Judged, Settings, judge_metric
from iqa_registry.agreement.panel import Panel, panel_of
from iqa_registry.agreement.ratings import Rated
from iqa_registry.agreement.scores import ID
from iqa_registry.agreement.seeds import merge_seeds
from iqa_registry.agreement.separating import add_aucs
from iqa_registry.errors import UsageError
from iqa_registry.ranker import LevelRanker, Ranker, fold_of
from iqa_registry.statistics.arrays import Array, Index
from iqa_registry.statistics.bootstrap import index_of
from iqa_registry.tables.reading import column_of
from iqa_registry.tables.schema import REGION, SUBJECT

if TYPE_CHECKING:
    from numpy.typing import NDArray

ALL = "all images"
MANY_ROWS = 200_000
SIMULATED = "sim-"
"""What the names of this project's simulated images begin with."""
Progress = Callable[[float, int], None]


@dataclass
class Group:
    """One group of images.

    Attributes:
        keys: the group columns' values.
        table: its rows of the score table.
        ratings: ``(n,)``.
        clusters: ``(n,)`` numbers from 0.
        folds: ``(n,)``, which fold of the cross-validation each row is held out in.
        panel: the raters, or ``None`` where only means are known.
        judged: the metrics, the most consistent first.
        comparisons: one row for each pair of metrics.
        notes: what to know about it, one line each.
        labels: the names of the clusters.
    """

    keys: dict[str, Any]
    table: pl.DataFrame
    ratings: Array
    clusters: Index
    folds: Index
    panel: Panel | None = None
    judged: list[Judged] = field(default_factory=list)
    comparisons: list[dict[str, Any]] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    labels: frozenset[Any] = frozenset()

    @cached_property
    def name(self) -> str:
        """For example ``ixi, munit``, or ``epoch=3`` where a value alone says little; simulated images are marked."""
        parts = [
            value if _tells(value) else f"{key}={'none' if value is None else value}"
            for key, value in self.keys.items()
        ]
        name = ", ".join(parts) or ALL
        simulated = bool(self.table[ID].str.starts_with(SIMULATED).all())
        return f"{name} (simulated, with simulated raters)" if simulated else name


def _tells(value: object) -> bool:
    """Whether a value is understood without its column's name: a word is, a number or a yes is not."""
    return isinstance(value, str) and value.casefold() not in ("true", "false") and not value.isdigit()


def judge(
    rated: Rated,
    ranker: Ranker | None = None,
    settings: Settings | None = None,
    progress: Progress | None = None,
) -> list[Group]:
    """Measure each metric's agreement with the ratings.

    Args:
        rated: scores and ratings, see :func:`~iqa_registry.agreement.ratings.rate`.
        ranker: brings scores onto the raters' scale; by default Algorithm 4 of K-CROSS.
        settings: groups, clusters, bootstrap.
        progress: called with the metrics done and in all.

    Returns:
        The groups in the order of the table, in each the metrics with the smallest inconsistency first.

    Raises:
        UsageError: a column that is not there, no clusters to fit on, or no group in which an image is scored.

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
    columns = [list(_columns(group, rated, settings)) for group in groups]
    done, total = 0, sum(map(len, columns))
    for group, of_group in zip(groups, columns, strict=True):
        for judged in _each(of_group, ranker, settings):
            group.judged.append(judged)
            done += 1
            if progress:
                progress(done, total)
        add_aucs(group, settings)
        group.judged = merge_seeds(group.judged, settings)
        group.judged.sort(key=lambda judged: (judged.metric in settings.apart, judged.row["inconsistency"]))
        compared = [judged for judged in group.judged if judged.metric not in settings.apart]
        group.comparisons = compare(compared, settings.level, settings.equal_within)
        add_stability(compared)
        _mark_best(group, settings.apart)
    if not any(group.judged for group in groups):
        raise UsageError(f"{rated.scores.place}: {groups[0].notes[0]}.")
    return groups


def _each(columns: Sequence[Column], ranker: Ranker, settings: Settings) -> Iterator[Judged]:
    """Judge metrics, side by side where there are so many rows that numpy spends its time outside Python's lock."""
    # A ranker that fits keeps its curve, and one of another plugin may keep anything: only ours is shared.
    many = isinstance(ranker, LevelRanker) and sum(len(column.rows) for column in columns) > MANY_ROWS
    if not many or settings.resamples:
        yield from (judge_metric(column, ranker, settings) for column in columns)
        return
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        yield from pool.map(lambda column: judge_metric(column, ranker, settings), columns)


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
        index, _ = index_of(None if clusters is None else clusters[rows], len(rows))
        yield Group(
            dict(zip(keys, values, strict=True)),
            part.drop("_row"),
            rated.ratings[rows],
            index,
            fold_of(index, settings.folds),
            _panel(rated, rows, part[ID]),
            labels=frozenset(rows.tolist() if clusters is None else clusters[rows].tolist()),
        )


def _panel(rated: Rated, rows: Index, names: pl.Series) -> Panel | None:
    if rated.single is None:
        return None
    repeats = {}
    for rater, table in rated.repeats.items():
        here = table.filter(pl.col(ID).is_in(names.implode()))
        if here.height:
            repeats[rater] = here.drop(ID).to_numpy().astype(np.float64)
    return panel_of(rated.single[rows], rated.raters, rated.pool, repeats)


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
        group.notes.append("no image is scored")
        return
    shared = [] if settings.each else [name for name in some if name not in settings.apart]
    common = np.logical_and.reduce([some[name] for name in shared]) if shared else np.ones(len(scores), bool)
    if not common.any():
        group.notes.append(
            "no image is scored by all metrics; --own-images judges each on those that it scored"
        )
        return
    if not common.all():
        worst = min(shared, key=lambda name: int(some[name].sum()))
        group.notes.append(
            f"{int((~common).sum())} of {len(common)} images are left out because not every metric scored them "
            f"({worst}: {int(some[worst].sum())}); --own-images judges each metric on all that it scored"
        )
    for name, rows in there.items():
        yield name, np.flatnonzero(common if name in shared else rows)


def _columns(group: Group, rated: Rated, settings: Settings) -> Iterator[Column]:
    """What each metric is judged on; one that scored nothing is noted."""
    for metric, rows in _rows_of(group, rated, settings):
        if rows.size:
            column = _column(group, metric, rows, rated.scores.higher_is_better[metric])
            if settings.random_raters and group.panel is not None:
                column = replace(column, single=group.panel.single[rows], pool=rated.pool)
            yield column
        elif metric not in settings.apart:
            group.notes.append(f"{metric} scored no image here")


def _column(group: Group, metric: str, rows: Index, higher_is_better: bool) -> Column:
    values = group.table[metric].to_numpy()[rows].astype(np.float64)
    parts = (group.ratings[rows], group.clusters[rows], group.folds[rows], rows)
    return Column(metric, higher_is_better, values, *parts)


def _mark_best(group: Group, apart: Sequence[str]) -> None:
    """Mark the most consistent metric and those that are not distinguishable from it."""
    if not group.judged:
        return
    # Where all ratings are equal no metric is better than another.
    if group.judged[0].row["chance"] == 0:
        for judged in group.judged:
            judged.row["best"] = False
        return
    first = group.judged[0].metric
    worse = {
        row["second"] if row["first"] == first else row["first"]
        for row in group.comparisons
        if first in (row["first"], row["second"]) and row["distinguishable"]
    }
    compared = {name for row in group.comparisons for name in (row["first"], row["second"])}
    for judged in group.judged:
        name = judged.metric
        judged.row["best"] = name not in apart and (name == first or (name in compared and name not in worse))
