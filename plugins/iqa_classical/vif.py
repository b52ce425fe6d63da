r"""VIF, visual information fidelity, in the pixel domain.

The reference x is seen through a noisy visual system, and so is the synthesized image y, taken locally as
:math:`y = g x + v`. The score is the information about the scene that y keeps, as a share of what x holds:

.. math::
    \mathrm{VIF} = \frac{\sum_s \sum_j \log(1 + g_{sj}^2 \sigma_{x,sj}^2 / (\sigma_{v,sj}^2 + \sigma_n^2))}
                        {\sum_s \sum_j \log(1 + \sigma_{x,sj}^2 / \sigma_n^2)},
    \qquad g = \frac{\sigma_{xy}}{\sigma_x^2}, \quad \sigma_v^2 = \sigma_y^2 - g \sigma_{xy}

over all windows j that lie inside the image, of four scales s. The moments are those under a Gaussian window of
17, 9, 5 and 3 pixels (sigma a fifth of that) at the scales 1 to 4; each scale is the one before, blurred with its
own window and reduced to every second pixel. Values are taken as 0 to 255, for which :math:`\sigma_n^2 = 2` is the
authors' setting. Colour images are scored by their luminance. Higher is better; 1 at equality, and above 1 for an
image with more contrast than its reference. The two images do not play the same part.

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
from iqa_classical.pixel import explain
from iqa_registry.metrics import Comparison, FullReferenceMetric

WINDOWS = (17, 9, 5, 3)
EPSILON = 1e-8
RESOLUTION = 8 * torch.finfo(torch.float32).eps
"""A variance below this share of the squared mean is what rounding leaves of a flat window, not a signal."""


class Scale(NamedTuple):
    """One scale of an image: its values (less 127.5), and mean and variance of every window."""

    image: Tensor
    mean: Tensor
    variance: Tensor


def window_taps(window: int) -> Tensor:
    """Gaussian taps of the window, with a standard deviation of a fifth of it.

    Example:
        >>> [round(tap, 4) for tap in window_taps(3).tolist()]
        [0.1664, 0.6672, 0.1664]
    """
    return gaussian_taps(window, window / 5)


def variance_scales(images: Tensor) -> tuple[Scale, ...]:
    """The four scales of ``(N, 1, H, W)`` in [0, 1] with their windows' moments.

    Example:
        >>> _ = torch.manual_seed(0)
        >>> scales = variance_scales(torch.rand(1, 1, 41, 41))
        >>> [round(scale.variance.mean().item()) for scale in scales]
        [5436, 98, 55, 36]
    """
    # Taking the middle of the range off leaves the variances as they are and quarters what rounding does to them.
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
    return tuple(scales)


def information(synthesized: Scale, reference: Scale, noise: float, taps: Tensor) -> tuple[Tensor, Tensor]:
    """Information (nats) that each window of one scale keeps and holds, two maps ``(N, 1, h, w)``.

    Args:
        synthesized: a scale of the synthesized image.
        reference: the same scale of the reference.
        noise: variance of the visual noise.
        taps: the window.

    Example:
        >>> _ = torch.manual_seed(0)
        >>> first, second = (variance_scales(torch.rand(1, 1, 41, 41))[0] for _ in range(2))
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


class VIF(FullReferenceMetric):
    """Visual information fidelity in the pixel domain, higher is better.

    An encoding holds the four scales with mean and variance of each window. A mask is exact: at every scale only
    the windows count whose pixels, followed back to the image, all lie inside it (41 x 41 of them at the coarsest
    scale, 17 x 17 at the finest); scales without such a window drop out, and the score is NaN where none is left.
    A reference without any structure (constant, all black) has no information to lose: every image scores 1
    against it. A constant image against a structured reference scores 0.

    Args:
        noise_variance: variance of the visual noise, for values of 0 to 255.

    Example:
        >>> _ = torch.manual_seed(0)
        >>> image = torch.rand(1, 1, 64, 64)
        >>> noisy = (image + 0.2 * torch.randn(1, 1, 64, 64)).clamp(0, 1)
        >>> round(VIF()(noisy, image).item(), 4)
        0.1657
    """

    def __init__(
        self,
        *,
        noise_variance: Annotated[
            float, Field(gt=0, description="variance of the visual noise, for values of 0 to 255")
        ] = 2.0,
    ) -> None:
        super().__init__()
        self.noise_variance = noise_variance

    def encode(self, images: Tensor) -> tuple[Scale, ...]:
        """Four scales, each with its image and the mean and variance of its windows."""
        return variance_scales(luminance(images))

    def compare(
        self, synthesized: tuple[Scale, ...], reference: tuple[Scale, ...], mask: Tensor | None = None
    ) -> Tensor:
        """Scores ``(N,)``, not negative; NaN where no window lies inside the mask."""
        kept, held = torch.zeros(2, len(reference[0].image), device=reference[0].image.device)
        inside = (None,) * len(WINDOWS) if mask is None else window_masks(mask)
        for window, first, second, windows in zip(WINDOWS, synthesized, reference, inside, strict=True):
            kept_map, held_map = information(first, second, self.noise_variance, window_taps(window))
            if windows is not None:
                kept_map, held_map = kept_map * windows, held_map * windows
            kept = kept + kept_map.sum(dim=(1, 2, 3))
            held = held + held_map.sum(dim=(1, 2, 3))
        scores = (kept + EPSILON) / (held + EPSILON)
        if inside[0] is not None:
            scores = scores.masked_fill(~inside[0].flatten(1).any(dim=1), torch.nan)
        return scores

    def compare_in_detail(
        self, synthesized: tuple[Scale, ...], reference: tuple[Scale, ...], mask: Tensor | None = None
    ) -> Comparison:
        """As :meth:`compare`, with the reason where no window lies inside the mask."""
        reason = f"no window of {WINDOWS[0]} pixels a side lies inside the mask"
        return explain(Comparison(self.compare(synthesized, reference, mask)), reason)
