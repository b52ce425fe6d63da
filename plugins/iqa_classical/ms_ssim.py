r"""MS-SSIM, the multi-scale structural similarity index.

.. math:: \mathrm{MS\text{-}SSIM} = l_5^{w_5} \prod_{s=1}^{5} \mathrm{cs}_s^{w_s}

where :math:`\mathrm{cs}_s` is the mean contrast-structure term of SSIM at scale s, at the coarsest scale taken
together with the luminance term :math:`l_5` (the mean of their product), and each scale is the average of 2 x 2 pixel
blocks of the one before. The weights are .0448, .2856, .3001, .2363 and .1333. Color images score the mean over
their channels. Higher is better; 1 at equality.

Conventions that the paper leaves open: if any side is odd, every side gets one more row or column at its start, a
copy of the border, before it is halved. A term below zero, which anti-correlated images give (for example T1 and T2
contrast), has no real power, so it counts as 0 and makes the score 0; the component ``clamped_scales`` counts them.

Paper: Z. Wang, E. P. Simoncelli and A. C. Bovik (2003), "Multiscale structural similarity for image quality
assessment", 37th Asilomar Conference on Signals, Systems and Computers, 1398-1402.
DOI 10.1109/ACSSC.2003.1292216. Original code: https://ece.uwaterloo.ca/~z70wang/research/ssim/.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from iqa_classical.filters import all_pool, average_pool, gaussian_taps
from iqa_classical.pixel import Dimensions, masked_mean
from iqa_classical.ssim import (
    Sigma,
    Stabilizer,
    Statistics,
    Window,
    check_window,
    local_statistics,
    similarity_terms,
    windows_inside,
)
from iqa_registry.plugin import Comparison, FullReferenceMetric

WEIGHTS = (0.0448, 0.2856, 0.3001, 0.2363, 0.1333)
"""Exponents of the five scales, the finest first (the paper's Section 3.2)."""


class Pyramid(NamedTuple):
    """The :class:`~iqa_classical.ssim.Statistics` of the five scales, the finest first."""

    scales: tuple[Statistics, ...]


def make_even(images: Tensor) -> Tensor:
    """Repeat the border once at the start of every side if any side is odd; works on boolean masks too.

    Example:
        >>> make_even(torch.tensor([[[[1.0, 2.0, 3.0]]]])).tolist()
        [[[[1.0, 1.0, 2.0, 3.0], [1.0, 1.0, 2.0, 3.0]]]]
    """
    if not any(side % 2 for side in images.shape[2:]):
        return images
    for axis in range(2, images.ndim):
        images = torch.cat([images.narrow(axis, 0, 1), images], dim=axis)
    return images


def combine(terms: Tensor, weights: Tensor) -> Tensor:
    """The weighted geometric mean over scales, terms below zero counted as 0, with a gradient that is finite there.

    Args:
        terms: ``(scales, N, C)``.
        weights: ``(scales,)``.

    Returns:
        ``(N,)``, the mean over channels.

    Example:
        >>> weights = torch.tensor([0.5, 0.5])
        >>> combine(torch.tensor([[[0.25]], [[1.0]]]), weights).item()
        0.5
        >>> combine(torch.tensor([[[-0.25]], [[1.0]]]), weights).item()
        0.0
    """
    clamped = terms <= 0
    powers = torch.where(clamped, 1, terms) ** weights.to(terms)[:, None, None]
    return torch.where(clamped, 0, powers).prod(dim=0).mean(dim=1)


def pyramid(images: Tensor, taps: Tensor) -> Pyramid:
    """The part of MS-SSIM that depends on one image.

    Args:
        images: ``(N, C, *spatial)`` in [0, 1].
        taps: the window along one axis.

    Example:
        >>> scales = pyramid(torch.rand(1, 1, 161, 161), gaussian_taps(11, 1.5)).scales
        >>> [scale.mean.shape[-1] for scale in scales]
        [151, 71, 31, 11, 1]
    """
    scales = [local_statistics(images, taps)]
    for _ in WEIGHTS[1:]:
        images = average_pool(make_even(images), 2)
        scales.append(local_statistics(images, taps))
    return Pyramid(tuple(scales))


def scale_terms(
    x: Pyramid, y: Pyramid, taps: Tensor, k1: float, k2: float, mask: Tensor | None = None
) -> Tensor:
    """The mean contrast-structure term of each scale, at the coarsest scale the mean SSIM.

    Args:
        x: the pyramid of the synthesized images.
        y: the pyramid of the references.
        taps: the window along one axis.
        k1: stabilizer of the luminance term.
        k2: stabilizer of the contrast-structure term.
        mask: boolean ``(N, 1, *spatial)`` at the size of the images.

    Returns:
        ``(scales, N, C)``; NaN where no window of that scale lies inside the mask.

    Example:
        >>> taps = gaussian_taps(3, 1.0)
        >>> image = pyramid(torch.rand(1, 1, 33, 33), taps)
        >>> [round(term, 4) for term in scale_terms(image, image, taps, 0.01, 0.03).flatten().tolist()]
        [1.0, 1.0, 1.0, 1.0, 1.0]
    """
    terms = []
    for scale, pair in enumerate(zip(x.scales, y.scales, strict=True)):
        if mask is not None and scale:
            mask = all_pool(make_even(mask), 2)
        luminance, term = similarity_terms(*pair, taps, k1, k2)
        if scale == len(WEIGHTS) - 1:
            term = term * luminance
        inside = windows_inside(mask, len(taps))
        channels = [masked_mean(channel, inside) for channel in term.split(1, dim=1)]
        terms.append(torch.stack(channels, dim=1))
    return torch.stack(terms)


def ms_ssim(
    x: Tensor,
    y: Tensor,
    *,
    window: int = 11,
    sigma: float = 1.5,
    k1: float = 0.01,
    k2: float = 0.03,
    mask: Tensor | None = None,
) -> Tensor:
    """Multi-scale structural similarity.

    Args:
        x: synthesized images ``(N, C, H, W)`` or volumes ``(N, 1, D, H, W)`` in [0, 1], at least
            ``16 (window - 1) + 1`` pixels per side.
        y: references of the same shape.
        window: size of the Gaussian window in pixels, odd.
        sigma: its standard deviation in pixels.
        k1: stabilizer of the luminance term.
        k2: stabilizer of the contrast-structure term.
        mask: boolean ``(N, 1, *spatial)``; at each scale only windows inside it count.

    Returns:
        ``(N,)`` in [0, 1], higher is better; NaN where at some scale no window lies inside the mask.

    Raises:
        ParameterError: the window is even.

    Example:
        >>> _ = torch.manual_seed(0)
        >>> image = torch.rand(1, 1, 161, 161)
        >>> round(ms_ssim((image + 0.3 * torch.randn(1, 1, 161, 161)).clamp(0, 1), image).item(), 3)
        0.716
    """
    taps = gaussian_taps(check_window(window), sigma)
    terms = scale_terms(pyramid(x, taps), pyramid(y, taps), taps, k1, k2, mask)
    return combine(terms, torch.tensor(WEIGHTS))


class MSSSIM(FullReferenceMetric):
    """Multi-scale structural similarity, in [0, 1], higher is better.

    An encoding holds images, local means and local variances of five scales. A mask is exact: a coarse pixel is in
    the mask only if all the pixels that it averages are, and each scale is averaged over the windows that lie
    wholly inside. So a mask must contain a window of ``window`` pixels at the coarsest scale (11 x 16 = 176 pixels
    of the image by default); otherwise the score is NaN. Two constant images score the coarsest luminance term to
    the power of its weight; all-black ones score 1.

    Args:
        dimensions: 2 for images ``(N, C, H, W)``, 3 for volumes ``(N, 1, D, H, W)``.
        window: size of the Gaussian window, odd; the minimum image size is ``16 (window - 1) + 1``.
        sigma: its standard deviation.
        k1: stabilizer of the luminance term.
        k2: stabilizer of the contrast-structure term.

    Raises:
        ParameterError: the window is even.

    Example:
        >>> _ = torch.manual_seed(0)
        >>> image = torch.rand(1, 1, 161, 161)
        >>> noisy = (image + 0.3 * torch.randn(1, 1, 161, 161)).clamp(0, 1)
        >>> round(MSSSIM()(noisy, image).item(), 3)
        0.716
    """

    taps: Tensor
    weights: Tensor

    def __init__(
        self,
        *,
        dimensions: Dimensions = 2,
        window: Window = 11,
        sigma: Sigma = 1.5,
        k1: Stabilizer = 0.01,
        k2: Stabilizer = 0.03,
    ) -> None:
        super().__init__()
        self.dimensions = dimensions
        self.window = check_window(window)
        self.k1, self.k2 = k1, k2
        coarse = 2 ** (len(WEIGHTS) - 1)
        self.undefined_reason = (
            f"no window of {window} pixels a side lies inside the mask at the coarsest scale, "
            f"where a pixel stands for {coarse} x {coarse}"
        )
        self.register_buffer("taps", gaussian_taps(window, sigma), persistent=False)
        self.register_buffer("weights", torch.tensor(WEIGHTS), persistent=False)

    @property
    def minimum_size(self) -> int:
        """The window must fit at the coarsest scale."""
        return (self.window - 1) * 2 ** (len(WEIGHTS) - 1) + 1

    def encode(self, images: Tensor) -> Pyramid:
        """Images, local means and local variances of each scale, the finest first."""
        return pyramid(images, self.taps)

    def compare(self, synthesized: Pyramid, reference: Pyramid, mask: Tensor | None = None) -> Tensor:
        """Scores ``(N,)`` in [0, 1]; NaN where at some scale no window lies inside the mask."""
        return combine(scale_terms(synthesized, reference, self.taps, self.k1, self.k2, mask), self.weights)

    def compare_in_detail(
        self, synthesized: Pyramid, reference: Pyramid, mask: Tensor | None = None
    ) -> Comparison:
        """As :meth:`compare`, with the number of scales whose term was below zero in any channel."""
        terms = scale_terms(synthesized, reference, self.taps, self.k1, self.k2, mask)
        clamped = (terms.detach() < 0).any(dim=2).sum(dim=0).float()
        return self.explained(combine(terms, self.weights), {"clamped_scales": clamped})
