"""Scores to be judged: a run folder, a table (long or wide) or a dataset that brings scores, as one wide table.

Long and wide are explained in :mod:`iqa_registry.tables.schema`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import polars as pl

from iqa_registry.agreement.seed_column import SEED, spread_long, spread_wide
from iqa_registry.errors import UsageError, nearest
from iqa_registry.evaluation.pooling import pool
from iqa_registry.evaluation.store import read_run
from iqa_registry.naming import canonical, chosen
from iqa_registry.tables.reading import column_of, read_table, some, with_identity
from iqa_registry.tables.schema import (
    LEVEL,
    METRIC,
    PAIR_ID,
    REGION,
    SCORE,
    directions,
    names_as_text,
    split_name,
    to_wide,
    wide_names,
    with_component,
)

if TYPE_CHECKING:
    from iqa_registry.registry import Registry

ID = PAIR_ID
LONG = {METRIC, SCORE}


@dataclass(frozen=True)
class Scores:
    """Scores, one row per image.

    Attributes:
        table: :data:`ID`, the columns that tell of the image (``subject``, ``model``, ``region``, ratings ...), and one
            float column per metric, null where an image was not scored.
        higher_is_better: metric to direction.
        place: where the scores come from, for messages.
        notes: what was left out, one line each.
        by_volume: gives the scores of slices pooled by volume; ``None`` where the table does not have slices as rows.
    """

    table: pl.DataFrame
    higher_is_better: Mapping[str, bool]
    place: str
    notes: list[str] = field(default_factory=list)
    by_volume: Callable[[], Scores] | None = field(default=None, repr=False, compare=False)

    @property
    def metrics(self) -> list[str]:
        """The metrics, in the order of the table."""
        return list(self.higher_is_better)


@dataclass(frozen=True)
class Wanted:
    """Which columns are what; by default their names decide.

    Attributes:
        metrics: the metrics that are wanted; a component is ``METRIC[COMPONENT]``.
        identity: columns that identify an image.
        directions: metric to ``higher_is_better``, for metrics that no plugin declares.
    """

    metrics: Sequence[str] = ()
    identity: Sequence[str] = (ID,)
    directions: Mapping[str, bool] = field(default_factory=dict)


def read_scores(source: str | Path, registry: Registry, wanted: Wanted | None = None) -> Scores:
    """Read a run folder, a score table, or a dataset ``NAME:PATH`` that brings scores.

    Args:
        source: the folder of ``iqa evaluate -o``, a file, or a dataset such as ``nirps:PATH``.
        registry: knows the datasets and the metrics' directions.
        wanted: which columns are what.

    Raises:
        UsageError: nothing is there or it is damaged, columns are missing, images are listed twice, or a direction is
            not known.
    """
    wanted = wanted or Wanted()
    table = _open(str(source), registry, wanted.identity)
    return make_scores(table, registry, wanted, str(source))


def _open(source: str, registry: Registry, identity: Sequence[str]) -> pl.DataFrame:
    path = Path(source)
    if path.is_dir():
        return read_run(path)
    name = source.partition(":")[0]
    if not path.exists() and canonical(registry.datasets, name) in registry.datasets:
        return registry.dataset(source).table()
    if not path.exists() and ":" in source:
        raise UsageError(
            f"{source}: no such file, and no dataset {name!r}.{nearest(name, registry.datasets)}"
        )
    return read_table(path, identity, commas=True)


def make_scores(
    table: pl.DataFrame, registry: Registry, wanted: Wanted | None = None, place: str = "the table"
) -> Scores:
    """Make :class:`Scores` of a long or a wide table.

    Args:
        table: long with columns ``metric`` and ``score`` (as :func:`iqa_registry.evaluate` gives it), else wide.
        registry: knows the metrics' directions.
        wanted: which columns are what.
        place: where the table comes from, for messages.

    Raises:
        UsageError: see :func:`read_scores`.

    Example:
        >>> from iqa_registry.registry import build_registry
        >>> table = pl.DataFrame({"pair_id": ["a", "b"], "psnr": [20.0, 30.0], "rating": [0.1, 0.7]})
        >>> make_scores(table, build_registry()).higher_is_better
        {'psnr': True}
    """
    wanted = wanted or Wanted()
    table, notes = _identified(table, wanted.identity, place)
    by_volume = None
    if set(table.columns) >= LONG:
        long = table
        pooled = pool(table, "volume").filter(pl.col(LEVEL) == "volume")
        if pooled.height and LEVEL not in table.columns:
            by_volume = partial(make_scores, pooled.drop(LEVEL), registry, wanted, place)
        if SEED in long.columns:
            long, names = spread_long(long)
            wanted = _with_seeds(wanted, names)
        table, metrics, stated = _from_long(long, wanted, place)
    else:
        metrics, stated = _metrics_of(table, wanted, registry), {}
        table = _from_wide(table, metrics, place)
        if SEED in table.columns and table.select(_keys(table)).is_duplicated().any():
            table, names = spread_wide(table, metrics)
            wanted = _with_seeds(wanted, names)
            metrics = [part for name in metrics for part in names.get(name, [name])]
        _refuse_twins(table, wanted.identity, place)
    known = {name: _direction(name, wanted, stated, registry, place) for name in metrics}
    if not known:
        raise UsageError(
            f"{place}: has no scores: neither columns metric and score nor a column named as a metric "
            "(name others with --metric and --direction)."
        )
    return Scores(table, known, place, notes, by_volume)


def _with_seeds(wanted: Wanted, names: Mapping[str, Sequence[str]]) -> Wanted:
    """What is wanted of a metric is wanted of each of its seeds."""
    spread = {part: way for name, way in wanted.directions.items() for part in names.get(name, [name])}
    metrics = [part for name in wanted.metrics for part in names.get(name, [name])]
    return replace(wanted, metrics=metrics, directions=spread)


def _identified(table: pl.DataFrame, identity: Sequence[str], place: str) -> tuple[pl.DataFrame, list[str]]:
    """The table with one text column :data:`ID`."""
    if list(identity) == [ID] and ID not in table.columns:
        if set(table.columns) >= LONG:
            raise UsageError(
                f"{place}: has no column {ID!r}. Name the columns that identify an image with --id."
            )
        numbered = table.with_row_index(ID, 1).with_columns(pl.format("row {}", ID).alias(ID))
        return names_as_text(numbered), []
    named = with_identity(table, identity, ID, place)
    nameless = table.height - named.height
    return named, [f"{nameless} rows without {'/'.join(identity)}"] if nameless else []


def _from_long(
    table: pl.DataFrame, wanted: Wanted, place: str
) -> tuple[pl.DataFrame, list[str], dict[str, bool]]:
    """The wide table, its metrics, and the directions that the long one states."""
    table = with_component(table)
    names = wide_names(table)
    there = names.unique(maintain_order=True).to_list()
    metrics = chosen(wanted.metrics, there) or there
    for name in metrics:
        if name not in there:
            raise UsageError(
                f"{place}: has no metric {name!r}.{nearest(name, there)} It has {', '.join(there)}."
            )
    table = table.filter(names.is_in(metrics))
    return to_wide(table, _keys(table), place), metrics, directions(table)


def _keys(table: pl.DataFrame) -> list[str]:
    return [ID, *([REGION] if REGION in table.columns else [])]


def _from_wide(table: pl.DataFrame, metrics: Sequence[str], place: str) -> pl.DataFrame:
    for name in metrics:
        if not column_of(table, name, place, "--metric").dtype.is_numeric():
            raise UsageError(f"{place}: column {name!r} does not hold only numbers. Fix it or leave it out.")
    return table.with_columns(pl.col(name).cast(pl.Float64).fill_nan(None) for name in metrics)


def _metrics_of(table: pl.DataFrame, wanted: Wanted, registry: Registry) -> list[str]:
    """The columns of a wide table that are metrics: those that are asked for, else those named as one."""
    if wanted.metrics:
        return chosen(wanted.metrics, table.columns)
    return [
        name
        for name in table.columns
        if table[name].dtype.is_numeric() and (name in wanted.directions or _base(name) in registry.metrics)
    ]


def _base(name: str) -> str:
    """The metric's own name: ``ssim`` of ``ssim:window=7``, also of a component."""
    return split_name(name)[0].partition(":")[0]


