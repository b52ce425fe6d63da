"""The orientation that a camera or a scanner writes beside the pixels: EXIF of PNG and JPEG, and the tag of TIFF."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from iqa_registry.images.image import Array, Image
from iqa_registry.images.notes import Note

TAG = 274
_SWAPPING = (5, 6, 7, 8)
_LONGEST_EXIF = 1 << 20


def upright(image: Image, orientation: int) -> Image:
    """A 2-D image as it is meant to be seen, with a note; 1 and unknown orientations leave it as it is.

    Args:
        image: ``(C, H, W)`` as stored.
        orientation: 1 to 8 as EXIF and TIFF define them.

    Example:
        >>> turned = upright(Image(np.array([[[1.0, 2.0]]], np.float32), name="f.jpg"), 6)
        >>> turned.pixels.tolist(), turned.notes[0].kind
        ([[[1.0], [2.0]]], 'orientation')
    """
    turned = _turned(image.pixels, orientation)
    if turned is None:
        return image
    said = f"{image.name} was turned or mirrored as its orientation tag ({orientation}) asks for."
    return replace(
        image, pixels=np.ascontiguousarray(turned), notes=(*image.notes, Note("orientation", said))
    )


def _turned(pixels: Array, orientation: int) -> Array | None:
    swapped = np.swapaxes(pixels, -1, -2)
    return {
        2: pixels[..., ::-1],
        3: pixels[..., ::-1, ::-1],
        4: pixels[..., ::-1, :],
        5: swapped,
        6: swapped[..., ::-1],
        7: swapped[..., ::-1, ::-1],
        8: swapped[..., ::-1, :],
    }.get(orientation)


def as_stored(values: Array, orientation: int) -> Array:
    """Undo what :func:`upright` does, for values ``(H, W)`` or ``(H, W, C)``.

    Example:
        >>> as_stored(np.array([[1], [2]]), 6).tolist()
        [[1, 2]]
    """
    planes = values if values.ndim == 2 else np.moveaxis(values, 2, 0)
    found = _turned(planes, {6: 8, 8: 6}.get(orientation, orientation))
    found = planes if found is None else found
    return found if values.ndim == 2 else np.moveaxis(found, 0, 2)


def upright_shape(shape: tuple[int, int, int], orientation: int) -> tuple[int, int, int]:
    """``(C, H, W)`` after :func:`upright`.

    Example:
        >>> upright_shape((1, 2, 3), 6), upright_shape((1, 2, 3), 3)
        ((1, 3, 2), (1, 2, 3))
    """
    return (shape[0], shape[2], shape[1]) if orientation in _SWAPPING else shape


def of_exif(data: bytes | None) -> int:
    """The orientation in a block of EXIF data; 1 where there is none, or where it cannot be read."""
    from PIL.Image import Exif

    if not data or len(data) > _LONGEST_EXIF:
        return 1
    exif = Exif()
    try:
        exif.load(data)
        return int(exif.get(TAG, 1))
    except Exception:  # whatever is wrong with it, it is not about the pixels
        return 1
