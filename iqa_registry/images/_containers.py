"""HDF5 and MATLAB files, which hold several arrays by name: ``file.h5:name`` chooses one. Nothing is unpickled."""

from __future__ import annotations

import math
import struct
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

import numpy as np

from iqa_registry.errors import ImageError, MissingExtraError
from iqa_registry.files import PIECE, inflated
from iqa_registry.images._arrays import choose_array, from_values, info_of
from iqa_registry.images._guard import (
    DEFLATE_RATIO,
    PICTURE_LIMIT,
    check_size,
    reading,
    size_limit,
    too_large,
)
from iqa_registry.images.image import Array, Image, ImageInfo

_HDF5_MAGIC = b"\x89HDF\r\n\x1a\n"
_MATLAB_BLOCK = 512
_MATLAB_HEADER, _MATLAB_COMPRESSED = 128, 15
_MATLAB_MATRIX, _MATLAB_HEAD = 14, 4096
_MATLAB_TYPES, _MATLAB_NUMERIC = (1, 2, 3, 4, 5, 6, 7, 9, 12, 13), range(6, 16)
"""Types of stored numbers, and classes of matrices that hold them."""
_MATLAB_NUMBERS = (
    "double",
    "single",
    "logical",
    *(f"{sign}int{bits}" for sign in ("", "u") for bits in (8, 16, 32, 64)),
)


def probe_hdf5(path: Path, member: str | None = None) -> ImageInfo:
    """What the header of the chosen dataset says."""
    name = _name(path, member)
    with _dataset(path, member, name) as dataset:
        return info_of(_checked(dataset.shape, dataset.dtype, name), dataset.dtype, name)


def read_hdf5(path: Path, member: str | None = None) -> Image:
    """Read a dataset of an HDF5 file; its axes are taken as those of an array.

    Raises:
        ImageError: no such dataset, several to choose from, damaged, too large, or kept in other files.
        MissingExtraError: h5py is not installed.
    """
    name = _name(path, member)
    with _dataset(path, member, name) as dataset:
        _checked(dataset.shape, dataset.dtype, name)
        return from_values(np.asarray(dataset[()]), name)


def probe_matlab(path: Path, member: str | None = None) -> ImageInfo:
    """What the header of the chosen variable says."""
    name = _name(path, member)
    if _is_hdf5(path, name):
        with _dataset(path, member, name) as dataset:
            return info_of(_checked(dataset.shape[::-1], dataset.dtype, name), dataset.dtype, name)
    _, shape, kind = _variable(path, member, name)
    dtype = np.dtype({"double": "f8", "single": "f4", "logical": "u1"}.get(kind, kind))
    return info_of(_checked(shape, dtype, name), dtype, name)


def read_matlab(path: Path, member: str | None = None) -> Image:
    """Read a variable of a MATLAB file; version 7.3 is HDF5 with the axes in reverse order."""
    from scipy.io import loadmat

    name = _name(path, member)
    if _is_hdf5(path, name):
        with _dataset(path, member, name) as dataset:
            _checked(dataset.shape[::-1], dataset.dtype, name)
            return from_values(np.asarray(dataset[()]).T, name)
    variable, shape, kind = _variable(path, member, name)
    _checked(shape, np.dtype("f8"), name)
    with reading(name, "MATLAB"):
        values: Array = loadmat(path, variable_names=[variable], mat_dtype=False)[variable]
        return from_values(values.astype(np.uint8) if kind == "logical" else values, name)


def _name(path: Path, member: str | None) -> str:
    return str(path) if member is None else f"{path}:{member}"


def _checked(shape: Sequence[int], dtype: Any, name: str) -> tuple[int, ...]:
    if np.dtype(dtype).kind not in "buif":
        raise ImageError(f"{name}: holds {dtype}, expected integers or floats.")
    check_size(name, shape, np.dtype(dtype).itemsize)
    return tuple(int(side) for side in shape)


def _is_hdf5(path: Path, name: str) -> bool:
    with reading(name, "MATLAB"), path.open("rb") as stream:
        starts = [stream.read(8), stream.seek(_MATLAB_BLOCK) and stream.read(8)]
    return _HDF5_MAGIC in starts


