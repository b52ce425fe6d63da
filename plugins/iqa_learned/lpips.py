r"""LPIPS: Learned Perceptual Image Patch Similarity, version 0.1.

Both images go through a backbone trained on ImageNet. At each of its feature layers the feature vector of a pixel is
scaled to unit length, and the squared differences, weighted per channel by what was learned from human judgments, are
averaged over the pixels; the layers add up:

.. math:: d(x, y) = \sum_l \frac{1}{H_l W_l} \sum_{h,w} \| w_l^{1/2} \odot (\hat x^l_{hw} - \hat y^l_{hw}) \|^2

Paper: R. Zhang, P. Isola, A. A. Efros, E. Shechtman, O. Wang, "The Unreasonable Effectiveness of Deep Features as
a Perceptual Metric", CVPR 2018, doi:10.1109/CVPR.2018.00068. Original code:
https://github.com/richzhang/PerceptualSimilarity (BSD-2-Clause).

Validated on natural color images; a gray image is treated as three equal channels.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Annotated, Literal, NamedTuple

import torch
import torch.nn.functional as F
from pydantic import Field
from torch import Tensor

from iqa_learned.backbones import (
    Backbone,
    Design,
    Scaling,
    alexnet_layers,
    load_backbone,
    squeezenet_layers,
    vgg16_layers,
)
from iqa_registry.plugin import FullReferenceMetric, WeightsError

if TYPE_CHECKING:
    from iqa_registry.plugin import Registry

Network = Literal["alex", "vgg", "squeeze"]

DESIGNS: Mapping[str, Design] = {
    "alex": Design(alexnet_layers, taps=(1, 4, 7, 9, 11), minimum_size=31),
    "vgg": Design(vgg16_layers, taps=(3, 8, 15, 22, 29), minimum_size=16),
    "squeeze": Design(squeezenet_layers, taps=(1, 4, 7, 9, 10, 11, 12), minimum_size=17),
}

_SHIFT, _SCALE = (-0.030, -0.088, -0.188), (0.458, 0.448, 0.450)
# The backbone sees ((2x - 1) - shift) / scale, that is (x - (1 + shift) / 2) / (scale / 2).
SCALING = Scaling.standardize(((1 + shift) / 2 for shift in _SHIFT), (scale / 2 for scale in _SCALE))


class Layers(NamedTuple):
    """Weighted unit feature vectors ``(N, C, h, w)`` of each feature layer."""

    maps: tuple[Tensor, ...]


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
            lies inside. That is an approximation: features depend on more than their pixel.

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


def layers(images: Tensor, backbone: Backbone, roots: Sequence[Tensor]) -> Layers:
    """The part of LPIPS that depends on one image.

    Args:
        images: ``(N, 1 or 3, H, W)`` in [0, 1].
        backbone: gives the feature layers.
        roots: for each layer the square roots ``(C,)`` of its linear weights.
    """
    return Layers(tuple(weigh_unit_vectors(*pair) for pair in zip(backbone(images), roots, strict=True)))


def summed_distance(x: Layers, y: Layers, mask: Tensor | None = None) -> Tensor:
    """LPIPS ``(N,)`` of two encodings, see :func:`lpips`."""
    pairs = zip(x.maps, y.maps, strict=True)
    return torch.stack([layer_distance(first, second, mask) for first, second in pairs]).sum(0)


def lpips(
    x: Tensor, y: Tensor, *, backbone: Backbone, roots: Sequence[Tensor], mask: Tensor | None = None
) -> Tensor:
    """Learned perceptual image patch similarity.

    Args:
        x: synthesized images ``(N, 1 or 3, H, W)`` in [0, 1], at least as large as the backbone needs.
        y: references of the same shape.
        backbone: gives the feature layers, as :class:`LPIPS` holds it.
        roots: for each layer the square roots ``(C,)`` of its linear weights.
        mask: boolean ``(N, 1, H, W)``, see :func:`layer_distance`.

    Returns:
        Distances ``(N,)``, lower is better; 0 for equal images, NaN where the mask is empty.
    """
    return summed_distance(layers(x, backbone, roots), layers(y, backbone, roots), mask)


class LPIPS(FullReferenceMetric):
    """LPIPS 0.1 with given weights; ``registry.metric("lpips")`` fetches the published ones.

    Lower is better, 0 for equal images, no upper bound. Images ``(N, 1 or 3, H, W)`` in [0, 1] of at least 31 (alex),
    16 (vgg) or 17 (squeeze) pixels per side.

    Args:
        net: the backbone.
        backbone: its tensors, named as in torchvision (``features.0.weight`` ...).
        heads: ``heads.0``, ``heads.1`` ..., the linear weights of each layer, 0 or more.

    Raises:
        WeightsError: tensors that do not fit the backbone, or a negative weight.

    Example:
        >>> generator = torch.Generator().manual_seed(0)
        >>> random = lambda *shape: torch.rand(*shape, generator=generator)
        >>> layers = torch.nn.Sequential(*alexnet_layers())
        >>> backbone = {f"features.{name}": random(*x.shape) - 0.5 for name, x in layers.state_dict().items()}
        >>> heads = {f"heads.{i}": torch.full((c,), 0.1) for i, c in enumerate((64, 192, 384, 256, 256))}
        >>> metric = LPIPS(net="alex", backbone=backbone, heads=heads)
        >>> first, second = random(1, 1, 32, 32), random(1, 1, 32, 32)
        >>> round(metric(first, second).item(), 2), metric(first, first).item()
        (0.18, 0.0)
    """

    allows_bf16 = True
    backbone: Backbone

    def __init__(self, *, net: Network, backbone: Mapping[str, Tensor], heads: Mapping[str, Tensor]) -> None:
        super().__init__()
        self.design = DESIGNS[net]
        self.backbone = load_backbone(self.design, SCALING, backbone, f"imagenet-{net}")
        for index in range(len(self.design.taps)):
            weight = heads.get(f"heads.{index}")
            if weight is None or bool((weight < 0).any()):
                raise WeightsError(f"weights 'lpips-{net}': heads.{index} is missing or negative.")
            self.register_buffer(f"roots{index}", weight.sqrt())

    @property
    def minimum_size(self) -> int:
        """What the backbone needs."""
        return self.design.minimum_size

    @property
    def roots(self) -> list[Tensor]:
        """For each layer the square roots ``(C,)`` of its linear weights."""
        return [self.get_buffer(f"roots{index}") for index in range(len(self.design.taps))]

    def encode(self, images: Tensor) -> Layers:
        """Weighted unit feature vectors of each feature layer."""
        return layers(images, self.backbone, self.roots)

    def compare(self, synthesized: Layers, reference: Layers, mask: Tensor | None = None) -> Tensor:
        """Distances ``(N,)`` of two encodings; for a mask see :func:`layer_distance`."""
        return summed_distance(synthesized, reference, mask)

    def local_map(self, synthesized: Layers, reference: Layers, size: tuple[int, ...]) -> Tensor:
        """Where the images differ: the sum of the layers' maps, enlarged bilinearly, ``(N, 1, H, W)``."""
        pairs = zip(synthesized.maps, reference.maps, strict=True)
        maps = (squared_distance_map(first, second) for first, second in pairs)
        enlarged = [F.interpolate(x, size, mode="bilinear", align_corners=False) for x in maps]
        return torch.stack(enlarged).sum(0)


def build(
    *,
    net: Annotated[Network, Field(description="backbone: AlexNet, VGG16 or SqueezeNet 1.1")] = "alex",
    registry: Registry,
) -> LPIPS:
    """LPIPS with its published weights.

    Raises:
        WeightsError: they are not available, or differ from what was declared.
    """
    weights = registry.weights
    backbone, heads = weights.open(f"imagenet-{net}").tensors, weights.open(f"lpips-{net}").tensors
    return LPIPS(net=net, backbone=backbone, heads=heads)