def _direction(name: str, wanted: Wanted, given: Mapping[str, bool], registry: Registry, place: str) -> bool:
    if name in wanted.directions:
        return wanted.directions[name]
    if name in given:
        return given[name]
    spec = registry.metrics.get(_base(name))
    if spec is None:
        raise UsageError(
            f"{place}: no plugin declares {name!r}, so it is not known whether higher is better. "
            f"Give --direction {name}=higher or {name}=lower."
        )
    return spec.higher_is_better


def _refuse_twins(table: pl.DataFrame, identity: Sequence[str], place: str) -> None:
    twins = table.filter(table.select(_keys(table)).is_duplicated())[ID].unique(maintain_order=True).to_list()
    if twins:
        raise UsageError(
            f"{place}: {'/'.join(identity)} {some(twins)} are listed twice. Keep one row each, or name the columns "
            "that identify an image with --id COLUMN,COLUMN."
        )


def combine(scores: Scores, columns: Mapping[str, Sequence[str]]) -> Scores:
    """The scores under new names: each the mean of some columns, such as a few components, where an image has any.

    Args:
        scores: the scores.
        columns: new name to the columns whose mean it is. Columns that the scores do not have are passed over, and so
            is a name that none is left for.

    Returns:
        The new columns in place of the earlier ones.

    Raises:
        UsageError: columns of two directions under one name.

    Example:
        >>> table = pl.DataFrame({"pair_id": ["a", "b"], "ours[edges]": [0.2, 0.5], "ours[lines]": [0.4, None]})
        >>> scores = Scores(table, {"ours[edges]": True, "ours[lines]": True}, "here")
        >>> combine(scores, {"both": ["ours[edges]", "ours[lines]"]}).table.rows()
        [('a', 0.30000000000000004), ('b', 0.5)]
    """
    known = {name: [part for part in parts if part in scores.metrics] for name, parts in columns.items()}
    known = {name: parts for name, parts in known.items() if parts}
    directions = {}
    for name, parts in known.items():
        directions[name] = scores.higher_is_better[parts[0]]
        if any(scores.higher_is_better[part] != directions[name] for part in parts):
            raise UsageError(f"{name}: {', '.join(parts)} have different directions. Combine others.")
    # A single column stays as it is, to the last bit.
    means = [
        (pl.mean_horizontal(parts) if len(parts) > 1 else pl.col(parts[0])).alias(name)
        for name, parts in known.items()
    ]
    others = [name for name in scores.table.columns if name not in (*scores.metrics, *known)]
    return replace(scores, table=scores.table.select(*others, *means), higher_is_better=directions)


