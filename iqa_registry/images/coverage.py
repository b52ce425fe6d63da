"""Where there is data: resampling that invents none, and the share of an image that has none."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from iqa_registry.errors import GeometryError
from iqa_registry.images.geometry import IGNORE_REMEDY, lost_header
from iqa_registry.images.image import Array, Image
from iqa_registry.images.notes import Note

MOST_OUTSIDE = 0.5
"""Largest share of the reference that may lie outside the field of view of the synthesized volume."""
_ROUNDING = 1e-4
"""Fraction of a voxel by which a place may leave the field of view through the rounding of affines."""


def resample_covered(moving: Image, reference: Image, order: int = 1) -> Image:
    """Resample a volume onto the grid of another by their affines, and say which voxels lie in its field of view.

    The field of view ends at the outer faces of the outer voxels; between these and their centers the value of the
    outer voxel is taken. ``valid`` of the result is false outside; there ``pixels`` holds 0.

    Args:
        moving: the volume to resample.
        reference: the volume whose grid is wanted.
        order: 1 for images (linear), 0 for labels (nearest).

    Raises:
        GeometryError: one of the two has no affine.

    Example:
        >>> moving = Image(np.ones((2, 3, 3), np.float32), np.eye(4), is_volume=True)
        >>> reference = Image(np.ones((4, 3, 3), np.float32), np.eye(4), is_volume=True)
        >>> resampled = resample_covered(moving, reference)
        >>> resampled.pixels[:, 0, 0].tolist(), outside_share(resampled.valid)
        ([1.0, 1.0, 0.0, 0.0], 0.5)
    """
    from scipy.ndimage import affine_transform

    if moving.affine is None or reference.affine is None:
        nameless = moving if moving.affine is None else reference
        raise GeometryError(f"{nameless.name} has no affine, so nothing can be resampled by it.")
    if moving.spatial == reference.spatial and np.allclose(moving.affine, reference.affine, atol=1e-6):
        return moving
    to_moving = np.linalg.inv(moving.affine) @ reference.affine
    valid = _inside(to_moving, moving.spatial, reference.spatial)

    def resampled(values: Array, degree: int) -> Array:
        found: Array = affine_transform(
            values, to_moving[:3, :3], to_moving[:3, 3], reference.spatial, order=degree, mode="nearest"
        )
        return found

    if moving.valid is not None:  # a voxel that a gap contributes to is a gap
        valid &= resampled((~moving.valid).astype(np.float32), order) == 0
    pixels = np.where(valid, resampled(moving.pixels, order), np.float32(0))
    return replace(
        moving,
        pixels=np.ascontiguousarray(pixels, dtype=moving.pixels.dtype),
        affine=reference.affine,
        orientation=reference.orientation,
        valid=None if valid.all() else valid,
        gaps="outside" if moving.valid is None else moving.gaps,
    )


def _inside(to_moving: Array, sides: tuple[int, ...], shape: tuple[int, ...]) -> Array:
    """Which voxels of a grid of ``shape`` lie in a field of view of ``sides`` voxels, by the map of their indices."""
    inside = np.ones(shape, dtype=bool)
    grid = np.ogrid[tuple(slice(side) for side in shape)]
    for axis, side in enumerate(sides):
        place = sum((to_moving[axis, k] * grid[k] for k in range(3)), start=to_moving[axis, 3])
        inside &= (place >= -0.5 - _ROUNDING) & (place <= side - 0.5 + _ROUNDING)
    return inside


def outside_share(valid: Array | None) -> float:
    """The share of an image that has no data, 0 to 1."""
    return 0.0 if valid is None else 1.0 - float(np.count_nonzero(valid)) / valid.size


def check_coverage(resampled: Image, moving: Image, reference: Image) -> Image:
    """Reject a synthesized volume that hardly reaches its reference; give the others a note if a header may be lost.

    Args:
        resampled: what :func:`resample_covered` made of ``moving``.
        moving: the synthesized volume as it was read.
        reference: its reference.

    Raises:
        GeometryError: more than :data:`MOST_OUTSIDE` of the reference lies outside the field of view.
    """
    share = outside_share(resampled.valid)
    lost = lost_header(moving, reference)
    if share <= MOST_OUTSIDE:
        if lost is None:
            return resampled
        said = f"{lost.name} seems to have lost its header, and was resampled by it; {IGNORE_REMEDY}"
        return replace(resampled, notes=(*resampled.notes, Note("header", said)))
    remedy = f"Check the headers of both; {IGNORE_REMEDY}"
    if lost is not None:
        remedy = f"{lost.name} seems to have lost its header; {IGNORE_REMEDY}"
    raise GeometryError(
        f"{moving.name}: {share:.1%} of {reference.name} lies outside its field of view, "
        f"and at most {MOST_OUTSIDE:.0%} may. {remedy}"
    )


def common_valid(synthesized: Image, reference: Image | None) -> Array | None:
    """Where both images have data, in the layout of either; ``None`` where that is everywhere."""
    found = [
        image.valid for image in (synthesized, reference) if image is not None and image.valid is not None
    ]
    if not found:
        return None
    return found[0] if len(found) == 1 else found[0] & found[1]
