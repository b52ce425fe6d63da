r"""DISTS: Deep Image Structure and Texture Similarity.

The image itself and five stages of VGG16, its maximum pooling replaced by a smooth one, are compared channel by
channel: the means (texture) and the covariance (structure), each in the form of SSIM, weighted by what was learned
from human judgments of quality and of texture:

.. math:: D(x, y) = \sum_{l, c} \alpha_{lc} \Bigl(1 - \frac{2 \mu_x \mu_y + c_1}{\mu_x^2 + \mu_y^2 + c_1}\Bigr)
    + \beta_{lc} \Bigl(1 - \frac{2 \sigma_{xy} + c_2}{\sigma_x^2 + \sigma_y^2 + c_2}\Bigr),
    \qquad \sum \alpha + \beta = 1

Paper: K. Ding, K. Ma, S. Wang, E. P. Simoncelli, "Image Quality Assessment: Unifying Structure and Texture
Similarity", IEEE TPAMI 44(5), 2022 (online 2020), doi:10.1109/TPAMI.2020.3045810. Original code:
https://github.com/dingkeyan93/DISTS (MIT).

Validated on natural color images; a gray image is treated as three equal channels.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, NamedTuple

import torch
import torch.nn.functional as F
from pydantic import Field
from torch import Tensor, nn

from iqa_learned.backbones import Backbone, Design, Scaling, load_backbone, vgg16_layers
from iqa_registry.plugin import FullReferenceMetric, WeightsError

if TYPE_CHECKING:
    from iqa_registry.plugin import Registry

C1 = C2 = 1e-6
"""Stabilizers of the two terms."""

SIDE = 256
"""Pixels of the shorter side after ``resize``, as in the authors' script."""

SCALING = Scaling.standardize((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))


class Statistics(NamedTuple):
    """Means and variances ``(N, K)`` of all K channels of image and stages; centered maps, each ``(N, C, h, w)``."""

    means: Tensor
    variances: Tensor
    maps: tuple[Tensor, ...]


def smooth_pool(x: Tensor) -> Tensor:
    """Halve a map: root of the Hann-weighted mean of squares over 3x3 pixels, every second one.

    Args:
        x: ``(N, C, h, w)``.

    Returns:
        ``(N, C, ceil(h / 2), ceil(w / 2))``; outside the map are zeros.

    Example:
        >>> smooth_pool(torch.full((1, 1, 4, 4), 2.0))[0, 0, 1, 1].item()
        2.0
    """
    hann = x.new_tensor([0.25, 0.5, 0.25])
    kernel = torch.outer(hann, hann).expand(x.shape[1], 1, 3, 3)
    squares = F.conv2d(x.square(), kernel, stride=2, padding=1, groups=x.shape[1])
    return (squares + 1e-12).sqrt()


class SmoothPool(nn.Module):
    """:func:`smooth_pool` as a layer."""

    def forward(self, x: Tensor) -> Tensor:
        """``(N, C, h, w)`` to half the size."""
        return smooth_pool(x)


def _layers() -> list[nn.Module]:
    return vgg16_layers(SmoothPool)


DESIGN = Design(_layers, taps=(3, 8, 15, 22, 29), minimum_size=16)


def covariance(first: Tensor, second: Tensor, share: Tensor | None = None) -> Tensor:
    """Mean product of two centered maps.

    Args:
        first: ``(N, C, h, w)``, each channel with mean zero.
        second: likewise.
        share: ``(N, 1, h, w)``, weight of each pixel; all equal by default.

    Returns:
        ``(N, C)``.

    Example:
        >>> x = torch.tensor([-1.0, 1.0]).view(1, 1, 1, 2)
        >>> covariance(x, 3 * x).item()
        3.0
    """
    product = first * second
    if share is None:
        return product.mean((2, 3))
    return (product * share).sum((2, 3)) / share.sum((2, 3))


