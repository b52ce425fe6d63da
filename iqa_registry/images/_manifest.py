"""The rows of a manifest, with the columns checked."""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from iqa_registry.errors import UsageError, nearest
from iqa_registry.tables.reading import read_cells

Row = dict[str, Any]

_COLUMNS = ("synthesized", "reference", "mask", "pair_id")
_NAMES = (*_COLUMNS, "labels")
"""Columns of names; a column called label is a group, so labels is not among those that may be misspelled."""
_MISSPELLED = 0.85


def read_rows(path: Path) -> list[tuple[str, Row]]:
    """The rows, each with the words that name its place in the file; an empty cell is ``None``.

    Raises:
        UsageError: unreadable, without rows, or with columns that are missing, misspelled or there twice.
    """
    cells = read_cells(path)
    _check_columns(path, cells.table.columns)
    rows = cells.values(_NAMES).iter_rows(named=True)
    return [(cells.place(number), row) for number, row in enumerate(rows)]


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
