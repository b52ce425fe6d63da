"""Canonical orientation: voxel axes permuted and flipped so that they run closest to right, anterior, superior."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

import numpy as np

from iqa_registry.errors import ImageError
from iqa_registry.images.image import Array, Image


def _orientation(affine: Array, name: str) -> Array:
    from nibabel.orientations import io_orientation

    if not np.isfinite(affine).all() or abs(np.linalg.det(affine[:3, :3])) < 1e-12:
        raise ImageError(
            f"{name}: the header's affine is singular, so the voxels have no place in space; repair the header "
            "(spacing and direction) and write the file again."
        )
    return np.asarray(io_orientation(affine))


def canonical(volume: Array, affine: Array, name: str) -> Image:
    """Reorient ``(X, Y, Z)`` and its affine to RAS+, as :func:`nibabel.as_closest_canonical` does.

    Raises:
        ImageError: the affine is singular.
    """
    from nibabel.orientations import apply_orientation, inv_ornt_aff, ornt2axcodes

    orientation = _orientation(affine, name)
    return Image(
        pixels=apply_orientation(volume, orientation),
        affine=affine @ inv_ornt_aff(orientation, volume.shape),
        name=name,
        is_volume=True,
        orientation="".join(ornt2axcodes(orientation)),
    )


def canonical_shape(shape: Sequence[int], affine: Array, name: str) -> tuple[int, ...]:
    """The shape that :func:`canonical` gives a volume of ``shape``."""
    places = _orientation(affine, name)[:, 0].astype(int)
    moved = [0, 0, 0]
    for axis, place in enumerate(places):
        moved[place] = int(shape[axis])
    return tuple(moved)


def corner_distance(first: Array, second: Array, shape: Sequence[int]) -> float:
    """How far two affines put a corner of a grid apart at most, in millimeters.

    Example:
        >>> corner_distance(np.eye(4), np.diag([1.0, 1, 1.5, 1]), (4, 5, 9))
        4.0
    """
    corners = np.array([(*corner, 1.0) for corner in itertools.product(*((0, side - 1) for side in shape))])
    return float(np.linalg.norm((corners @ (first - second).T)[:, :3], axis=1).max())
