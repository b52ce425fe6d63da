r"""FSIM, the feature similarity index, on luminance.

Two images agree where their phase congruency (see :mod:`iqa_classical._phase_congruency`) and their gradient
magnitude agree; each position is weighted by how much structure either image has there:

.. math::
    S = \frac{2 P_x P_y + T_1}{P_x^2 + P_y^2 + T_1} \cdot \frac{2 G_x G_y + T_2}{G_x^2 + G_y^2 + T_2}, \qquad
    \mathrm{FSIM} = \frac{\sum_j S_j \max(P_{x,j}, P_{y,j})}{\sum_j \max(P_{x,j}, P_{y,j})}

with phase congruency P, gradient magnitude G of the Scharr filter on values of 0 to 255, :math:`T_1 = 0.85` and
:math:`T_2 = 160`. Images whose shorter side is 384 pixels or more are first shrunk, to about 256, by averaging
blocks. Color images are scored by their luminance. Higher is better; 1 at equality.

Paper: L. Zhang, L. Zhang, X. Mou and D. Zhang (2011), "FSIM: A feature similarity index for image quality
assessment", IEEE Transactions on Image Processing 20(8), 2378-2386. DOI 10.1109/TIP.2011.2109730.
Original code: https://www4.comp.polyu.edu.hk/~cslzhang/IQA/FSIM/FSIM.htm.
"""

from __future__ import annotations

from typing import Annotated, NamedTuple

import torch
import torch.nn.functional as F
from pydantic import Field
from torch import Tensor

from iqa_classical._phase_congruency import phase_congruency
from iqa_classical.filters import average_pool, luminance, safe_sqrt
from iqa_registry.plugin import FullReferenceMetric

T1 = 0.85
T2 = 160.0


class Encoding(NamedTuple):
    """Phase congruency and gradient magnitude, each ``(N, 1, h, w)`` at working size."""

    congruency: Tensor
    gradient: Tensor


def working_factor(height: int, width: int) -> int:
    """The size of the blocks that are averaged: shorter side / 256, rounded, at least 1.

    Halves go to the even number, as in piq (the authors' script takes them up: 640 pixels would give 3).

    Example:
        >>> working_factor(383, 999), working_factor(384, 384), working_factor(640, 640)
        (1, 2, 2)
    """
    return max(1, round(min(height, width) / 256))


def scharr_magnitude(images: Tensor) -> Tensor:
    """Magnitude of the Scharr gradient, the values outside the image taken as 0.

    Args:
        images: ``(N, 1, H, W)``.

    Example:
        >>> ramp = torch.arange(5.0).expand(1, 1, 5, 5)
        >>> scharr_magnitude(ramp)[0, 0, 2].tolist()
        [1.0, 2.0, 2.0, 2.0, 3.0]
    """
    padded = F.pad(images, (1, 1, 1, 1))
    rows = (padded[..., :-2, :] + padded[..., 2:, :]).mul(3).add(padded[..., 1:-1, :], alpha=10)
    columns = (padded[..., :-2] + padded[..., 2:]).mul(3).add(padded[..., 1:-1], alpha=10)
    horizontal = rows[..., 2:] - rows[..., :-2]
    vertical = columns[..., 2:, :] - columns[..., :-2, :]
    return safe_sqrt(torch.addcmul(horizontal.square(), vertical, vertical)) / 16


def similarity(first: Tensor, second: Tensor, constant: float) -> Tensor:
    """How much two maps that are not negative agree, in (0, 1].

    Example:
        >>> round(similarity(torch.tensor(0.1), torch.tensor(0.3), T1).item(), 4)
        0.9579
    """
    return ((first * second).mul_(2) + constant) / ((first.square() + second.square()).add_(constant))


def feature_similarity(first: Encoding, second: Encoding) -> Tensor:
    """Similarity of phase congruency times that of gradients, ``(N, 1, h, w)`` in (0, 1].

    Example:
        >>> one = Encoding(torch.tensor(0.1), torch.tensor(40.0))
        >>> two = Encoding(torch.tensor(0.3), torch.tensor(10.0))
        >>> round(feature_similarity(one, two).item(), 4)
        0.4944
    """
    congruency = similarity(first.congruency, second.congruency, T1)
    return congruency * similarity(first.gradient, second.gradient, T2)


