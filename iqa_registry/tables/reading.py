"""Reading tables: CSV, Parquet, JSON and Excel, with one rule for what is a name and what is a number.

A column of text becomes numbers if every value in it is a number as a program writes one. A value with leading zeros
(``007``) is a name, and so is every value of its column. :data:`~iqa_registry.tables.schema.IDENTIFIERS` are names
always, so that two tables agree on them however each was stored.
"""

from __future__ import annotations

import csv
import io
import json
import zipfile
import zlib
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import polars as pl

from iqa_registry.errors import UsageError, nearest
from iqa_registry.files import refuse_special
from iqa_registry.tables import _bounds
from iqa_registry.tables._excel import need_excel
from iqa_registry.tables.numbers import MISSING, has_decimal_commas, numbers, with_points
from iqa_registry.tables.schema import IDENTIFIERS, as_text, names_as_text

TEXT = (".csv", ".csv.gz", ".tsv", ".tsv.gz", ".txt")
SUFFIXES = (*TEXT, ".parquet", ".pq", ".json", ".xlsx")
_LINE = "\0line"


@dataclass(frozen=True, slots=True)
class Cells:
    """The cells of a table as its file holds them; an empty cell is null.

    Attributes:
        table: text of a text file or a spreadsheet, values of another.
        lines: the line of each row, counted from 1, in a text file.
        typed: whether the file knows what is a number, so that text is text.
        separator: what separates the columns of a text file.
    """

    table: pl.DataFrame
    lines: Sequence[int] | None = None
    typed: bool = False
    separator: str = ""

    def place(self, row: int) -> str:
        """Where a row is in the file, for messages: ``line 3`` or ``row 2``."""
        return f"row {row + 1}" if self.lines is None else f"line {self.lines[row]}"

    def values(self, names: Collection[str] = (), commas: bool = False) -> pl.DataFrame:
        """The table with names as text, numbers as numbers, and null for missing values and NaN.

        Args:
            names: columns that are read as text, beside the identifiers.
            commas: whether columns of numbers with decimal commas become numbers.
        """
        text = {*IDENTIFIERS, *names}
        table = self.table.with_columns(self._column(name, name in text) for name in self.table.columns)
        if not commas or self.typed:
            return table
        return table.with_columns(with_points(table[name]) for name in self.with_commas(table, text))

    def with_commas(self, table: pl.DataFrame, names: Collection[str] = ()) -> list[str]:
        """The columns of text that hold numbers with decimal commas."""
        return [
            name
            for name in table.columns
            if name not in names
            and table[name].dtype == pl.String
            and has_decimal_commas(table[name], self.separator)
        ]

    def _column(self, name: str, is_name: bool) -> pl.Series:
        column = self.table[name]
        if column.dtype != pl.String:
            return (
                as_text(column) if is_name else column.fill_nan(None) if column.dtype.is_float() else column
            )
        if self.typed:
            return column
        text = column.set(column.is_in(MISSING), None)
        return text if is_name else numbers(text)


def read_table(path: Path, names: Collection[str] = (), commas: bool = False) -> pl.DataFrame:
    r"""Read a table.

    Args:
        path: a file with one of :data:`SUFFIXES`; a CSV may be separated by comma, semicolon or tab. Of an Excel file
            the first sheet is read.
        names: columns that are read as text although they look like numbers, beside the identifiers.
        commas: whether columns of numbers with decimal commas (``4,33``) become numbers.

    Returns:
        The table: columns that hold only numbers are numbers, empty cells and NaN are null.

    Raises:
        UsageError: there is no such file, it is of another kind, damaged or empty, or two columns have one name.
        MissingExtraError: it is an Excel file, and the package that reads it is not installed.

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     file = Path(folder) / "scores.csv"
        ...     _ = file.write_text("pair_id;model;ssim\n7;007;0.5\n8;012;nan\n")
        ...     read_table(file).rows()
        [('7', '007', 0.5), ('8', '012', None)]
    """
    return read_cells(path).values(names, commas)


