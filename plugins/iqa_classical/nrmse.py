r"""NRMSE, the root mean squared error normalized by the reference.

.. math:: \mathrm{NRMSE}(x, y) = \frac{\sqrt{\mathrm{MSE}(x, y)}}{d(y)}

with :math:`d` of the reference ``y``: the root of its mean square (``euclidean``), its largest minus its smallest
value (``min-max``) or its mean (``mean``), the three forms of scikit-image. Where d is zero (an all-black
reference, or a constant one with ``min-max``) the error is divided by 1 instead. Lower is better; 0 at equality.

Source: J. R. Fienup (1997), "Invariant error metrics for image reconstruction", Applied Optics 36(32), 8352-8357.
DOI 10.1364/AO.36.008352. Same values: ``skimage.metrics.normalized_root_mse``.
"""

from __future__ import annotations

from typing import Annotated, Literal

import torch
from pydantic import Field
from torch import Tensor

from iqa_classical.filters import safe_sqrt
from iqa_classical.mse import mse
from iqa_classical.pixel import Dimensions, PixelMetric, masked_mean

Normalization = Literal["euclidean", "min-max", "mean"]


def normalizer(reference: Tensor, form: Normalization, mask: Tensor | None = None) -> Tensor:
    """What the error is divided by, taken inside the mask; 1 where it would be zero.

    Args:
        reference: ``(N, C, *spatial)``.
        form: ``euclidean``, ``min-max`` or ``mean``.
        mask: boolean ``(N, 1, *spatial)``.

    Returns:
        ``(N,)``.

    Example:
        >>> images = torch.tensor([0.2, 0.6, 0.6, 0.2]).reshape(1, 1, 2, 2)
        >>> [round(normalizer(images, form).item(), 4) for form in ("euclidean", "min-max", "mean")]
        [0.4472, 0.4, 0.4]
    """
    if form == "mean":
        divisor = masked_mean(reference, mask)
    elif form == "euclidean":
        divisor = safe_sqrt(masked_mean(reference.square(), mask))
    else:
        high = reference if mask is None else torch.where(mask, reference, -torch.inf)
        low = reference if mask is None else torch.where(mask, reference, torch.inf)
        divisor = high.flatten(1).amax(dim=1) - low.flatten(1).amin(dim=1)
    return torch.where(divisor == 0, 1, divisor)


def nrmse(
    x: Tensor, y: Tensor, *, normalization: Normalization = "euclidean", mask: Tensor | None = None
) -> Tensor:
    """Root mean squared error, normalized by the reference.

    Args:
        x: synthesized images ``(N, C, *spatial)`` in [0, 1].
        y: references of the same shape.
        normalization: ``euclidean``, ``min-max`` or ``mean``, see :func:`normalizer`.
        mask: boolean ``(N, 1, *spatial)``; pixels outside it are excluded.

    Returns:
        ``(N,)``, 0 or more, lower is better; NaN where the mask is empty.

    Example:
        >>> nrmse(torch.full((1, 1, 4, 4), 0.75), torch.full((1, 1, 4, 4), 0.5)).item()
        0.5
    """
    return safe_sqrt(mse(x, y, mask=mask)) / normalizer(y, normalization, mask)


class NRMSE(PixelMetric):
    """Normalized root mean squared error, lower is better.

    It is not symmetric: the normalizer is the reference's. With an all-black reference it is the plain RMSE.

    Args:
        dimensions: 2 for images ``(N, C, H, W)``, 3 for volumes ``(N, 1, D, H, W)``.
        normalization: what of the reference the error is divided by.

    Example:
        >>> _ = torch.manual_seed(0)
        >>> round(NRMSE()(torch.rand(1, 1, 8, 8), torch.rand(1, 1, 8, 8)).item(), 4)
        0.7445
    """

    def __init__(
        self,
        *,
        dimensions: Dimensions = 2,
        normalization: Annotated[
            Normalization, Field(description="the reference's root mean square, its range or its mean")
        ] = "euclidean",
    ) -> None:
        super().__init__(dimensions=dimensions)
        self.normalization: Normalization = normalization

    def compare(self, synthesized: Tensor, reference: Tensor, mask: Tensor | None = None) -> Tensor:
        """Scores ``(N,)``, not negative; NaN where the mask is empty."""
        return nrmse(synthesized, reference, normalization=self.normalization, mask=mask)
