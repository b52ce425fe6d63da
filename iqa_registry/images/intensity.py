"""Intensity rules: how stored numbers become the [0, 1] that every metric of a run sees.

The choice of the range is the commonest source of wrong scores in this field, so it is explicit, applied once for all
metrics, and recorded with its resolved limits in every row.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np

from iqa_registry.errors import IntensityError, UsageError
from iqa_registry.images.formats import Array, Image

Kind = Literal["auto", "dtype", "range", "reference-percentile", "each-percentile", "none"]
Bounds = tuple[float, float]

DEFAULT_PERCENTILES = (0.5, 99.5)
SPAN_RATIO = 8.0
"""Value ranges whose widths differ by more than this are taken for two scales."""
OVERSHOOT = 0.5
"""How far values may leave [0, 1] under the rule ``none`` before they are taken for another scale."""
_CHOICES = "dtype, range=LO,HI, reference-percentile=LO,HI, each-percentile=LO,HI or none"


@dataclass(frozen=True, slots=True)
class IntensityRule:
    """A parsed rule.

    Attributes:
        kind: which rule; ``auto`` is ``dtype`` for 8 and 16 bit pictures and ``reference-percentile`` otherwise.
        bounds: the limits of ``range``, or the two percentiles.
    """

    kind: Kind
    bounds: Bounds = DEFAULT_PERCENTILES

    def __str__(self) -> str:
        if self.kind in ("dtype", "none", "auto"):
            return self.kind
        return f"{self.kind}={self.bounds[0]:g},{self.bounds[1]:g}"

    def resolved(self, reference: Image) -> IntensityRule:
        """What ``auto`` means for this image."""
        if self.kind != "auto":
            return self
        return IntensityRule("reference-percentile" if reference.full_scale is None else "dtype")


@dataclass(frozen=True, slots=True)
class Limits:
    """The stored values that become 0 and 1, and the rule that they come from."""

    rule: str
    synthesized: Bounds
    reference: Bounds


def parse_intensity(text: str | None) -> IntensityRule:
    """Parse ``dtype``, ``range=LO,HI``, ``reference-percentile=LO,HI``, ``each-percentile=LO,HI`` or ``none``.

    Raises:
        UsageError: anything else, or limits in the wrong order.

    Example:
        >>> parse_intensity("range=-1000,2000").bounds
        (-1000.0, 2000.0)
    """
    if text is None:
        return IntensityRule("auto")
    kind, _, rest = text.strip().partition("=")
    if kind in ("dtype", "none") and not rest:
        return IntensityRule("dtype" if kind == "dtype" else "none")
    if kind in ("range", "reference-percentile", "each-percentile"):
        bounds = _bounds(rest, text) if rest or kind == "range" else DEFAULT_PERCENTILES
        if kind != "range" and not 0 <= bounds[0] < bounds[1] <= 100:
            raise UsageError(f"--intensity {text!r}: percentiles lie between 0 and 100, the lower one first.")
        return IntensityRule(kind, bounds)  # type: ignore[arg-type]
    raise UsageError(f"--intensity {text!r}: expected {_CHOICES}.")


def _bounds(rest: str, text: str) -> Bounds:
    try:
        low, high = (float(part) for part in rest.split(","))
    except ValueError:
        raise UsageError(f"--intensity {text!r}: expected {_CHOICES}.") from None
    if not (np.isfinite(low) and np.isfinite(high) and low < high):
        raise UsageError(f"--intensity {text!r}: the lower limit must be below the upper one, both finite.")
    return low, high


def resolve_limits(rule: IntensityRule, synthesized: Image, reference: Image | None) -> Limits:
    """The limits that a rule gives for a pair; percentiles are taken over the whole picture or volume.

    Args:
        rule: see :func:`parse_intensity`.
        synthesized: the image to score.
        reference: its reference; where there is none, ``reference-percentile`` takes the image itself.

    Raises:
        IntensityError: a percentile rule on a constant image, or ``dtype`` on data whose type has no scale.

    Example:
        >>> ramp = Image(np.arange(101, dtype=np.float32).reshape(1, 1, 101))
        >>> resolve_limits(parse_intensity("reference-percentile=1,99"), ramp, ramp).reference
        (1.0, 99.0)
    """
    base = synthesized if reference is None else reference
    rule = rule.resolved(base)
    if rule.kind == "dtype":
        return Limits("dtype", _type_limits(synthesized), _type_limits(base))
    if rule.kind == "none":
        return Limits("none", (0.0, 1.0), (0.0, 1.0))
    if rule.kind == "range":
        return Limits(str(rule), rule.bounds, rule.bounds)
    limits = _percentiles(base, rule)
    own = _percentiles(synthesized, rule) if rule.kind == "each-percentile" else limits
    return Limits(str(rule), own, limits)


def _type_limits(image: Image) -> Bounds:
    if image.full_scale is None:
        raise IntensityError(
            f"{image.name}: --intensity dtype needs an 8 or 16 bit picture; "
            "choose range=LO,HI or reference-percentile=0.5,99.5."
        )
    return 0.0, image.full_scale


def _percentiles(image: Image, rule: IntensityRule) -> Bounds:
    low, high = (float(value) for value in np.percentile(image.pixels, rule.bounds))
    if high <= low:
        raise IntensityError(
            f"{image.name}: all pixels between the percentiles {rule.bounds[0]:g} and {rule.bounds[1]:g} "
            f"equal {low:g}, which gives no range; choose --intensity range=LO,HI."
        )
    return low, high


def check_scales(synthesized: Image, reference: Image, rule: IntensityRule) -> None:
    """Refuse two images on plainly different scales; a dim, bright or constant image is no reason.

    Raises:
        IntensityError: [-1, 1] against [0, 1], [0, 255] or Hounsfield units against [0, 1], and the like; under the
            rule ``none`` also values far outside [0, 1].
    """
    rule = rule.resolved(reference)
    if rule.kind in ("dtype", "each-percentile"):
        return
    first, second = _span(synthesized), _span(reference)
    if rule.kind == "none":
        for image, span in ((synthesized, first), (reference, second)):
            _check_unscaled(image, span)
    kinds = _scale(first), _scale(second)
    widths = first[1] - first[0], second[1] - second[0]
    constant = min(widths) == 0
    ratio = 1.0 if constant else max(widths) / min(widths)
    # A constant image fits any scale as long as its one value lies on it.
    differ = kinds[0] != kinds[1] if not constant else False
    if differ or ratio > SPAN_RATIO:
        raise IntensityError(
            f"{synthesized.name} has values in {_shown(first)}, {reference.name} in {_shown(second)}: they are on "
            "different scales. Bring both to one scale, or give --allow-scale-mismatch."
        )


def _check_unscaled(image: Image, span: Bounds) -> None:
    if span[0] < -OVERSHOOT or span[1] > 1 + OVERSHOOT:
        raise IntensityError(
            f"{image.name} has values in {_shown(span)}, and --intensity none expects [0, 1]; "
            f"choose --intensity range={_nice(span)}."
        )


def _span(image: Image) -> Bounds:
    return float(image.pixels.min()), float(image.pixels.max())


def _scale(span: Bounds) -> str:
    """The scale that values look like: ``unit`` [0, 1], ``signed`` [-1, 1] or ``large``."""
    low, high = span
    if max(abs(low), abs(high)) > 2:
        return "large"
    return "signed" if low < -0.2 else "unit"


def _shown(span: Bounds) -> str:
    return f"[{span[0]:.4g}, {span[1]:.4g}]"


def _nice(span: Bounds) -> str:
    """A likely pair of limits for the message: the usual ones where they fit."""
    for low, high in ((0, 255), (-1, 1), (0, 65535)):
        if low <= span[0] and 0.5 * high < span[1] <= high:
            return f"{low},{high}"
    return f"{span[0]:.4g},{span[1]:.4g}"


def apply_limits(pixels: Array, limits: Bounds) -> tuple[Array, float]:
    """Map ``limits`` to [0, 1] and clip; return float32 pixels and the fraction that was clipped.

    Example:
        >>> scaled, clipped = apply_limits(np.array([-5.0, 0.0, 5.0, 10.0], np.float32), (0.0, 10.0))
        >>> scaled.tolist(), clipped
        ([0.0, 0.0, 0.5, 1.0], 0.25)
    """
    low, high = limits
    scaled = np.asarray(pixels, dtype=np.float32) - np.float32(low)
    scaled *= np.float32(1.0 / (high - low))
    # Rounding may push the upper limit itself past 1 by one part in 10^7; that is no value out of range.
    outside = int(np.count_nonzero((scaled < -1e-6) | (scaled > 1 + 1e-6)))
    np.clip(scaled, 0.0, 1.0, out=scaled)
    return scaled, outside / scaled.size
