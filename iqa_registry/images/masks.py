"""Masks and label maps: which pixels count."""

from __future__ import annotations

from iqa_registry.errors import ImageError
from iqa_registry.images.coverage import resample_covered
from iqa_registry.images.formats import Array, Image, Source, read_labels
from iqa_registry.images.geometry import check_affines, check_sizes, on_stored_grid


def read_mask(source: Source, like: Image, resample: bool = False, geometry: str = "check") -> Array:
    """Read a mask or label map in the layout of an image.

    Args:
        source: a path, an array or a tensor; boolean, or integer labels.
        like: the image that it belongs to.
        resample: bring a label volume onto the image's grid (nearest neighbor) instead of rejecting another grid; what
            lies outside its field of view is outside.
        geometry: ``ignore`` takes the voxels as they are stored, whatever the headers say.

    Returns:
        Labels ``(H, W)`` for a 2-D image, ``(X, Y, Z)`` in RAS+ for a volume; 0 is outside.

    Raises:
        GeometryError: another size or affine.
        ImageError: unreadable, more than one channel, or a 2-D image for a volume.

    Example:
        >>> import numpy as np
        >>> image = Image(np.zeros((1, 2, 2), np.float32))
        >>> int(read_mask(np.array([[0, 1], [2, 0]], np.uint8), image).max())
        2
    """
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
    if resample and mask.is_volume:
        mask = resample_covered(mask, like, order=0)
    if geometry == "ignore" and mask.is_volume:
        mask = on_stored_grid(mask, like)
    check_sizes(mask, like)
    check_affines(mask, like)
    return mask.pixels if mask.is_volume else mask.pixels[0]


def foreground(image: Image) -> Array:
    """Where an image is not zero: ``(H, W)`` or ``(X, Y, Z)`` boolean.

    Example:
        >>> import numpy as np
        >>> int(foreground(Image(np.array([[[0.0, 2.0], [0.0, 0.0]]], np.float32))).sum())
        1
    """
    return image.pixels != 0 if image.is_volume else (image.pixels != 0).any(axis=0)