def features(images: Tensor, scales: int = 4, orientations: int = 4) -> Encoding:
    """The part of FSIM that depends on one image.

    Args:
        images: ``(N, C, H, W)`` in [0, 1].
        scales: number of wavelengths of the log-Gabor filters.
        orientations: number of their directions.

    Example:
        >>> features(torch.rand(1, 3, 384, 400)).congruency.shape
        torch.Size([1, 1, 192, 200])
    """
    height, width = images.shape[2:]
    working = average_pool(luminance(images) * 255, working_factor(height, width))
    return Encoding(phase_congruency(working, scales, orientations), scharr_magnitude(working))


def weighted_similarity(x: Encoding, y: Encoding, mask: Tensor | None = None) -> Tensor:
    """FSIM ``(N,)`` of two encodings, see :func:`fsim`."""
    weights = torch.maximum(x.congruency, y.congruency)
    if mask is not None:
        weights = weights * average_pool(mask.float(), working_factor(*mask.shape[2:]))
    weighted = weights * feature_similarity(x, y)
    scores = weighted.sum(dim=(1, 2, 3)) / weights.sum(dim=(1, 2, 3))
    return scores.clamp(max=1)  # Rounding takes nearly equal images to 1.0000001.


def fsim(
    x: Tensor, y: Tensor, *, scales: int = 4, orientations: int = 4, mask: Tensor | None = None
) -> Tensor:
    """Feature similarity on luminance.

    Args:
        x: synthesized images ``(N, C, H, W)`` in [0, 1], at least 2 pixels per side.
        y: references of the same shape.
        scales: number of wavelengths of the log-Gabor filters.
        orientations: number of their directions.
        mask: boolean ``(N, 1, H, W)``; a position counts with the share of its block inside.

    Returns:
        ``(N,)`` in (0, 1], higher is better; NaN where the mask is empty.

    Example:
        >>> _ = torch.manual_seed(0)
        >>> image = torch.rand(1, 1, 64, 64)
        >>> round(fsim((image + 0.2 * torch.randn(1, 1, 64, 64)).clamp(0, 1), image).item(), 4)
        0.8993
    """
    return weighted_similarity(features(x, scales, orientations), features(y, scales, orientations), mask)


class FSIM(FullReferenceMetric):
    """Feature similarity index on luminance, higher is better.

    An encoding holds phase congruency and gradient magnitude at working size. A mask is approximate: positions count
    by the share of their block that lies inside it, but phase congruency depends on the whole image, through filters
    that reach about 50 pixels and one noise threshold for the image. The score is NaN where the mask is empty. An
    image without structure (for example a black one) has phase congruency 1 everywhere; two such images differ only
    by their edges against the 0 outside, and equal ones score 1.

    Args:
        scales: number of wavelengths of the log-Gabor filters.
        orientations: number of their directions.

    Example:
        >>> _ = torch.manual_seed(0)
        >>> image = torch.rand(1, 1, 64, 64)
        >>> noisy = (image + 0.2 * torch.randn(1, 1, 64, 64)).clamp(0, 1)
        >>> round(FSIM()(noisy, image).item(), 4)
        0.8993
    """

    undefined_reason = "the mask is empty"

    def __init__(
        self,
        *,
        scales: Annotated[int, Field(ge=2, le=8, description="wavelengths of the log-Gabor filters")] = 4,
        orientations: Annotated[int, Field(ge=2, le=16, description="their directions")] = 4,
    ) -> None:
        super().__init__()
        self.scales = scales
        self.orientations = orientations

    def encode(self, images: Tensor) -> Encoding:
        """Phase congruency and gradient magnitude at working size."""
        return features(images, self.scales, self.orientations)

    def compare(self, synthesized: Encoding, reference: Encoding, mask: Tensor | None = None) -> Tensor:
        """Scores ``(N,)`` in (0, 1]; NaN where the mask is empty."""
        return weighted_similarity(synthesized, reference, mask)

    def local_map(self, synthesized: Encoding, reference: Encoding, size: tuple[int, ...]) -> Tensor:
        """Feature similarity ``(N, 1, H, W)`` in (0, 1], each value repeated over the block that it stands for."""
        height, width = size
        factor = working_factor(height, width)
        values = feature_similarity(synthesized, reference)
        for axis, side in ((2, height), (3, width)):
            # A remainder that no block covers takes the value of the last one.
            index = torch.arange(side, device=values.device) // factor
            values = values.index_select(axis, index.clamp(max=values.shape[axis] - 1))
        return values
