"""Arrays and tensors, and the files that hold them: ``.npy`` and ``.npz``. Nothing is unpickled."""

from __future__ import annotations

import io
import math
import struct
import zipfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import replace
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

import numpy as np
from numpy.lib import format as npy

from iqa_registry.errors import ImageError, nearest
from iqa_registry.images._guard import (
    DEFLATE_RATIO,
    check_promise,
    check_size,
    full_scale_of,
    picture,
    read_bounded,
    reading,
    to_float32,
)
from iqa_registry.images.image import Array, Image, ImageInfo
from iqa_registry.images.notes import Note

if TYPE_CHECKING:
    from torch import Tensor

_LONGEST_HEADER = 1 << 16


_STORED: ContextVar[bool] = ContextVar("stored", default=False)


@contextmanager
def as_stored() -> Iterator[None]:
    """Within it, whatever reads an array gives it as it is, with its type, its axes not interpreted."""
    token = _STORED.set(True)
    try:
        yield
    finally:
        _STORED.reset(token)


def to_array(values: Array | Tensor) -> Array:
    """A tensor's values as an array, whatever device and float type it has; arrays as they are."""
    if isinstance(values, np.ndarray):
        return values
    values = values.detach().cpu().resolve_conj().resolve_neg()
    wide = values.is_floating_point() and values.itemsize < 4
    found: Array = np.asarray((values.float() if wide else values).numpy())
    return found


def as_picture(values: Array | Tensor, name: str = "array") -> Image:
    """Take ``values`` for a 2-D image, ``(H, W)`` or ``(C, H, W)`` with C = 1 or 3.

    Raises:
        ImageError: another shape.

    Example:
        >>> as_picture(np.array([[0, 255]], dtype=np.uint8)).full_scale
        255.0
    """
    array = to_array(values)
    if array.ndim == 3:
        array = np.moveaxis(array, 0, 2)
    _check_empty(array, name)
    return picture(array, name, full_scale_of(array.dtype))


def as_volume(values: Array | Tensor, affine: Array | None = None, name: str = "array") -> Image:
    """Take ``values`` for a volume ``(X, Y, Z)``, also where its first side is 1 or 3.

    Args:
        values: the voxels; in RAS+ where there is no affine.
        affine: 4x4, voxel index to millimeters in RAS+; the volume is reoriented by it.
        name: for messages.

    Raises:
        ImageError: another shape, or a singular affine.

    Example:
        >>> as_volume(np.zeros((3, 4, 5))).stack().shape
        (1, 5, 4, 3)
    """
    from iqa_registry.images._orientation import canonical

    array = to_array(values)
    if array.ndim != 3:
        raise ImageError(f"{name}: expected a volume (X, Y, Z), got shape {array.shape}.")
    _check_empty(array, name)
    voxels = to_float32(array, name)
    if affine is None:
        return Image(voxels, None, None, name, is_volume=True)
    return canonical(voxels, np.asarray(affine, dtype=float), name)


def from_values(values: Array | Tensor, name: str = "array") -> Image:
    """Read an array or tensor; see :func:`iqa_registry.images.formats.read_image` for how its shape is taken."""
    array = to_array(values)
    if _STORED.get():
        return Image(array, name=name)
    layout = _layout(array.shape, array.dtype, name)
    notes = _reading(array.shape, layout, name)
    if layout == "volume":
        return replace(as_volume(array, name=name), notes=notes)
    found = as_picture(np.moveaxis(array, 2, 0) if layout == "channels last" else array, name)
    return replace(found, notes=notes)


def probe_values(values: Array | Tensor, name: str = "array") -> ImageInfo:
    """What :func:`from_values` will give."""
    array = to_array(values)
    return info_of(array.shape, array.dtype, name)


def _layout(shape: tuple[int, ...], dtype: np.dtype[Any], name: str) -> str:
    """How an array's axes are meant: ``picture``, ``channels last`` or ``volume``."""
    if len(shape) == 2 or (len(shape) == 3 and shape[0] in (1, 3)):
        return "picture"
    if len(shape) == 3:
        colour = dtype == np.uint8 and shape[2] in (3, 4)
        return "channels last" if colour or shape[2] == 1 else "volume"
    raise ImageError(
        f"{name}: expected (H, W), (C, H, W) or (X, Y, Z), got shape {shape}; give the images of a batch one by one, "
        "or name its axes with the option layout, such as NCHW."
    )


def _reading(shape: tuple[int, ...], how: str, name: str) -> tuple[Note, ...]:
    """The note where the shape leaves open what the axes are."""
    if len(shape) != 3 or 1 in (shape[0], shape[2]) or how == "channels last":
        return ()
    taken = "one volume (X, Y, Z)" if how == "volume" else "one image of 3 channels (C, H, W)"
    said = (
        f"{name}, an array of shape {shape}, is read as {taken}. Say what its axes are with the option layout: XYZ or "
        "ZYX, NHW for a stack of 2-D images, CHW or HWC."
    )
    return (Note("layout", said),)


