"""Reading tables of scores and of ratings: CSV, gzipped CSV, Parquet, JSON; names stay names."""

from __future__ import annotations

import gzip
import io
import zlib
from collections.abc import Collection, Sequence
from pathlib import Path

import polars as pl

from iqa_registry.errors import UsageError, nearest

SUFFIXES = (".csv", ".csv.gz", ".tsv", ".tsv.gz", ".parquet", ".json")
MISSING = ("", "NA", "N/A", "nan", "NaN")
"""What stands for no value in a text table."""


def read_table(path: Path, names: Collection[str] = ("pair_id", "rater", "subject")) -> pl.DataFrame:
    r"""Read a table.

    Args:
        path: a file with one of :data:`SUFFIXES`; a CSV may be separated by comma, semicolon or tab.
        names: columns that are read as text though they look like numbers, so that ``007`` stays a name.

    Returns:
        The table; columns that hold numbers alone are numbers, empty cells and NaN are null.

    Raises:
        UsageError: there is no such file, it is of another kind, cannot be read, or is empty.

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     file = Path(folder) / "scores.csv"
        ...     _ = file.write_text("pair_id;ssim\n007;0.5\n008;nan\n")
        ...     read_table(file).rows()
        [('007', 0.5), ('008', None)]
    """
    lower = path.name.lower()
    if not path.is_file():
        raise UsageError(f"{path}: no such file.")
    if not lower.endswith(SUFFIXES):
        raise UsageError(f"{path}: expected a table ({', '.join(SUFFIXES)}) or a run folder.")
    try:
        if lower.endswith(".parquet"):
            table = pl.read_parquet(path)
        elif lower.endswith(".json"):
            table = pl.read_json(path, infer_schema_length=None)
        else:
            table = _read_text(path)
    except UnicodeDecodeError as error:
        raise UsageError(f"{path}: is not UTF-8 text; save it as CSV in UTF-8.") from error
    except (OSError, EOFError, zlib.error, pl.exceptions.PolarsError) as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise UsageError(f"{path}: cannot be read as a table ({reason}).") from error
    if table.height == 0:
        raise UsageError(f"{path}: has no rows.")
    typed = lower.endswith(".parquet")
    return table.with_columns(_cleaned(table[name], name in names, typed) for name in table.columns)


def _read_text(path: Path) -> pl.DataFrame:
    content = path.read_bytes()
    if path.name.lower().endswith(".gz"):
        content = gzip.decompress(content)
    content = content.removeprefix(b"\xef\xbb\xbf")
    content.decode()  # polars would read what is no UTF-8 as well as it can
    first = content.partition(b"\n")[0]
    separator = max(b",;\t", key=lambda sign: first.count(bytes([sign])))
    if not first.strip():
        return pl.DataFrame()
    return pl.read_csv(
        io.BytesIO(content), separator=chr(separator), infer_schema=False, null_values=list(MISSING)
    )


def _cleaned(column: pl.Series, is_name: bool, typed: bool) -> pl.Series:
    if is_name:
        return column.cast(pl.String)
    if column.dtype == pl.String and not typed:
        text = column.str.strip_chars()
        text = text.set(text == "", None)
        for kind in (pl.Int64, pl.Float64):
            numbers = text.cast(kind, strict=False)
            if numbers.null_count() == text.null_count() and text.null_count() < len(text):
                column = numbers
                break
        else:
            return text
    return column.fill_nan(None) if column.dtype.is_float() else column


def column_of(table: pl.DataFrame, name: str, place: object, option: str) -> pl.Series:
    """A column that was asked for.

    Args:
        table: where it should be.
        name: the column.
        place: where the table comes from, for the message.
        option: what asked for it.

    Raises:
        UsageError: the table does not have it; the nearest names are offered.
    """
    if name not in table.columns:
        raise UsageError(
            f"{place}: has no column {name!r} ({option}).{nearest(name, table.columns)} "
            f"It has {', '.join(table.columns[:12])}{' ...' if table.width > 12 else ''}."
        )
    return table[name]


def some(names: list[str], most: int = 3) -> str:
    """A few of many names, and how many there are.

    Example:
        >>> some(["a", "b", "c", "d", "e"])
        'a, b, c and 2 more'
    """
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(names[:most]) + more


def with_identity(table: pl.DataFrame, columns: Sequence[str], name: str, place: object) -> pl.DataFrame:
    """The table with one text column that tells its rows apart; rows without one are left out.

    Args:
        table: the table.
        columns: what it is made of, joined by ``/``.
        name: what it is called.
        place: where the table comes from, for the message.

    Raises:
        UsageError: a column that is not there.

    Example:
        >>> table = pl.DataFrame({"model": ["unit"], "slice": [7]})
        >>> with_identity(table, ["model", "slice"], "pair_id", "here")["pair_id"][0]
        'unit/7'
    """
    parts = [column_of(table, column, place, "--id").cast(pl.String) for column in columns]
    return table.with_columns(
        pl.select(pl.concat_str(parts, separator="/").alias(name)).to_series()
    ).drop_nulls(name)
