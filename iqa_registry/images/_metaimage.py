"""The header fields and the voxels of MetaImage files (``.mha``, ``.mhd``).

SimpleITK interprets the geometry, but its MetaImage library answers a damaged compressed stream with whatever lies
in memory and writes its complaints straight to the process's stderr. So the header is checked before that library
sees it, and the voxels are read here.
"""

from __future__ import annotations

import math
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from iqa_registry.errors import ImageError
from iqa_registry.images._guard import check_size
from iqa_registry.images.image import Array

_LONGEST_HEADER = 1 << 16
_GZIP_OR_ZLIB = 47  # tells zlib to accept either wrapping

_TYPES = {
    "MET_CHAR": "i1",
    "MET_UCHAR": "u1",
    "MET_SHORT": "i2",
    "MET_USHORT": "u2",
    "MET_INT": "i4",
    "MET_UINT": "u4",
    "MET_LONG": "i4",
    "MET_ULONG": "u4",
    "MET_LONG_LONG": "i8",
    "MET_ULONG_LONG": "u8",
    "MET_FLOAT": "f4",
    "MET_DOUBLE": "f8",
}


@dataclass(frozen=True, slots=True)
class Layout:
    """Where the voxels are kept, and what they are.

    Attributes:
        shape: as stored, slowest axis first, the values of a pixel last.
        dtype: with its byte order.
        data: the file that holds them.
        offset: where they start in it, or -1 where they are its last bytes.
        packed: bytes of the compressed stream (0 where that is not said), ``None`` where it is not compressed.
    """

    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    data: Path
    offset: int
    packed: int | None

    @property
    def nbytes(self) -> int:
        """Bytes of the voxels before compression."""
        return math.prod(self.shape) * self.dtype.itemsize


def read_layout(path: Path, name: str) -> Layout:
    """Parse and check the header.

    Raises:
        ImageError: not a MetaImage header, a field that is missing or impossible, or too large an image.
    """
    with path.open("rb") as stream:
        fields, end = _fields(stream.read(_LONGEST_HEADER), name)
    sizes = [int(size) for size in fields["DimSize"].split()]
    if len(sizes) != int(fields["NDims"]) or fields["ElementType"] not in _TYPES:
        raise ImageError(
            f"{name}: the MetaImage header declares {fields['NDims']} dimensions, sizes {fields['DimSize']} and type "
            f"{fields['ElementType']}, which cannot be read; write the file again."
        )
    channels = int(fields.get("ElementNumberOfChannels", "1"))
    check_size(name, (*sizes, channels), np.dtype(_TYPES[fields["ElementType"]]).itemsize)
    big_endian = _true(fields.get("BinaryDataByteOrderMSB") or fields.get("ElementByteOrderMSB"))
    local = fields["ElementDataFile"].upper() == "LOCAL"
    return Layout(
        shape=(*reversed(sizes), channels),
        dtype=np.dtype(_TYPES[fields["ElementType"]]).newbyteorder(">" if big_endian else "<"),
        data=path if local else _data_file(path, fields["ElementDataFile"], name),
        offset=end if local else int(fields.get("HeaderSize", "0")),
        packed=int(fields.get("CompressedDataSize", "0")) if _true(fields.get("CompressedData")) else None,
    )


def _fields(head: bytes, name: str) -> tuple[dict[str, str], int]:
    """The fields up to ``ElementDataFile``, which is the last one, and where the header ends."""
    fields: dict[str, str] = {}
    at = 0
    while "ElementDataFile" not in fields:
        end = head.find(b"\n", at)
        key, equals, value = head[at : len(head) if end < 0 else end].decode("latin-1").partition("=")
        if not equals:
            break
        fields[key.strip()] = value.strip()
        at = len(head) if end < 0 else end + 1
    missing = [key for key in ("NDims", "DimSize", "ElementType", "ElementDataFile") if not fields.get(key)]
    if missing:
        raise ImageError(
            f"{name}: is not a MetaImage file whatever its name, or its header lacks {', '.join(missing)}; "
            "copy or write it again."
        )
    if "BinaryData" in fields and not _true(fields["BinaryData"]):
        raise ImageError(f"{name}: keeps its voxels as text; write it as binary data.")
    return fields, at


def _true(text: str | None) -> bool:
    return text is not None and text[:1].upper() in ("T", "1", "Y")


def _data_file(path: Path, text: str, name: str) -> Path:
    if text.upper().startswith("LIST") or "%" in text:
        raise ImageError(f"{name}: spreads its voxels over several files; write it as one .mha file.")
    return path.parent / text


def read_voxels(layout: Layout, name: str) -> Array:
    """The values of ``layout``, no further than its header says.

    Raises:
        ImageError: the file holds fewer or more than its header declares.
    """
    with layout.data.open("rb") as stream:
        stream.seek(*((-layout.nbytes, 2) if layout.offset < 0 else (layout.offset, 0)))
        if layout.packed is None:
            data, whole = stream.read(layout.nbytes), True
        else:
            length = layout.data.stat().st_size
            data, whole = _inflate(stream.read(min(layout.packed or length, length)), layout.nbytes)
    if len(data) != layout.nbytes or not whole:
        held = "more" if len(data) > layout.nbytes else f"only {len(data)}"
        raise ImageError(
            f"{name}: its header declares {layout.nbytes} bytes of voxels, but it holds {held}; it is cut off or "
            "damaged: copy or write it again."
        )
    return np.frombuffer(data, layout.dtype).reshape(layout.shape)


def _inflate(data: bytes, expected: int) -> tuple[bytes, bool]:
    """At most one byte more than ``expected``, and whether the stream ended with a sound checksum."""
    inflater = zlib.decompressobj(_GZIP_OR_ZLIB)
    inflated = inflater.decompress(data, expected + 1)
    return inflated, inflater.eof
