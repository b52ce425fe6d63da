"""Masks and label maps: which pixels count."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from iqa_registry.errors import GeometryError, ImageError
from iqa_registry.images.coverage import resample_covered
from iqa_registry.images.geometry import check_affines, check_sizes, on_stored_grid
from iqa_registry.images.image import Array, Image, Source
from iqa_registry.images.notes import Note
from iqa_registry.images.regions import parse_foreground

HALF = 0.5
"""Of a mask of fractions, the least value that is inside."""
SOFT_LEVELS = 16
"""A mask that goes up to the full scale of its type in more steps than this holds fractions, not labels."""
MANY_LABELS = 256
"""Number of labels from which a mask may be an image by mistake."""
WHOLE = 1e-3
"""How far a label may lie from a whole number, through the rounding of a scale factor."""
HU_LIMIT = -500.0
"""Hounsfield units below this are air; an image that has such values is taken for CT."""
NEARLY_ALL = 0.99
"""Share of the image from which a foreground hardly leaves anything out."""


def read_mask(
    source: Source,
    like: Image,
    resample: bool = False,
    geometry: str = "check",
    images: Sequence[Image] = (),
    labels: bool = False,
) -> Array:
    """Read a mask or label map in the layout of an image.

    Args:
        source: a path, an array or a tensor; boolean, integer labels, or fractions.
        like: the image that it belongs to.
        resample: bring a label volume onto the image's grid (nearest neighbor) instead of rejecting another grid; what
            lies outside its field of view is outside.
        geometry: ``ignore`` takes the voxels as they are stored, whatever the headers say.
        images: the images of the pair, which none of its masks can be.
        labels: whether labels are told apart, so that fractions are an error.

    Returns:
        Labels or fractions ``(H, W)`` for a 2-D image, ``(X, Y, Z)`` in RAS+ for a volume; 0 is outside.

    Raises:
        GeometryError: another size or affine.
        ImageError: unreadable, more than one channel, a 2-D image for a volume, labels below zero, values that are
            neither labels nor fractions, or one of ``images``.

    Example:
        >>> image = Image(np.zeros((1, 2, 2), np.float32))
        >>> int(read_mask(np.array([[0, 1], [2, 0]], np.uint8), image).max())
        2
    """
    from iqa_registry.images.formats import as_volume, read_labels

    if like.is_volume and isinstance(source, np.ndarray) and source.ndim == 3:
        source = as_volume(source)  # a mask has the axes of its image
    mask = read_labels(source)
    if mask.is_volume != like.is_volume:
        kinds = {True: "a volume", False: "a 2-D image"}
        raise ImageError(
            f"mask {mask.name} is {kinds[mask.is_volume]}, {like.name} is {kinds[like.is_volume]}; "
            "give a mask of the same kind."
        )
    if not mask.is_volume and mask.pixels.shape[0] != 1:
        raise ImageError(
            f"{mask.name}: a mask has one channel, this one has {mask.pixels.shape[0]} that differ; "
            "save the labels as gray values or with a palette."
        )
    for image in images:
        _check_other(mask, image, isinstance(source, str | Path))
    mask = _settled(mask, labels)
    if resample and mask.is_volume:
        mask = resample_covered(mask, like, order=0)
    if geometry == "ignore" and mask.is_volume:
        mask = on_stored_grid(mask, like)
    check_sizes(mask, like)
    check_affines(mask, like)
    return mask.pixels if mask.is_volume else mask.pixels[0]


def _check_other(mask: Image, image: Image, named: bool) -> None:
    """Reject an image of the pair as its own mask: the same file, or the same values unless these are two at most."""
    same = named and Path(mask.name).resolve() == Path(image.name).resolve()
    if not same and mask.pixels.shape == image.pixels.shape:
        binary = ((mask.pixels == mask.pixels.min()) | (mask.pixels == mask.pixels.max())).all()
        same = not binary and np.array_equal(mask.pixels, image.pixels)
    if same:
        raise ImageError(
            f"mask {mask.name} is the same image as {image.name}. Name the file of the mask; where folders hold "
            'several files, use a template such as --mask "FOLDER/{case}/mask.nii.gz".'
        )


def _settled(mask: Image, labels: bool) -> Image:
    """The mask with labels as whole numbers, if it holds labels, else with fractions up to 1.

    Raises:
        ImageError: labels below zero, or values that are neither; fractions where labels are wanted.
    """
    values = mask.pixels
    least, greatest = float(values.min()), float(values.max())
    rounded = np.rint(values)
    if np.abs(values - rounded).max() <= WHOLE * max(1.0, greatest / 1000):
        if rounded.min() < 0:
            raise ImageError(
                f"mask {mask.name}: has labels below zero (down to {rounded.min():.0f}); "
                "save 0 where it is outside, and labels of at least 1 inside."
            )
        soft = not labels and mask.full_scale == greatest > 1 and np.unique(rounded).size > SOFT_LEVELS
        return replace(mask, pixels=rounded / np.float32(greatest) if soft else rounded)
    binary = least == 0 and ((values == least) | (values == greatest)).all()
    if binary and greatest > 0:  # scaled by a factor in its header
        return replace(mask, pixels=(values > 0).astype(np.float32))
    if labels or least < -HALF or greatest > 1 + HALF:
        raise ImageError(
            f"mask {mask.name}: its values from {least:.4g} to {greatest:.4g} are neither labels nor fractions, so it "
            "may be an image; save a mask of whole numbers, with 0 outside."
        )
    return mask


def inside(values: Array, name: str) -> tuple[Array, tuple[Note, ...]]:
    """Where a mask is inside: every label but 0, or fractions of at least 0.5; and what must be known about that.

    Args:
        values: what :func:`read_mask` gives.
        name: of the mask, for the notes.

    Raises:
        ImageError: fractions of which none reaches 0.5.

    Example:
        >>> found, notes = inside(np.array([[0.02, 0.98]], np.float32), "m.nii")
        >>> found.tolist(), notes[0].message
        ([[False, True]], 'm.nii holds fractions; what is at least 0.5 counts as inside.')
    """
    if (values != np.rint(values)).any():
        found = values >= HALF
        if not found.any():
            raise ImageError(f"mask {name}: holds fractions of which none reaches {HALF}; nothing is inside.")
        return found, (Note("mask", f"{name} holds fractions; what is at least {HALF} counts as inside."),)
    found = values != 0
    if found.all():
        return found, (Note("mask", f"{name} covers the whole image."),)
    levels = np.unique(values[found]).size
    if levels > MANY_LABELS:
        said = (
            f"{name} has {levels} different values, of which all but 0 count as inside; it may be an image."
        )
        return found, (Note("mask", said),)
    return found, ()


def foreground(image: Image, rule: bool | str = True) -> tuple[Array, tuple[Note, ...]]:
    """The foreground of an image: ``(H, W)`` or ``(X, Y, Z)`` boolean; and what must be known about it.

    Args:
        image: the reference.
        rule: ``above=VALUE``; ``nonzero``; or ``True``, which is above -500 where the image has values below that, as
            CT does in Hounsfield units, and nonzero elsewhere.

    Example:
        >>> found, _ = foreground(Image(np.array([[[0.0, 2.0], [0.0, 0.0]]], np.float32)))
        >>> int(found.sum())
        1
        >>> found, notes = foreground(Image(np.array([[[-1000.0, 0.0], [40.0, 900.0]]], np.float32)))
        >>> int(found.sum()), notes[0].kind
        (3, 'foreground')
    """
    limit, notes = parse_foreground(rule), []
    if limit is None and rule != "nonzero" and float(image.pixels.min()) < HU_LIMIT:
        limit = HU_LIMIT
        notes.append(
            f"{image.name} has values below {limit:g} as CT does, so that its foreground is what lies above; "
            "choose another limit with --foreground above=VALUE."
        )
    where = image.pixels != 0 if limit is None else image.pixels > limit
    found: Array = np.asarray(where if image.is_volume else where.any(axis=0))
    if image.valid is not None:
        found = found & image.valid
    share = float(found.mean())
    if share > NEARLY_ALL:
        notes.append(
            f"the foreground of {image.name} covers {share:.1%} of it; "
            "if its background is not 0, give the limit with --foreground above=VALUE."
        )
    return found, tuple(Note("foreground", text) for text in notes)


def dilate(region: Array, distance: float, like: Image) -> Array:
    """A region with everything that lies at most ``distance`` millimeters from it, in three dimensions.

    Args:
        region: boolean ``(X, Y, Z)``, or ``(H, W)`` of a 2-D image.
        distance: in millimeters, between the centers of voxels.
        like: the image that it belongs to, whose header has the voxel size.

    Raises:
        GeometryError: a 2-D image, or a volume without an affine: the voxel size is not known.

    Example:
        >>> region = np.zeros((5, 1, 1), bool)
        >>> region[2] = True
        >>> like = Image(np.zeros((5, 1, 1), np.float32), np.diag([2.0, 1, 1, 1]), is_volume=True)
        >>> dilate(region, 2.5, like).ravel().tolist()
        [False, True, True, True, False]
    """
    from scipy.ndimage import distance_transform_edt

    if like.affine is None:
        raise GeometryError(
            f"{like.name}: its voxel size is not known, so that --dilate in millimeters is not possible; "
            "give a format with a header such as NIfTI, or masks that are dilated already."
        )
    if not region.any():
        return region
    spacing = np.linalg.norm(like.affine[:3, :3], axis=0)
    found: Array = distance_transform_edt(~region, sampling=spacing) <= distance * (1 + 1e-6)
    return found
