r"""NLPD, the normalized Laplacian pyramid distance.

An image is decomposed into a Laplacian pyramid of six levels :math:`z^{(k)}`, the last of which is the residual of
five reductions. Each coefficient is divided by a weighted sum of its neighbors' magnitudes, as a model of gain
control in early vision, and the levels of the two images are compared by their root mean square difference:

.. math::
    y^{(k)} = \frac{z^{(k)}}{\sigma_k + P_k * |z^{(k)}|}, \qquad
    \mathrm{NLPD} = \frac{1}{6} \sum_{k=1}^{6} \sqrt{\frac{1}{M_k} \sum_j (y_j^{(k)} - \tilde y_j^{(k)})^2}

with the weights P and constants :math:`\sigma` that the authors learned on natural images. Lower is better; 0 at
equality. Color images are scored by their luminance.

The authors' script gives one neighbor, two columns away at the finest level, a weight of 0.0072. The widely used
ports, including pyiqa's, have filters of 3 x 3 and omit it, which changes scores by about half a percent. This metric
omits it too, to agree with them; ``far_neighbor=True`` follows the script. plenoptic's ``nlpd`` differs from both by up
to 6 %, because its pyramid has the filter (1 4 6 4 1) / 16 instead of the script's (1 5 8 5 1) / 20 and other borders,
and because it correlates where the script convolves.

Paper: V. Laparra, J. Balle, A. Berardino and E. P. Simoncelli (2016), "Perceptual image quality assessment using a
normalized Laplacian pyramid", Electronic Imaging 2016(16), 1-6. DOI 10.2352/ISSN.2470-1173.2016.16.HVEI-103.
Original code: https://www.cns.nyu.edu/~lcv/NLPyr/NLP_dist.m.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Annotated, NamedTuple

import torch
import torch.nn.functional as F
from pydantic import Field
from torch import Tensor

from iqa_classical.filters import blur, luminance, safe_sqrt
from iqa_registry.plugin import FullReferenceMetric

BURT_ADELSON = (0.05, 0.25, 0.4, 0.25, 0.05)
LARGEST_MATRIX = 1024
"""Longest side in pixels that is resampled by matrices."""


class Normalization(NamedTuple):
    """Constant of a level, and the weights of the neighbors' magnitudes."""

    constant: float
    above: float
    below: float
    left: float
    right: float


class Pyramid(NamedTuple):
    """The six normalized levels ``(N, 1, h, w)`` of an image, the finest first."""

    levels: tuple[Tensor, ...]


# The published filters are convolution kernels, so a weight that they hold on one side belongs to the neighbor on
# the other: 0.1011, in the row above the center, weighs the pixel below.
LEVELS = (
    Normalization(0.0248, above=0.1015, below=0.1011, left=0.1460, right=0.1493),
    Normalization(0.0185, above=0.0837, below=0.0757, left=0.1846, right=0.1986),
    Normalization(0.0179, above=0.0467, below=0.0477, left=0.2243, right=0.2138),
    Normalization(0.0191, above=0.0, below=0.0, left=0.2616, right=0.2503),
    Normalization(0.0220, above=0.0, below=0.0, left=0.2552, right=0.2598),
    Normalization(0.2782, above=0.0, below=0.0, left=0.0717, right=0.2215),
)
FAR_LEFT = 0.0072
"""Weight of the pixel two columns to the left, at the finest level only."""


def symmetric_pad(images: Tensor, width: int) -> Tensor:
    """Mirror both sides outwards with the edge repeated, as often as a small image needs.

    Example:
        >>> symmetric_pad(torch.tensor([[[[1.0, 2.0, 3.0]]]]), 2)[0, 0, 0].tolist()
        [2.0, 1.0, 1.0, 2.0, 3.0, 3.0, 2.0]
    """
    for axis in (2, 3):
        side = images.shape[axis]
        phase = torch.arange(-width, side + width, device=images.device) % (2 * side)
        images = images.index_select(axis, torch.minimum(phase, 2 * side - 1 - phase))
    return images


def reduce(images: Tensor) -> Tensor:
    """Blur and keep every second pixel: sides of n become (n + 1) // 2.

    Example:
        >>> ramp = torch.arange(8.0).expand(1, 1, 8, 8)
        >>> [round(value, 2) for value in reduce(ramp)[0, 0, 0].tolist()]
        [0.4, 2.0, 4.0, 5.95]
    """
    height, width = images.shape[2:]
    if _by_matrices(images, height, width):
        return _reduction(height) @ images @ _reduction(width).t()
    return _reduce_by_filter(images)


