"""Scores to be judged: a run folder, a table (long or wide) or a dataset that brings scores, as one wide table.

Wide: a row is an image (in a region), a column a metric. A run of ``iqa evaluate`` is long: a row is an image, a
metric and a region.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import polars as pl

from iqa_registry.agreement.tables import column_of, read_table, some, with_identity
from iqa_registry.errors import UsageError, nearest

if TYPE_CHECKING:
    from iqa_registry.registry import Registry

ID = "pair_id"
LONG = {"metric", "score"}
_OF_A_SCORE = {
    "score", "status", "message", "higher_is_better", "dimensions", "region_fraction", "shift", "intensity",
    "synthesized_low", "synthesized_high", "reference_low", "reference_high", "clipped", "clipped_reference",
    "seconds", "order", "metric",
}  # fmt: skip
"""Columns of a run's table that tell of one score, not of its image."""


@dataclass(frozen=True)
class Scores:
    """Scores, one row an image.

    Attributes:
        table: :data:`ID`, the columns that tell of the image (``subject``, ``model``, ``region``, ratings ...), and one
            float column for each metric, null where an image was not scored.
        higher_is_better: metric to direction.
        place: where the scores come from, for messages.
        notes: what was passed over, a line each.
    """

    table: pl.DataFrame
    higher_is_better: Mapping[str, bool]
    place: str
    notes: list[str] = field(default_factory=list)

    @property
    def metrics(self) -> list[str]:
        """The metrics, in the order of the table."""
        return list(self.higher_is_better)


@dataclass(frozen=True)
class Wanted:
    """Which columns are what; nothing given means what can be told by their names.

    Attributes:
        metrics: the metrics that are wanted.
        identity: columns that tell one image from all others.
        directions: metric to ``higher_is_better``, for metrics that no plugin declares.
    """

    metrics: Sequence[str] = ()
    identity: Sequence[str] = (ID,)
    directions: Mapping[str, bool] = field(default_factory=dict)


def read_scores(source: str | Path, registry: Registry, wanted: Wanted | None = None) -> Scores:
    """Read a run folder, a score table, or a dataset ``NAME:PATH`` that brings scores.

    Args:
        source: the folder of ``iqa evaluate -o``, a file, or a dataset, say ``nirps:PATH``.
        registry: knows the datasets and the metrics' directions.
        wanted: which columns are what.

    Raises:
        UsageError: nothing is there, columns are missing, images are there twice, or a direction is not known.
    """
    wanted = wanted or Wanted()
    table = _open(str(source), registry, wanted.identity)
    return make_scores(table, registry, wanted, str(source))


def _open(source: str, registry: Registry, identity: Sequence[str]) -> pl.DataFrame:
    path = Path(source)
    if path.is_dir():
        parts = sorted((path / "scores").glob("part-*.parquet"))
        if not parts:
            raise UsageError(
                f"{path}: is no run folder with scores (scores/part-*.parquet); give one of `iqa evaluate -o`."
            )
        return pl.concat([pl.read_parquet(part) for part in parts], how="diagonal_relaxed")
    name = source.partition(":")[0]
    if not path.exists() and name in registry.datasets:
        return registry.dataset(source).table()
    if not path.exists() and ":" in source:
        raise UsageError(
            f"{source}: there is no such file, and no dataset {name!r}.{nearest(name, registry.datasets)}"
        )
    return read_table(path, names=(*identity, "subject"))


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
    if set(table.columns) >= LONG:
        table, metrics, directions = _from_long(table, wanted, place)
    else:
        metrics, directions = _metrics_of(table, wanted, registry), {}
        table = _from_wide(table, metrics, place)
        _refuse_twins(table, wanted.identity, place)
    known = {name: _direction(name, wanted, directions, registry, place) for name in metrics}
    if not known:
        raise UsageError(
            f"{place}: has no scores: neither columns metric and score nor a column named as a metric "
            "(name others with --metric and --direction)."
        )
    return Scores(table, known, place, notes)


def _identified(table: pl.DataFrame, identity: Sequence[str], place: str) -> tuple[pl.DataFrame, list[str]]:
    """The table with one text column :data:`ID`."""
    if list(identity) == [ID] and ID not in table.columns:
        if set(table.columns) >= LONG:
            raise UsageError(
                f"{place}: has no column {ID!r}; name the columns that tell images apart with --id."
            )
        return table.with_row_index(ID, 1).with_columns(pl.format("row {}", ID).alias(ID)), []
    named = with_identity(table, identity, ID, place)
    nameless = table.height - named.height
    return named, [f"{nameless} rows without {'/'.join(identity)}"] if nameless else []


