"""Cropping, padding and cleaning that the segmenters share; any number of dimensions."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

Box = tuple[slice, ...]


def nonzero_box(image: Tensor) -> Box:
    """The smallest box around everything that is not zero; empty where all is zero.

    Example:
        >>> nonzero_box(torch.tensor([[0.0, 0, 0], [0, 1, 0]]))
        (slice(1, 2, None), slice(1, 2, None))
    """
    box = []
    for axis in range(image.ndim):
        others = tuple(other for other in range(image.ndim) if other != axis)
        found = (image != 0).any(dim=others).nonzero() if others else (image != 0).nonzero()
        box.append(slice(int(found[0]), int(found[-1]) + 1) if len(found) else slice(0, 0))
    return tuple(box)


def pad_to(image: Tensor, size: Sequence[int]) -> tuple[Tensor, Box]:
    """Pad with 0 around the middle up to ``size``; also tells where the image lies in the result.

    Example:
        >>> padded, place = pad_to(torch.ones(2, 1), (3, 4))
        >>> padded[:, 1].tolist(), place
        ([1.0, 1.0, 0.0], (slice(0, 2, None), slice(1, 2, None)))
    """
    margins: list[int] = []
    place = []
    for length, wanted in zip(image.shape, size, strict=True):
        before = max(0, wanted - length) // 2
        margins = [before, max(0, wanted - length) - before, *margins]
        place.append(slice(before, before + length))
    return F.pad(image, margins), tuple(place)


def in_windows(network: Callable[[Tensor], Tensor], batch: Tensor, size: int) -> Tensor:
    """Apply a network to an image that may be larger than what it sees at once.

    Windows overlap by half or more; where they do, outputs are averaged with Gaussian weights (deviation one eighth of
    a window, as in nnU-Net).

    Args:
        network: from ``(1, 1, size, ...)`` to ``(1, C, size, ...)``.
        batch: ``(1, 1, ...)``, no side shorter than ``size``.
        size: side of a window.

    Example:
        >>> ramp = torch.arange(6.0).view(1, 1, 1, 6).expand(1, 1, 4, 6)
        >>> [round(value, 4) for value in in_windows(lambda window: 2 * window, ramp, 4)[0, 0, 0].tolist()]
        [0.0, 2.0, 4.0, 6.0, 8.0, 10.0]
    """
    if set(batch.shape[2:]) == {size}:
        return network(batch)
    along = torch.exp(-0.5 * ((torch.arange(size) - (size - 1) / 2) / (size / 8)) ** 2).clamp_min(1e-3)
    weight = along
    for _ in batch.shape[3:]:
        weight = weight[..., None] * along
    weight = weight.to(batch.device)
    total, weights = torch.zeros(1, device=batch.device), torch.zeros_like(batch)
    for box in itertools.product(*(_starts(length, size) for length in batch.shape[2:])):
        place: Any = (..., *(slice(start, start + size) for start in box))
        output = network(batch[place])
        if total.ndim == 1:
            total = output.new_zeros(1, output.shape[1], *batch.shape[2:])
        total[place] += output * weight
        weights[place] += weight
    return total / weights


def _starts(length: int, size: int) -> list[int]:
    count = math.ceil(2 * (length - size) / size) + 1
    return [round(start) for start in np.linspace(0, length - size, count).tolist()]


def standardize(image: Tensor) -> Tensor:
    """Mean 0 and deviation 1."""
    return (image - image.mean()) / image.std(correction=0).clamp_min(1e-8)


def without_specks(labels: NDArray[Any], least: int) -> NDArray[np.uint8]:
    """Set connected regions of fewer than ``least`` pixels to 0; neighbors touch by a side or a corner.

    Args:
        labels: any number of dimensions; all labels but 0 count as one region where they touch.
        least: pixels, or voxels, that a region must have.

    Example:
        >>> without_specks(np.array([[1, 0, 2, 2], [0, 0, 0, 2]]), 2).tolist()
        [[0, 0, 2, 2], [0, 0, 0, 2]]
    """
    labels = labels.astype(np.uint8)
    if least <= 1 or not labels.any():
        return labels
    from scipy.ndimage import label

    regions, _ = label(labels, np.ones((3,) * labels.ndim))
    return np.where(np.bincount(regions.ravel())[regions] >= least, labels, 0).astype(np.uint8)


def spacing_of(affine: NDArray[Any] | None, dimensions: int) -> list[float]:
    """Millimeters between neighbors along each axis of the array; 1 without an affine.

    Args:
        affine: ``(4, 4)``; its columns belong to the array's axes in their order.
        dimensions: 2 or 3.

    Example:
        >>> spacing_of(np.diag([2.0, 0.5, 0.5, 1]), 3), spacing_of(None, 2)
        ([2.0, 0.5, 0.5], [1.0, 1.0])
    """
    if affine is None:
        return [1.0] * dimensions
    return [float(length) for length in np.linalg.norm(np.asarray(affine)[:3, :dimensions], axis=0)]


def as_tensor(image: NDArray[Any]) -> Tensor:
    """A float32 copy."""
    return torch.from_numpy(np.array(image, dtype=np.float32))
