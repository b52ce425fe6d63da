"""What must be known about the intensity limits of a pair: how much was clipped, how little of the range is used."""

from __future__ import annotations

import numpy as np

from iqa_registry.images.image import Array, Image
from iqa_registry.images.intensity import Bounds, Limits
from iqa_registry.images.notes import Note

MUCH_CLIPPED = 0.05
"""Share of an image outside the limits from which it is reported."""
_EIGHT_BITS = 255
NARROW = 0.25
"""Share of the range of 16 bits that the values of a pair use at most where another range may be meant."""


def scale_notes(limits: Limits, synthesized: Image, reference: Image | None) -> tuple[Note, ...]:
    """Notes about the limits of a pair.

    Args:
        limits: those that the intensity rule gave.
        synthesized: the image that is scored.
        reference: its reference.

    Example:
        >>> from iqa_registry.images.intensity import parse_intensity, resolve_limits
        >>> image = Image(np.array([[[0.0, 2047.0]]], np.float32), full_scale=65535.0, name="f.png")
        >>> limits = resolve_limits(parse_intensity("dtype"), image, image)
        >>> print(scale_notes(limits, image, image)[0].message)
        f.png uses 3.1% of the range of its type. If its values have 11 bits, give --intensity range=0,2047.
    """
    if limits.rule == "dtype":
        return _narrow(synthesized, reference)
    pairs = [(synthesized, limits.synthesized)]
    if reference is not None:
        pairs.append((reference, limits.reference))
    shares = [_outside(image, bounds) for image, bounds in pairs]
    if max(shares) <= MUCH_CLIPPED:
        return ()
    said = " and ".join(
        f"{share:.1%} of {image.name}" for share, (image, _) in zip(shares, pairs, strict=True)
    )
    low, high = pairs[int(np.argmax(shares))][1]
    return (
        Note(
            "clipped",
            f"{said} lies outside the limits {low:.5g} to {high:.5g} and is clipped, so errors there do not count. "
            "Choose wider limits with --intensity range=LO,HI if they should.",
        ),
    )


def _values(image: Image) -> Array:
    return image.pixels if image.valid is None else image.pixels[..., image.valid]


def _outside(image: Image, bounds: Bounds) -> float:
    values = _values(image)
    outside = np.count_nonzero(values < np.float32(bounds[0])) + np.count_nonzero(
        values > np.float32(bounds[1])
    )
    return outside / max(values.size, 1)


def _narrow(synthesized: Image, reference: Image | None) -> tuple[Note, ...]:
    images = [synthesized] if reference is None else [synthesized, reference]
    scale = min(image.full_scale or 1.0 for image in images)
    least = min(float(image.pixels.min()) for image in images)
    greatest = max(float(image.pixels.max()) for image in images)
    share = (greatest - least) / scale
    if (
        scale <= _EIGHT_BITS
        or share == 0
        or share > NARROW
        or len({image.full_scale for image in images}) > 1
    ):
        return ()
    bits = int(greatest).bit_length()
    if 2**bits - 1 <= NARROW * scale:
        remedy = f"If its values have {bits} bits, give --intensity range=0,{2**bits - 1}."
    else:
        remedy = f"Give --intensity range={least:.0f},{greatest:.0f} or the range that is meant."
    name = synthesized.name if reference in (None, synthesized) else f"{synthesized.name} with its reference"
    return (Note("range", f"{name} uses {share:.1%} of the range of its type. {remedy}"),)
