"""Analyze 7.5 (``.hdr`` and ``.img``) and MINC (``.mnc``), which nibabel reads whole; sizes are checked before."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from iqa_registry.errors import ImageError, MissingExtraError
from iqa_registry.files import refuse_special
from iqa_registry.images._guard import check_size, human, reading, to_float32
from iqa_registry.images._orientation import canonical, canonical_shape
from iqa_registry.images.image import Image, ImageInfo
from iqa_registry.images.notes import Note

_HDF5_MAGIC = b"\x89HDF"


def probe_analyze(path: Path) -> ImageInfo:
    """What the header of an Analyze file, or of a NIfTI pair, says."""
    return _probe(path, "Analyze")


def read_analyze(path: Path) -> Image:
    """Read an Analyze file, or a NIfTI pair, as a RAS+ volume; ``path`` is either of the two files.

    Analyze does not say which side is left: the first voxels along x are taken to lie right, as nibabel and SPM do,
    and a note reports it.
    """
    from nibabel.nifti1 import Nifti1Pair

    name = str(path)
    with reading(name, "Analyze"):
        image = _opened(path, name)
        pixels = path.with_suffix(path.suffix.lower().replace("hdr", "img"))
        needed = int(image.dataobj.offset) + int(np.prod(image.shape)) * image.get_data_dtype().itemsize
        if pixels.stat().st_size < needed:
            raise ImageError(
                f"{name}: the header declares {human(needed)}, but {pixels.name} has {human(pixels.stat().st_size)}; "
                "copy or export it again."
            )
        found = _volume(image, name)
    if isinstance(image, Nifti1Pair):
        return found
    said = f"{name} is an Analyze file, which does not say which side is left; its first voxels are taken as right."
    return replace(found, notes=(Note("header", said),))


def probe_minc(path: Path) -> ImageInfo:
    """What the header of a MINC file says."""
    return _probe(path, "MINC")


def read_minc(path: Path) -> Image:
    """Read a MINC file as a RAS+ volume.

    Raises:
        ImageError: damaged, too large, or more than one volume.
        MissingExtraError: version 2 without h5py.
    """
    name = str(path)
    with reading(name, "MINC"):
        return _volume(_opened(path, name), name)


def _probe(path: Path, form: str) -> ImageInfo:
    name = str(path)
    with reading(name, form):
        image = _opened(path, name)
        shape = canonical_shape(_shape(image), image.affine, name)
    return ImageInfo(shape, True, name, check_size(name, shape))


def _opened(path: Path, name: str) -> Any:
    """The image with its header read and its shape within the limit."""
    import nibabel

    for item in (path, *(path.with_suffix(end) for end in (".hdr", ".img") if path.suffix.lower() != ".mnc")):
        refuse_special(item, ImageError)
    with path.open("rb") as stream:
        packed_in_hdf5 = stream.read(4) == _HDF5_MAGIC
    if packed_in_hdf5:
        try:
            import h5py  # noqa: F401
        except ImportError as error:
            raise MissingExtraError(
                f'{name}: reading MINC 2 needs h5py. Run: pip install "iqa-registry[hdf5]"; '
                "or convert it to NIfTI with mnc2nii."
            ) from error
    image: Any = nibabel.load(path)
    check_size(name, image.shape, 8)  # nibabel scales in double precision
    if np.dtype(image.get_data_dtype()).kind not in "uif":
        raise ImageError(f"{name}: voxels are of type {image.get_data_dtype()}, expected integers or floats.")
    if len(_shape(image)) != 3:
        raise ImageError(
            f"{name}: holds {' x '.join(map(str, image.shape))} values, expected one volume; "
            "save the volume that is meant as a file of its own."
        )
    return image


def _shape(image: Any) -> tuple[int, ...]:
    shape = tuple(int(side) for side in image.shape)
    while len(shape) > 3 and shape[-1] == 1:
        shape = shape[:-1]
    return shape if len(shape) != 2 else (*shape, 1)


def _volume(image: Any, name: str) -> Image:
    values = np.asanyarray(image.dataobj).reshape(_shape(image))
    return canonical(to_float32(values, name), np.asarray(image.affine), name)
