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

from iqa_classical.pixel import PixelMetric, squared_error


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
        return decibels(squared_error(synthesized, reference, mask))
