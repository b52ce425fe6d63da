r"""VIF, visual information fidelity, in the pixel domain.

The reference y is seen through a noisy visual system, and so is the synthesized image x, taken locally as
:math:`x = g y + v`. The score is the information about the scene that x keeps, as a share of what y holds:

.. math::
    \mathrm{VIF} = \frac{\sum_s \sum_j \log(1 + g_{sj}^2 \sigma_{y,sj}^2 / (\sigma_{v,sj}^2 + \sigma_n^2))}
                        {\sum_s \sum_j \log(1 + \sigma_{y,sj}^2 / \sigma_n^2)},
    \qquad g = \frac{\sigma_{xy}}{\sigma_y^2}, \quad \sigma_v^2 = \sigma_x^2 - g \sigma_{xy}

over all windows j that lie inside the image, of four scales s. The moments are those under a Gaussian window of
17, 9, 5 and 3 pixels (sigma a fifth of that) at the scales 1 to 4; each scale is the one before, blurred with its
own window and reduced to every second pixel. Values are taken as 0 to 255, for which :math:`\sigma_n^2 = 2` is the
authors' setting. Color images are scored by their luminance. Higher is better; 1 at equality, and above 1 for an
image with more contrast than its reference. Swapping the two images changes the score.

Paper: H. R. Sheikh and A. C. Bovik (2006), "Image information and visual quality", IEEE Transactions on Image
Processing 15(2), 430-444. DOI 10.1109/TIP.2005.859378.
Original code: https://live.ece.utexas.edu/research/Quality/VIF.htm (vifp_mscale).
"""

from __future__ import annotations

from typing import Annotated, NamedTuple

import torch
from pydantic import Field
from torch import Tensor

from iqa_classical.filters import blur, erode, gaussian_taps, luminance
from iqa_registry.plugin import FullReferenceMetric

WINDOWS = (17, 9, 5, 3)
EPSILON = 1e-8
RESOLUTION = 8 * torch.finfo(torch.float32).eps
"""A variance below this share of the squared mean is what rounding leaves of a flat window, not a signal."""


class Scale(NamedTuple):
    """One scale of an image: its values (minus 127.5), and the mean and variance of every window."""

    image: Tensor
    mean: Tensor
    variance: Tensor


class Pyramid(NamedTuple):
    """The four scales of an image, the finest first."""

    scales: tuple[Scale, ...]


def window_taps(window: int) -> Tensor:
    """Gaussian taps of the window, with a standard deviation of a fifth of it.

    Example:
        >>> [round(tap, 4) for tap in window_taps(3).tolist()]
        [0.1664, 0.6672, 0.1664]
    """
    return gaussian_taps(window, window / 5)


def pyramid(images: Tensor) -> Pyramid:
    """The part of VIF that depends on one image: four scales of ``(N, 1, H, W)`` in [0, 1].

    Example:
        >>> _ = torch.manual_seed(0)
        >>> scales = pyramid(torch.rand(1, 1, 41, 41)).scales
        >>> [round(scale.variance.mean().item()) for scale in scales]
        [5436, 98, 55, 36]
    """
    # Subtracting the middle of the range leaves the variances unchanged and quarters their rounding error.
    image = images * 255 - 127.5
    scales = []
    for index, window in enumerate(WINDOWS):
        taps = window_taps(window)
        if index:
            image = blur(image, taps)[..., ::2, ::2]
        mean = blur(image, taps)
        variance = blur(image.square(), taps) - mean.square()
        flat = variance < EPSILON + RESOLUTION * mean.square()
        scales.append(Scale(image, mean, variance.masked_fill(flat, 0)))
    return Pyramid(tuple(scales))


def information(synthesized: Scale, reference: Scale, noise: float, taps: Tensor) -> tuple[Tensor, Tensor]:
    """Information (nats) that each window of one scale keeps and holds, two maps ``(N, 1, h, w)``.

    Args:
        synthesized: a scale of the synthesized image.
        reference: the same scale of the reference.
        noise: variance of the visual noise.
        taps: the window.

    Example:
        >>> _ = torch.manual_seed(0)
        >>> first, second = (pyramid(torch.rand(1, 1, 41, 41)).scales[0] for _ in range(2))
        >>> kept, held = information(first, second, 2.0, window_taps(17))
        >>> round(kept.mean().item(), 4), round(held.mean().item(), 4)
        (0.004, 7.829)
    """
    covariance = blur(synthesized.image * reference.image, taps) - synthesized.mean * reference.mean
    flat = (synthesized.variance == 0) | (reference.variance == 0)
    gain = (covariance / (reference.variance + EPSILON)).clamp(min=0).masked_fill(flat, 0)
    residue = (synthesized.variance - gain * covariance).clamp(min=EPSILON)
    kept = torch.log1p(gain.square() * reference.variance / (residue + noise))
    return kept, torch.log1p(reference.variance / noise)


