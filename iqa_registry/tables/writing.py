"""Writing tables: CSV, Parquet, JSON, Markdown, LaTeX and Excel; a file is whole or not there."""

from __future__ import annotations

import gzip
import io
import json
import math
import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import polars as pl

from iqa_registry.errors import IQAError, UsageError
from iqa_registry.files import write_atomically
from iqa_registry.tables._excel import need_excel
from iqa_registry.tables.schema import INFINITE, OK, SCORE, STATUS

Rows = pl.DataFrame | Sequence[Mapping[str, Any]]
"""A table, or its rows."""


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


def _table(rows: Rows) -> pl.DataFrame:
    if isinstance(rows, pl.DataFrame):
        return rows.with_columns(pl.col(pl.Float32, pl.Float64).fill_nan(None))
    return pl.DataFrame(defined(rows), infer_schema_length=None)


def as_csv(rows: Rows, separator: str = ",") -> str:
    r"""Rows as CSV; a value that is not defined is left empty.

    Example:
        >>> as_csv([{"metric": "fid", "pearson": 0.5}])
        'metric,pearson\nfid,0.5\n'
    """
    # Empty text is written as an empty cell: polars would quote it to tell it from null.
    empty = pl.col(pl.String)
    return _table(rows).with_columns(pl.when(empty != "").then(empty)).write_csv(separator=separator)


