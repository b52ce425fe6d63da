"""Probe images: smooth, MR-like, seeded; and the distortions that make them worse by known steps."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

NOISE_LEVELS = (0.01, 0.03, 0.1)
"""Standard deviations of the noise that each check of direction adds."""
BLUR_LEVELS = (0.6, 1.2, 2.4)
"""Standard deviations, in pixels, of the blur."""


def head_images(count: int, sides: Sequence[int], seed: int = 0) -> Tensor:
    """Bright heads on a black ground, with soft tissue-like blobs and a faint texture.

    Args:
        count: how many, all different.
        sides: two or three lengths in pixels.
        seed: of their random parts.

    Returns:
        ``(count, 1, *sides)`` in [0, 1].

    Example:
        >>> images = head_images(2, (32, 40))
        >>> images.shape, round(images.mean().item(), 3), images[..., 0, 0].tolist()
        (torch.Size([2, 1, 32, 40]), 0.249, [[0.0], [0.0]])
    """
    generator = torch.Generator().manual_seed(seed)
    return torch.stack([_head(tuple(sides), generator) for _ in range(count)])[:, None]


def _head(sides: tuple[int, ...], generator: torch.Generator) -> Tensor:
    axes = [torch.linspace(-1, 1, side) for side in sides]
    grid = torch.stack(torch.meshgrid(*axes, indexing="ij"), dim=-1)
    radius = grid.square().sum(dim=-1).sqrt()
    tissue = torch.full(sides, 0.5)
    for _ in range(12):
        center = 1.2 * torch.rand(len(sides), generator=generator) - 0.6
        width = 0.08 + 0.25 * torch.rand((), generator=generator)
        height = 0.8 * torch.rand((), generator=generator) - 0.4
        tissue += height * torch.exp(-(grid - center).square().sum(dim=-1) / (2 * width**2))
    tissue += 0.08 * _texture(sides, generator)
    # The rim rises over a fifth of the radius; beyond it the image is exactly black, as air is.
    rim = ((0.95 - radius) / 0.2).clamp(0, 1)
    return (tissue * rim * rim * (3 - 2 * rim)).clamp(0, 1)


def _texture(sides: tuple[int, ...], generator: torch.Generator) -> Tensor:
    coarse = torch.randn((1, 1, *(max(2, math.ceil(side / 3)) for side in sides)), generator=generator)
    mode = "bilinear" if len(sides) == 2 else "trilinear"
    return F.interpolate(coarse, size=sides, mode=mode, align_corners=False)[0, 0]


def add_noise(images: Tensor, level: float, seed: int = 1) -> Tensor:
    """The images with Gaussian noise of standard deviation ``level``, clipped to [0, 1].

    Example:
        >>> round((add_noise(torch.full((1, 1, 64, 64), 0.5), 0.1) - 0.5).std().item(), 2)
        0.1
    """
    generator = torch.Generator().manual_seed(seed)
    return (images + level * torch.randn(images.shape, generator=generator)).clamp(0, 1)


def blur(images: Tensor, sigma: float) -> Tensor:
    """The images under a Gaussian of ``sigma`` pixels, the border repeated.

    Example:
        >>> edge = torch.tensor([0.0, 0.0, 0.0, 1.0, 1.0, 1.0]).expand(1, 1, 6, 6)
        >>> [round(value, 2) for value in blur(edge, 1.0)[0, 0, 3].tolist()]
        [0.0, 0.06, 0.3, 0.7, 0.94, 1.0]
    """
    reach = math.ceil(3 * sigma)
    taps = torch.exp(-torch.arange(-reach, reach + 1).square() / (2 * sigma**2))
    kernel = (taps / taps.sum()).reshape(1, 1, -1)
    for axis in range(2, images.ndim):
        lines = images.movedim(axis, -1)
        padded = F.pad(lines.reshape(-1, 1, lines.shape[-1]), (reach, reach), mode="replicate")
        images = F.conv1d(padded, kernel).reshape(lines.shape).movedim(-1, axis)
    return images.clamp(0, 1)


def degraded(images: Tensor) -> Tensor:
    """A plausible synthesis: noise, blur and a wrong contrast in turn over the batch, inside (0, 1).

    Example:
        >>> images = head_images(3, (32, 32))
        >>> [round(value, 3) for value in (degraded(images) - images).abs().mean(dim=(1, 2, 3)).tolist()]
        [0.068, 0.059, 0.075]
    """
    blurred, contrast = blur(images, 1.5), images**1.4
    noisy = add_noise(images, 0.08)
    changed = [(noisy, blurred, contrast)[index % 3][index] for index in range(len(images))]
    return 0.05 + 0.9 * torch.stack(changed)


def box_masks(sides: Sequence[int]) -> tuple[Tensor, Tensor]:
    """A box in the first and a smaller one in the second half of the last axis, ``(1, 1, *sides)``, boolean.

    Example:
        >>> [int(mask.sum()) for mask in box_masks((16, 32))]
        [156, 130]
    """
    half = sides[-1] // 2
    masks = []
    for start, less in ((0, 0), (half, 2)):
        mask = torch.zeros((1, 1, *sides), dtype=torch.bool)
        inner = mask.narrow(-1, start + half // 8, half - 2 * (half // 8) - less)
        for axis, side in enumerate(sides[:-1], start=2):
            inner = inner.narrow(axis, side // 8, side - 2 * (side // 8) + 1)
        inner.fill_(True)  # a view of the mask
        masks.append(mask)
    return masks[0], masks[1]


def crop(images: Tensor, side: int) -> Tensor:
    """The central square or cube of ``side`` pixels.

    Example:
        >>> crop(torch.arange(25.0).reshape(1, 1, 5, 5), 1).item()
        12.0
    """
    for axis in range(2, images.ndim):
        images = images.narrow(axis, (images.shape[axis] - side) // 2, side)
    return images
