"""How much a table may take: bytes after unpacking, and cells, are counted before the table is built."""

from __future__ import annotations

import gzip
import re
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import IO

import polars as pl

from iqa_registry.errors import UsageError
from iqa_registry.files import PIECE, byte_limit, inflated
from iqa_registry.tables._parquet_pages import check_pages

VARIABLE = "IQA_MAX_TABLE_BYTES"
DEFAULT_LIMIT = 512 << 20
_CELL_BYTES = 16
_JSON_FACTOR = 8  # an empty object of three characters takes some seventy bytes
_LONGEST_REFERENCE = 32
_REFERENCE = re.compile(rb'r="([A-Z]{1,3})([0-9]{1,7})"')


def table_limit() -> int:
    """The most bytes of a table after unpacking; from the environment variable ``IQA_MAX_TABLE_BYTES``.

    Raises:
        UsageError: it is not a number of bytes.

    Example:
        >>> table_limit() >> 20
        512
    """
    return byte_limit(VARIABLE, DEFAULT_LIMIT, DEFAULT_LIMIT)


def check_bytes(path: object, count: int) -> None:
    """Reject a table of more bytes than :func:`table_limit`."""
    if count > table_limit():
        raise _too_large(path, "it unpacks to")


def check_cells(path: object, rows: int, columns: int) -> None:
    """Reject a table whose cells would take more than :func:`table_limit`."""
    if rows * columns * _CELL_BYTES > table_limit():
        raise _too_large(path, f"its {rows} rows of {columns} columns take")


def read_text(path: Path) -> bytes:
    """The bytes of a text table, unpacked where its name ends in ``.gz``, read no further than the limit.

    Raises:
        UsageError: it is longer than the limit, or has too many cells.
        OSError: it cannot be read, or the packed bytes are damaged.
    """
    limit, content = table_limit(), bytearray()
    opened = gzip.open if path.name.lower().endswith(".gz") else open
    with opened(path, "rb") as stream:
        while piece := stream.read(PIECE):
            content += piece
            check_bytes(path, len(content))
    marks = sum(content.count(mark) for mark in (b"\n", b"\r", max((b",", b";", b"\t"), key=content.count)))
    if marks * _CELL_BYTES > limit:
        raise _too_large(path, f"its {marks} cells take")
    return bytes(content)


def check_json(path: Path) -> None:
    """Reject a JSON file whose objects would take more than the limit."""
    check_bytes(path, _JSON_FACTOR * path.stat().st_size)


def check_parquet(path: Path) -> None:
    """Reject a Parquet file by what its pages declare, and by the rows and columns that its footer declares.

    Raises:
        UsageError: it is too large.
        ValueError: it is damaged.
    """
    try:
        check_pages(path, table_limit())
    except OverflowError:
        raise _too_large(path, "it unpacks to") from None
    lazy = pl.scan_parquet(path)
    columns = len(lazy.collect_schema())
    check_cells(path, int(lazy.select(pl.len()).collect().item()), columns)


def check_excel(path: Path) -> None:
    """Unpack a spreadsheet piece by piece, keeping nothing, to see that it and its farthest cell are within the limit.

    Raises:
        UsageError: they are not.
        ValueError: it is not a sound archive.
    """
    total = 0
    with path.open("rb") as raw, zipfile.ZipFile(raw) as archive:
        for entry in archive.infolist():
            sheet = entry.filename.lower().startswith("xl/worksheets/")
            rows = columns = 0
            tail = b""
            for piece in _unpacked(raw, entry):
                total += len(piece)
                check_bytes(path, total)
                for letters, number in _REFERENCE.findall(tail + piece) if sheet else ():
                    rows, columns = max(rows, int(number)), max(columns, _column(letters))
                tail = piece[-_LONGEST_REFERENCE:]
            check_cells(path, rows, columns)


def _unpacked(raw: IO[bytes], entry: zipfile.ZipInfo) -> Iterator[bytes]:
    """What an entry really holds: its declared size may lie, and other readers do not compare it."""
    raw.seek(entry.header_offset)
    head = raw.read(30)
    if len(head) < 30 or entry.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        raise ValueError(
            "an entry of the archive is damaged, or packed in a way that spreadsheets do not use"
        )
    raw.seek(int.from_bytes(head[26:28], "little") + int.from_bytes(head[28:30], "little"), 1)
    data = raw.read(entry.compress_size)
    if entry.compress_type == zipfile.ZIP_STORED:
        yield data
        return
    yield from inflated([data], -zlib.MAX_WBITS)


def _column(letters: bytes) -> int:
    number = 0
    for letter in letters:
        number = 26 * number + letter - 64
    return number


def _too_large(path: object, what: str) -> UsageError:
    return UsageError(
        f"{path}: {what} more than the limit of {table_limit() >> 20} MiB for tables; "
        f"if the table is sound, set {VARIABLE} to a larger number of bytes."
    )