def _variable(path: Path, member: str | None, name: str) -> tuple[str, tuple[int, ...], str]:
    """Name, shape and class of the variable that is meant, in a MATLAB file up to version 7."""
    from scipy.io import whosmat

    with reading(name, "MATLAB"), path.open("rb") as stream:
        _check_elements(stream, name)
        stream.seek(0)
        found = {
            str(item[0]): item for item in whosmat(stream) if item[2] in _MATLAB_NUMBERS and min(item[1]) > 0
        }
        images = [key for key, item in found.items() if sorted(item[1])[-2] > 1]
        chosen = choose_array(str(path), member, list(found), images)
        _, shape, kind = found[chosen]
        return chosen, tuple(shape), kind


def _check_elements(stream: IO[bytes], name: str) -> None:
    """Reject a file with a compressed element that inflates beyond the limit; its content is discarded.

    The sizes inside an element may lie, and scipy makes room for what they say.
    """
    order = {b"IM": "<", b"MI": ">"}.get(stream.read(_MATLAB_HEADER)[-2:])
    while order and len(tag := stream.read(8)) == 8:
        kind, length = struct.unpack(f"{order}II", tag)
        end = stream.tell() + length
        if kind == _MATLAB_COMPRESSED and length * DEFLATE_RATIO > size_limit(PICTURE_LIMIT):
            total = 0
            for piece in inflated(_pieces(stream, end)):
                total += len(piece)
                if total > size_limit() + PIECE:
                    raise too_large(name, "an element of the file inflates further and further")
        stream.seek(end - length)
        if kind in (_MATLAB_MATRIX, _MATLAB_COMPRESSED):
            head = stream.read(min(length, _MATLAB_HEAD))
            if kind == _MATLAB_COMPRESSED:
                head = zlib.decompressobj().decompress(head, _MATLAB_HEAD)[8:]
            _check_type(head, order)
        stream.seek(end)


def _pieces(stream: IO[bytes], end: int) -> Iterator[bytes]:
    """What a stream holds up to a place, as far as it is there."""
    while stream.tell() < end and (piece := stream.read(min(PIECE, end - stream.tell()))):
        yield piece


def _check_type(head: bytes, order: str) -> None:
    """Reject a matrix of numbers whose numbers are of a type that there is not: scipy would end the process."""
    at = 0
    for part in ("flags", "size", "name", "numbers"):
        if len(head) < at + 12:
            return  # cut off, or a longer name than any: scipy will say so
        kind, length = struct.unpack_from(f"{order}II", head, at)
        small = kind >> 16
        if small:
            kind, length = kind & 0xFFFF, 0
        if kind not in _MATLAB_TYPES:
            raise ValueError(f"its {part} are of the unknown type {kind}")
        if part == "flags" and struct.unpack_from(f"{order}I", head, at + 8)[0] & 255 not in _MATLAB_NUMERIC:
            return
        at += 8 + -(-length // 8) * 8


def _check_blocks(dataset: Any, name: str) -> None:
    """Reject a dataset whose blocks are larger than an image may be, or inflate to more than they should."""
    if dataset.chunks is None:
        return
    check_size(name, dataset.chunks, dataset.dtype.itemsize)
    if dataset.compression != "gzip":
        return
    expected = math.prod(dataset.chunks) * dataset.dtype.itemsize
    for index in range(dataset.id.get_num_chunks()):
        block = dataset.id.get_chunk_info(index)
        if block.size * DEFLATE_RATIO > size_limit(PICTURE_LIMIT) and not block.filter_mask:
            data = dataset.id.read_direct_chunk(block.chunk_offset)[1]
            if (
                len(zlib.decompressobj().decompress(data, expected + 64)) > expected + 32
            ):  # a checksum may follow
                raise too_large(name, f"a block inflates beyond the {expected} bytes that it should hold")


@contextmanager
def _dataset(path: Path, member: str | None, name: str) -> Iterator[Any]:
    try:
        import h5py
    except ImportError as error:
        raise MissingExtraError(
            f'{name}: reading HDF5 needs h5py. Run: pip install "iqa-registry[hdf5]"; or save the array as .npy.'
        ) from error
    with reading(name, "HDF5"), path.open("rb") as raw, h5py.File(raw, "r") as file:
        found: dict[str, Any] = {}

        def visit(key: str, item: Any) -> None:  # hard links alone: others could lead to other files
            if isinstance(item, h5py.Dataset) and item.dtype.kind in "buif":
                found[key] = item

        file.visititems(visit)
        images = [key for key, item in found.items() if item.ndim >= 2 and not key.startswith("#")]
        dataset = found[
            choose_array(str(path), None if member is None else member.strip("/"), list(found), images)
        ]
        if dataset.external or dataset.is_virtual:
            raise ImageError(f"{name}: keeps its values in other files; save them as one file.")
        _check_blocks(dataset, name)
        yield dataset