def expand(images: Tensor, height: int, width: int) -> Tensor:
    """Interpolate to twice the size, cut to ``height`` x ``width``: the partner of :func:`reduce`.

    Example:
        >>> coarse = torch.tensor([0.0, 1.0, 2.0]).expand(1, 1, 3, 3)
        >>> [round(value, 2) for value in expand(coarse, 5, 5)[0, 0, 0].tolist()]
        [0.1, 0.5, 1.0, 1.5, 1.9]
    """
    if _by_matrices(images, height, width):
        return _expansion(height) @ images @ _expansion(width).t()
    return _expand_by_filter(images, height, width)


def _by_matrices(images: Tensor, height: int, width: int) -> bool:
    """Whether to resample by products with small matrices, a few times faster than by filters.

    Only on a CPU, since accelerators may silently multiply matrices with ten bits of mantissa, and only where the
    matrices, whose cost grows with the side, are small.
    """
    return images.device.type == "cpu" and max(height, width) <= LARGEST_MATRIX


def _reduce_by_filter(images: Tensor) -> Tensor:
    return blur(symmetric_pad(images, 2), torch.tensor(BURT_ADELSON))[..., ::2, ::2]


def _expand_by_filter(images: Tensor, height: int, width: int) -> Tensor:
    padded = F.pad(images, (1, 1, 1, 1), mode="replicate")
    spread = padded.new_zeros(*padded.shape[:2], 2 * padded.shape[2], 2 * padded.shape[3])
    spread[..., ::2, ::2] = padded
    return blur(spread, 2 * torch.tensor(BURT_ADELSON))[..., :height, :width]


@lru_cache(maxsize=32)
def _reduction(side: int) -> Tensor:
    """The matrix ``((side + 1) // 2, side)`` that reduces one axis: what the filter does to unit impulses."""
    with torch.inference_mode(False), torch.no_grad():
        impulses = torch.eye(side)[:, None, None, :]
        return _reduce_by_filter(impulses).flatten(1).t().contiguous()


