"""What the pages of a Parquet file promise, read before polars makes room for it: on a wild number it ends the process.

The headers are in Thrift's compact protocol (https://parquet.apache.org/docs/file-format/); only the few numbers that
decide how much memory is asked for are looked at.
"""

from __future__ import annotations

import io
from pathlib import Path
from typing import IO, Any

_MAGIC = b"PAR1"
_DEPTH = 32
_LONGEST_HEADER = 1 << 20
_BOOLEANS = (1, 2)
_FIXED = {3: 1, 7: 8, 13: 16}
_DICTIONARY, _DATA, _DATA_2 = 7, 5, 8


def check_pages(path: Path, limit: int) -> None:
    """Compare the sizes and counts of all pages with the file and with each other.

    Args:
        path: a Parquet file.
        limit: the most bytes that its pages may hold after unpacking.

    Raises:
        ValueError: a number that cannot be; the message says which.
        OverflowError: they hold more than ``limit``.
    """
    size, total = path.stat().st_size, 0
    with path.open("rb") as file:
        for chunk in _chunks(file, size):
            total += _check_chunk(file, chunk, size)
            if total > limit:
                raise OverflowError


def _chunks(file: IO[bytes], size: int) -> list[dict[int, Any]]:
    """The metadata of each column of each group of rows."""
    if size < 12:
        raise ValueError("it is too short")
    file.seek(size - 8)
    tail = file.read(8)
    length = int.from_bytes(tail[:4], "little")
    if tail[4:] != _MAGIC or length > size - 8:
        raise ValueError("it does not end like a Parquet file")
    file.seek(size - 8 - length)
    footer = _Reader(io.BytesIO(file.read(length))).struct()
    found = [column.get(3) for group in _structs(footer, 4) for column in _structs(group, 1)]
    return [chunk for chunk in found if isinstance(chunk, dict)]


def _structs(parent: dict[int, Any], field: int) -> list[dict[int, Any]]:
    value = parent.get(field, [])
    if not isinstance(value, list) or not all(isinstance(item, dict) for item in value):
        raise ValueError("its footer is damaged")
    return value


def _check_chunk(file: IO[bytes], chunk: dict[int, Any], size: int) -> int:
    """The bytes of a column's pages after unpacking."""
    values, packed = _number(chunk, 5), _number(chunk, 7)
    starts = [_number(chunk, field) for field in (9, 11) if field in chunk]
    # Some writers set the place of the dictionary to 0 where there is none.
    at = min((start for start in starts if start), default=0)
    end, unpacked = at + packed, 0
    if end > size:
        raise ValueError("a column reaches beyond the file")
    while at < end and values:
        file.seek(at)
        stream = io.BytesIO(file.read(min(_LONGEST_HEADER, end - at)))
        header = _Reader(stream).struct()
        whole, held = _number(header, 2), _number(header, 3)
        at += stream.tell() + held
        if at > end:
            raise ValueError("a page reaches beyond its column")
        unpacked += whole
        _check_counts(header, values, whole)
    return unpacked


def _check_counts(header: dict[int, Any], values: int, whole: int) -> None:
    for kind in (_DICTIONARY, _DATA, _DATA_2):
        inner = header.get(kind)
        if isinstance(inner, dict):
            most = whole if kind == _DICTIONARY else values
            counts = [
                _number(inner, 1),
                *(_number(inner, field) for field in (2, 3, 5, 6) if kind == _DATA_2),
            ]
            if max(counts[:3]) > most or max(counts[3:], default=0) > whole:
                raise ValueError("a page declares more values than it can hold")


def _number(struct: dict[int, Any], field: int) -> int:
    value = struct.get(field)
    if not isinstance(value, int) or value < 0:
        raise ValueError("a count or size in it is damaged")
    return value


class _Reader:
    """Thrift's compact protocol: structs as dictionaries by the number of the field."""

    def __init__(self, stream: IO[bytes]) -> None:
        self.stream = stream

    def struct(self, depth: int = 0) -> dict[int, Any]:
        """Read a struct up to its end."""
        found: dict[int, Any] = {}
        field = 0
        while head := self._take(1)[0]:
            kind, step = head & 15, head >> 4
            field = field + step if step else self._signed()
            found[field] = kind == 1 if kind in _BOOLEANS else self._value(kind, depth)
        return found

    def _value(self, kind: int, depth: int) -> Any:
        if depth > _DEPTH:
            raise ValueError("its headers are nested too deeply")
        if kind in _FIXED:
            return self._take(_FIXED[kind])
        if kind in (4, 5, 6):
            return self._signed()
        if kind == 8:
            return self._take(self._unsigned())
        if kind in (9, 10):
            head = self._take(1)[0]
            count = head >> 4 if head >> 4 < 15 else self._unsigned()
            return [self._item(head & 15, depth) for _ in range(count)]
        if kind == 11:
            count = self._unsigned()
            kinds = self._take(1)[0] if count else 0
            return [(self._item(kinds >> 4, depth), self._item(kinds & 15, depth)) for _ in range(count)]
        if kind == 12:
            return self.struct(depth + 1)
        raise ValueError("its headers are damaged")

    def _item(self, kind: int, depth: int) -> Any:
        return self._take(1) == b"\1" if kind in _BOOLEANS else self._value(kind, depth + 1)

    def _take(self, count: int) -> bytes:
        data = self.stream.read(count)
        if len(data) != count:
            raise ValueError("its headers are cut off")
        return data

    def _unsigned(self) -> int:
        value = 0
        for shift in range(0, 70, 7):
            byte = self._take(1)[0]
            value |= (byte & 127) << shift
            if byte < 128:
                return value
        raise ValueError("its headers are damaged")

    def _signed(self) -> int:
        value = self._unsigned()
        return (value >> 1) ^ -(value & 1)
