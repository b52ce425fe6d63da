"""What the pixel-wise metrics share: the mean over an image or its mask, and a base class.

These metrics have nothing to encode, so the encoding is the image itself and they share one copy of it.
"""

from __future__ import annotations

from typing import Annotated, Literal

import torch
from pydantic import Field
from torch import Tensor

from iqa_registry.plugin import FullReferenceMetric

Dimensions = Annotated[Literal[2, 3], Field(description="2 for images and slices, 3 for whole volumes")]


def masked_mean(values: Tensor, mask: Tensor | None = None) -> Tensor:
    """Mean over channels and pixels, of the pixels inside ``mask`` if given.

    Args:
        values: ``(N, C, *spatial)``.
        mask: boolean ``(N, 1, *spatial)``.

    Returns:
        ``(N,)``; NaN where the mask is empty.

    Example:
        >>> values = torch.arange(4.0).reshape(1, 1, 2, 2)
        >>> masked_mean(values).item(), masked_mean(values, values > 1).item()
        (1.5, 2.5)
    """
    if mask is None:
        return values.flatten(1).mean(dim=1)
    inside = torch.where(mask, values, 0).flatten(1).sum(dim=1)
    return inside / (mask.flatten(1).sum(dim=1) * values.shape[1])


class PixelMetric(FullReferenceMetric):
    """Base class of metrics that compare the images pixel by pixel, in two or three dimensions."""

    undefined_reason = "the mask is empty"

    def __init__(self, *, dimensions: Dimensions = 2) -> None:
        super().__init__()
        self.dimensions = dimensions
        self.encoder_id = f"iqa_classical.pixels-{dimensions}d"
