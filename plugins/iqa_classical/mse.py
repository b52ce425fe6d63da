r"""MSE, the mean squared error.

.. math:: \mathrm{MSE}(x, y) = \frac{1}{n} \sum_i (x_i - y_i)^2

over all pixels and channels of images in [0, 1], so the data range is 1. Lower is better; 0 at equality.

Source: Z. Wang and A. C. Bovik (2009), "Mean squared error: Love it or leave it?", IEEE Signal Processing Magazine
26(1), 98-117. DOI 10.1109/MSP.2008.930649.
"""

from __future__ import annotations

from torch import Tensor

from iqa_classical.pixel import PixelMetric, masked_mean


def mse(x: Tensor, y: Tensor, *, mask: Tensor | None = None) -> Tensor:
    """Mean squared error.

    Args:
        x: synthesized images ``(N, C, *spatial)`` in [0, 1].
        y: references of the same shape.
        mask: boolean ``(N, 1, *spatial)``; pixels outside it are excluded.

    Returns:
        ``(N,)`` in [0, 1]; NaN where the mask is empty.

    Example:
        >>> import torch
        >>> mse(torch.ones(1, 1, 2, 2), torch.full((1, 1, 2, 2), 0.5)).item()
        0.25
    """
    return masked_mean((x - y).square(), mask)


class MSE(PixelMetric):
    """Mean squared error, lower is better.

    Two constant images score the square of their difference.

    Args:
        dimensions: 2 for images ``(N, C, H, W)``, 3 for volumes ``(N, 1, D, H, W)``.

    Example:
        >>> import torch
        >>> _ = torch.manual_seed(0)
        >>> round(MSE()(torch.rand(1, 1, 8, 8), torch.rand(1, 1, 8, 8)).item(), 4)
        0.1817
    """

    def compare(self, synthesized: Tensor, reference: Tensor, mask: Tensor | None = None) -> Tensor:
        """Scores ``(N,)`` in [0, 1]; NaN where the mask is empty."""
        return mse(synthesized, reference, mask=mask)