@lru_cache(maxsize=32)
def _expansion(side: int) -> Tensor:
    """The matrix ``(side, (side + 1) // 2)`` that expands one axis."""
    with torch.inference_mode(False), torch.no_grad():
        impulses = torch.eye((side + 1) // 2)[:, None, None, :]
        return _expand_by_filter(impulses, 1, side).flatten(1).t().contiguous()


def laplacian_pyramid(images: Tensor, levels: int = len(LEVELS)) -> list[Tensor]:
    """The details of ``levels - 1`` reductions, finest first, and the residual.

    Args:
        images: ``(N, 1, H, W)``.
        levels: length of the list.

    Example:
        >>> _ = torch.manual_seed(0)
        >>> [round(level.std().item(), 4) for level in laplacian_pyramid(torch.rand(1, 1, 64, 64), 3)]
        [0.2681, 0.0714, 0.0428]
    """
    pyramid = []
    for _ in range(levels - 1):
        coarse = reduce(images)
        pyramid.append(images - expand(coarse, images.shape[2], images.shape[3]))
        images = coarse
    return [*pyramid, images]


def normalize(level: Tensor, weights: Normalization, far_left: float = 0.0) -> Tensor:
    """Divide each coefficient by its neighbors' weighted magnitudes; outside the level these are 0.

    Args:
        level: ``(N, 1, h, w)``.
        weights: the constants of the level.
        far_left: weight of the pixel two columns to the left.

    Example:
        >>> level = torch.tensor([[[[0.5, -0.5]]]])
        >>> [round(value, 3) for value in normalize(level, LEVELS[0])[0, 0, 0].tolist()]
        [5.028, -5.112]
    """
    magnitude = level.abs()
    divisor = torch.full_like(level, weights.constant)
    divisor[..., 1:].add_(magnitude[..., :-1], alpha=weights.left)
    divisor[..., :-1].add_(magnitude[..., 1:], alpha=weights.right)
    if weights.above or weights.below:
        divisor[..., 1:, :].add_(magnitude[..., :-1, :], alpha=weights.above)
        divisor[..., :-1, :].add_(magnitude[..., 1:, :], alpha=weights.below)
    if far_left:
        divisor[..., 2:].add_(magnitude[..., :-2], alpha=far_left)
    return level / divisor


def level_weights(mask: Tensor, levels: int = len(LEVELS)) -> list[Tensor]:
    """For each level the share of every coefficient's pixels that lies inside the mask.

    Example:
        >>> mask = torch.tensor([[[[True, True, False], [True, False, False]]]])
        >>> level_weights(mask, 2)[1][0, 0, 0].tolist()
        [0.75, 0.0]
    """
    weights = [mask.float()]
    for _ in range(levels - 1):
        weights.append(F.avg_pool2d(weights[-1], 2, ceil_mode=True))
    return weights


def root_mean_square(difference: Tensor, weights: Tensor | None = None) -> Tensor:
    """Weighted root mean square ``(N,)`` of ``(N, 1, h, w)``; NaN where the weights are all 0.

    Example:
        >>> round(root_mean_square(torch.tensor([[[[3.0, 4.0]]]])).item(), 4)
        3.5355
    """
    squares = difference.square()
    if weights is None:
        return safe_sqrt(squares.mean(dim=(1, 2, 3)))
    return safe_sqrt((squares * weights).sum(dim=(1, 2, 3)) / weights.sum(dim=(1, 2, 3)))


def normalized_pyramid(images: Tensor, far_neighbor: bool = False) -> Pyramid:
    """The part of NLPD that depends on one image.

    Args:
        images: ``(N, C, H, W)`` in [0, 1].
        far_neighbor: see :func:`nlpd`.

    Example:
        >>> [tuple(level.shape[2:]) for level in normalized_pyramid(torch.rand(1, 3, 9, 20)).levels[:3]]
        [(9, 20), (5, 10), (3, 5)]
    """
    with torch.autocast(images.device.type, enabled=False):
        levels = laplacian_pyramid(luminance(images))
    far_left = [FAR_LEFT if far_neighbor else 0.0] + [0.0] * (len(LEVELS) - 1)
    return Pyramid(tuple(map(normalize, levels, LEVELS, far_left)))


def pyramid_distance(x: Pyramid, y: Pyramid, mask: Tensor | None = None) -> Tensor:
    """NLPD ``(N,)`` of two normalized pyramids, see :func:`nlpd`."""
    weights = [None] * len(LEVELS) if mask is None else level_weights(mask)
    distances = [
        root_mean_square(first - second, weight)
        for first, second, weight in zip(x.levels, y.levels, weights, strict=True)
    ]
    return torch.stack(distances).mean(dim=0)


def nlpd(x: Tensor, y: Tensor, *, far_neighbor: bool = False, mask: Tensor | None = None) -> Tensor:
    """Normalized Laplacian pyramid distance.

    Args:
        x: synthesized images ``(N, C, H, W)`` in [0, 1].
        y: references of the same shape.
        far_neighbor: follow the authors' script in a weight that the usual ports omit.
        mask: boolean ``(N, 1, H, W)``; a coefficient counts with the share of its pixels inside.

    Returns:
        ``(N,)``, 0 or more, lower is better; NaN where the mask is empty.

    Example:
        >>> _ = torch.manual_seed(0)
        >>> image = torch.rand(1, 1, 64, 64)
        >>> round(nlpd(0.5 * image, image).item(), 4)
        0.4224
    """
    return pyramid_distance(normalized_pyramid(x, far_neighbor), normalized_pyramid(y, far_neighbor), mask)


class NLPD(FullReferenceMetric):
    """Normalized Laplacian pyramid distance, lower is better.

    An encoding holds the six normalized levels. A mask is approximate: coefficients count by the share of their
    pixels that lies inside it, but their filters reach beyond its border, by 4 pixels at the finest level and up to 94
    at the coarsest. The score is NaN where the mask is empty. Two constant images differ by their coarsest level alone;
    equal ones score 0.

    Args:
        far_neighbor: follow the authors' script in a weight that the usual ports omit.

    Example:
        >>> _ = torch.manual_seed(0)
        >>> image = torch.rand(1, 1, 64, 64)
        >>> noisy = (image + 0.2 * torch.randn(1, 1, 64, 64)).clamp(0, 1)
        >>> round(NLPD()(noisy, image).item(), 4)
        0.6799
    """

    undefined_reason = "the mask is empty"

    def __init__(
        self,
        *,
        far_neighbor: Annotated[
            bool, Field(description="weigh the pixel two columns away at the finest level, as the authors do")
        ] = False,
    ) -> None:
        super().__init__()
        self.far_neighbor = far_neighbor

    def encode(self, images: Tensor) -> Pyramid:
        """The six normalized levels, finest first."""
        return normalized_pyramid(images, self.far_neighbor)

    def compare(self, synthesized: Pyramid, reference: Pyramid, mask: Tensor | None = None) -> Tensor:
        """Scores ``(N,)``, 0 or more; NaN where the mask is empty."""
        return pyramid_distance(synthesized, reference, mask)
