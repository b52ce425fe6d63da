"""NIfTI-1 and NIfTI-2, plain or gzipped.

nibabel interprets the header; the bytes are read here, so that a header or a stream that lies about its size is
found out before memory fills, and a stream's checksum is compared.
"""

from __future__ import annotations

import gzip
import math
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import IO, Any

import numpy as np

from iqa_registry.errors import ImageError
from iqa_registry.images._guard import (
    DEFLATE_RATIO,
    check_size,
    human,
    read_bounded,
    reading,
    to_float32,
    too_large,
)
from iqa_registry.images._orientation import canonical, canonical_shape, corner_distance
from iqa_registry.images.image import Array, Image, ImageInfo
from iqa_registry.images.notes import Note

DISAGREEMENT = 0.05
"""Fraction of the smallest voxel side by which qform and sform may differ through rounding."""
_GZIP_MAGIC = b"\x1f\x8b"
_HEADER_BYTES = 540
_LARGEST_OFFSET = 64 << 20  # extensions hold some megabytes at most
_LARGEST_TRAILER = 1 << 20


@dataclass(frozen=True, slots=True)
class Layout:
    """Where a file keeps its voxels, and what they are."""

    shape: tuple[int, int, int]
    dtype: np.dtype[Any]
    offset: int
    slope: float | None
    intercept: float | None
    affine: Array
    notes: tuple[Note, ...] = ()

    @property
    def nbytes(self) -> int:
        """Bytes of the voxels as stored."""
        return math.prod(self.shape) * self.dtype.itemsize


def probe_nifti(path: Path) -> ImageInfo:
    """What the header of a NIfTI file says."""
    name = str(path)
    with reading(name, "NIfTI"), open_stream(path) as (stream, _):
        layout = _layout(stream.read(_HEADER_BYTES), name)
        shape = canonical_shape(layout.shape, layout.affine, name)
    return ImageInfo(shape, True, name, check_size(name, shape))


def read_nifti(path: Path) -> Image:
    """Read a NIfTI file as a RAS+ volume, scaled by its ``scl_slope`` and ``scl_inter``.

    Raises:
        ImageError: damaged, too large, more than one volume, or voxels that are no plain numbers.
    """
    from nibabel.volumeutils import apply_read_scaling

    name = str(path)
    with reading(name, "NIfTI"), open_stream(path) as (stream, packed):
        layout = _layout(stream.read(_HEADER_BYTES), name)
        check_plausible(path, layout, packed, name)
        data = read_voxels(stream, layout, name)
        values = np.frombuffer(data, layout.dtype).reshape(layout.shape, order="F")
        if layout.slope is not None or layout.intercept is not None:
            with np.errstate(over="ignore", invalid="ignore"):
                # Slice by slice: what is scaled is double precision for a while.
                scaled = np.empty(layout.shape, np.float32, order="F")
                for index in range(layout.shape[2]):
                    scaled[..., index] = apply_read_scaling(
                        values[..., index], layout.slope, layout.intercept
                    )
                values = scaled
        return replace(canonical(to_float32(values, name), layout.affine, name), notes=layout.notes)


@contextmanager
def open_stream(path: Path) -> Iterator[tuple[IO[bytes], bool]]:
    """The uncompressed bytes, and whether they are compressed in the file; the suffix is not trusted."""
    with path.open("rb") as raw:
        packed = raw.read(2) == _GZIP_MAGIC
        raw.seek(0)
        if packed:
            with gzip.GzipFile(fileobj=raw) as stream:
                yield stream, True  # type: ignore[misc]
        else:
            yield raw, False


