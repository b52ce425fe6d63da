"""Pixels without data: those outside a resampled volume's field of view, and NaN. None of them is ever scored."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from iqa_registry.errors import ImageError
from iqa_registry.evaluation.items import OUTSIDE
from iqa_registry.images.image import Array, Image

Reason = tuple[Literal["error", "not_applicable"], str]
NO_DATA = "no pixel of the region has data in both images"


@dataclass(frozen=True, slots=True)
class Gaps:
    """Where a pair has no data, and whether that may be passed over.

    Attributes:
        valid: boolean, where both images have data; in the layout of the images.
        broken: the message about the images that were read with NaN or infinite values; ``None`` where there are none,
            or where these are to be excluded.
    """

    valid: Array
    broken: str | None

    @classmethod
    def of(cls, valid: Array, images: Sequence[Image], rule: str) -> Gaps:
        """Gaps of a pair, of which ``images`` were read with NaN or infinite values."""
        return cls(valid, _said(images) if images and rule == "error" else None)


def find_broken(*images: Image | None) -> list[Image]:
    """Those of the images that were read with NaN or infinite values.

    Raises:
        ImageError: an image that has no other values.
    """
    broken = []
    for image in images:
        if image is None or image.valid is None or image.gaps != "broken":
            continue
        if not image.valid.any():
            raise ImageError(f"{_said([image])}; there is nothing to score.")
        broken.append(image)
    return broken


def check_gaps(images: Sequence[Image], rule: str, regions: bool) -> None:
    """Reject images with NaN or infinite values where nothing says which pixels count.

    Args:
        images: those of a pair that were read with such values.
        rule: ``error`` or ``exclude``.
        regions: whether the pair has a mask or another region, which may leave them out.

    Raises:
        ImageError: the rule is ``error`` and there is no region.
    """
    if images and rule == "error" and not regions:
        raise ImageError(
            f"{_said(images)}; give a --mask that leaves them out, --nan exclude, or replace them before scoring."
        )


def _said(images: Sequence[Image]) -> str:
    counts = []
    for image in images:
        if image.valid is not None:
            counts.append(
                f"{image.name}: {int((~image.valid).sum())} of {image.valid.size} pixels are NaN or infinite"
            )
    return ", ".join(counts)


def fill_gaps(synthesized: Tensor, reference: Tensor | None, valid: Tensor) -> tuple[Tensor, Tensor | None]:
    """Images in which pixels without data are 0 in both, so that they differ nowhere there.

    Masks keep them out of every score; where a metric's mask is approximate, a difference must not shine in.

    Example:
        >>> valid = torch.tensor([[[True, False]]])
        >>> fill_gaps(torch.tensor([[[0.5, 0.7]]]), None, valid)[0].tolist()
        [[[0.5, 0.0]]]
    """
    empty = synthesized.new_zeros(())
    filled = torch.where(valid, synthesized, empty)
    return filled, None if reference is None else torch.where(valid, reference, empty)


def restrict_regions(
    regions: dict[str, Tensor | None], valid: Tensor, gaps: Gaps
) -> tuple[dict[str, Tensor | None], dict[str, Reason]]:
    """Regions without the pixels that have no data, and why some cannot be scored.

    Args:
        regions: masks by name; ``None`` is the whole image.
        valid: where the item has data.
        gaps: those of the pair.

    Example:
        >>> valid = torch.tensor([[[True, False]]])
        >>> regions = {"image": None, "mask": torch.tensor([[[True, False]]])}
        >>> found, reasons = restrict_regions(regions, valid, Gaps(valid.numpy(), "a.nii: 1 of 2 pixels are NaN"))
        >>> found["mask"].tolist(), reasons["image"][0], "mask" in reasons
        ([[[True, False]]], 'not_applicable', False)
    """
    found: dict[str, Tensor | None] = {}
    reasons: dict[str, Reason] = {}
    for name, mask in regions.items():
        found[name] = valid if mask is None else mask & valid
        if gaps.broken is not None and (mask is None or (mask & ~valid).any()):
            reasons[name] = (
                ("not_applicable", f"{gaps.broken}; only regions without them are scored")
                if mask is None
                else (
                    "error",
                    f"{gaps.broken}, also in the region {name}; leave them out with --nan exclude.",
                )
            )
        elif mask is None and not valid.any():
            reasons[name] = ("not_applicable", OUTSIDE)
        elif mask is not None and mask.any() and not (mask & valid).any():
            reasons[name] = ("not_applicable", NO_DATA)
    return found, reasons
