"""Scores by volume and by subject: the rows of slices become one row, beside them in the table."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

import polars as pl

from iqa_registry.tables.schema import (
    COLUMNS,
    COMPONENT,
    DIRECTION,
    LEVEL,
    METRIC,
    NATIVE,
    OK,
    PAIR_ID,
    PLANE,
    REGION,
    SCORE,
    STATUS,
    SUBJECT,
    with_component,
)

Level = Literal["volume", "subject"]
_SLICE = r"^(.*)/(?:axial|coronal|sagittal)-\d+$"
_VOLUME = pl.col(PAIR_ID).str.extract(_SLICE, 1)
_WEIGHTS = ("pixels", "region_fraction")


def with_level(table: pl.DataFrame) -> pl.DataFrame:
    """The table with the column ``level``: whether a row is of an ``image``, a ``slice`` or a ``volume``.

    Example:
        >>> table = pl.DataFrame({"pair_id": ["a.png", "b/axial-007", "b"], "dimensions": [2, 2, 3]})
        >>> with_level(table)["level"].to_list()
        ['image', 'slice', 'volume']
    """
    if LEVEL in table.columns:
        return table
    whole = pl.col("dimensions") == 3 if "dimensions" in table.columns else pl.lit(False)
    level = pl.when(_VOLUME.is_not_null()).then(pl.lit("slice")).when(whole).then(pl.lit("volume"))
    return table.with_columns(level.otherwise(pl.lit("image")).alias(LEVEL))


def pool(table: pl.DataFrame, level: Level, group_by: Sequence[str] = ()) -> pl.DataFrame:
    """Add a row per volume or subject: the mean of its scores, weighted by the pixels of the region in each.

    Args:
        table: score rows, as :func:`iqa_registry.evaluate` gives them.
        level: ``volume`` joins the slices of a volume; ``subject`` whatever is known to be of one subject.
        group_by: columns whose values are kept apart, such as ``model``.

    Returns:
        The rows of the table with the column ``level``, followed by the pooled rows. One is of status ``error`` where
        a row that belongs to it is, and ``not_applicable`` where nothing was scored.

    Example:
        >>> rows = {"pair_id": ["a/axial-000", "a/axial-001"], "metric": ["mae"] * 2, "region": ["mask"] * 2}
        >>> rows |= {"score": [0.1, 0.4], "status": ["ok"] * 2, "pixels": [20, 10]}
        >>> pooled = pool(pl.DataFrame(rows), "volume").row(-1, named=True)
        >>> pooled["pair_id"], pooled["level"], round(pooled["score"], 3)
        ('a', 'volume', 0.2)
    """
    table = _with_status(with_level(with_component(table)))
    place = _VOLUME if level == "volume" else _subject(table)
    rows = table.with_columns(place.alias("_place")).filter(pl.col("_place").is_not_null())
    if rows.is_empty():
        return table
    named = dict.fromkeys((METRIC, COMPONENT, REGION, "dimensions", PLANE, *group_by))
    keys = [name for name in named if name in table.columns]
    rows = rows.with_columns(_weight(rows).alias("_weight"))
    scored, given = pl.col(STATUS) == OK, pl.col("_weight")
    failed = pl.col(STATUS) == "error"
    reason = pl.format("{} of {} rows failed", failed.sum(), pl.len())
    kept = [name for name in table.columns if _of_all(name) and name not in keys]
    pooled = rows.group_by([*keys, "_place"], maintain_order=True).agg(
        *(pl.when(pl.col(name).n_unique() == 1).then(pl.col(name).first()).alias(name) for name in kept),
        *([pl.col("pixels").filter(scored).sum()] if "pixels" in table.columns else []),
        _mean(SCORE, given, scored).alias(SCORE),
        *([_mean(NATIVE, given, scored).alias(NATIVE)] if NATIVE in table.columns else []),
        pl.when(failed.any())
        .then(pl.lit("error"))
        .when(scored.any())
        .then(pl.lit(OK))
        .otherwise(pl.lit("not_applicable"))
        .alias(STATUS),
        pl.when(failed.any())
        .then(reason)
        .when(~scored.any())
        .then(pl.lit("nothing was scored"))
        .alias("message"),
    )
    ok = pl.col(STATUS) == OK
    scores = [name for name in (SCORE, NATIVE) if name in pooled.columns]
    pooled = pooled.with_columns(
        *(pl.when(ok).then(pl.col(name)).alias(name) for name in scores),
        pl.lit(level).alias(LEVEL),
        pl.col("_place").alias(PAIR_ID),
    ).drop("_place")
    return pl.concat([table, pooled], how="diagonal_relaxed")


def _with_status(table: pl.DataFrame) -> pl.DataFrame:
    if STATUS in table.columns:
        return table
    known = pl.col(SCORE).is_not_null()
    return table.with_columns(pl.when(known).then(pl.lit(OK)).otherwise(pl.lit("error")).alias(STATUS))


def _mean(name: str, weight: pl.Expr, scored: pl.Expr) -> pl.Expr:
    mean = (pl.col(name) * weight).filter(scored).sum() / weight.filter(scored).sum()
    # A sum over nothing is 0, which is not a score.
    return pl.when(pl.col(name).filter(scored).is_not_null().all()).then(mean)


def _subject(table: pl.DataFrame) -> pl.Expr:
    return pl.col(SUBJECT) if SUBJECT in table.columns else pl.lit(None, pl.String)


def _weight(rows: pl.DataFrame) -> pl.Expr:
    """How much a row counts: by the size of its region where that is known."""
    known = (name for name in _WEIGHTS if name in rows.columns and rows[name].null_count() < len(rows))
    name = next(known, None)
    return pl.lit(1.0) if name is None else pl.col(name).cast(pl.Float64)


def _of_all(name: str) -> bool:
    """Whether a column may be the same in all rows of a volume or subject: its groups, subject and direction."""
    return name in (SUBJECT, DIRECTION) or all(column.name != name for column in COLUMNS)


def mixed_columns(table: pl.DataFrame, group_by: Sequence[str] = ()) -> dict[str, list[Any]]:
    """Text columns of the pairs whose values differ within one subject, so that pooling joins them.

    Example:
        >>> rows = {"pair_id": ["a", "b"], "subject": ["s", "s"], "model": ["unit", "munit"]}
        >>> mixed_columns(pl.DataFrame(rows))
        {'model': ['unit', 'munit']}
    """
    known = {column.name for column in COLUMNS} | set(group_by)
    own = [name for name, dtype in table.schema.items() if name not in known and dtype == pl.String]
    named = table.filter(_subject(table).is_not_null())
    return {
        name: named[name].unique(maintain_order=True).to_list()
        for name in own
        if named.height and (named.group_by(SUBJECT).agg(pl.col(name).n_unique())[name] > 1).any()
    }