def dissimilarity(first: Tensor, second: Tensor, product: Tensor, constant: float) -> Tensor:
    """1 minus SSIM's quotient ``(2 product + c) / (first + second + c)``; exactly 0 where all three agree."""
    return (first + second - 2 * product) / (first + second + constant)


def statistics(images: Tensor, backbone: Backbone, resize: bool = False) -> Statistics:
    """The part of DISTS that depends on one image.

    Args:
        images: ``(N, 1 or 3, H, W)`` in [0, 1].
        backbone: VGG16 with smooth pooling.
        resize: see :func:`dists`.

    Returns:
        Statistics of the image and the five stages.
    """
    if resize:
        images = shrink(images)
    centered, means = [], []
    for x in (images.float(), *backbone(images)):
        mean = x.mean((2, 3), keepdim=True)
        centered.append(x - mean)
        means.append(mean.flatten(1))
    variances = torch.cat([covariance(x, x) for x in centered], dim=1)
    return Statistics(torch.cat(means, dim=1), variances, tuple(centered))


def masked(features: Statistics, mask: Tensor) -> Statistics:
    """The statistics with means and variances taken inside a mask ``(N, 1, H, W)``."""
    shares = [_share(mask, x) for x in features.maps]
    pairs = list(zip(features.maps, shares, strict=True))
    shifts = [(x * share).sum((2, 3), keepdim=True) / share.sum((2, 3), keepdim=True) for x, share in pairs]
    centered = [x - shift for x, shift in zip(features.maps, shifts, strict=True)]
    variances = [covariance(x, x, share) for x, share in zip(centered, shares, strict=True)]
    inside = features.means + torch.cat([shift.flatten(1) for shift in shifts], dim=1)
    return Statistics(inside, torch.cat(variances, dim=1), tuple(centered))


def _share(mask: Tensor, x: Tensor) -> Tensor:
    return F.adaptive_avg_pool2d(mask.float(), (x.shape[2], x.shape[3]))


