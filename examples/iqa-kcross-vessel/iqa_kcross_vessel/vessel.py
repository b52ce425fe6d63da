"""The vessel branch: thin bright structures, found by white top-hats of three sizes."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from iqa_kcross.branch import Branch, BranchSettings, Context
from torch import Tensor

SIDES = (3, 5, 9)


def top_hat(images: Tensor, side: int) -> Tensor:
    """What is bright and thinner than ``side`` pixels: the image minus its morphological opening.

    Example:
        >>> image = torch.zeros(1, 1, 9, 9)
        >>> image[..., 4, :] = 1.0  # a line of one pixel
        >>> top_hat(image, side=3).sum().item(), top_hat(torch.ones(1, 1, 9, 9), side=3).sum().item()
        (9.0, 0.0)
    """
    half = side // 2
    eroded = -F.max_pool2d(-images, side, stride=1, padding=half)
    return images - F.max_pool2d(eroded, side, stride=1, padding=half)


class VesselBranch(Branch):
    """Compares the vessels of two images; it has nothing to learn but its score."""

    name = "vessel"
    summary = "vessels: thin bright structures"

    def __init__(self, settings: BranchSettings) -> None:
        super().__init__(settings, size=len(SIDES))

    def encode(self, images: Tensor, context: Context) -> Tensor:
        """Top-hats, one channel for each size."""
        return torch.cat([top_hat(images, side) for side in SIDES], dim=1)

    def descriptor(self, first: Tensor, second: Tensor) -> Tensor:
        """Mean absolute differences of the top-hats."""
        return (first - second).abs().mean(dim=(-2, -1))
