"""What is made of a score table before it is handed back: pooled rows, and errors in the unit of the stored values."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, get_args

import polars as pl

from iqa_registry.errors import OptionError
from iqa_registry.evaluation.pooling import Level, mixed_columns, pool
from iqa_registry.evaluation.summary import check_groups, in_native_units
from iqa_registry.tables.schema import NATIVE, OK, SCORE, STATUS

Units = Literal["scaled", "native"]


def check_finish(level: Level | None, units: Units) -> None:
    """Reject what :func:`finish` does not take, before anything is scored.

    Raises:
        OptionError: another word.
    """
    for name, given, known in (("pool", level, get_args(Level)), ("units", units, get_args(Units))):
        if given not in known and not (name == "pool" and given is None):
            raise OptionError(name, f"{given!r} is not one of {', '.join(known)}.")


def finish(
    table: pl.DataFrame, level: Level | None = None, units: Units = "scaled", group_by: Sequence[str] = ()
) -> tuple[pl.DataFrame, list[str]]:
    """Add pooled rows, and put errors in the unit of the stored values into the column ``score``.

    Args:
        table: score rows, as a run gives them.
        level: see :func:`~iqa_registry.evaluation.pooling.pool`; none by default.
        units: ``native`` keeps the rows that have a score in the unit of the stored values, and those without a score.
        group_by: columns whose values pooling keeps apart.

    Returns:
        The table, and what must be known of it, a sentence each.

    Raises:
        UsageError: a column of ``group_by`` that the table does not have.

    Example:
        >>> rows = {"metric": ["mae", "ssim"], "score": [0.1, 0.9], "score_native": [200.0, None], "status": ["ok"] * 2}
        >>> found, notes = finish(pl.DataFrame(rows), units="native")
        >>> found["score"].to_list(), notes
        ([200.0], ['no native unit for ssim: only errors that scale with the values have one.'])
    """
    check_groups(group_by, table.columns)
    notes: list[str] = []
    if level is not None:
        if level == "subject":
            notes += [
                f"the scores of a subject are pooled over its values of {name} ({', '.join(map(str, values[:3]))}); "
                f"keep these apart with group_by={name}."
                for name, values in mixed_columns(table, group_by).items()
            ]
        table = pool(table, level, group_by)
    if units == "native":
        notes += in_native_units(table)[1]
        kept = table.filter(pl.col(NATIVE).is_not_null() | (pl.col(STATUS) != OK))
        table = kept.with_columns(pl.col(NATIVE).alias(SCORE))
    return table, notes
