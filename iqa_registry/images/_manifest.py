"""The rows of a manifest, from CSV or Parquet, with the columns checked."""

from __future__ import annotations

import csv
import difflib
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from iqa_registry.errors import UsageError, nearest

Row = dict[str, Any]

_COLUMNS = ("synthesized", "reference", "mask", "pair_id")
_NAMES = (*_COLUMNS, "labels")
"""Columns of names; a column called label is none of ours, so labels is not among those that may be misspelled."""
_INTEGER = re.compile(r"-?(0|[1-9]\d{0,17})")
_NUMBER = re.compile(r"[+-]?(0|[1-9]\d*)?(\.\d*)?([eE][+-]?\d+)?")
_MISSPELLED = 0.85


def read_rows(path: Path) -> list[tuple[str, Row]]:
    """The rows, each with the words that name its place in the file; an empty cell is ``None``.

    Raises:
        UsageError: unreadable, without rows, or with columns that are missing, misspelled or there twice.
    """
    is_parquet = path.suffix.lower() in (".parquet", ".pq")
    try:
        rows, columns = _parquet(path) if is_parquet else _csv(path)
    except UsageError:
        raise
    except UnicodeDecodeError as error:
        raise UsageError(f"{path}: is not UTF-8 text; save the manifest as CSV in UTF-8.") from error
    except OSError as error:
        raise UsageError(f"{path}: cannot be opened ({error.strerror or error}); check the path.") from error
    except Exception as error:  # whatever the two readers raise, the file is at fault
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise UsageError(f"{path}: cannot be read as a manifest ({reason}); give CSV or Parquet.") from error
    _check_columns(path, columns)
    if not rows:
        raise UsageError(f"{path}: has no rows below its header; give one for each pair.")
    return rows


def _parquet(path: Path) -> tuple[list[tuple[str, Row]], list[str]]:
    import polars

    table = polars.read_parquet(path)
    rows = [(f"row {number}", row) for number, row in enumerate(table.iter_rows(named=True), start=1)]
    return rows, table.columns


def _csv(path: Path) -> tuple[list[tuple[str, Row]], list[str]]:
    with path.open(newline="", encoding="utf-8-sig") as stream:
        first = stream.readline()
        stream.seek(0)
        separator = max(",;\t", key=first.count)  # the comma where none is there
        reader = csv.reader(stream, delimiter=separator, strict=True)
        lines = [(reader.line_num, [cell.strip() for cell in line]) for line in reader if any(line)]
    if not lines:
        raise UsageError(
            f"{path}: is empty; its first line names the columns, such as synthesized,reference."
        )
    columns = lines[0][1]
    for number, line in lines[1:]:
        if len(line) != len(columns):
            raise UsageError(
                f"{path}: line {number} has {len(line)} values, expected {len(columns)} as in the header."
            )
    values = [_typed(name, [line[at] for _, line in lines[1:]]) for at, name in enumerate(columns)]
    rows = [dict(zip(columns, row, strict=True)) for row in zip(*values, strict=True)]
    return [(f"line {number}", row) for (number, _), row in zip(lines[1:], rows, strict=True)], columns


def _typed(name: str, cells: Sequence[str]) -> list[Any]:
    """A column's values as numbers if all are, so that ``007`` stays a name."""
    given = [cell for cell in cells if cell]
    kind: type = str
    if given and name not in _NAMES:
        if all(_INTEGER.fullmatch(cell) for cell in given):
            kind = int
        elif all(_NUMBER.fullmatch(cell) and any(sign.isdigit() for sign in cell) for cell in given):
            kind = float
    return [kind(cell) if cell else None for cell in cells]


def _check_columns(path: Path, columns: Sequence[str]) -> None:
    repeated = {name for name in columns if columns.count(name) > 1}
    if repeated:
        raise UsageError(f"{path}: has the column {min(repeated)!r} twice; rename one.")
    if "" in columns:
        raise UsageError(f"{path}: column {list(columns).index('') + 1} has no name in the header; name it.")
    for wanted in _COLUMNS:
        plain = [name for name in columns if name not in _COLUMNS]
        close = difflib.get_close_matches(wanted, [name.lower() for name in plain], n=1, cutoff=_MISSPELLED)
        if wanted not in columns and close:
            meant = next(name for name in plain if name.lower() == close[0])
            raise UsageError(f"{path}: has no column {wanted!r} but {meant!r}; rename it.")
    if "synthesized" not in columns:
        raise UsageError(
            f"{path}: has no column 'synthesized'.{nearest('synthesized', columns)} It has {', '.join(columns)}."
        )