def read_cells(path: Path) -> Cells:
    """Read a table without deciding what is a number; see :func:`read_table`."""
    lower = path.name.lower()
    refuse_special(path)
    if not path.is_file():
        raise UsageError(f"{path}: no such file.")
    if not lower.endswith(SUFFIXES):
        raise UsageError(f"{path}: is not a table. Give a file with one of {', '.join(SUFFIXES)}.")
    if lower.endswith(".xlsx"):
        need_excel("fastexcel", f"reading {path.name}")
    try:
        cells = _read(path, lower)
    except UnicodeDecodeError as error:
        raise UsageError(f"{path}: is not UTF-8 text. Save it as CSV in UTF-8.") from error
    except _DAMAGE as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise UsageError(f"{path}: cannot be read as a table ({reason}).") from error
    if cells.table.is_empty():
        raise UsageError(f"{path}: has no rows below its header.")
    return cells


_DAMAGE = (
    OSError,
    EOFError,
    ValueError,
    zlib.error,
    csv.Error,
    zipfile.BadZipFile,
    RecursionError,
    pl.exceptions.PolarsError,
    pl.exceptions.PanicException,
)


def _read(path: Path, lower: str) -> Cells:
    if lower.endswith(TEXT):
        return parse_text(_bounds.read_text(path), path)
    if lower.endswith(".json"):
        _bounds.check_json(path)
        return Cells(_stripped(_from_json(path)))
    if lower.endswith(".xlsx"):
        _bounds.check_excel(path)
        return Cells(_without_empty_rows(_stripped(_from_excel(path))))
    _bounds.check_parquet(path)
    return Cells(pl.read_parquet(path), typed=True)


def _from_json(path: Path) -> pl.DataFrame:
    rows = json.loads(path.read_text(encoding="utf-8-sig"))
    if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
        raise UsageError(f"{path}: is not a table. Give a list of objects, one per row.")
    names = {name: None for row in rows for name in row}
    _bounds.check_cells(path, len(rows), len(names))
    return pl.DataFrame({name: _mixed([row.get(name) for row in rows]) for name in names})


def _mixed(values: list[object]) -> pl.Series:
    """A column of JSON; numbers beside text (``"inf"``, which JSON cannot hold as a number) become text first."""
    if any(isinstance(value, str) for value in values):
        return pl.Series([value if value is None else str(value) for value in values], dtype=pl.String)
    return pl.Series(values, strict=False)


def _from_excel(path: Path) -> pl.DataFrame:
    import fastexcel

    try:
        # All as text: the rule for numbers is then the same as for a CSV, and a missing cell makes no float of a whole.
        cells = pl.read_excel(path, engine="calamine", has_header=False, infer_schema_length=0)
    except fastexcel.FastExcelError as error:
        raise ValueError(str(error)) from error
    used = cells.select(name for name in cells.columns if cells[name].null_count() < cells.height)
    header = _header([name or "" for name in used.row(0)], path)
    return used[1:].rename(dict(zip(used.columns, header, strict=True)))


def parse_text(content: bytes, place: object) -> Cells:
    r"""The cells of a text table, without space around them; lines without any value are left out.

    Args:
        content: UTF-8 text, with or without a byte-order mark.
        place: where it comes from, for messages.

    Raises:
        UsageError: it is empty, a line has more or fewer values than the header, or two columns have one name.
        UnicodeDecodeError: it is not UTF-8.

    Example:
        >>> parse_text(b"model,epoch\nunit,1\n", "here").table.rows()
        [('unit', '1')]
    """
    text = content.decode("utf-8-sig").replace("\r\n", "\n").replace("\r", "\n")
    first = text.partition("\n")[0]
    separator = max(",;\t", key=first.count)  # the comma if there is none
    # Without quotes a line is a row, and polars can take them apart; with them Python's reader knows where a row ends.
    split = _with_quotes if '"' in text else _without_quotes
    rows, lines = split(text, separator, place)
    table = _without_empty_rows(_stripped(rows).with_columns(lines.alias(_LINE)), but=_LINE)
    return Cells(table.drop(_LINE), table[_LINE].to_list(), separator=separator)