def info_of(shape: tuple[int, ...], dtype: np.dtype[Any], name: str) -> ImageInfo:
    """What :func:`from_values` gives for an array of this shape and type."""
    if _STORED.get():
        return ImageInfo(shape, False, name, 4 * math.prod(shape))
    layout = _layout(shape, dtype, name)
    if layout == "volume":
        return ImageInfo(shape, True, name, 4 * math.prod(shape))
    if layout == "channels last":
        shape = (3 if shape[2] == 4 else shape[2], *shape[:2])
    return ImageInfo(shape if len(shape) == 3 else (1, *shape), False, name, 4 * math.prod(shape))


def _check_empty(array: Array, name: str) -> None:
    if array.size == 0:
        raise ImageError(f"{name}: the array of shape {array.shape} is empty.")


def probe_npy(path: Path) -> ImageInfo:
    """What the header of a ``.npy`` file says."""
    name = str(path)
    with reading(name, "npy"), path.open("rb") as stream:
        shape, _, dtype = _header(stream, name, path.stat().st_size)
    return info_of(shape, dtype, name)


def read_npy(path: Path) -> Image:
    """Read a ``.npy`` file."""
    name = str(path)
    with reading(name, "npy"), path.open("rb") as stream:
        return from_values(_values(stream, path.stat().st_size, name), name)


def probe_npz(path: Path, member: str | None = None) -> ImageInfo:
    """What the header of an array in a ``.npz`` file says."""
    name = str(path)
    with reading(name, "npz"), zipfile.ZipFile(path) as archive:
        entry = _entry(archive, name, member)
        with archive.open(entry) as stream:
            shape, _, dtype = _header(stream, name, entry.file_size)
    return info_of(shape, dtype, name)


def read_npz(path: Path, member: str | None = None) -> Image:
    """Read the array ``member`` of a ``.npz`` file, or the only one."""
    name = str(path)
    with reading(name, "npz"), zipfile.ZipFile(path) as archive:
        entry = _entry(archive, name, member)
        with archive.open(entry) as stream:
            shown = name if member is None else f"{name}:{member}"
            return from_values(_values(stream, entry.file_size, shown), shown)


def _entry(archive: zipfile.ZipFile, name: str, member: str | None) -> zipfile.ZipInfo:
    entries = {entry.filename.removesuffix(".npy"): entry for entry in archive.infolist()}
    entry = entries[choose_array(name, member, list(entries), list(entries))]
    if entry.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        raise ImageError(f"{name}: compressed in a way that numpy does not write; save it with numpy.savez.")
    check_promise(name, entry.file_size, DEFLATE_RATIO * entry.compress_size)
    return entry


def choose_array(name: str, member: str | None, known: Sequence[str], images: Sequence[str]) -> str:
    """The array of a file that is meant: ``member``, or the only one that may be an image.

    Raises:
        ImageError: no such array, or several to choose from.

    Example:
        >>> choose_array("both.npz", "fake", ["fake", "real"], ["fake", "real"])
        'fake'
    """
    shown = ", ".join(sorted(known)[:5]) or "none"
    if member is not None:
        if member not in known:
            raise ImageError(f"{name}: has no array {member!r} ({shown}).{nearest(member, known)}")
        return member
    if len(images) != 1:
        found = ", ".join(sorted(images)[:5]) or shown
        example = f"{Path(name).name}:{min(images)}" if images else "FILE:NAME"
        raise ImageError(
            f"{name}: expected exactly one array, found {len(images)} ({found}); choose one with {example}."
        )
    return images[0]


def _header(stream: IO[bytes], name: str, held: int) -> tuple[tuple[int, ...], bool, np.dtype[Any]]:
    """Shape, order and type, with everything checked before more than a few bytes are read."""
    version = npy.read_magic(stream)
    width = 2 if version == (1, 0) else 4
    prefix = stream.read(width)
    (length,) = struct.unpack("<H" if width == 2 else "<I", prefix)
    if length > _LONGEST_HEADER:
        raise ImageError(f"{name}: the header claims {length} bytes; the file is damaged.")
    header = io.BytesIO(prefix + stream.read(length))
    parse = npy.read_array_header_1_0 if width == 2 else npy.read_array_header_2_0
    shape, fortran, dtype = parse(header)
    if dtype.hasobject or dtype.kind not in "buif":
        raise ImageError(f"{name}: holds {dtype}, expected integers or floats; objects are never unpickled.")
    if math.prod(shape) * dtype.itemsize > held:
        raise ImageError(
            f"{name}: holds fewer than the {math.prod(shape) * dtype.itemsize} bytes that its header declares; "
            "save it again."
        )
    check_size(name, shape, dtype.itemsize)
    return shape, fortran, dtype


def _values(stream: IO[bytes], length: int, name: str) -> Array:
    """The array in a stream of ``length`` bytes."""
    shape, fortran, dtype = _header(stream, name, length)
    needed = math.prod(shape) * dtype.itemsize
    data = read_bounded(stream, needed)
    if len(data) < needed:
        raise ImageError(
            f"{name}: holds fewer than the {needed} bytes that its header declares; save it again."
        )
    return np.frombuffer(data, dtype).reshape(shape, order="F" if fortran else "C")