def select(scores: Scores, conditions: Sequence[str]) -> Scores:
    """Only the images that meet all conditions.

    Args:
        scores: the scores.
        conditions: ``COLUMN=VALUE,VALUE``, or for numbers ``COLUMN=FIRST:LAST`` as in Python, LAST left out.

    Raises:
        UsageError: a condition of another form, a column that is not there, or no image that meets them.

    Example:
        >>> table = pl.DataFrame({"pair_id": ["a", "b", "c"], "epoch": [1, 2, 3], "psnr": [20.0, 30.0, 40.0]})
        >>> select(Scores(table, {"psnr": True}, "here"), ["epoch=2:"]).table["psnr"].to_list()
        [30.0, 40.0]
    """
    table = scores.table
    for condition in conditions:
        name, equals, values = condition.partition("=")
        if not equals or not values:
            raise UsageError(f"--where {condition}: expected COLUMN=VALUE,VALUE or COLUMN=FIRST:LAST.")
        column = column_of(table, name, scores.place, "--where")
        met = (
            _within(column, values) if column.dtype.is_numeric() and ":" in values else _among(column, values)
        )
        if not met.any():
            seen = [str(value) for value in column.unique(maintain_order=True)]
            raise UsageError(f"{scores.place}: --where {condition}: no image; {name} is {some(seen, 6)}.")
        table = table.filter(met)
    by_volume = None if scores.by_volume is None else partial(_select_volumes, scores, conditions)
    return Scores(table, scores.higher_is_better, scores.place, scores.notes, by_volume)


def _select_volumes(scores: Scores, conditions: Sequence[str]) -> Scores:
    assert scores.by_volume is not None  # noqa: S101 - for mypy; the caller checked it
    return select(scores.by_volume(), conditions)


def _among(column: pl.Series, values: str) -> pl.Series:
    wanted = [value.strip() for value in values.split(",")]
    if not column.dtype.is_numeric():
        return column.cast(pl.String).is_in(wanted).fill_null(False)
    try:
        return column.cast(pl.Float64).is_in([float(value) for value in wanted]).fill_null(False)
    except ValueError:
        raise UsageError(f"--where {column.name}={values}: the column holds numbers.") from None


def _within(column: pl.Series, values: str) -> pl.Series:
    first, _, last = values.partition(":")
    try:
        low, high = (float(text) if text.strip() else None for text in (first, last))
    except ValueError:
        raise UsageError(f"--where {column.name}={values}: expected two numbers, FIRST:LAST.") from None
    met = column.is_not_null()
    if low is not None:
        met &= column >= low
    if high is not None:
        met &= column < high
    return met.fill_null(False)
