"""Segmenters: from an image to a label map, for metrics that use labels.

A segmenter is called with one image (an array and, where there is one, its affine) and returns a label map. Metrics
call :meth:`Segmenter.mask`, which takes a batch.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from iqa_registry.specs import SegmenterSpec


class Segmenter(ABC):
    """Finds structures in an image.

    Example:
        >>> class Bright(Segmenter):
        ...     def __call__(self, image, affine=None):
        ...         return (image > 0.9).astype(np.uint8)
        >>> int(Bright().mask(torch.linspace(0, 1, 16).view(1, 1, 4, 4)).sum())
        2
    """

    spec: SegmenterSpec | None = None
    """The declaration; set by the registry."""
    mask_labels: tuple[int, ...] | None = None
    """The labels of what the segmenter is asked for, lesions for example; ``None`` for every label but 0."""

    @abstractmethod
    def __call__(self, image: NDArray[Any], affine: NDArray[Any] | None = None) -> NDArray[np.uint8]:
        """Label map of one image.

        Args:
            image: ``(H, W)`` or ``(D, H, W)``, finite, on any scale that the segmenter's training knew.
            affine: ``(4, 4)``, voxel to world in mm; 1 mm a side without it.

        Returns:
            Labels of the image's shape; 0 is background.
        """

    def mask(self, images: Tensor) -> Tensor:
        """Where the structures are that the segmenter is asked for.

        Args:
            images: ``(N, 1, H, W)`` in [0, 1].

        Returns:
            Boolean, of the same shape, on the same device. An image's mask depends on that image alone.
        """
        maps = [self(image[0].detach().float().cpu().numpy()) for image in images]
        return torch.from_numpy(np.stack([self.in_mask(labels) for labels in maps])[:, None]).to(
            images.device
        )

    def in_mask(self, labels: NDArray[np.uint8]) -> NDArray[np.bool_]:
        """Where a label map shows what the segmenter is asked for."""
        return labels != 0 if self.mask_labels is None else np.isin(labels, self.mask_labels)