def _from_long(
    table: pl.DataFrame, wanted: Wanted, place: str
) -> tuple[pl.DataFrame, list[str], dict[str, bool]]:
    """The wide table, its metrics, and the directions that the long one states."""
    table = table.with_columns(pl.col("score").cast(pl.Float64, strict=False).fill_nan(None))
    if "status" in table.columns:
        table = table.with_columns(pl.when(pl.col("status") == "ok").then("score").alias("score"))
    there = table["metric"].unique(maintain_order=True).to_list()
    for name in wanted.metrics:
        if name not in there:
            raise UsageError(
                f"{place}: has no metric {name!r}.{nearest(name, there)} It has {', '.join(there)}."
            )
    chosen = list(wanted.metrics) or there
    table = table.filter(pl.col("metric").is_in(chosen))
    directions = {}
    if "higher_is_better" in table.columns:
        given = table.drop_nulls("higher_is_better").unique("metric", maintain_order=True)
        directions = dict(zip(given["metric"], given["higher_is_better"], strict=True))
    keys = [ID, *(["region"] if "region" in table.columns else [])]
    about = [name for name in table.columns if name not in _OF_A_SCORE and name not in keys]
    frames = {frame["metric"][0]: frame for frame in table.partition_by("metric", maintain_order=True)}
    for name, frame in frames.items():
        twins = frame.select(keys).is_duplicated()
        if twins.any():
            raise UsageError(
                f"{place}: {frame.filter(twins)[ID][0]!r} has two scores of {name}; "
                "name the columns that tell images apart with --id COLUMN,COLUMN."
            )
    first = next(iter(frames.values()))
    alike = all(frame.select(keys).equals(first.select(keys)) for frame in frames.values())
    # A run scores the same images with each metric: then nothing needs to be looked up.
    images = first if alike else table.unique(keys, keep="first", maintain_order=True)
    wide = images.select(*keys, *about)
    for name in chosen:
        column = frames[name].select(*keys, pl.col("score").alias(name))
        if alike:
            wide = wide.with_columns(column[name])
        else:
            wide = wide.join(column, on=keys, how="left", nulls_equal=True, maintain_order="left")
    return wide, chosen, directions


def _from_wide(table: pl.DataFrame, metrics: Sequence[str], place: str) -> pl.DataFrame:
    for name in metrics:
        if not column_of(table, name, place, "--metric").dtype.is_numeric():
            raise UsageError(
                f"{place}: column {name!r} does not hold numbers alone; mend it or leave it out."
            )
    return table.with_columns(pl.col(name).cast(pl.Float64).fill_nan(None) for name in metrics)


def _metrics_of(table: pl.DataFrame, wanted: Wanted, registry: Registry) -> list[str]:
    """The columns of a wide table that are metrics: those that are asked for, else those named as one."""
    if wanted.metrics:
        return list(wanted.metrics)
    return [
        name
        for name in table.columns
        if table[name].dtype.is_numeric() and (name in wanted.directions or _base(name) in registry.metrics)
    ]


def _base(name: str) -> str:
    """``lpips:net=vgg`` and ``kcross[complex]`` are lpips and kcross."""
    return name.partition(":")[0].partition("[")[0]


def _direction(name: str, wanted: Wanted, given: Mapping[str, bool], registry: Registry, place: str) -> bool:
    if name in wanted.directions:
        return wanted.directions[name]
    if name in given:
        return given[name]
    spec = registry.metrics.get(_base(name))
    if spec is None:
        raise UsageError(
            f"{place}: no plugin declares {name!r}, so it is not known whether larger is better; "
            f"say --direction {name}=higher or {name}=lower."
        )
    return spec.higher_is_better


def _refuse_twins(table: pl.DataFrame, identity: Sequence[str], place: str) -> None:
    keys = [ID, *(["region"] if "region" in table.columns else [])]
    twins = table.filter(table.select(keys).is_duplicated())[ID].unique(maintain_order=True).to_list()
    if twins:
        raise UsageError(
            f"{place}: {'/'.join(identity)} {some(twins)} stand there twice; keep one row each, or name the columns "
            "that tell images apart with --id COLUMN,COLUMN."
        )


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
    return Scores(table, scores.higher_is_better, scores.place, scores.notes)


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