def shrink(images: Tensor) -> Tensor:
    """Downscale the shorter side to 256 pixels, keeping the aspect ratio; smaller images are unchanged."""
    height, width = images.shape[2:]
    shorter = min(height, width)
    if shorter <= SIDE:
        return images
    size = (SIDE * height // shorter, SIDE * width // shorter)
    return F.interpolate(images, size, mode="bilinear", align_corners=False, antialias=True)


def weighted_dissimilarity(
    x: Statistics, y: Statistics, alpha: Tensor, beta: Tensor, mask: Tensor | None = None
) -> Tensor:
    """DISTS ``(N,)`` of two encodings, see :func:`dists`."""
    if mask is not None:
        x, y = masked(x, mask), masked(y, mask)
    shares = [None] * len(x.maps) if mask is None else [_share(mask, one) for one in x.maps]
    products = [covariance(*maps) for maps in zip(x.maps, y.maps, shares, strict=True)]
    texture = dissimilarity(x.means.square(), y.means.square(), x.means * y.means, C1)
    structure = dissimilarity(x.variances, y.variances, torch.cat(products, dim=1), C2)
    if x.maps[0].shape[1] == 1:
        # A gray image has one channel for the three of the weights.
        alpha, beta = (torch.cat([w[:3].sum(0, keepdim=True), w[3:]]) for w in (alpha, beta))
    # Not as matrix products: autocast would compute those in half precision.
    distances = (texture * alpha).sum(1) + (structure * beta).sum(1)
    return distances.clamp(min=0)  # Rounding takes nearly equal images to -1e-9.


def dists(
    x: Tensor,
    y: Tensor,
    *,
    backbone: Backbone,
    alpha: Tensor,
    beta: Tensor,
    resize: bool = False,
    mask: Tensor | None = None,
) -> Tensor:
    """Deep image structure and texture similarity.

    Args:
        x: synthesized images ``(N, 1 or 3, H, W)`` in [0, 1], at least 16 pixels per side.
        y: references of the same shape.
        backbone: VGG16 with smooth pooling, as :class:`DISTS` holds it.
        alpha: weights ``(1475,)`` of the texture terms: image, then the five stages.
        beta: weights of the structure terms; ``alpha`` and ``beta`` together sum to 1.
        resize: downscale the shorter side to 256 pixels first, as the authors' script does.
        mask: boolean ``(N, 1, H, W)``; each pixel of a map counts with the share of its area that lies inside.

    Returns:
        Distances ``(N,)``, lower is better; 0 for equal images, NaN where the mask is empty.
    """
    first, second = (statistics(images, backbone, resize) for images in (x, y))
    return weighted_dissimilarity(first, second, alpha, beta, mask)


class DISTS(FullReferenceMetric):
    """DISTS with given weights; ``registry.metric("dists")`` fetches the published ones.

    Lower is better, 0 for equal images, at most 1 plus the sum of beta. Images ``(N, 1 or 3, H, W)`` in [0, 1].

    Args:
        backbone: VGG16's tensors, named as in torchvision (``features.0.weight`` ...).
        weights: ``alpha`` and ``beta``, ``(1475,)`` each: image, then the five stages.
        resize: downscale the shorter side to 256 pixels first, as the authors' script does.

    Raises:
        WeightsError: tensors that do not fit.

    Example:
        >>> generator = torch.Generator().manual_seed(0)
        >>> random = lambda *shape: torch.rand(*shape, generator=generator)
        >>> layers = torch.nn.Sequential(*vgg16_layers())
        >>> backbone = {f"features.{name}": random(*x.shape) - 0.5 for name, x in layers.state_dict().items()}
        >>> metric = DISTS(backbone=backbone, weights={"alpha": torch.ones(1475), "beta": torch.ones(1475)})
        >>> first, second = random(1, 1, 16, 16), random(1, 1, 16, 16)
        >>> round(metric(first, second).item(), 2), metric(first, first).item()
        (0.08, 0.0)
    """

    allows_bf16 = True
    backbone: Backbone
    alpha: Tensor
    beta: Tensor

    def __init__(
        self, *, backbone: Mapping[str, Tensor], weights: Mapping[str, Tensor], resize: bool = False
    ) -> None:
        super().__init__()
        self.resize = resize
        self.backbone = load_backbone(DESIGN, SCALING, backbone, "imagenet-vgg")
        alpha, beta = weights.get("alpha"), weights.get("beta")
        if alpha is None or beta is None or not alpha.shape == beta.shape == (1475,):
            raise WeightsError("weights 'dists': expected alpha and beta of 1475 numbers each.")
        total = alpha.sum() + beta.sum()
        self.register_buffer("alpha", alpha / total)
        self.register_buffer("beta", beta / total)

    @property
    def minimum_size(self) -> int:
        """For images below 16 pixels the last stage would have less than one pixel."""
        return DESIGN.minimum_size

    def encode(self, images: Tensor) -> Statistics:
        """Means, variances and centered maps of the image and the five stages."""
        return statistics(images, self.backbone, self.resize)

    def compare(self, synthesized: Statistics, reference: Statistics, mask: Tensor | None = None) -> Tensor:
        """Distances ``(N,)`` of two encodings; NaN where the mask is empty.

        A mask is approximate, because features depend on more than their pixel.
        """
        return weighted_dissimilarity(synthesized, reference, self.alpha, self.beta, mask)


def build(
    *,
    resize: Annotated[bool, Field(description="downscale the shorter side to 256 pixels first")] = False,
    registry: Registry,
) -> DISTS:
    """DISTS with its published weights.

    Raises:
        WeightsError: they are not available, or differ from what was declared.
    """
    weights = registry.weights
    return DISTS(
        backbone=weights.open("imagenet-vgg").tensors, weights=weights.open("dists").tensors, resize=resize
    )
