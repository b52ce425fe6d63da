r"""PSNR, the peak signal-to-noise ratio in decibels.

.. math:: \mathrm{PSNR}(x, y) = 10 \log_{10} \frac{1}{\mathrm{MSE}(x, y)}

for images in [0, 1], whose peak is 1. Higher is better; +inf at equality, without the small constant that some
libraries add to the error (piq's 1e-8 caps the score at 80 dB).

Source: Q. Huynh-Thu and M. Ghanbari (2008), "Scope of validity of PSNR in image/video quality assessment",
Electronics Letters 44(13), 800-801. DOI 10.1049/el:20080522.
"""

from __future__ import annotations

import torch
from torch import Tensor

from iqa_classical.mse import mse
from iqa_classical.pixel import PixelMetric


def decibels(mean_squared_error: Tensor) -> Tensor:
    """``-10 log10`` of the error, with +inf and gradient zero where the error is zero.

    Args:
        mean_squared_error: any shape, not negative.

    Returns:
        The same shape, in decibels.

    Example:
        >>> decibels(torch.tensor([0.01, 0.0])).tolist()
        [20.0, inf]
    """
    equal = mean_squared_error == 0
    return torch.where(equal, torch.inf, -10 * torch.log10(torch.where(equal, 1, mean_squared_error)))


def psnr(x: Tensor, y: Tensor, *, mask: Tensor | None = None) -> Tensor:
    """Peak signal-to-noise ratio.

    Args:
        x: synthesized images ``(N, C, *spatial)`` in [0, 1].
        y: references of the same shape.
        mask: boolean ``(N, 1, *spatial)``; pixels outside it are excluded.

    Returns:
        ``(N,)`` in decibels, higher is better; +inf for equal images, NaN where the mask is empty.

    Example:
        >>> round(psnr(torch.full((1, 1, 4, 4), 0.5), torch.full((1, 1, 4, 4), 0.6)).item(), 3)
        20.0
    """
    return decibels(mse(x, y, mask=mask))


class PSNR(PixelMetric):
    """Peak signal-to-noise ratio, higher is better.

    Two different constant images score by their difference, two equal ones +inf.

    Args:
        dimensions: 2 for images ``(N, C, H, W)``, 3 for volumes ``(N, 1, D, H, W)``.

    Example:
        >>> _ = torch.manual_seed(0)
        >>> round(PSNR()(torch.rand(1, 1, 8, 8), torch.rand(1, 1, 8, 8)).item(), 3)
        7.406
    """

    def compare(self, synthesized: Tensor, reference: Tensor, mask: Tensor | None = None) -> Tensor:
        """Scores ``(N,)`` in decibels, +inf for equal images; NaN where the mask is empty."""
        return psnr(synthesized, reference, mask=mask)
