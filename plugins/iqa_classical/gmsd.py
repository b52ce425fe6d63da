r"""GMSD, the gradient magnitude similarity deviation.

.. math::
    \mathrm{GMS} = \frac{2 m_x m_y + c}{m_x^2 + m_y^2 + c}, \qquad
    \mathrm{GMSD} = \sqrt{\frac{1}{M} \sum_j (\mathrm{GMS}_j - \overline{\mathrm{GMS}})^2}

with the gradient magnitudes m of the Prewitt filter after averaging blocks of 2 x 2 pixels and
:math:`c = 170 / 255^2` for images in [0, 1]. Color images are scored by their luminance, the Y of YIQ. Outside the
image the values are 0, as in the authors' code; if either side is odd, both get one more row or column of zeros.
Lower is better; 0 at equality.

Paper: W. Xue, L. Zhang, X. Mou and A. C. Bovik (2014), "Gradient magnitude similarity deviation: A highly efficient
perceptual image quality index", IEEE Transactions on Image Processing 23(2), 684-695. DOI 10.1109/TIP.2013.2293423.
Original code: https://www4.comp.polyu.edu.hk/~cslzhang/IQA/GMSD/GMSD.htm.
"""

from __future__ import annotations

from typing import Annotated

import torch.nn.functional as F
from pydantic import Field
from torch import Tensor

from iqa_classical.filters import all_pool, average_pool, erode, luminance, safe_sqrt
from iqa_classical.pixel import masked_mean
from iqa_registry.plugin import FullReferenceMetric

C = 170 / 255**2


def pad_to_even(images: Tensor, value: float = 0) -> Tensor:
    """Lengthen both sides by one at their end if either is odd.

    Example:
        >>> import torch
        >>> pad_to_even(torch.ones(1, 1, 1, 2)).tolist()
        [[[[1.0, 1.0, 0.0], [0.0, 0.0, 0.0]]]]
    """
    odd = images.shape[-1] % 2 or images.shape[-2] % 2
    return F.pad(images, (0, 1, 0, 1), value=value) if odd else images


def gradient_magnitude(images: Tensor) -> Tensor:
    """Magnitude of the Prewitt gradient, the values outside the image taken as 0.

    Args:
        images: ``(N, 1, H, W)``.

    Returns:
        The same shape, not negative.

    Example:
        >>> import torch
        >>> edge = torch.tensor([0.0, 0.0, 1.0, 1.0]).expand(1, 1, 5, 4)
        >>> [round(value, 2) for value in gradient_magnitude(edge)[0, 0, 2].tolist()]
        [0.0, 1.0, 1.0, 1.0]
    """
    padded = F.pad(images, (1, 1, 1, 1))
    rows = padded[..., :-2, :] + padded[..., 1:-1, :] + padded[..., 2:, :]
    columns = padded[..., :-2] + padded[..., 1:-1] + padded[..., 2:]
    horizontal = rows[..., 2:] - rows[..., :-2]
    vertical = columns[..., 2:, :] - columns[..., :-2, :]
    return safe_sqrt(horizontal.square().add_(vertical.square())) / 3


def gms_map(x: Tensor, y: Tensor, c: float = C) -> Tensor:
    """Gradient magnitude similarity, in (0, 1], of two maps of magnitudes.

    Example:
        >>> import torch
        >>> round(gms_map(torch.tensor(0.1), torch.tensor(0.3)).item(), 4)
        0.6102
    """
    return (x * y).mul_(2).add_(c) / x.square().add_(y.square()).add_(c)


def deviation(values: Tensor, mask: Tensor | None = None) -> Tensor:
    """Standard deviation over the pixels (inside ``mask``), ``(N,)``, with gradient zero where it is zero.

    Example:
        >>> import torch
        >>> deviation(torch.tensor([[[[1.0, 3.0]]]])).item()
        1.0
    """
    mean = masked_mean(values, mask)[:, None, None, None]
    return safe_sqrt(masked_mean((values - mean).square(), mask))


