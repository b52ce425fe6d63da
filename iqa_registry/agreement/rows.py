"""Rows of results as tables: Parquet, CSV and JSON, nothing where a number is not defined."""

from __future__ import annotations

import io
import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from iqa_registry.errors import IQAError, UsageError
from iqa_registry.files import write_atomically

if TYPE_CHECKING:
    import polars as pl


def write_rows(folder: Path, name: str, rows: Sequence[Mapping[str, Any]]) -> list[Path]:
    """Write rows as NAME.parquet, NAME.csv and NAME.json into a folder; files of these names are replaced.

    A value that is not defined (NaN) is left empty.

    Raises:
        IQAError: the folder cannot be written.
    """
    table = _frame(rows)
    parquet = io.BytesIO()
    table.write_parquet(parquet)
    text = json.dumps(table.to_dicts(), indent=2, ensure_ascii=False) + "\n"
    contents = {".parquet": parquet.getvalue(), ".csv": table.write_csv().encode(), ".json": text.encode()}
    return [write_file(folder / f"{name}{suffix}", content) for suffix, content in contents.items()]


def as_csv(rows: Sequence[Mapping[str, Any]]) -> str:
    r"""Rows as CSV; a value that is not defined is left empty.

    Example:
        >>> as_csv([{"metric": "fid", "pearson": 0.5}])
        'metric,pearson\nfid,0.5\n'
    """
    return _frame(rows).write_csv()


def _frame(rows: Sequence[Mapping[str, Any]]) -> pl.DataFrame:
    import polars as pl

    return pl.DataFrame(defined(rows), infer_schema_length=None)


def write_file(path: Path, content: bytes) -> Path:
    """Write a file; the folder is made if need be.

    Raises:
        UsageError: what should be the folder is a file.
        IQAError: it cannot be written.
    """
    if path.parent.exists() and not path.parent.is_dir():
        raise UsageError(f"{path.parent}: is a file; -o names a folder.")
    try:
        write_atomically(path, content)
    except OSError as error:
        raise IQAError(f"{path}: cannot be written ({error.strerror}).") from error
    return path


def defined(rows: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """The rows with nothing where a number is not defined.

    Example:
        >>> defined([{"n": 2, "pearson": math.nan}])
        [{'n': 2, 'pearson': None}]
    """
    return [
        {key: None if isinstance(value, float) and math.isnan(value) else value for key, value in row.items()}
        for row in rows
    ]
