r"""LPIPS: Learned Perceptual Image Patch Similarity, version 0.1.

Both images go through a trunk trained on ImageNet. At each of its layers the feature vector of a pixel is scaled
to unit length, and the squared differences, weighted per channel by what was learned from human judgements, are
averaged over the pixels; the layers add up:

.. math:: d(x, y) = \sum_l \frac{1}{H_l W_l} \sum_{h,w} \| w_l^{1/2} \odot (\hat x^l_{hw} - \hat y^l_{hw}) \|^2

Paper: R. Zhang, P. Isola, A. A. Efros, E. Shechtman, O. Wang, "The Unreasonable Effectiveness of Deep Features as
a Perceptual Metric", CVPR 2018, doi:10.1109/CVPR.2018.00068. Original code:
https://github.com/richzhang/PerceptualSimilarity (BSD-2-Clause).

Validated on natural colour images; a grey image is taken as three equal channels.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, Literal

import torch
import torch.nn.functional as F
from pydantic import Field
from torch import Tensor

from iqa_learned.trunks import (
    Design,
    Scaling,
    Trunk,
    alexnet_layers,
    load_trunk,
    squeezenet_layers,
    vgg16_layers,
)
from iqa_registry.errors import WeightsError
from iqa_registry.metrics import FullReferenceMetric

if TYPE_CHECKING:
    from iqa_registry.registry import Registry

Network = Literal["alex", "vgg", "squeeze"]

DESIGNS: Mapping[str, Design] = {
    "alex": Design(alexnet_layers, taps=(1, 4, 7, 9, 11), minimum_size=31),
    "vgg": Design(vgg16_layers, taps=(3, 8, 15, 22, 29), minimum_size=16),
    "squeeze": Design(squeezenet_layers, taps=(1, 4, 7, 9, 10, 11, 12), minimum_size=17),
}

_SHIFT, _SCALE = (-0.030, -0.088, -0.188), (0.458, 0.448, 0.450)
# The trunk sees ((2x - 1) - shift) / scale, that is (x - (1 + shift) / 2) / (scale / 2).
SCALING = Scaling.standardize(((1 + shift) / 2 for shift in _SHIFT), (scale / 2 for scale in _SCALE))


def weigh_unit_vectors(features: Tensor, roots: Tensor) -> Tensor:
    """Scale each pixel's feature vector to unit length, then each channel by the root of its weight.

    Args:
        features: ``(N, C, h, w)``.
        roots: ``(C,)``, square roots of the learned weights.

    Returns:
        ``(N, C, h, w)``; zero where all features of a pixel are.

    Example:
        >>> unit = weigh_unit_vectors(torch.tensor([3.0, 4.0]).view(1, 2, 1, 1), torch.tensor([1.0, 2.0]))
        >>> [round(value, 4) for value in unit.flatten().tolist()]
        [0.6, 1.6]
    """
    norm = torch.linalg.vector_norm(features, dim=1, keepdim=True)
    return features / (norm + 1e-10) * roots.view(1, -1, 1, 1)


def squared_distance_map(first: Tensor, second: Tensor) -> Tensor:
    """Squared distance of the feature vectors pixel by pixel: twice ``(N, C, h, w)`` to ``(N, 1, h, w)``."""
    return F.mse_loss(first, second, reduction="none").sum(1, keepdim=True)


def layer_distance(first: Tensor, second: Tensor, mask: Tensor | None = None) -> Tensor:
    """Mean squared distance of two feature maps.

    Args:
        first: ``(N, C, h, w)``.
        second: the same shape.
        mask: boolean ``(N, 1, H, W)``; each pixel of the feature map counts with the share of its area that
            lies inside. That is an approximation: features look beyond their pixel.

    Returns:
        ``(N,)``; NaN where the mask is empty.

    Example:
        >>> zeros = torch.zeros(1, 2, 2, 2)
        >>> layer_distance(zeros, zeros + torch.tensor([1.0, 2.0]).view(1, 2, 1, 1)).item()
        5.0
    """
    if mask is None:
        difference = F.mse_loss(first, second, reduction="none")
        return difference.sum((1, 2, 3)) / (first.shape[2] * first.shape[3])
    share = F.adaptive_avg_pool2d(mask.float(), (first.shape[2], first.shape[3]))
    return (squared_distance_map(first, second) * share).sum((1, 2, 3)) / share.sum((1, 2, 3))


class LPIPS(FullReferenceMetric):
    """LPIPS 0.1 with given weights; ``registry.metric("lpips")`` fetches the published ones.

    Lower is better, 0 for equal images, no upper bound. Images ``(N, 1 or 3, H, W)`` in [0, 1]; least side 31
    (alex), 16 (vgg) or 17 (squeeze) pixels.

    Args:
        net: the trunk.
        trunk: its tensors, named as in torchvision (``features.0.weight`` ...).
        heads: ``heads.0``, ``heads.1`` ..., the non-negative weights of the channels of each layer.

    Raises:
        WeightsError: tensors that do not fit the trunk, or a negative weight.

    Example:
        >>> generator = torch.Generator().manual_seed(0)
        >>> random = lambda *shape: torch.rand(*shape, generator=generator)
        >>> layers = torch.nn.Sequential(*alexnet_layers())
        >>> trunk = {f"features.{name}": random(*x.shape) - 0.5 for name, x in layers.state_dict().items()}
        >>> heads = {f"heads.{i}": torch.full((c,), 0.1) for i, c in enumerate((64, 192, 384, 256, 256))}
        >>> metric = LPIPS(net="alex", trunk=trunk, heads=heads)
        >>> first, second = random(1, 1, 32, 32), random(1, 1, 32, 32)
        >>> round(metric(first, second).item(), 2), metric(first, first).item()
        (0.18, 0.0)
    """

    allows_bf16 = True
    trunk: Trunk

    def __init__(self, *, net: Network, trunk: Mapping[str, Tensor], heads: Mapping[str, Tensor]) -> None:
        super().__init__()
        self.design = DESIGNS[net]
        self.trunk = load_trunk(self.design, SCALING, trunk, f"imagenet-{net}")
        for index in range(len(self.design.taps)):
            weight = heads.get(f"heads.{index}")
            if weight is None or bool((weight < 0).any()):
                raise WeightsError(f"weights 'lpips-{net}': heads.{index} is missing or negative.")
            self.register_buffer(f"roots{index}", weight.sqrt())

    @property
    def minimum_size(self) -> int:
        """Least side in pixels of the trunk."""
        return self.design.minimum_size

    def encode(self, images: Tensor) -> tuple[Tensor, ...]:
        """Weighted unit feature vectors of each layer.

        Args:
            images: ``(N, 1 or 3, H, W)`` in [0, 1].

        Returns:
            One ``(N, C, h, w)`` a layer, and last an empty ``(N, 0, H, W)`` that tells the size of the images.
        """
        maps = self.trunk(images)
        weighed = (weigh_unit_vectors(x, self.get_buffer(f"roots{i}")) for i, x in enumerate(maps))
        return (*weighed, images.new_empty(images.shape[0], 0, *images.shape[2:]))

    def compare(
        self, synthesized: tuple[Tensor, ...], reference: tuple[Tensor, ...], mask: Tensor | None = None
    ) -> Tensor:
        """Distances ``(N,)`` of two encodings; with a mask see :func:`layer_distance`."""
        pairs = zip(synthesized[:-1], reference[:-1], strict=True)
        return torch.stack([layer_distance(first, second, mask) for first, second in pairs]).sum(0)

    def local_map(self, synthesized: tuple[Tensor, ...], reference: tuple[Tensor, ...]) -> Tensor:
        """Where the images differ: the layers' maps, enlarged bilinearly and added up, ``(N, 1, H, W)``."""
        size = synthesized[-1].shape[2:]
        pairs = zip(synthesized[:-1], reference[:-1], strict=True)
        maps = (squared_distance_map(first, second) for first, second in pairs)
        enlarged = [F.interpolate(x, size, mode="bilinear", align_corners=False) for x in maps]
        return torch.stack(enlarged).sum(0)


def build(
    *,
    net: Annotated[Network, Field(description="trunk: AlexNet, VGG16 or SqueezeNet 1.1")] = "alex",
    registry: Registry,
) -> LPIPS:
    """LPIPS with its published weights.

    Raises:
        WeightsError: they cannot be had, or are not what was declared.
    """
    weights = registry.weights
    return LPIPS(
        net=net, trunk=weights.open(f"imagenet-{net}").tensors, heads=weights.open(f"lpips-{net}").tensors
    )
