"""Scores beside the strict ones: the same images once their best whole-pixel shift is undone."""

from __future__ import annotations

from dataclasses import replace
from itertools import product

from torch import Tensor

from iqa_registry.evaluation.gaps import Reason
from iqa_registry.evaluation.items import WHOLE_IMAGE, Loaded
from iqa_registry.metrics import FullReferenceMetric, Metric

ALIGNED = "aligned"
"""The region that is the overlap of two images once they are aligned."""
NO_DATA = "images with pixels without data cannot be aligned"
TOO_SMALL = "the image is too small for this range of shifts; choose a smaller --align-range"


def aligned_name(region: str) -> str:
    """What a region is called in rows of aligned images.

    Example:
        >>> aligned_name("image"), aligned_name("mask")
        ('aligned', 'aligned:mask')
    """
    return ALIGNED if region == WHOLE_IMAGE else f"{ALIGNED}:{region}"


def can_align(metric: Metric) -> bool:
    """Whether there are aligned scores of a metric: it compares 2-D images with their references."""
    return isinstance(metric, FullReferenceMetric) and metric.dimensions == 2


def best_shift(synthesized: Tensor, reference: Tensor, reach: int) -> tuple[int, int]:
    """The whole-pixel shift of the synthesized image with the least mean absolute error.

    Every shift is tried, each on the same pixels of the reference: all but a border of ``reach`` pixels. Otherwise a
    shift could win because it moves a bad border out of the overlap. Of equal errors the smallest shift wins.

    Args:
        synthesized: ``(C, H, W)``.
        reference: the same shape.
        reach: the largest shift along each side; the sides are longer than twice that.

    Returns:
        Rows and columns by which the synthesized image is displaced, down and right positive.

    Example:
        >>> import torch
        >>> image = torch.rand(1, 16, 16)
        >>> best_shift(image.roll((2, -1), dims=(1, 2)), image, 3)
        (2, -1)
    """
    height, width = reference.shape[-2:]
    inner = reference[..., reach : height - reach, reach : width - reach]

    def error(shift: tuple[int, int]) -> float:
        rows, columns = (reach + step for step in shift)
        moved = synthesized[..., rows : rows + inner.shape[-2], columns : columns + inner.shape[-1]]
        return float((moved - inner).abs().mean())

    steps = range(-reach, reach + 1)
    nearest_first = sorted(product(steps, steps), key=lambda shift: shift[0] ** 2 + shift[1] ** 2)
    return min(nearest_first, key=error)


def align(loaded: Loaded, reach: int) -> Loaded:
    """The overlap of a pair of 2-D images once the shift of :func:`best_shift` is undone, with its masks and labels.

    Masks and labels lie on the grid of the reference and are cropped with it.

    Args:
        loaded: a pair of 2-D images with a reference.
        reach: the largest shift in pixels along each side.
    """
    reference = loaded.reference
    assert reference is not None  # noqa: S101 - the scorer sees to it
    whole = replace(loaded, columns=dict(loaded.columns), full=reference[0].numel(), shift=(0, 0))
    if loaded.regions.get(WHOLE_IMAGE) is not None:
        return _not_scored(whole, NO_DATA)
    if min(reference.shape[-2:]) <= 4 * reach:
        return _not_scored(whole, TOO_SMALL)
    shift = best_shift(loaded.synthesized, reference, reach)

    def crop(image: Tensor, sign: int) -> Tensor:
        (top, left), (height, width) = (max(0, sign * step) for step in shift), image.shape[-2:]
        sides = height - abs(shift[0]), width - abs(shift[1])
        return image[..., top : top + sides[0], left : left + sides[1]].contiguous()

    whole.columns |= {"aligned_rows": shift[0], "aligned_columns": shift[1]}
    return replace(
        whole,
        synthesized=crop(loaded.synthesized, 1),
        reference=crop(reference, -1),
        regions={name: None if mask is None else crop(mask, -1) for name, mask in loaded.regions.items()},
        labels={name: crop(mask, -1) for name, mask in loaded.labels.items()},
        shift=shift,
    )


def _not_scored(loaded: Loaded, reason: str) -> Loaded:
    reasons: dict[str, Reason] = dict.fromkeys(loaded.regions, ("not_applicable", reason))
    return replace(loaded, reasons={**reasons, **loaded.reasons})
