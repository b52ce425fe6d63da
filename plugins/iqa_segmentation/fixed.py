"""Segmenters that find nothing: ``labels``, where only the user's label maps count, and ``none``."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from iqa_registry.plugin import Segmenter


class NoLesions(Segmenter):
    """Finds no lesion in any image.

    Example:
        >>> int(NoLesions().mask(torch.ones(2, 1, 4, 4)).sum())
        0
    """

    def __call__(self, image: NDArray[Any], affine: NDArray[Any] | None = None) -> NDArray[np.uint8]:
        """Zeros of the image's shape."""
        return np.zeros(image.shape, np.uint8)

    def mask(self, images: Tensor) -> Tensor:
        """``False`` everywhere."""
        return torch.zeros_like(images, dtype=torch.bool)


class UserLabels(NoLesions):
    """Segments nothing itself: a metric takes the user's label map where there is one, and no lesion where not.

    Example:
        >>> int(UserLabels()(np.ones((4, 4))).sum())
        0
    """
