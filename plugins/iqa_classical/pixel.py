"""What the pixel-wise metrics share: the mean over an image or its mask, and a base class.

Such a metric has nothing to encode, so the encoding is the image itself and one copy serves them all.
"""

from __future__ import annotations

from typing import Annotated, Literal

import torch
from pydantic import Field
from torch import Tensor

from iqa_registry.metrics import Comparison, Features, FullReferenceMetric

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


def squared_error(synthesized: Tensor, reference: Tensor, mask: Tensor | None = None) -> Tensor:
    """Mean squared difference ``(N,)`` of two batches ``(N, C, *spatial)``.

    Example:
        >>> squared_error(torch.ones(1, 1, 2, 2), torch.full((1, 1, 2, 2), 0.5)).item()
        0.25
    """
    return masked_mean((synthesized - reference).square(), mask)


def explain(comparison: Comparison, reason: str) -> Comparison:
    """The comparison with ``reason`` given for every score that is NaN.

    Example:
        >>> explain(Comparison(torch.tensor([0.5, torch.nan])), "the mask is empty").reasons
        {1: 'the mask is empty'}
    """
    undefined = torch.isnan(comparison.scores.detach()).nonzero().flatten().tolist()
    return Comparison(comparison.scores, comparison.details, dict.fromkeys(undefined, reason))


class PixelMetric(FullReferenceMetric):
    """Base of metrics that set the images against each other pixel by pixel, in two or three dimensions."""

    def __init__(self, *, dimensions: Dimensions = 2) -> None:
        super().__init__()
        self.dimensions = dimensions
        self.encoder_id = f"iqa_classical.pixels-{dimensions}d"

    def compare_in_detail(
        self, synthesized: Features, reference: Features, mask: Tensor | None = None
    ) -> Comparison:
        """As ``compare``, with a reason where the mask is empty."""
        return explain(Comparison(self.compare(synthesized, reference, mask)), "the mask is empty")
