"""The rows of a manifest, with the columns checked."""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import polars as pl

from iqa_registry.errors import UsageError, nearest
from iqa_registry.images.pair import name_problem
from iqa_registry.tables.reading import Cells, read_cells

Row = dict[str, Any]

_COLUMNS = ("synthesized", "reference", "mask", "pair_id")
_NAMES = (*_COLUMNS, "labels")
"""Columns of names; a column called label is a group, so labels is not among those that may be misspelled."""
_INDEX = ("", "Unnamed: 0", "__index_level_0__")
"""What pandas calls the column of its row numbers."""
_MISSING = ("", "nan", "na", "n/a", "none", "null", "<na>")
_MISSPELLED = 0.85


def read_rows(path: Path) -> tuple[list[tuple[str, Row]], list[str]]:
    """The rows, each with the words that name its place in the file, and remarks; an empty cell is ``None``.

    Raises:
        UsageError: unreadable, without rows, or with columns that are missing, misspelled or there twice.
    """
    cells = read_cells(path)
    remarks = []
    index = next((name for name in cells.table.columns[:1] if name in _INDEX and _counts(cells, name)), None)
    if index is not None:
        cells = replace(cells, table=cells.table.drop(index))
        remarks.append(
            f"{path}: the first column only counts the rows (pandas writes it without index=False)."
        )
    _check_columns(path, cells.table.columns)
    rows = cells.values(_NAMES).with_columns(_without_nan(cells.table.columns)).iter_rows(named=True)
    placed = [(cells.place(number), row) for number, row in enumerate(rows)]
    for place, row in placed:
        for name in _NAMES:
            problem = name_problem(str(row.get(name) or ""))
            if problem:
                raise UsageError(f"{place}: the {name} {str(row[name])[:100]!r} {problem}")
    return placed, remarks


def _counts(cells: Cells, name: str) -> bool:
    """Whether a column holds the numbers of the rows, as far as rows that were kept count up."""
    values = cells.table[name].cast(pl.String).cast(pl.Int64, strict=False)
    return values.null_count() == 0 and bool((values.diff().drop_nulls() > 0).all())


def _without_nan(columns: Sequence[str]) -> list[pl.Expr]:
    """Text that programs write for a missing name of a file, as no name."""
    names = [name for name in ("synthesized", "reference", "mask", "labels") if name in columns]
    return [
        pl.when(~pl.col(name).str.strip_chars().str.to_lowercase().is_in(_MISSING))
        .then(pl.col(name))
        .alias(name)
        for name in names
    ]


def _check_columns(path: Path, columns: Sequence[str]) -> None:
    if "" in columns:
        raise UsageError(f"{path}: column {list(columns).index('') + 1} has no name in the header. Name it.")
    for wanted in _COLUMNS:
        plain = [name for name in columns if name not in _COLUMNS]
        close = difflib.get_close_matches(wanted, [name.lower() for name in plain], n=1, cutoff=_MISSPELLED)
        if wanted not in columns and close:
            meant = next(name for name in plain if name.lower() == close[0])
            raise UsageError(f"{path}: has no column {wanted!r} but {meant!r}. Rename it.")
    if "synthesized" not in columns:
        raise UsageError(
            f"{path}: has no column 'synthesized'.{nearest('synthesized', columns)} It has {', '.join(columns)}."
        )
