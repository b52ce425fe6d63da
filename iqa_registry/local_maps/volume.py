"""Maps of a volume's slices as one NIfTI volume on the reference's grid."""

from __future__ import annotations

import gzip
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from iqa_registry.images.formats import Array, Source, read_image, suffix, unsection
from iqa_registry.local_maps.local_map import LocalMap

NIFTI = (".nii", ".nii.gz")


@dataclass(frozen=True, slots=True, eq=False)
class Grid:
    """The grid of a reference volume.

    Attributes:
        shape: ``(X, Y, Z)`` in RAS+.
        affine: 4x4, of the volume in RAS+.
        stored: 4x4, of the volume as its file keeps it; the same where the file is no NIfTI file.
        code: what the coordinates refer to, as NIfTI numbers it (1 scanner, 2 aligned, 4 MNI).
    """

    shape: tuple[int, ...]
    affine: Array
    stored: Array
    code: int = 1

    def spacing(self, axis: int) -> tuple[float, float]:
        """Millimeters between the rows and between the columns of a slice across ``axis``."""
        lengths = np.linalg.norm(self.affine[:3, :3], axis=0)
        first, second = (float(lengths[other]) for other in range(3) if other != axis)
        return second, first


def reference_grid(source: Source) -> Grid:
    """The grid of a volume; one without a position is put at the origin with voxels of 1 mm.

    Example:
        >>> reference_grid(np.zeros((4, 5, 6), np.float32)).spacing(2)
        (1.0, 1.0)
    """
    image = read_image(source)
    affine = np.eye(4) if image.affine is None else image.affine
    if not isinstance(source, str | Path) or suffix(source) not in NIFTI:
        return Grid(image.spatial, affine, affine)
    import nibabel

    header: Any = nibabel.load(source)
    code = max(int(header.header["sform_code"]), int(header.header["qform_code"]))
    return Grid(image.spatial, affine, np.asarray(header.affine), code or 1)


def empty_volume(grid: Grid) -> Array:
    """NaN everywhere: the value of slices that were not mapped, since 0 is a value of every map."""
    return np.full(grid.shape, np.nan, np.float32)


def place(volume: Array, found: LocalMap) -> None:
    """Put a slice's map where it belongs."""
    if found.axis is None or found.slice is None:
        raise ValueError(f"{found.pair_id} is no slice.")
    index: list[slice | int] = [slice(None)] * 3
    index[found.axis] = found.slice
    volume[tuple(index)] = unsection(found.values, found.axis)


def to_nifti(volume: Array, grid: Grid, description: str) -> bytes:
    """A gzipped NIfTI file in the orientation of the reference's own file.

    Args:
        volume: ``(X, Y, Z)`` in RAS+.
        grid: of the reference.
        description: goes into the header, at most 79 characters.
    """
    import nibabel
    from nibabel.orientations import apply_orientation, io_orientation, ornt_transform

    turn = ornt_transform(io_orientation(grid.affine), io_orientation(grid.stored))
    image = nibabel.Nifti1Image(apply_orientation(volume, turn), grid.stored)
    image.set_sform(grid.stored, grid.code)
    image.set_qform(grid.stored, grid.code)
    image.header.set_xyzt_units("mm")
    image.header["descrip"] = description.encode()[:79]
    return gzip.compress(image.to_bytes(), mtime=0)
