r"""MS-SSIM, the multi-scale structural similarity index.

.. math:: \mathrm{MS\text{-}SSIM} = l_5^{w_5} \prod_{s=1}^{5} \mathrm{cs}_s^{w_s}

where :math:`\mathrm{cs}_s` is the mean contrast-structure term of SSIM at scale s, at the coarsest scale taken
together with the luminance term :math:`l_5` (the mean of their product), and each scale is the average of 2 x 2 pixel
blocks of the one before. The weights are .0448, .2856, .3001, .2363 and .1333. Colour images score the mean over
their channels. Higher is better; 1 at equality.

Conventions that the paper leaves open: where a side is odd, all sides are lengthened by one at their start, the
border repeated, before they are halved; and a term below zero, as anti-correlated images give it (T1 against T2
contrast, say), has no real power, so it counts as 0 and makes the score 0. ``clamped_scales`` tells how many did.

Paper: Z. Wang, E. P. Simoncelli and A. C. Bovik (2003), "Multiscale structural similarity for image quality
assessment", 37th Asilomar Conference on Signals, Systems and Computers, 1398-1402.
DOI 10.1109/ACSSC.2003.1292216. Original code: https://ece.uwaterloo.ca/~z70wang/research/ssim/.
"""

from __future__ import annotations

import torch
from torch import Tensor

from iqa_classical.filters import all_pool, average_pool, erode, gaussian_taps
from iqa_classical.pixel import Dimensions, explain, masked_mean
from iqa_classical.ssim import Sigma, Stabilizer, Window, check_window, local_statistics, similarity_terms
from iqa_registry.metrics import Comparison, FullReferenceMetric

WEIGHTS = (0.0448, 0.2856, 0.3001, 0.2363, 0.1333)
"""Exponents of the five scales, the finest first (the paper's Section 3.2)."""


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


class MSSSIM(FullReferenceMetric):
    """Multi-scale structural similarity, in [0, 1], higher is better.

    An encoding holds images, local means and local variances of five scales. A mask is exact: a coarse pixel is in
    the mask only if all the pixels that it averages are, and each scale is averaged over the windows that lie
    wholly inside. So a mask must hold a window of ``window`` pixels at the coarsest scale (11 x 16 = 176 pixels of
    the image by default); otherwise the score is NaN. Two constant images score the coarsest luminance term to
    the power of its weight, all-black ones 1.

    Args:
        dimensions: 2 for images ``(N, C, H, W)``, 3 for volumes ``(N, 1, D, H, W)``.
        window: side of the Gaussian window, odd; the least size is ``16 (window - 1) + 1``.
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
        self.register_buffer("taps", gaussian_taps(window, sigma), persistent=False)
        self.register_buffer("weights", torch.tensor(WEIGHTS), persistent=False)

    @property
    def minimum_size(self) -> int:
        """The window must fit at the coarsest scale."""
        return (self.window - 1) * 2 ** (len(WEIGHTS) - 1) + 1

    def encode(self, images: Tensor) -> tuple[Tensor, ...]:
        """Images, local means and local variances of each scale, the finest first: fifteen tensors."""
        features: list[Tensor] = []
        for scale in range(len(WEIGHTS)):
            if scale:
                images = average_pool(make_even(images), 2)
            features.extend(local_statistics(images, self.taps))
        return tuple(features)

    def compare(
        self, synthesized: tuple[Tensor, ...], reference: tuple[Tensor, ...], mask: Tensor | None = None
    ) -> Tensor:
        """Scores ``(N,)`` in [0, 1]; NaN where at some scale no window lies inside the mask."""
        return combine(self._terms(synthesized, reference, mask), self.weights)

    def compare_in_detail(
        self, synthesized: tuple[Tensor, ...], reference: tuple[Tensor, ...], mask: Tensor | None = None
    ) -> Comparison:
        """As :meth:`compare`, with the number of scales whose term was below zero in any channel."""
        terms = self._terms(synthesized, reference, mask)
        scores = combine(terms, self.weights)
        clamped = (terms.detach() < 0).any(dim=2).sum(dim=0).float()
        coarse = 2 ** (len(WEIGHTS) - 1)
        reason = (
            f"no window of {self.window} pixels a side lies inside the mask at the coarsest scale, "
            f"where a pixel stands for {coarse} x {coarse}"
        )
        return explain(Comparison(scores, {"clamped_scales": clamped}), reason)

    def _terms(
        self, synthesized: tuple[Tensor, ...], reference: tuple[Tensor, ...], mask: Tensor | None
    ) -> Tensor:
        """``(scales, N, C)``: the mean contrast-structure terms, at the coarsest scale the mean SSIM."""
        terms = []
        for scale in range(len(WEIGHTS)):
            if mask is not None and scale:
                mask = all_pool(make_even(mask), 2)
            (x, mean_x, variance_x), (y, mean_y, variance_y) = (
                features[3 * scale : 3 * scale + 3] for features in (synthesized, reference)
            )
            luminance, term = similarity_terms(
                (x, mean_x, variance_x), (y, mean_y, variance_y), self.taps, self.k1, self.k2
            )
            if scale == len(WEIGHTS) - 1:
                term = term * luminance
            terms.append(self._channel_means(term, mask))
        return torch.stack(terms)

    def _channel_means(self, values: Tensor, mask: Tensor | None) -> Tensor:
        """``(N, C)`` means over the positions, those inside the mask if given."""
        inside = None if mask is None else erode(mask, self.window)
        return torch.stack([masked_mean(channel, inside) for channel in values.split(1, dim=1)], dim=1)
