r"""MAE, the mean absolute error.

.. math:: \mathrm{MAE}(x, y) = \frac{1}{n} \sum_i |x_i - y_i|

over all pixels and channels of images in [0, 1], so the data range is 1. Lower is better; 0 at equality.

Source: C. J. Willmott and K. Matsuura (2005), "Advantages of the mean absolute error (MAE) over the root mean
square error (RMSE) in assessing average model performance", Climate Research 30, 79-82. DOI 10.3354/cr030079.
"""

from __future__ import annotations

from torch import Tensor

from iqa_classical.pixel import PixelMetric, masked_mean


def mae(x: Tensor, y: Tensor, *, mask: Tensor | None = None) -> Tensor:
    """Mean absolute error.

    Args:
        x: synthesized images ``(N, C, *spatial)`` in [0, 1].
        y: references of the same shape.
        mask: boolean ``(N, 1, *spatial)``; pixels outside it are excluded.

    Returns:
        ``(N,)`` in [0, 1]; NaN where the mask is empty.

    Example:
        >>> import torch
        >>> _ = torch.manual_seed(0)
        >>> round(mae(torch.rand(1, 1, 8, 8), torch.rand(1, 1, 8, 8)).item(), 4)
        0.369
    """
    return masked_mean((x - y).abs(), mask)


class MAE(PixelMetric):
    """Mean absolute error, lower is better.

    The gradient at a pixel without error is zero. Two constant images score their difference.

    Args:
        dimensions: 2 for images ``(N, C, H, W)``, 3 for volumes ``(N, 1, D, H, W)``.

    Example:
        >>> import torch
        >>> MAE()(torch.full((1, 1, 4, 4), 0.5), torch.full((1, 1, 4, 4), 0.25)).item()
        0.25
    """

    def compare(self, synthesized: Tensor, reference: Tensor, mask: Tensor | None = None) -> Tensor:
        """Scores ``(N,)`` in [0, 1]; NaN where the mask is empty."""
        return mae(synthesized, reference, mask=mask)

    def local_map(self, synthesized: Tensor, reference: Tensor, size: tuple[int, ...]) -> Tensor:
        """Absolute error of each pixel, the mean over channels: ``(N, 1, *spatial)`` in [0, 1]."""
        return (synthesized - reference).abs().mean(dim=1, keepdim=True)
