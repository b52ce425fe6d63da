r"""SSIM, the structural similarity index.

.. math::
    \mathrm{SSIM} = \frac{1}{M} \sum_j
    \frac{2 \mu_x \mu_y + C_1}{\mu_x^2 + \mu_y^2 + C_1} \cdot
    \frac{2 \sigma_{xy} + C_2}{\sigma_x^2 + \sigma_y^2 + C_2}

with means, variances and covariance under a Gaussian window (11 pixels, :math:`\sigma` 1.5) at each of the M
positions j whose whole window lies inside the image, :math:`C_1 = (K_1 L)^2`, :math:`C_2 = (K_2 L)^2`,
:math:`K_1 = 0.01`, :math:`K_2 = 0.03` and the data range L = 1. The second factor is called the contrast-structure
term. Color images score the mean over their channels. Higher is better; 1 at equality.

Paper: Z. Wang, A. C. Bovik, H. R. Sheikh and E. P. Simoncelli (2004), "Image quality assessment: From error
visibility to structural similarity", IEEE Transactions on Image Processing 13(4), 600-612.
DOI 10.1109/TIP.2003.819861. Original code: https://ece.uwaterloo.ca/~z70wang/research/ssim/.
"""

from __future__ import annotations

from typing import Annotated, NamedTuple

import torch
import torch.nn.functional as F
from pydantic import Field
from torch import Tensor

from iqa_classical.filters import all_pool, average_pool, blur, erode, gaussian_taps, halving_factor
from iqa_classical.pixel import Dimensions, masked_mean
from iqa_registry.plugin import FullReferenceMetric, ParameterError

Window = Annotated[int, Field(ge=3, le=191, description="side of the Gaussian window in pixels, odd")]
Sigma = Annotated[float, Field(gt=0, description="standard deviation of the Gaussian in pixels")]
Stabilizer = Annotated[
    float, Field(gt=0, le=1, description="keeps a quotient stable where both images are flat")
]


class Statistics(NamedTuple):
    """Images ``(N, C, *spatial)`` with their local means and variances, shorter by ``window - 1`` per side."""

    images: Tensor
    mean: Tensor
    variance: Tensor


def check_window(window: int) -> int:
    """Return ``window`` if it is odd, so that it has a center.

    Raises:
        ParameterError: it is even.

    Example:
        >>> check_window(11)
        11
    """
    if window % 2 == 0:
        raise ParameterError(f"window must be odd, got {window}; take {window - 1} or {window + 1}.")
    return window


def local_statistics(images: Tensor, taps: Tensor) -> Statistics:
    """The part of SSIM that depends on one image.

    Args:
        images: ``(N, C, *spatial)``.
        taps: the window along one axis.

    Returns:
        The images, their local means and local variances.

    Example:
        >>> _, mean, variance = local_statistics(torch.full((1, 1, 11, 11), 0.5), gaussian_taps(11, 1.5))
        >>> round(mean.item(), 4), abs(variance.item()) < 1e-6
        (0.5, True)
    """
    mean = blur(images, taps)
    variance = blur(images.square(), taps).sub_(mean.square()).relu_()
    return Statistics(images, mean, variance)


def similarity_terms(
    x: Statistics, y: Statistics, taps: Tensor, k1: float, k2: float
) -> tuple[Tensor, Tensor]:
    """The luminance map and the contrast-structure map of two batches.

    Args:
        x: statistics of the synthesized images.
        y: statistics of the references.
        taps: the window along one axis.
        k1: stabilizer of the luminance term.
        k2: stabilizer of the contrast-structure term.

    Returns:
        Two maps ``(N, C, *positions)``; the first in [0, 1], the second in [-1, 1]. Their product is SSIM's map.

    Example:
        >>> taps = gaussian_taps(11, 1.5)
        >>> dark, bright = (local_statistics(torch.full((1, 1, 11, 11), v), taps) for v in (0.2, 0.6))
        >>> [round(term.item(), 3) for term in similarity_terms(dark, bright, taps, 0.01, 0.03)]
        [0.6, 1.0]
    """
    c1, c2 = k1**2, k2**2
    # 2ab = a^2 + b^2 - (a - b)^2 turns both quotients into 1 minus that of a difference. In float32 the usual form
    # loses the small variances of bright flat images to rounding and comes out above 1; what is lost here is a share of
    # the difference alone. The in-place steps touch only what autograd does not keep, and save an allocation each.
    shift = (x.mean - y.mean).square()
    spread = blur((x.images - y.images).square(), taps).sub_(shift)
    luminance = (shift / x.mean.square().add_(y.mean.square()).add_(c1)).neg_().add_(1)
    contrast_structure = (spread / (x.variance + y.variance).add_(c2)).neg_().add_(1)
    return luminance, contrast_structure.clamp(-1, 1)


def ssim_map(x: Statistics, y: Statistics, taps: Tensor, k1: float = 0.01, k2: float = 0.03) -> Tensor:
    """The SSIM of each position, ``(N, C, *positions)``, in [-1, 1]; the arguments of :func:`similarity_terms`.

    Example:
        >>> taps = gaussian_taps(11, 1.5)
        >>> _ = torch.manual_seed(0)
        >>> x, y = (local_statistics(torch.rand(1, 1, 11, 11), taps) for _ in range(2))
        >>> round(ssim_map(x, y, taps).item(), 3)
        -0.027
    """
    luminance, contrast_structure = similarity_terms(x, y, taps, k1, k2)
    return luminance * contrast_structure


