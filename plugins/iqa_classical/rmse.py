r"""RMSE, the root mean squared error.

.. math:: \mathrm{RMSE}(x, y) = \sqrt{\frac{1}{n} \sum_i (x_i - y_i)^2}

over all pixels and channels of images in [0, 1]. Lower is better; 0 at equality. Multiplied by the width of the
intensity limits it is the error in the unit of the stored values.

Source: Z. Wang and A. C. Bovik (2009), "Mean squared error: Love it or leave it?", IEEE Signal Processing Magazine
26(1), 98-117. DOI 10.1109/MSP.2008.930649.
"""

from __future__ import annotations

from torch import Tensor

from iqa_classical.filters import safe_sqrt
from iqa_classical.mse import mse
from iqa_classical.pixel import PixelMetric


def rmse(x: Tensor, y: Tensor, *, mask: Tensor | None = None) -> Tensor:
    """Root mean squared error.

    Args:
        x: synthesized images ``(N, C, *spatial)`` in [0, 1].
        y: references of the same shape.
        mask: boolean ``(N, 1, *spatial)``; pixels outside it are excluded.

    Returns:
        ``(N,)`` in [0, 1]; NaN where the mask is empty.

    Example:
        >>> import torch
        >>> rmse(torch.full((1, 1, 2, 2), 0.75), torch.full((1, 1, 2, 2), 0.5)).item()
        0.25
    """
    return safe_sqrt(mse(x, y, mask=mask))


class RMSE(PixelMetric):
    """Root mean squared error, lower is better.

    Two constant images score their difference.

    Args:
        dimensions: 2 for images ``(N, C, H, W)``, 3 for volumes ``(N, 1, D, H, W)``.

    Example:
        >>> import torch
        >>> RMSE()(torch.full((1, 1, 4, 4), 0.5), torch.full((1, 1, 4, 4), 0.25)).item()
        0.25
    """

    def compare(self, synthesized: Tensor, reference: Tensor, mask: Tensor | None = None) -> Tensor:
        """Scores ``(N,)`` in [0, 1]; NaN where the mask is empty."""
        return rmse(synthesized, reference, mask=mask)