def plain(value: Any) -> Any:
    """A value as JSON can hold it: infinities and NaN are null.

    Example:
        >>> plain({"psnr": [math.inf, math.nan, 20.5]})
        {'psnr': [None, None, 20.5]}
    """
    if isinstance(value, float) and not math.isfinite(value):
        return None
    if isinstance(value, Mapping):
        return {str(key): plain(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [plain(inner) for inner in value]
    return value


def as_json(value: Any) -> str:
    r"""A table, rows or anything made of lists and mappings as JSON that every parser reads, see :func:`plain`.

    In a score table an infinite score is null, and its status ``infinite`` (``-infinite``) instead of ``ok``.

    Example:
        >>> as_json({"n": 2})
        '{\n  "n": 2\n}\n'
    """
    content = _marked(value).to_dicts() if isinstance(value, pl.DataFrame) else value
    return json.dumps(plain(content), indent=2, ensure_ascii=False, default=str) + "\n"


def _marked(table: pl.DataFrame) -> pl.DataFrame:
    if not {SCORE, STATUS} <= set(table.columns) or not table.schema[SCORE].is_float():
        return table
    scored = pl.col(STATUS) == OK
    best = pl.when(scored & (pl.col(SCORE) == math.inf)).then(pl.lit(INFINITE))
    status = best.when(scored & (pl.col(SCORE) == -math.inf)).then(pl.lit(f"-{INFINITE}"))
    return table.with_columns(status.otherwise(pl.col(STATUS)).alias(STATUS))


def as_markdown(rows: Rows, digits: int = 4) -> str:
    """Rows as a Markdown table; numbers are rounded and aligned right.

    Example:
        >>> print(as_markdown([{"metric": "psnr", "mean": 20.30219}]), end="")
        | metric | mean |
        | --- | ---: |
        | psnr | 20.3022 |
    """
    table = _table(rows)
    rule = ["---:" if dtype.is_numeric() else "---" for dtype in table.dtypes]
    lines = [table.columns, rule, *([_cell(value, digits) for value in row] for row in table.iter_rows())]
    escaped = [[_one_line(cell).replace("|", r"\|") for cell in line] for line in lines]
    return "".join(f"| {' | '.join(line)} |\n" for line in escaped)


def as_latex(rows: Rows, digits: int = 4) -> str:
    r"""Rows as a LaTeX ``tabular`` with the rules of the package booktabs; numbers are rounded and aligned right.

    Example:
        >>> print(as_latex([{"metric": "ms_ssim", "mean": 0.98765}]), end="")
        \begin{tabular}{lr}
        \toprule
        metric & mean \\
        \midrule
        ms\_ssim & 0.9877 \\
        \bottomrule
        \end{tabular}
    """
    table = _table(rows)
    columns = "".join("r" if dtype.is_numeric() else "l" for dtype in table.dtypes)
    header, *lines = (
        " & ".join(map(_escaped, cells)) + r" \\"
        for cells in (table.columns, *([_cell(value, digits) for value in row] for row in table.iter_rows()))
    )
    head = [rf"\begin{{tabular}}{{{columns}}}", r"\toprule", header, r"\midrule"]
    return "\n".join([*head, *lines, r"\bottomrule", r"\end{tabular}", ""])


def _cell(value: Any, digits: int) -> str:
    if value is None:
        return ""
    if isinstance(value, float) and math.isfinite(value):
        small = value != 0 and abs(value) < 10 ** (1 - digits)
        return f"{value:.3g}" if small else f"{value:.{digits}f}"
    return str(value)


def _one_line(text: str) -> str:
    return " ".join(text.split())


_LATEX = {
    "\\": r"\textbackslash{}", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}", "↑": r"$\uparrow$",
    "↓": r"$\downarrow$", **{sign: f"\\{sign}" for sign in "&%$#_{}"},
}  # fmt: skip


def _escaped(text: str) -> str:
    return re.sub(r"[\\~^&%$#_{}↑↓]", lambda match: _LATEX[match[0]], _one_line(text))


def as_excel(rows: Rows) -> bytes:
    """Rows as an Excel workbook of one sheet; text stays text, and an infinite number is the text ``inf``.

    Raises:
        MissingExtraError: the package that writes it is not installed.
    """
    need_excel("xlsxwriter", "writing .xlsx")
    import xlsxwriter

    table = _table(rows)
    buffer = io.BytesIO()
    with xlsxwriter.Workbook(buffer, {"in_memory": True}) as book:
        sheet = book.add_worksheet()
        sheet.freeze_panes(1, 0)
        for number, line in enumerate([table.columns, *table.iter_rows()]):
            for at, value in enumerate(line):
                if value is None:
                    continue
                number_like = isinstance(value, int | float) and math.isfinite(value)
                # As text where it is text, so that 007 keeps its zeros and nothing becomes a formula.
                write = sheet.write if number_like else sheet.write_string
                write(number, at, value if number_like else str(value))
    return buffer.getvalue()


def as_parquet(rows: Rows, metadata: Mapping[str, str] | None = None) -> bytes:
    """Rows as Parquet, with notes in its metadata."""
    buffer = io.BytesIO()
    _table(rows).write_parquet(buffer, metadata=dict(metadata) if metadata else None)
    return buffer.getvalue()


_WRITERS: dict[str, Callable[[Rows], bytes]] = {
    ".parquet": as_parquet,
    ".csv": lambda rows: as_csv(rows).encode(),
    ".csv.gz": lambda rows: gzip.compress(as_csv(rows).encode(), mtime=0),
    ".tsv": lambda rows: as_csv(rows, "\t").encode(),
    ".json": lambda rows: as_json(_table(rows)).encode(),
    ".md": lambda rows: as_markdown(rows).encode(),
    ".tex": lambda rows: as_latex(rows).encode(),
    ".xlsx": as_excel,
}
SUFFIXES = tuple(_WRITERS)


def check_suffix(path: Path) -> str:
    """The suffix that says how a table is written, before anything is computed.

    Raises:
        UsageError: it is none of :data:`SUFFIXES`.

    Example:
        >>> check_suffix(Path("ratings.CSV.gz"))
        '.csv.gz'
    """
    found = next((suffix for suffix in SUFFIXES if path.name.lower().endswith(suffix)), None)
    if found is None:
        raise UsageError(f"{path}: cannot be written as a table. Choose one of {', '.join(SUFFIXES)}.")
    return found


def write_table(path: Path, rows: Rows) -> Path:
    """Write a table in the form that the suffix of ``path`` says; a file that is there is replaced.

    Raises:
        UsageError: the suffix is none of :data:`SUFFIXES`, or what should be the folder is a file.
        IQAError: the file cannot be written.
        MissingExtraError: it is an Excel file, and the package that writes it is not installed.
    """
    return write_file(path, _WRITERS[check_suffix(path)](rows))


def write_tables(path: Path, tables: Mapping[str, Rows], about: Mapping[str, Any]) -> list[Path]:
    """Write several tables: as JSON into one file, otherwise the first as ``path``, the others next to it.

    Args:
        path: the file; its suffix gives the format.
        tables: name to table; ``NAME`` of any but the first becomes ``PATH-NAME.csv``. Empty ones are left out.
        about: what the JSON file says of them besides.

    Raises:
        UsageError: the suffix is none of :data:`SUFFIXES`, or what should be the folder is a file.
        IQAError: a file cannot be written.
    """
    if path.suffix.lower() == ".json":
        return [write_file(path, as_json({**about, **tables}).encode())]
    first, suffix = next(iter(tables)), check_suffix(path)
    stem = path.name[: -len(suffix)]
    return [
        write_table(path if name == first else path.with_name(f"{stem}-{name}{suffix}"), rows)
        for name, rows in tables.items()
        if len(rows)
    ]


def write_rows(folder: Path, name: str, rows: Rows) -> list[Path]:
    """Write rows as NAME.parquet, NAME.csv and NAME.json into a folder; files of these names are replaced.

    Raises:
        UsageError: what should be the folder is a file.
        IQAError: the folder cannot be written.
    """
    table = _table(rows)
    return [write_table(folder / f"{name}{suffix}", table) for suffix in (".parquet", ".csv", ".json")]


def write_file(path: Path, content: bytes) -> Path:
    """Write a file; its folder is made if it is not there.

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