def shrinking(sides: tuple[int, ...], downsample: bool) -> int:
    """The factor by which images are shrunk first: 1 unless ``downsample``, see :func:`halving_factor`."""
    return halving_factor(sides) if downsample else 1


def windows_inside(mask: Tensor | None, window: int, factor: int = 1) -> Tensor | None:
    """The positions whose whole window lies inside the mask, after shrinking by ``factor``; ``None`` for no mask.

    Example:
        >>> int(windows_inside(torch.ones(1, 1, 12, 13, dtype=torch.bool), 11).sum())
        6
    """
    return None if mask is None else erode(all_pool(mask, factor), window)


def ssim(
    x: Tensor,
    y: Tensor,
    *,
    window: int = 11,
    sigma: float = 1.5,
    k1: float = 0.01,
    k2: float = 0.03,
    downsample: bool = False,
    mask: Tensor | None = None,
) -> Tensor:
    """Structural similarity.

    Args:
        x: synthesized images ``(N, C, H, W)`` or volumes ``(N, 1, D, H, W)`` in [0, 1], at least ``window`` pixels per
            side.
        y: references of the same shape.
        window: size of the Gaussian window in pixels, odd.
        sigma: its standard deviation in pixels.
        k1: stabilizer of the luminance term.
        k2: stabilizer of the contrast-structure term.
        downsample: average blocks of shortest side / 256 pixels first, as the authors' script does.
        mask: boolean ``(N, 1, *spatial)``; only positions whose whole window lies inside it count.

    Returns:
        ``(N,)`` in [-1, 1], higher is better; NaN where no window lies inside the mask.

    Raises:
        ParameterError: the window is even.

    Example:
        >>> _ = torch.manual_seed(0)
        >>> image = torch.rand(1, 1, 32, 32)
        >>> round(ssim((image + 0.1 * torch.randn(1, 1, 32, 32)).clamp(0, 1), image).item(), 3)
        0.944
    """
    taps = gaussian_taps(check_window(window), sigma)
    factor = shrinking(tuple(x.shape[2:]), downsample)
    first, second = (local_statistics(average_pool(images, factor), taps) for images in (x, y))
    return masked_mean(ssim_map(first, second, taps, k1, k2), windows_inside(mask, window, factor))


class SSIM(FullReferenceMetric):
    """Structural similarity, in [-1, 1], higher is better.

    An encoding holds the images with their local means and variances, so a comparison only adds the covariance. A
    mask is exact: the map is averaged over the positions whose whole window lies inside it; the score is NaN if there
    is none. Two constant images score their luminance term; all-black ones score 1.

    Args:
        dimensions: 2 for images ``(N, C, H, W)``, 3 for volumes ``(N, 1, D, H, W)`` with a cubic window.
        window: size of the Gaussian window, odd.
        sigma: its standard deviation.
        k1: stabilizer of the luminance term.
        k2: stabilizer of the contrast-structure term.
        downsample: average blocks of shortest side / 256 pixels first, as the authors' script does; off by
            default, as in most libraries.

    Raises:
        ParameterError: the window is even.

    Example:
        >>> _ = torch.manual_seed(0)
        >>> image = torch.rand(1, 1, 32, 32)
        >>> noisy = (image + 0.1 * torch.randn(1, 1, 32, 32)).clamp(0, 1)
        >>> round(SSIM()(noisy, image).item(), 3)
        0.944
    """

    taps: Tensor

    def __init__(
        self,
        *,
        dimensions: Dimensions = 2,
        window: Window = 11,
        sigma: Sigma = 1.5,
        k1: Stabilizer = 0.01,
        k2: Stabilizer = 0.03,
        downsample: Annotated[bool, Field(description="shrink first, as the authors' script does")] = False,
    ) -> None:
        super().__init__()
        self.dimensions = dimensions
        self.window = check_window(window)
        self.k1, self.k2 = k1, k2
        self.downsample = downsample
        self.undefined_reason = f"no window of {window} pixels a side lies inside the mask"
        self.register_buffer("taps", gaussian_taps(window, sigma), persistent=False)

    @property
    def minimum_size(self) -> int:
        """The window must fit."""
        return self.window

    def encode(self, images: Tensor) -> Statistics:
        """The images (shrunk if ``downsample``) with their local means and variances."""
        factor = shrinking(tuple(images.shape[2:]), self.downsample)
        return local_statistics(average_pool(images, factor), self.taps)

    def compare(self, synthesized: Statistics, reference: Statistics, mask: Tensor | None = None) -> Tensor:
        """Scores ``(N,)`` in [-1, 1]; NaN where no window lies inside the mask."""
        factor = 1 if mask is None else shrinking(tuple(mask.shape[2:]), self.downsample)
        values = ssim_map(synthesized, reference, self.taps, self.k1, self.k2)
        return masked_mean(values, windows_inside(mask, self.window, factor))

    def local_map(self, synthesized: Statistics, reference: Statistics, size: tuple[int, ...]) -> Tensor:
        """SSIM of the window around each pixel, the mean over channels: ``(N, 1, *spatial)``, NaN at the border."""
        values = ssim_map(synthesized, reference, self.taps, self.k1, self.k2).mean(dim=1, keepdim=True)
        values = F.pad(values, (self.window // 2,) * 2 * self.dimensions, value=torch.nan)
        factor = shrinking(size, self.downsample)
        for axis, side in enumerate(size, start=2):
            values = values.repeat_interleave(factor, dim=axis) if factor > 1 else values
            pad = (0, 0) * (values.ndim - 1 - axis) + (0, side - values.shape[axis])
            values = F.pad(values, pad, value=torch.nan)
        return values
