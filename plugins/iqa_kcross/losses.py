"""Losses of stage one (Eqs. 11 to 17 of K-CROSS, arXiv:2307.04296), as functions of tensors."""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

BANDWIDTHS = (0.25, 0.5, 1.0, 2.0, 4.0)
LEVELS = 5


def squared_distance(first: Tensor, second: Tensor) -> Tensor:
    """Squared distance of complex numbers, ``|z - z'|^2``, twice ``(N, 2C, H, W)`` to ``(N, C, H, W)``.

    It is the squared distance of the two plane vectors that have those amplitudes and phases (Eq. 11).

    Example:
        >>> z, other = torch.tensor([3.0, 0.0]).view(1, 2, 1, 1), torch.tensor([0.0, 4.0]).view(1, 2, 1, 1)
        >>> squared_distance(z, other).item()
        25.0
    """
    squares = (first.float() - second.float()).square()
    real, imaginary = squares.chunk(2, dim=1)
    return real + imaginary


def focal_weight(distance: Tensor, alpha: float) -> Tensor:
    """Weights of focal frequency loss: the distance to the power ``alpha``, its largest value per image and channel 1.

    Source: L. Jiang et al., "Focal Frequency Loss", ICCV 2021, doi:10.1109/ICCV48922.2021.01366. The distance given
    is the squared one; no gradient flows through the weights.

    Example:
        >>> focal_weight(torch.tensor([1.0, 4.0]).view(1, 1, 1, 2), alpha=1.0).flatten().tolist()
        [0.5, 1.0]
    """
    weight = distance.detach().sqrt().pow(alpha)
    return weight / weight.amax(dim=(-2, -1), keepdim=True).clamp_min(1e-12)


def frequency_loss(
    kspace: Tensor,
    reconstruction: Tensor,
    maps: Sequence[Tensor] = (),
    reconstruction_maps: Sequence[Tensor] = (),
    focal: float = 0.0,
) -> Tensor:
    """Distance of a k-space and its reconstruction, and of their feature maps (Eq. 12).

    The first term, the distance of the k-spaces themselves, is ours: without it an encoder that is constant would be
    optimal.

    Args:
        kspace: ``(N, 2, H, W)``, companded.
        reconstruction: the same shape.
        maps: the encoder's feature maps of ``kspace``, ``(N, 2C, h, w)`` each.
        reconstruction_maps: those of ``reconstruction``.
        focal: exponent of the focal weight on the first term, 0 for none.

    Returns:
        A scalar, not negative; zero if and only if the two k-spaces are equal.

    Example:
        >>> zeros = torch.zeros(1, 2, 4, 4)
        >>> frequency_loss(zeros, zeros + 0.5, [zeros], [zeros + 1]).item()
        2.5
    """
    distance = squared_distance(kspace, reconstruction)
    if focal:
        distance = distance * focal_weight(distance, focal)
    loss = distance.mean()
    for first, second in zip(maps, reconstruction_maps, strict=True):
        loss = loss + squared_distance(first, second).mean()
    return loss


def mmd_loss(source: Tensor, target: Tensor, bandwidths: Sequence[float] = BANDWIDTHS) -> Tensor:
    r"""Biased squared maximum mean discrepancy of two sets of codes (Eq. 13).

    .. math:: k(a, b) = \sum_i \eta_i e^{-\lVert a - b \rVert^2 / 2 \sigma_i^2}

    with equal :math:`\eta_i` that add up to 1 and :math:`\sigma_i^2` = bandwidth times the length of a code, so that
    one set of bandwidths fits every width of the network.

    Args:
        source: ``(N, D)``.
        target: ``(M, D)``.
        bandwidths: see above.

    Example:
        >>> import math
        >>> mmd = mmd_loss(torch.zeros(1, 1), torch.ones(1, 1), bandwidths=[1.0]).item()
        >>> round(mmd, 6) == round(2 - 2 * math.exp(-0.5), 6)
        True
    """

    def kernel(first: Tensor, second: Tensor) -> Tensor:
        squares = torch.cdist(first, second, compute_mode="donot_use_mm_for_euclid_dist").square()
        values = [torch.exp(-squares / (2 * width * first.shape[1])).mean() for width in bandwidths]
        return torch.stack(values).mean()

    source, target = source.float(), target.float()
    return kernel(source, source) + kernel(target, target) - 2 * kernel(source, target)


def laplacian_pyramid(images: Tensor, levels: int = LEVELS) -> list[Tensor]:
    """Band-pass images from fine to coarse, the coarsest last as it is (Burt and Adelson 1983).

    Example:
        >>> [tuple(item.shape[2:]) for item in laplacian_pyramid(torch.zeros(1, 1, 16, 16), levels=3)]
        [(16, 16), (8, 8), (4, 4)]
    """
    kernel = images.new_tensor([1.0, 4.0, 6.0, 4.0, 1.0]) / 16
    window = (kernel[:, None] * kernel[None]).view(1, 1, 5, 5)
    bands = []
    for _ in range(levels - 1):
        smaller = F.conv2d(F.pad(images, (2, 2, 2, 2), mode="replicate"), window, stride=2)
        larger = F.interpolate(smaller, images.shape[2:], mode="bilinear", align_corners=False)
        bands.append(images - larger)
        images = smaller
    return [*bands, images]


def laplacian_loss(first: Tensor, second: Tensor, levels: int = LEVELS) -> Tensor:
    """Laplacian-pyramid L1 (Eq. 14): over the levels j, ``2^(2j) |L_j(x) - L_j(y)|_1``, per pixel of the image.

    A level has ``4^j`` times fewer pixels, so this is the sum over levels of the mean absolute difference.

    Args:
        first: ``(N, 1, H, W)``.
        second: the same shape.
        levels: of the pyramid.

    Example:
        >>> laplacian_loss(torch.zeros(1, 1, 16, 16), torch.full((1, 1, 16, 16), 0.5)).item()
        0.5
    """
    # The pyramid is linear: that of the difference is the difference of the pyramids, at half the work.
    bands = laplacian_pyramid(first - second, levels)
    return torch.stack([band.abs().mean() for band in bands]).sum()