def _layout(head: bytes, name: str) -> Layout:
    header = _header(head, name)
    dims = [int(value) for value in header["dim"]]
    if not 2 <= dims[0] <= 7 or min(dims[1 : dims[0] + 1]) < 1:
        raise ImageError(f"{name}: the NIfTI header declares dimensions {dims}; the file is damaged.")
    shape = tuple(int(side) for side in header.get_data_shape())
    while len(shape) > 3 and shape[-1] == 1:
        shape = shape[:-1]
    if len(shape) > 3:
        raise ImageError(
            f"{name}: holds {' x '.join(map(str, shape))} values, expected one volume; "
            "save the volume that is meant as a file of its own."
        )
    dtype = _plain_type(header, name)
    check_size(name, shape, dtype.itemsize)
    offset = float(header["vox_offset"])
    if not header.sizeof_hdr <= offset <= _LARGEST_OFFSET:
        raise ImageError(
            f"{name}: the NIfTI header puts the voxels at byte {offset:.0f}; the file is damaged."
        )
    slope, intercept = header.get_slope_inter()
    return Layout(
        shape=(shape[0], shape[1], shape[2] if len(shape) == 3 else 1),
        dtype=dtype,
        offset=int(offset),
        slope=slope,
        intercept=intercept,
        affine=np.asarray(header.get_best_affine()),
        notes=_disagreement(header, shape, name),
    )


def _disagreement(header: Any, shape: tuple[int, ...], name: str) -> tuple[Note, ...]:
    """A note where the header has two places for the voxels, which programs choose from differently."""
    from nibabel.spatialimages import HeaderDataError

    try:
        qform, sform = header.get_qform(coded=True)[0], header.get_sform(coded=True)[0]
    except (HeaderDataError, ValueError):
        return ()
    if qform is None or sform is None or not (np.isfinite(qform).all() and np.isfinite(sform).all()):
        return ()
    distance = corner_distance(qform, sform, (*shape, 1)[:3])
    if distance <= DISAGREEMENT * max(np.linalg.norm(sform[:3, :3], axis=0).min(), 1e-6):
        return ()
    said = (
        f"qform and sform of {name} are up to {distance:.3g} mm apart. The sform is used here, while programs built on "
        "ITK may take the qform; make both equal."
    )
    return (Note("header", said),)


def _header(head: bytes, name: str) -> Any:
    """The header as nibabel knows it, whatever its version and byte order."""
    import nibabel

    for kind, size, magic_at, magic in (
        (nibabel.Nifti1Header, 348, 344, b"n+1"),
        (nibabel.Nifti2Header, 540, 4, b"n+2"),
    ):
        for order in "<>":
            if head[:4] == struct.pack(f"{order}i", size) and head[magic_at : magic_at + 3] == magic:
                return kind(head[:size], endianness=order, check=False)
    raise ImageError(
        f"{name}: is not a NIfTI file whatever its name, or is cut off in its header "
        "(of a pair .hdr and .img, save one .nii); copy or export it again."
    )


def _plain_type(header: Any, name: str) -> np.dtype[Any]:
    dtype = np.dtype(header.get_data_dtype())
    if dtype.kind not in "uif":
        raise ImageError(
            f"{name}: voxels are of type {header.get_data_dtype()}, expected integers or floats; "
            "of complex data take the magnitude first, of color one channel."
        )
    return dtype


def check_plausible(path: Path, layout: Layout, packed: bool, name: str) -> None:
    """Reject a file that is too short for what its header declares, without reading it."""
    size, needed = path.stat().st_size, layout.offset + layout.nbytes
    if size * (DEFLATE_RATIO if packed else 1) < needed:
        raise ImageError(
            f"{name}: the header declares {human(needed)}, but the file of {human(size)} cannot hold them; "
            "it is cut off or damaged: copy or export it again."
        )


def read_voxels(stream: IO[bytes], layout: Layout, name: str) -> bytearray:
    """Exactly the bytes of the voxels; whatever follows must be short."""
    stream.seek(layout.offset)
    data = read_bounded(stream, layout.nbytes)
    if len(data) < layout.nbytes:
        raise ImageError(
            f"{name}: holds {len(data)} of {layout.nbytes} bytes of voxels; it is cut off: copy or export it again."
        )
    if len(stream.read(_LARGEST_TRAILER + 1)) > _LARGEST_TRAILER:
        raise too_large(name, f"goes on after the {human(layout.nbytes)} that its header declares")
    return data