def _without_quotes(text: str, separator: str, place: object) -> tuple[pl.DataFrame, pl.Series]:
    lines = pl.DataFrame({"text": text.split("\n")}).with_row_index("line", 1)
    lines = lines.filter(pl.col("text").str.strip_chars() != "")
    if lines.is_empty():
        raise UsageError(f"{place}: has no rows and no header. Its first line names the columns.")
    columns = _header(lines["text"][0].split(separator), place)
    lines = lines[1:]
    counts = lines["text"].str.count_matches(separator, literal=True) + 1
    _check_widths(counts, lines["line"], len(columns), place)
    fields = lines["text"].str.split_exact(separator, len(columns) - 1).struct.rename_fields(columns)
    return fields.struct.unnest(), lines["line"]


def _with_quotes(text: str, separator: str, place: object) -> tuple[pl.DataFrame, pl.Series]:
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=separator, strict=True)
    rows = [(reader.line_num, row) for row in reader if any(row)]
    columns = _header(rows[0][1], place) if rows else []
    lines = pl.Series([line for line, _ in rows[1:]], dtype=pl.Int64)
    _check_widths(pl.Series([len(row) for _, row in rows[1:]], dtype=pl.Int64), lines, len(columns), place)
    values = zip(*(row for _, row in rows[1:]), strict=True) if len(rows) > 1 else [()] * len(columns)
    return pl.DataFrame(
        dict(zip(columns, values, strict=True)), schema=dict.fromkeys(columns, pl.String)
    ), lines


def _header(cells: Sequence[str], place: object) -> list[str]:
    columns = [cell.strip() for cell in cells]
    twice = next((name for name in columns if columns.count(name) > 1), None)
    if twice is not None:
        raise UsageError(f"{place}: has the column {twice!r} twice. Rename one.")
    return columns


def _check_widths(widths: pl.Series, lines: pl.Series, expected: int, place: object) -> None:
    wrong = widths != expected
    if wrong.any():
        line, width = lines.filter(wrong)[0], widths.filter(wrong)[0]
        raise UsageError(f"{place}: line {line} has {width} values, expected {expected} as in the header.")


def _stripped(table: pl.DataFrame) -> pl.DataFrame:
    text = pl.col(pl.String).str.strip_chars()
    return table.with_columns(pl.when(text != "").then(text))


def _without_empty_rows(table: pl.DataFrame, but: str = "") -> pl.DataFrame:
    return table.filter(pl.any_horizontal(pl.exclude(but).is_not_null())) if table.width else table


def as_frame(value: object, what: str) -> pl.DataFrame | str | Path:
    """A table from Python, or the name of its file: polars and pandas frames are taken.

    Args:
        value: the frame, or a path.
        what: what it is, for the message.

    Raises:
        UsageError: it is something else.

    Example:
        >>> as_frame(pl.DataFrame({"psnr": [20.0]}).lazy(), "scores").height
        1
    """
    if isinstance(value, pl.DataFrame | str | Path):
        return value
    if isinstance(value, pl.LazyFrame):
        return value.collect()
    if type(value).__module__.partition(".")[0] == "pandas" and hasattr(value, "columns"):
        # By columns: from_pandas would need pyarrow for text.
        columns = {str(name): _from_pandas(value[name]) for name in value.columns}  # type: ignore[index]
        return pl.DataFrame(columns)
    raise UsageError(
        f"{what}: got {type(value).__name__}. Give a polars or pandas DataFrame, or the path of a table."
    )


def _from_pandas(column: Any) -> pl.Series:
    if getattr(column.dtype, "kind", "O") in "biufmM":
        return pl.Series(column.to_numpy())
    return _mixed([None if missing else value for value, missing in zip(column, column.isna(), strict=True)])


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


def with_identity(table: pl.DataFrame, columns: Sequence[str], name: str, place: object) -> pl.DataFrame:
    """The table with one text column that identifies its rows; rows without one are left out.

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
    parts = [as_text(column_of(table, column, place, "--id")) for column in columns]
    identity = pl.select(pl.concat_str(parts, separator="/").alias(name)).to_series()
    return names_as_text(table.with_columns(identity)).drop_nulls(name)


def some(names: Sequence[str], most: int = 3) -> str:
    """A few of many names, and how many there are.

    Example:
        >>> some(["a", "b", "c", "d", "e"])
        'a, b, c and 2 more'
    """
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(names[:most]) + more
