"""Intensity rules: how stored numbers become the [0, 1] that every metric of a run sees.

The choice of the range is the commonest source of wrong scores in this field, so it is explicit, applied once for all
metrics, and recorded with its resolved limits in every row.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np

from iqa_registry.errors import IntensityError, OptionError, nearest
from iqa_registry.images.image import Array, Image

Kind = Literal["auto", "dtype", "range", "reference-percentile", "each-percentile", "none"]
Bounds = tuple[float, float]

DEFAULT_PERCENTILES = (0.5, 99.5)
SPAN_RATIO = 8.0
"""Value ranges whose widths differ by more than this are taken for two scales."""
UNIT = 1.5
"""Values that go no further from 0 than this are taken for [0, 1] or [-1, 1]."""
OVERSHOOT = 0.25
"""How far the bulk of the values may leave [0, 1] under the rule ``none`` before it is taken for another scale."""
FAR_OUT = 16.0
"""A single value beyond this is on no scale that ends at 1."""
_SAMPLE = 1 << 14
WINDOWS: dict[str, tuple[float, float]] = {
    "lung": (-600, 1500),
    "bone": (400, 1800),
    "brain": (40, 80),
    "soft-tissue": (50, 400),
    "mediastinum": (50, 350),
    "liver": (30, 150),
    "stroke": (40, 40),
}
"""Level and width of CT windows in Hounsfield units, as radiology departments commonly set them (Radiopaedia, article
"Windowing (CT)"); ``soft-tissue`` is the abdominal window. The limits are level - width / 2 and level + width / 2."""
_CHOICES = "dtype, range=LO,HI, window=NAME, reference-percentile=LO,HI, each-percentile=LO,HI or none"


@dataclass(frozen=True, slots=True)
class IntensityRule:
    """A parsed rule.

    Attributes:
        kind: which rule; ``auto`` is ``dtype`` for 8- and 16-bit 2-D images and ``reference-percentile`` otherwise.
        bounds: the limits of ``range``, or the two percentiles.
        window: the name of the CT window that gave the limits of ``range``, if one did.
    """

    kind: Kind
    bounds: Bounds = DEFAULT_PERCENTILES
    window: str = ""

    def __str__(self) -> str:
        if self.window:
            return f"window={self.window}"
        if self.kind in ("dtype", "none", "auto"):
            return self.kind
        return f"{self.kind}={self.bounds[0]:g},{self.bounds[1]:g}"

    def resolved(self, *images: Image) -> IntensityRule:
        """What ``auto`` means for these images: ``dtype`` if the type of each says its range."""
        if self.kind != "auto":
            return self
        known = all(image.full_scale is not None for image in images)
        return IntensityRule("dtype" if known else "reference-percentile")


@dataclass(frozen=True, slots=True)
class Limits:
    """The stored values that become 0 and 1, and the rule that they come from."""

    rule: str
    synthesized: Bounds
    reference: Bounds


def parse_intensity(text: str | None) -> IntensityRule:
    """Parse ``dtype``, ``range=LO,HI``, ``reference-percentile=LO,HI``, ``each-percentile=LO,HI`` or ``none``.

    ``window=NAME`` is the range of one of :data:`WINDOWS`.

    Raises:
        OptionError: anything else, or limits in the wrong order.

    Example:
        >>> parse_intensity("range=-1000,2000").bounds, parse_intensity("window=lung").bounds
        ((-1000.0, 2000.0), (-1350.0, 150.0))
    """
    if text is None:
        return IntensityRule("auto")
    kind, _, rest = text.strip().partition("=")
    if kind in ("dtype", "none") and not rest:
        return IntensityRule("dtype" if kind == "dtype" else "none")
    if kind == "window":
        return _window(rest.strip().lower())
    if kind in ("range", "reference-percentile", "each-percentile"):
        bounds = _bounds(rest, text) if rest or kind == "range" else DEFAULT_PERCENTILES
        if kind != "range" and not 0 <= bounds[0] < bounds[1] <= 100:
            raise OptionError(
                "intensity", f"{text!r}: percentiles lie between 0 and 100, the lower one first."
            )
        return IntensityRule(kind, bounds)  # type: ignore[arg-type]
    raise OptionError("intensity", f"{text!r} is not {_CHOICES}.")


def _window(name: str) -> IntensityRule:
    if name not in WINDOWS:
        raise OptionError(
            "intensity", f"window={name} is not one of {', '.join(WINDOWS)}.{nearest(name, WINDOWS)}"
        )
    level, width = WINDOWS[name]
    return IntensityRule("range", (level - width / 2, level + width / 2), name)


def _bounds(rest: str, text: str) -> Bounds:
    try:
        low, high = (float(part) for part in rest.split(","))
    except ValueError:
        raise OptionError("intensity", f"{text!r} is not {_CHOICES}.") from None
    if not (np.isfinite(low) and np.isfinite(high) and low < high):
        raise OptionError("intensity", f"{text!r}: the lower limit must be below the upper one, both finite.")
    return low, high


def resolve_limits(rule: IntensityRule, synthesized: Image, reference: Image | None) -> Limits:
    """The limits that a rule gives for a pair; percentiles are taken over the whole 2-D image or volume.

    Args:
        rule: see :func:`parse_intensity`.
        synthesized: the image to score.
        reference: its reference; where there is none, ``reference-percentile`` takes the image itself.

    Raises:
        IntensityError: a percentile rule on a constant image, ``dtype`` on data whose type has no scale, or a CT window
            on a 2-D image of 8 or 16 bits, which cannot hold Hounsfield units.

    Example:
        >>> ramp = Image(np.arange(101, dtype=np.float32).reshape(1, 1, 101))
        >>> resolve_limits(parse_intensity("reference-percentile=1,99"), ramp, ramp).reference
        (1.0, 99.0)
    """
    base = synthesized if reference is None else reference
    rule = rule.resolved(synthesized, base)
    if rule.kind == "dtype":
        return Limits("dtype", _type_limits(synthesized), _type_limits(base))
    if rule.kind == "none":
        return Limits("none", (0.0, 1.0), (0.0, 1.0))
    if rule.window:
        _check_hounsfield(base, rule)
    if rule.kind == "range":
        return Limits(str(rule), rule.bounds, rule.bounds)
    limits = _percentiles(base, rule)
    own = _percentiles(synthesized, rule) if rule.kind == "each-percentile" else limits
    return Limits(str(rule), own, limits)


def _check_hounsfield(image: Image, rule: IntensityRule) -> None:
    if image.full_scale is not None:
        raise IntensityError(
            f"{image.name}: --intensity {rule} needs Hounsfield units, and an 8- or 16-bit 2-D image has none; "
            "choose dtype, or range=LO,HI in stored values."
        )


def _type_limits(image: Image) -> Bounds:
    if image.full_scale is None:
        raise IntensityError(
            f"{image.name}: --intensity dtype needs an 8- or 16-bit 2-D image; "
            "choose range=LO,HI or reference-percentile=0.5,99.5."
        )
    return 0.0, image.full_scale


def _percentiles(image: Image, rule: IntensityRule) -> Bounds:
    low, high = _quantiles(_measured(image), rule.bounds)
    if high <= low:
        raise IntensityError(
            f"{image.name}: all pixels between the percentiles {rule.bounds[0]:g} and {rule.bounds[1]:g} "
            f"equal {low:g}, which gives no range; choose --intensity range=LO,HI."
        )
    return low, high


def _measured(image: Image) -> Array:
    """The values of an image, without the pixels that have none."""
    if image.valid is None:
        return image.pixels.ravel(order="K")
    return image.pixels[np.broadcast_to(image.valid, image.pixels.shape)]


def _quantiles(values: Array, percentiles: Bounds) -> Bounds:
    """What ``np.percentile`` gives; sorting float32 takes a third of the time of its partition."""
    ordered = np.sort(values)
    low, high = (_interpolated(ordered, percent / 100 * (ordered.size - 1)) for percent in percentiles)
    return low, high


def _interpolated(ordered: Array, place: float) -> float:
    index = int(place)
    low, high = float(ordered[index]), float(ordered[min(index + 1, ordered.size - 1)])
    return low + (high - low) * (place - index)


def check_scales(synthesized: Image, reference: Image, rule: IntensityRule) -> None:
    """Reject values that plainly are on another scale than the other image's, or than the rule expects.

    Two images differ plainly if the width of one's values is more than :data:`SPAN_RATIO` times that of the other,
    or if one reaches far below zero and the other does not. An image that is constant, dim, bright, or of another
    gain is no reason: it is scored, and scores badly.

    Raises:
        IntensityError: [-1, 1] against [0, 1], [0, 255] or Hounsfield units against [0, 1], and the like; under the
            rule ``none`` values far outside [0, 1]; under ``range`` limits of another scale than the reference's.
    """
    rule = rule.resolved(synthesized, reference)
    if rule.kind in ("dtype", "each-percentile"):
        return
    first, second = _Spread.of(synthesized), _Spread.of(reference)
    if rule.kind == "none":
        _check_unscaled(synthesized, first)
        _check_unscaled(reference, second)
    if rule.kind == "range":
        _check_range_fits(reference, second, rule)
    if first.differs(second):
        scales = [f"[{_likely(spread).replace(',', ', ')}]" for spread in (first, second)]
        raise IntensityError(
            f"{synthesized.name} has values in {first}, {reference.name} in {second}: they are on different scales, "
            f"{scales[0]} against {scales[1]} it seems. Bring both to one scale, or give --allow-scale-mismatch."
        )


@dataclass(frozen=True, slots=True)
class _Spread:
    """Least and greatest value, and the limits of the bulk, from which single outliers are left out."""

    least: float
    greatest: float
    low: float
    high: float

    @classmethod
    def of(cls, image: Image) -> _Spread:
        if image.valid is not None:
            image = Image(_measured(image)[None, None], name=image.name)
        least, greatest = float(image.pixels.min()), float(image.pixels.max())
        # An odd step does not fall into step with regular patterns.
        step = slice(None, None, int((image.pixels.size / _SAMPLE) ** (1 / len(image.spatial))) | 1)
        sampled = image.pixels[step, step, step] if image.is_volume else image.pixels[:, step, step]
        low, high = _quantiles(sampled.ravel(), DEFAULT_PERCENTILES)
        if low == high:  # a small object before an even background
            low, high = least, greatest
        return cls(least, greatest, low, high)

    def __str__(self) -> str:
        return f"[{self.least:.4g}, {self.greatest:.4g}]"

    @property
    def width(self) -> float:
        return self.high - self.low

    @property
    def is_unit(self) -> bool:
        return max(abs(self.low), abs(self.high)) <= UNIT

    def differs(self, other: _Spread) -> bool:
        narrow, wide = sorted((self, other), key=lambda spread: spread.width)
        if narrow.width == 0:
            return False
        if wide.width > SPAN_RATIO * narrow.width:
            return not wide.is_unit  # below [0, 1] there is no other usual scale: the narrow one is faint
        signed, unsigned = sorted((self, other), key=lambda spread: spread.low)
        return signed.low < -0.25 * signed.width and unsigned.low > -0.02 * unsigned.width


def _check_unscaled(image: Image, spread: _Spread) -> None:
    bulk_outside = spread.low < -OVERSHOOT or spread.high > 1 + OVERSHOOT
    if bulk_outside or max(-spread.least, spread.greatest) > FAR_OUT:
        raise IntensityError(
            f"{image.name} has values in {spread}, and --intensity none expects [0, 1]; "
            f"choose --intensity range={_likely(spread)}."
        )


def _check_range_fits(reference: Image, spread: _Spread, rule: IntensityRule) -> None:
    """Limits of 0 and 4095 on data in [0, 1] would make all images equal, and 0 and 1 on Hounsfield units too."""
    low, high = rule.bounds
    too_wide = spread.width > 0 and spread.is_unit and high - low > FAR_OUT
    too_narrow = max(abs(low), abs(high)) <= UNIT and spread.width > FAR_OUT
    if too_wide or too_narrow:
        raise IntensityError(
            f"{reference.name} has values in {spread}, which --intensity {rule} does not fit; "
            f"choose range={_likely(spread)}, or reference-percentile."
        )


def _likely(spread: _Spread) -> str:
    """Limits for messages: the usual ones where they fit."""
    for low, high in ((0, 1), (-1, 1), (0, 255), (0, 65535)):
        if low <= spread.least and 0.5 * high < spread.greatest <= high:
            return f"{low},{high}"
    return f"{spread.least:.4g},{spread.greatest:.4g}"


def apply_limits(pixels: Array, limits: Bounds) -> tuple[Array, float]:
    """Map ``limits`` to [0, 1] and clip; return float32 pixels and the fraction that was clipped.

    Example:
        >>> scaled, clipped = apply_limits(np.array([-5.0, 0.0, 5.0, 10.0], np.float32), (0.0, 10.0))
        >>> scaled.tolist(), clipped
        ([0.0, 0.0, 0.5, 1.0], 0.25)
    """
    low, high = np.float32(limits[0]), np.float32(limits[1])
    values = np.asarray(pixels, dtype=np.float32)
    outside = int(np.count_nonzero(values < low)) + int(np.count_nonzero(values > high))
    scaled = np.clip(values, low, high)
    if low:
        scaled -= low
    scaled /= np.float32(limits[1] - limits[0])
    np.minimum(scaled, 1, out=scaled)  # rounding may leave the upper limit one part in 10^7 above 1
    return scaled, outside / max(scaled.size, 1)
