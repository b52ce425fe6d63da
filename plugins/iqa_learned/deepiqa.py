r"""DeepIQA: the Weighted Average Deep Image Quality Measure with full reference, WaDIQaM-FR.

Patches of 32x32 pixels of both images go through one convolutional network. From their features and the features'
difference two small networks estimate each patch's quality and its weight:

.. math:: q = \frac{\sum_i a_i q_i}{\sum_i a_i}, \qquad a_i = \max(0, a(f_i)) + \epsilon, \quad
    q_i = q(f_i), \quad f_i = (f^r_i, f^d_i, f^d_i - f^r_i)

Paper: S. Bosse, D. Maniry, K.-R. Mueller, T. Wiegand, W. Samek, "Deep Neural Networks for No-Reference and
Full-Reference Image Quality Assessment", IEEE TIP 27(1), 2018, doi:10.1109/TIP.2017.2760518. Original code:
https://github.com/dmaniry/deepIQA.

The weights are not the authors': they were trained again on KADID-10k (natural color images) by the makers of
IQA-PyTorch, on mean opinion scores, so that higher is better. The scale is that of the training; the score of an
image against itself is not fixed. The image is divided into adjacent patches from its upper left corner; a remainder
of less than 32 pixels at the right and lower border is ignored. (IQA-PyTorch also ignores the last patches if a side
is a multiple of 32.)
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from iqa_registry.plugin import FullReferenceMetric, WeightsError

if TYPE_CHECKING:
    from iqa_registry.plugin import Registry

PATCH = 32
"""Size of a patch in pixels."""

EPSILON = 1e-8
"""Minimum weight of a patch."""


def cut_patches(images: Tensor) -> Tensor:
    """Divide images into adjacent patches, row by row from the upper left corner.

    Args:
        images: ``(N, C, H, W)``.

    Returns:
        ``(N, P, C, 32, 32)`` with ``P = (H // 32) * (W // 32)``.

    Example:
        >>> image = torch.arange(64.0).expand(1, 1, 40, 64)
        >>> cut_patches(image)[0, :, 0, 0, 0].tolist()
        [0.0, 32.0]
    """
    patches = images.unfold(2, PATCH, PATCH).unfold(3, PATCH, PATCH)
    return patches.permute(0, 2, 3, 1, 4, 5).flatten(1, 2)


def weighted_quality(quality: Tensor, weight: Tensor) -> Tensor:
    """Weighted mean over the patches: twice ``(N, P)`` to ``(N,)``; NaN where all weights are zero.

    Example:
        >>> weighted_quality(torch.tensor([[1.0, 4.0]]), torch.tensor([[2.0, 1.0]])).item()
        2.0
    """
    return (quality * weight).sum(1) / weight.sum(1)


def _features() -> nn.Sequential:
    layers: list[nn.Module] = []
    channels = 3
    for width in (32, 64, 128, 256, 512):
        for _ in range(2):
            layers += [nn.Conv2d(channels, width, 3, padding=1), nn.ReLU(inplace=True)]
            channels = width
        layers.append(nn.MaxPool2d(2, 2))
    return nn.Sequential(*layers)


def _regression() -> nn.Sequential:
    """Dropout has no effect outside training; it keeps the published numbering of the layers."""
    return nn.Sequential(nn.Linear(3 * 512, 512), nn.ReLU(inplace=True), nn.Dropout(0.5), nn.Linear(512, 1))


def patch_features(images: Tensor, features: nn.Module) -> Tensor:
    """The part of DeepIQA that depends on one image.

    Args:
        images: ``(N, 1 or 3, H, W)`` in [0, 1].
        features: the convolutional network, from ``(P, 3, 32, 32)`` to ``(P, 512, 1, 1)``.

    Returns:
        ``(N, P, 512)``.
    """
    patches = cut_patches(images.expand(-1, 3, -1, -1))
    flat = patches.flatten(0, 1).contiguous(memory_format=torch.channels_last)
    return features(flat).flatten(1).float().unflatten(0, patches.shape[:2])


def fused_quality(
    x: Tensor, y: Tensor, quality: nn.Module, weight: nn.Module, mask: Tensor | None = None
) -> Tensor:
    """DeepIQA ``(N,)`` of the patch features ``(N, P, 512)`` of two batches, see :func:`deepiqa`."""
    fused = torch.cat([y, x, x - y], dim=2)
    qualities = quality(fused).squeeze(2).float()
    weights = F.relu(weight(fused)).squeeze(2).float() + EPSILON
    if mask is not None:
        weights = weights * cut_patches(mask.float()).mean((2, 3, 4))
    return weighted_quality(qualities, weights)


def deepiqa(
    x: Tensor,
    y: Tensor,
    *,
    features: nn.Module,
    quality: nn.Module,
    weight: nn.Module,
    mask: Tensor | None = None,
) -> Tensor:
    """WaDIQaM-FR, the quality estimated from patches.

    Args:
        x: synthesized images ``(N, 1 or 3, H, W)`` in [0, 1], at least 32 pixels per side.
        y: references of the same shape.
        features: the convolutional network, as :class:`DeepIQA` holds it.
        quality: from fused features ``(N, P, 1536)`` to the quality ``(N, P, 1)`` of each patch.
        weight: from fused features to the weight of each patch.
        mask: boolean ``(N, 1, H, W)``; a patch counts with the share of its pixels that lies inside.

    Returns:
        ``(N,)``; direction and scale are those of the networks; NaN where the mask is empty.
    """
    return fused_quality(patch_features(x, features), patch_features(y, features), quality, weight, mask)


class DeepIQA(FullReferenceMetric):
    """WaDIQaM-FR with given weights; ``registry.metric("deepiqa")`` fetches the published ones.

    Direction and scale are those of the weights; for the published ones higher is better. Images
    ``(N, 1 or 3, H, W)`` in [0, 1], at least 32 pixels per side; gray is treated as three equal channels.

    Args:
        state: ``features.0.weight`` ..., ``fc_q.0.weight`` ..., ``fc_w.0.weight`` ... .

    Raises:
        WeightsError: a tensor is missing, unknown, or has another shape.

    Example:
        >>> generator = torch.Generator().manual_seed(0)
        >>> random = lambda *shape: torch.rand(*shape, generator=generator)
        >>> parts = {"features": _features(), "fc_q": _regression(), "fc_w": _regression()}
        >>> shapes = torch.nn.ModuleDict(parts).state_dict().items()
        >>> metric = DeepIQA(state={name: (random(*x.shape) - 0.45) / 30 for name, x in shapes})
        >>> round(metric(random(1, 1, 40, 64), random(1, 1, 40, 64)).item(), 2)
        0.93
    """

    def __init__(self, *, state: Mapping[str, Tensor]) -> None:
        super().__init__()
        with torch.device("meta"):
            self.features, self.fc_q, self.fc_w = _features(), _regression(), _regression()
        try:
            self.load_state_dict(dict(state), assign=True)
        except RuntimeError as error:
            raise WeightsError(f"weights 'deepiqa' do not fit the network: {error}") from error
        self.requires_grad_(False).eval().to(memory_format=torch.channels_last)

    @property
    def minimum_size(self) -> int:
        """One patch."""
        return PATCH

    def encode(self, images: Tensor) -> Tensor:
        """Features of each patch, ``(N, P, 512)``."""
        return patch_features(images, self.features)

    def compare(self, synthesized: Tensor, reference: Tensor, mask: Tensor | None = None) -> Tensor:
        """Scores ``(N,)`` of two encodings; with a mask a patch counts with the share that lies inside."""
        return fused_quality(synthesized, reference, self.fc_q, self.fc_w, mask)


def build(*, registry: Registry) -> DeepIQA:
    """DeepIQA with its published weights.

    Raises:
        WeightsError: they are not available, or differ from what was declared.
    """
    return DeepIQA(state=registry.weights.open("deepiqa").tensors)