def window_masks(mask: Tensor) -> tuple[Tensor, ...]:
    """For each scale, the windows that see no pixel outside the mask.

    Example:
        >>> mask = torch.ones(1, 1, 41, 41, dtype=torch.bool)
        >>> [int(windows.sum()) for windows in window_masks(mask)]
        [625, 81, 9, 1]
    """
    masks = []
    for index, window in enumerate(WINDOWS):
        if index:
            mask = erode(mask, window)[..., ::2, ::2]
        masks.append(erode(mask, window))
    return tuple(masks)


def kept_share(x: Pyramid, y: Pyramid, noise_variance: float, mask: Tensor | None) -> Tensor:
    """VIF ``(N,)`` of two pyramids, see :func:`vif`."""
    kept, held = torch.zeros(2, len(y.scales[0].image), device=y.scales[0].image.device)
    inside = (None,) * len(WINDOWS) if mask is None else window_masks(mask)
    for window, first, second, windows in zip(WINDOWS, x.scales, y.scales, inside, strict=True):
        kept_map, held_map = information(first, second, noise_variance, window_taps(window))
        if windows is not None:
            kept_map, held_map = kept_map * windows, held_map * windows
        kept = kept + kept_map.sum(dim=(1, 2, 3))
        held = held + held_map.sum(dim=(1, 2, 3))
    scores = (kept + EPSILON) / (held + EPSILON)
    if inside[0] is not None:
        scores = scores.masked_fill(~inside[0].flatten(1).any(dim=1), torch.nan)
    return scores


def vif(x: Tensor, y: Tensor, *, noise_variance: float = 2.0, mask: Tensor | None = None) -> Tensor:
    """Visual information fidelity in the pixel domain.

    Args:
        x: synthesized images ``(N, C, H, W)`` in [0, 1], at least 41 pixels per side.
        y: references of the same shape.
        noise_variance: variance of the visual noise, for values of 0 to 255.
        mask: boolean ``(N, 1, H, W)``; only windows that see no pixel outside it count.

    Returns:
        ``(N,)``, 0 or more, higher is better; NaN where no window lies inside the mask.

    Example:
        >>> _ = torch.manual_seed(0)
        >>> image = torch.rand(1, 1, 64, 64)
        >>> round(vif(0.5 * image, image).item(), 4)
        0.809
    """
    return kept_share(pyramid(luminance(x)), pyramid(luminance(y)), noise_variance, mask)


class VIF(FullReferenceMetric):
    """Visual information fidelity in the pixel domain, higher is better.

    An encoding holds the four scales with mean and variance of each window. A mask is exact: at every scale only
    the windows count whose pixels, followed back to the image, all lie inside it (41 x 41 of them at the coarsest
    scale, 17 x 17 at the finest); scales without such a window are excluded, and the score is NaN if none is left.
    A reference without any structure (for example a black one) has no information to lose: every image scores 1. A
    constant image scores 0 with a structured reference.

    Args:
        noise_variance: variance of the visual noise, for values of 0 to 255.

    Example:
        >>> _ = torch.manual_seed(0)
        >>> image = torch.rand(1, 1, 64, 64)
        >>> noisy = (image + 0.2 * torch.randn(1, 1, 64, 64)).clamp(0, 1)
        >>> round(VIF()(noisy, image).item(), 4)
        0.1657
    """

    undefined_reason = f"no window of {WINDOWS[0]} pixels a side lies inside the mask"

    def __init__(
        self,
        *,
        noise_variance: Annotated[
            float, Field(gt=0, description="variance of the visual noise, for values of 0 to 255")
        ] = 2.0,
    ) -> None:
        super().__init__()
        self.noise_variance = noise_variance

    def encode(self, images: Tensor) -> Pyramid:
        """Four scales, each with its image and the mean and variance of its windows."""
        return pyramid(luminance(images))

    def compare(self, synthesized: Pyramid, reference: Pyramid, mask: Tensor | None = None) -> Tensor:
        """Scores ``(N,)``, 0 or more; NaN where no window lies inside the mask."""
        return kept_share(synthesized, reference, self.noise_variance, mask)
