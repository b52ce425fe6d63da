"""FreeSurfer's ``.mgz`` and ``.mgh``: nibabel interprets the header; the bytes are read as those of NIfTI are."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from iqa_registry.errors import ImageError
from iqa_registry.images._guard import check_size, reading, to_float32
from iqa_registry.images._nifti import Layout, check_plausible, open_stream, read_voxels
from iqa_registry.images._orientation import canonical, canonical_shape
from iqa_registry.images.image import Image, ImageInfo

_HEADER_BYTES = 284


def probe_mgh(path: Path) -> ImageInfo:
    """What the header of an MGH file says."""
    name = str(path)
    with reading(name, "MGH"), open_stream(path) as (stream, _):
        layout = _layout(stream.read(_HEADER_BYTES), name)
        shape = canonical_shape(layout.shape, layout.affine, name)
    return ImageInfo(shape, True, name, check_size(name, shape))


def read_mgh(path: Path) -> Image:
    """Read an MGH file as a RAS+ volume.

    Raises:
        ImageError: damaged, too large, or more than one volume.
    """
    name = str(path)
    with reading(name, "MGH"), open_stream(path) as (stream, packed):
        layout = _layout(stream.read(_HEADER_BYTES), name)
        check_plausible(path, layout, packed, name)
        data = read_voxels(stream, layout, name)
        values = np.frombuffer(data, layout.dtype).reshape(layout.shape, order="F")
        return canonical(to_float32(values, name), layout.affine, name)


def _layout(head: bytes, name: str) -> Layout:
    from nibabel.freesurfer.mghformat import MGHHeader

    if len(head) < _HEADER_BYTES:
        raise ImageError(f"{name}: is cut off in its header; copy or export it again.")
    header = MGHHeader(head)
    shape = tuple(int(side) for side in header.get_data_shape())
    while len(shape) > 3 and shape[-1] == 1:
        shape = shape[:-1]
    check_size(name, shape, np.dtype(header.get_data_dtype()).itemsize)
    if len(shape) != 3:
        raise ImageError(
            f"{name}: holds {' x '.join(map(str, shape))} values, expected one volume; "
            "save the volume that is meant as a file of its own."
        )
    return Layout(
        shape=(shape[0], shape[1], shape[2]),
        dtype=np.dtype(header.get_data_dtype()),
        offset=_HEADER_BYTES,
        slope=None,
        intercept=None,
        affine=np.asarray(header.get_affine()),
    )
