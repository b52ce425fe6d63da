"""Pixels that a DICOM file declares as padding: outside the round field of a scanner nothing was measured."""

from __future__ import annotations

from typing import Any

import numpy as np

from iqa_registry.images.image import Array
from iqa_registry.images.notes import Note

FAR = 0.05
"""How far from the measured values padding must lie to be replaced, as a fraction of their range."""


def where_padded(values: Array, dataset: Any, scaled: bool) -> Array | None:
    """Which pixels hold the Pixel Padding Value, or lie between it and the Pixel Padding Range Limit.

    Args:
        values: the pixels, of one sample.
        dataset: the file's elements.
        scaled: whether the values are rescaled already.

    Returns:
        A boolean array, ``None`` where the file declares no padding or none of the pixels holds it.
    """
    if "PixelPaddingValue" not in dataset or int(dataset.get("SamplesPerPixel") or 1) != 1:
        return None
    first = _stored(dataset.PixelPaddingValue, dataset)
    limits = np.sort(
        [first, _stored(dataset.get("PixelPaddingRangeLimit", dataset.PixelPaddingValue), dataset)]
    )
    if scaled:
        slope, intercept = (float(dataset.get(f"Rescale{name}", default)) for name, default in _RESCALE)
        limits = np.sort(limits * slope + intercept)
    found: Array = (values >= limits[0]) & (values <= limits[1])
    return found if found.any() else None


_RESCALE = (("Slope", 1), ("Intercept", 0))


def _stored(value: Any, dataset: Any) -> float:
    """The value as the pixels hold it: some programs write a negative one as unsigned."""
    number, bits = int(value), int(dataset.BitsAllocated)
    if int(dataset.get("PixelRepresentation") or 0) and number >= 1 << (bits - 1):
        number -= 1 << bits
    return float(number)


def fill_padding(values: Array, padded: Array | None, name: str) -> tuple[Array, tuple[Note, ...]]:
    """The values with padding set to the least measured value, air in CT, and a note about it.

    Padding of 0, the background of MR, stays, and so does padding among the measured values or right beside them.

    Example:
        >>> values = np.array([-3024.0, -1000.0, 40.0])
        >>> filled, notes = fill_padding(values, values == -3024, "ct.dcm")
        >>> filled.tolist(), notes[0].kind
        ([-1000.0, -1000.0, 40.0], 'padding')
    """
    if padded is None or padded.all() or not padded.any():
        return values, ()
    measured, padding = values[~padded], values[padded]
    least, greatest = float(measured.min()), float(measured.max())
    distance = max(least - float(padding.max()), float(padding.min()) - greatest)
    if distance <= FAR * (greatest - least) or not padding.any():
        return values, ()
    said = (
        f"{padded.mean():.1%} of {name} is padding by its DICOM header (Pixel Padding Value); these pixels were set to "
        f"{least:.5g}, the least measured value."
    )
    return np.where(padded, np.asarray(least, dtype=values.dtype), values), (Note("padding", said),)
