"""Augmentation: what synthesized, degraded and differently scaled images look like, drawn at random for every slice.

Every function takes images ``(N, 1, S, S)`` in [0, 1] and a generator, and gives images of the same shape.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Generator, Tensor
from torch.nn import functional as F

Change = Callable[[Tensor, Generator], Tensor]


def augment(images: Tensor, lesions: Tensor, generator: Generator) -> tuple[Tensor, Tensor]:
    """Move and degrade each slice in its own way.

    Args:
        images: ``(N, 1, S, S)`` in [0, 1].
        lesions: boolean, of the same shape; moved with the images.
        generator: the source of chance.

    Returns:
        The images in 8-bit steps, and the lesions.
    """
    images, lesions = move(images, lesions, generator)
    for chance, change in CHANGES:
        chosen = torch.rand(len(images), generator=generator) < chance
        if chosen.any():
            images[chosen] = change(images[chosen], generator)
    return (images.clamp(0, 1) * 255).round() / 255, lesions


def uniform(count: int, low: float, high: float, generator: Generator) -> Tensor:
    """``(count, 1, 1, 1)`` numbers between ``low`` and ``high``."""
    return low + (high - low) * torch.rand(count, 1, 1, 1, generator=generator)


def move(images: Tensor, lesions: Tensor, generator: Generator) -> tuple[Tensor, Tensor]:
    """Flip, turn by up to 20 degrees, shift, and scale; half of the slices to between one half and full size."""
    count = len(images)
    draw = torch.rand(6, count, generator=generator)
    scale = torch.where(draw[0] < 0.5, 0.5 + 0.5 * draw[1], 0.85 + 0.35 * draw[1])
    angle = (draw[2] - 0.5) * 2 * math.radians(20)
    cosine, sine = torch.cos(angle) / scale, torch.sin(angle) / scale
    across = torch.where(draw[3] < 0.5, -1.0, 1.0)
    down = torch.where(draw[4] < 0.2, -1.0, 1.0)
    shift = (torch.rand(2, count, generator=generator) - 0.5) * 0.1
    rows = torch.stack(
        [
            torch.stack([cosine * across, -sine * down, shift[0]], dim=1),
            torch.stack([sine * across, cosine * down, shift[1]], dim=1),
        ],
        dim=1,
    )
    field = F.affine_grid(rows, list(images.shape), align_corners=False)
    both = torch.cat([images, lesions.to(images.dtype)], dim=1)
    moved = F.grid_sample(both, field, align_corners=False)
    return moved[:, :1].contiguous(), moved[:, 1:] > 0.5


def gamma(images: Tensor, generator: Generator) -> Tensor:
    """Brighter or darker middle tones."""
    return images ** torch.exp2(uniform(len(images), -0.7, 0.7, generator))


def scale_intensity(images: Tensor, generator: Generator) -> Tensor:
    """Another gain, with clipping where it is above 1."""
    return (images * uniform(len(images), 0.6, 1.3, generator)).clamp(0, 1)


def shade(images: Tensor, generator: Generator) -> Tensor:
    """A smooth factor over the image, as a receive coil leaves it."""
    coarse = uniform(len(images) * 9, 0.7, 1.3, generator).view(len(images), 1, 3, 3)
    factor = F.interpolate(coarse, size=images.shape[-2:], mode="bicubic", align_corners=True)
    return (images * factor).clamp(0, 1)


def blur(images: Tensor, generator: Generator) -> Tensor:
    """A Gaussian of 0.5 to 2.5 pixels."""
    widths = uniform(len(images), 0.5, 2.5, generator)
    return torch.cat(
        [_smooth(image[None], float(width)) for image, width in zip(images, widths, strict=True)]
    )


def _smooth(image: Tensor, width: float) -> Tensor:
    reach = math.ceil(3 * width)
    kernel = torch.exp(-0.5 * (torch.arange(-reach, reach + 1) / width) ** 2)
    kernel = (kernel / kernel.sum()).view(1, 1, -1, 1)
    across = F.conv2d(image, kernel, padding=(reach, 0))
    return F.conv2d(across, kernel.transpose(2, 3), padding=(0, reach))


def noise(images: Tensor, generator: Generator) -> Tensor:
    """Rician noise, so that what is outside the brain is no longer zero."""
    level = uniform(len(images), 0.005, 0.08, generator)
    real, imaginary = torch.randn(2, *images.shape, generator=generator)
    return torch.hypot(images + level * real, level * imaginary)


def ghost(images: Tensor, generator: Generator) -> Tensor:
    """Every second line of k-space weaker: a faint copy of the head, displaced by half of the image."""
    spectrum = torch.fft.fft2(images)
    weight = 1 - uniform(len(images), 0.05, 0.35, generator)
    spectrum[..., ::2, :] = spectrum[..., ::2, :] * weight
    return torch.fft.ifft2(spectrum).abs()


def lose_lines(images: Tensor, generator: Generator) -> Tensor:
    """Up to a quarter of the lines of k-space missing, away from its middle."""
    side = images.shape[-2]
    kept = torch.rand(len(images), 1, side, 1, generator=generator) > uniform(len(images), 0, 0.25, generator)
    kept |= torch.fft.fftfreq(side).abs().view(1, 1, side, 1) < 0.04
    return torch.fft.ifft2(torch.fft.fft2(images) * kept).abs()


def checkerboard(images: Tensor, generator: Generator) -> Tensor:
    """The pattern that transposed convolutions leave."""
    rows, columns = (torch.arange(length) for length in images.shape[-2:])
    board = ((rows[:, None] + columns) % 2 * 2 - 1).to(images.dtype)
    return (images * (1 + uniform(len(images), 0.02, 0.2, generator) * board)).clamp(0, 1)


CHANGES: tuple[tuple[float, Change], ...] = (
    (0.25, shade),
    (0.4, gamma),
    (0.3, scale_intensity),
    (0.25, blur),
    (0.08, ghost),
    (0.12, lose_lines),
    (0.08, checkerboard),
    (0.3, noise),
)
"""What may happen to a slice, with its probability, in this order."""
