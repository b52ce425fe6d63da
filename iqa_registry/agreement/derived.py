"""Columns among the raters that hold no rater's scores: means and counts computed from them."""

from __future__ import annotations

from collections.abc import Sequence

import polars as pl

WORDS = frozenset(
    (
        "mean",
        "average",
        "avg",
        "median",
        "consensus",
        "mos",
        "std",
        "sd",
        "sum",
        "total",
        "count",
        "variance",
        "sem",
    )
)
"""Words in the names of such columns (``rater_mean``)."""
ROUNDING = 0.0051
"""How far a mean may be from the exact one: two decimals are usual."""


def derived_columns(table: pl.DataFrame, names: Sequence[str], prefix: str = "rater_") -> dict[str, str]:
    """The columns that were computed from others, each with the reason.

    Args:
        table: numbers.
        names: the columns of the raters.
        prefix: what precedes the name of a rater.

    Example:
        >>> table = pl.DataFrame({"rater_1": [1, 2], "rater_2": [2, 4], "rater_mean": [1.5, 3.0]})
        >>> derived_columns(table, table.columns)
        {'rater_mean': 'its name says so'}
    """
    found = {
        name: "its name says so"
        for name in names
        if WORDS & set(name.removeprefix(prefix).casefold().replace("-", "_").split("_"))
    }
    others = [name for name in names if name not in found]
    for name in others:
        rest = [other for other in others if other != name]
        if len(rest) > 1 and _is_mean(table, name, rest):
            found[name] = "it is the mean of the others"
            break
    # A single rater and a mean are two columns of which neither can be told to be no rater.
    return found if len(names) - len(found) > 0 else {}


def _is_mean(table: pl.DataFrame, name: str, others: Sequence[str]) -> bool:
    """Whether a column is the mean of others, which are whole numbers while it is not: raters use one scale."""
    column, rest = table[name], table.select(pl.col(*others).cast(pl.Float64))
    whole = rest.select(pl.all_horizontal((pl.all() == pl.all().round()).all())).item()
    if not whole or column.null_count() == len(column) or (column == column.round()).all():
        return False
    return bool(((column - rest.mean_horizontal()).abs() <= ROUNDING).all())