def half_size_gradients(images: Tensor) -> Tensor:
    """The part of GMSD that depends on one image.

    Args:
        images: ``(N, C, H, W)`` in [0, 1].

    Returns:
        Gradient magnitudes ``(N, 1, h, w)`` at half size, sides rounded up.

    Example:
        >>> import torch
        >>> half_size_gradients(torch.rand(1, 3, 7, 10)).shape
        torch.Size([1, 1, 4, 5])
    """
    return gradient_magnitude(average_pool(pad_to_even(luminance(images)), 2))


def gms_deviation(x: Tensor, y: Tensor, c: float, mask: Tensor | None) -> Tensor:
    """GMSD ``(N,)`` of two batches of gradients, see :func:`gmsd`."""
    if mask is not None:
        # What lies outside the image is 0 whatever the image holds, so it counts as inside the mask.
        halved = all_pool(pad_to_even(mask, value=1), 2)
        mask = erode(F.pad(halved, (1, 1, 1, 1), value=1), 3)
    return deviation(gms_map(x, y, c), mask)


def gmsd(x: Tensor, y: Tensor, *, c: float = C, mask: Tensor | None = None) -> Tensor:
    """Gradient magnitude similarity deviation.

    Args:
        x: synthesized images ``(N, C, H, W)`` in [0, 1], at least 6 pixels per side.
        y: references of the same shape.
        c: stabilizer of the similarity where both images are flat.
        mask: boolean ``(N, 1, H, W)``; only windows inside it count.

    Returns:
        ``(N,)``, 0 or more, lower is better; NaN where no window of 6 x 6 pixels lies inside the mask.

    Example:
        >>> import torch
        >>> _ = torch.manual_seed(0)
        >>> image = torch.rand(1, 1, 32, 32)
        >>> round(gmsd(0.5 * image, image).item(), 4)
        0.0405
    """
    return gms_deviation(half_size_gradients(x), half_size_gradients(y), c, mask)


class GMSD(FullReferenceMetric):
    """Gradient magnitude similarity deviation, lower is better.

    An encoding holds the gradient magnitudes at half size. A mask is exact: the deviation is taken over the positions
    whose whole Prewitt window, 6 x 6 pixels of the image, lies inside it; the score is NaN if there is none. Two
    constant images differ only by their edges against the 0 outside; equal ones score 0.

    Args:
        c: stabilizer of the similarity where both images are flat.

    Example:
        >>> import torch
        >>> _ = torch.manual_seed(0)
        >>> image = torch.rand(1, 1, 32, 32)
        >>> noisy = (image + 0.2 * torch.randn(1, 1, 32, 32)).clamp(0, 1)
        >>> round(GMSD()(noisy, image).item(), 4)
        0.1549
    """

    undefined_reason = "no window of 6 pixels a side lies inside the mask"

    def __init__(
        self, *, c: Annotated[float, Field(gt=0, description="stabilizer for images in [0, 1]")] = C
    ) -> None:
        super().__init__()
        self.c = c

    @property
    def minimum_size(self) -> int:
        """One whole Prewitt window at half size; the zeros outside would dominate smaller images."""
        return 6

    def encode(self, images: Tensor) -> Tensor:
        """Gradient magnitudes ``(N, 1, h, w)`` at half size, sides rounded up."""
        return half_size_gradients(images)

    def compare(self, synthesized: Tensor, reference: Tensor, mask: Tensor | None = None) -> Tensor:
        """Scores ``(N,)``, 0 or more; NaN where no window lies inside the mask."""
        return gms_deviation(synthesized, reference, self.c, mask)

    def local_map(self, synthesized: Tensor, reference: Tensor, size: tuple[int, ...]) -> Tensor:
        """Gradient magnitude similarity, each value repeated over its 2 x 2 pixels: ``(N, 1, H, W)``."""
        height, width = size
        values = gms_map(synthesized, reference, self.c)
        return values.repeat_interleave(2, dim=2).repeat_interleave(2, dim=3)[..., :height, :width]
