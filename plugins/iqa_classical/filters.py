"""Filters shared by the metrics of this plugin: separable Gaussian blur, averaging, erosion, luminance, safe root.

All of them work on ``(N, C, H, W)`` and ``(N, C, D, H, W)``; the spatial axes are those after the second.
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor

TILE = 64
"""Outputs per matrix product of the blur: wider tiles multiply more zeros, narrower ones need more calls."""


def gaussian_taps(window: int, sigma: float) -> Tensor:
    """Taps of a Gaussian that sum to one, computed in double precision.

    Args:
        window: number of taps.
        sigma: standard deviation in pixels.

    Returns:
        ``(window,)``, float32.

    Example:
        >>> [round(tap, 4) for tap in gaussian_taps(3, 1.0).tolist()]
        [0.2741, 0.4519, 0.2741]
    """
    offsets = torch.arange(window, dtype=torch.float64) - (window - 1) / 2
    taps = torch.exp(-(offsets**2) / (2 * sigma**2))
    rounded = (taps / taps.sum()).float()
    # A sum that is off by one part in 10^7 biases E[x^2] - E[x]^2 in bright flat regions by as much as C2 / 10^4,
    # so what rounding took goes to the outermost taps, which are small enough to hold it.
    rounded[[0, -1]] += ((1 - rounded.double().sum()) / 2).float()
    return rounded


def blur(images: Tensor, taps: Tensor) -> Tensor:
    """Correlate every spatial axis with ``taps``, keeping only the positions whose whole window lies inside.

    On the CPU this is a product with a banded Toeplitz matrix per tile of :data:`TILE` outputs, which is several
    times faster than a convolution with so few channels. Elsewhere it is a sum of shifted images, because matrix
    products on accelerators may silently run with ten bits of mantissa, too few for a variance.

    Args:
        images: ``(N, C, *spatial)``, every side at least as long as ``taps``.
        taps: ``(window,)``.

    Returns:
        ``(N, C, *spatial)`` with every side shorter by ``window - 1``.

    Example:
        >>> ramp = torch.arange(25.0).reshape(1, 1, 5, 5)
        >>> [round(value, 4) for value in blur(ramp, gaussian_taps(3, 1.0)).flatten()[:3].tolist()]
        [6.0, 7.0, 8.0]
    """
    taps = taps.to(images)
    along = _blur_by_matrix if images.device.type == "cpu" else _blur_by_shifts
    with torch.autocast(images.device.type, enabled=False):
        for axis in range(images.ndim - 1, 1, -1):
            images = along(images, taps, axis)
    return images


def _band(taps: Tensor, outputs: int) -> Tensor:
    """The matrix ``(outputs, outputs + window - 1)`` whose row j holds the taps from column j on."""
    columns = outputs + len(taps) - 1
    return F.pad(taps, (0, outputs)).repeat(outputs)[: outputs * columns].view(outputs, columns)


def _blur_by_matrix(images: Tensor, taps: Tensor, axis: int) -> Tensor:
    outputs = images.shape[axis] - len(taps) + 1
    band = _band(taps, min(TILE, outputs))
    last = axis == images.ndim - 1
    # Each of the two views is free of copies: rows for the last axis, planes (axis, rest) for the others.
    lines = images.reshape(-1, images.shape[axis]) if last else images.flatten(axis + 1).flatten(0, axis - 1)
    tiles = []
    for start in range(0, outputs, TILE):
        part = band[: outputs - start, : outputs - start + len(taps) - 1]
        tile = lines.narrow(1, start, part.shape[1])
        tiles.append(torch.mm(tile, part.t()) if last else torch.matmul(part, tile))
    blurred = tiles[0] if len(tiles) == 1 else torch.cat(tiles, dim=1)
    return blurred.reshape(*images.shape[:axis], outputs, *images.shape[axis + 1 :])


def _blur_by_shifts(images: Tensor, taps: Tensor, axis: int) -> Tensor:
    outputs = images.shape[axis] - len(taps) + 1
    blurred = images.narrow(axis, 0, outputs) * taps[0]
    for index in range(1, len(taps)):
        blurred = torch.addcmul(blurred, images.narrow(axis, index, outputs), taps[index])
    return blurred


def average_pool(images: Tensor, factor: int) -> Tensor:
    """Means of blocks of ``factor`` pixels a side; a remainder at the end is dropped.

    Sums of strided views, an axis at a time, are several times faster on the CPU than torch's pooling.

    Example:
        >>> average_pool(torch.arange(16.0).reshape(1, 1, 4, 4), 2).flatten().tolist()
        [2.5, 4.5, 10.5, 12.5]
    """
    if factor == 1:
        return images
    for axis in range(2, images.ndim):
        blocks = images.narrow(axis, 0, images.shape[axis] // factor * factor).unflatten(axis, (-1, factor))
        total = blocks.select(axis + 1, 0) + blocks.select(axis + 1, 1)
        for index in range(2, factor):
            total = total.add_(blocks.select(axis + 1, index))
        images = total
    return images / factor ** (images.ndim - 2)


def all_pool(mask: Tensor, factor: int) -> Tensor:
    """Blocks of ``factor`` pixels a side that lie wholly inside a boolean mask; the partner of :func:`average_pool`.

    Example:
        >>> mask = torch.ones(1, 1, 4, 4, dtype=torch.bool)
        >>> mask[..., 0, 0] = False
        >>> all_pool(mask, 2).flatten().tolist()
        [False, True, True, True]
    """
    if factor == 1:
        return mask
    for axis in range(2, mask.ndim):
        blocks = mask.shape[axis] // factor
        mask = mask.narrow(axis, 0, blocks * factor).unflatten(axis, (blocks, factor)).all(dim=axis + 1)
    return mask


def erode(mask: Tensor, window: int) -> Tensor:
    """Positions whose whole window of ``window`` pixels a side lies inside the mask and the image.

    The window doubles by a logical and of the mask with itself shifted, so the cost grows with its logarithm.

    Args:
        mask: boolean ``(N, 1, *spatial)``.
        window: side of the window in pixels.

    Returns:
        Boolean, every side shorter by ``window - 1``, as :func:`blur` gives.

    Example:
        >>> mask = torch.ones(1, 1, 5, 5, dtype=torch.bool)
        >>> mask[..., 4, 4] = False
        >>> int(erode(mask, 3).sum())
        8
    """
    for axis in range(2, mask.ndim):
        width = 1
        while width < window:
            step = min(width, window - width)
            rest = mask.shape[axis] - step
            mask = mask.narrow(axis, 0, rest) & mask.narrow(axis, step, rest)
            width += step
    return mask


def luminance(images: Tensor) -> Tensor:
    """The Y of YIQ, ``(N, 1, H, W)``; gray images are returned unchanged.

    Example:
        >>> round(luminance(torch.tensor([1.0, 0.5, 0.0]).reshape(1, 3, 1, 1)).item(), 4)
        0.5925
    """
    if images.shape[1] == 1:
        return images
    red, green, blue = images.split(1, dim=1)
    return 0.299 * red + 0.587 * green + 0.114 * blue


def safe_sqrt(values: Tensor) -> Tensor:
    """The square root with gradient zero, instead of infinity, where ``values`` is zero (or negative: zero there).

    Example:
        >>> values = torch.tensor([0.0, 4.0], requires_grad=True)
        >>> safe_sqrt(values).sum().backward()
        >>> values.grad.tolist()
        [0.0, 0.25]
    """
    if not values.requires_grad:
        return values.clamp(min=0).sqrt_()
    zero = values <= 0
    return torch.where(zero, 0, torch.where(zero, 1, values).sqrt())


def halving_factor(sides: tuple[int, ...]) -> int:
    """The factor by which Wang's script shrinks an image before SSIM: shortest side / 256, rounded, at least 1.

    Halves are rounded up, as MATLAB does.

    Example:
        >>> halving_factor((383, 500)), halving_factor((384, 500)), halving_factor((640, 640))
        (1, 2, 3)
    """
    return max(1, math.floor(min(sides) / 256 + 0.5))
