"""Bridge to the full-reference metrics of piq that this plugin does not implement itself.

DSS, HaarPSI, IW-SSIM, MDSI, MS-GMSD, SR-SIM and VSI, computed by piq (Apache-2.0, https://github.com/photosynthesis-
team/piq) with its default parameters, one row of :data:`TABLE` each. What the bridge adds:

- One pair at a time. piq's SR-SIM scales its saliency by the extremes of the whole batch, and one reference that
  IW-SSIM cannot invert stops the whole batch, so a score would depend on the other pairs of its batch.
- Gray images are repeated to three channels for MDSI and VSI. piq does so too, but warns each time.
- A value where piq has none: HaarPSI of two black images, which piq scores infinity, is 1. IW-SSIM of a reference
  whose local covariance is singular (constant, a plain ramp or stripes) takes equal weights, which is MS-SSIM.
- Images are clipped to [0, 1], which matters only where the values are not checked; the gradient passes unaltered.
- Scores that rounding carries out of their range (1.000004 for an image against itself) are clipped to it.
- MDSI and IW-SSIM are not symmetric; the synthesized image is their first argument, the reference the second.

IW-SSIM takes the absolute value of each scale's term, so it ignores the sign of an inverted contrast. VSI of two
constant images is 1 whatever their values, because neither has saliency.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from iqa_classical.filters import luminance
from iqa_classical.ms_ssim import ms_ssim
from iqa_registry.plugin import FullReferenceMetric

Pairwise = Callable[[Tensor, Tensor], Tensor]


def black_is_equal(synthesized: Tensor, reference: Tensor) -> Tensor:
    """The score 1 with gradient zero, for two images without any content.

    Example:
        >>> black_is_equal(torch.zeros(1, 1, 2, 2), torch.zeros(1, 1, 2, 2)).item()
        1.0
    """
    return 1 + 0 * (synthesized + reference).flatten(1).sum(dim=1)


def equal_weights(synthesized: Tensor, reference: Tensor) -> Tensor:
    """IW-SSIM without information weights, which is MS-SSIM of the luminance.

    Example:
        >>> round(equal_weights(torch.full((1, 1, 161, 161), 0.3), torch.full((1, 1, 161, 161), 0.6)).item(), 4)
        0.9707
    """
    return ms_ssim(luminance(synthesized), luminance(reference))


@dataclass(frozen=True, slots=True)
class Row:
    """How one metric is called.

    Attributes:
        function: its name in piq.
        score_range: its scores are clipped to it.
        minimum_size: the smallest side at which piq returns a number.
        needs_rgb: whether gray images are repeated to three channels.
        fallback: the score where piq has none.
    """

    function: str
    score_range: tuple[float, float]
    minimum_size: int
    needs_rgb: bool = False
    fallback: Pairwise | None = None


TABLE = {
    "dss": Row("dss", (-1.0, 1.0), 32),
    "haarpsi": Row("haarpsi", (0.0, 1.0), 16, fallback=black_is_equal),
    "iw_ssim": Row("information_weighted_ssim", (0.0, 1.0), 161, fallback=equal_weights),
    "mdsi": Row("mdsi", (0.0, 1.0), 1, needs_rgb=True),
    "ms_gmsd": Row("multi_scale_gmsd", (0.0, 0.5), 17),
    "srsim": Row("srsim", (0.0, 1.0), 40),
    "vsi": Row("vsi", (0.0, 1.0), 1, needs_rgb=True),
}


def piq_score(x: Tensor, y: Tensor, row: Row) -> Tensor:
    """The score of a metric that piq computes, one pair at a time.

    Args:
        x: synthesized images ``(N, 1 or 3, H, W)`` in [0, 1], at least ``row.minimum_size`` pixels per side.
        y: references of the same shape.
        row: the metric's row of :data:`TABLE`.

    Returns:
        ``(N,)`` within ``row.score_range``.

    Example:
        >>> _ = torch.manual_seed(0)
        >>> image = torch.rand(1, 1, 32, 32)
        >>> round(piq_score(0.5 * image, image, TABLE["haarpsi"]).item(), 3)
        0.662
    """
    pairs = zip(_as_piq_wants(x, row).split(1), _as_piq_wants(y, row).split(1), strict=True)
    return torch.cat([_score_pair(*pair, row) for pair in pairs]).clamp(*row.score_range)


class _Clip(torch.autograd.Function):
    """Clips to [0, 1], with the gradient of the identity: a pixel outside must not lose its gradient."""

    @staticmethod
    def forward(images: Tensor) -> Tensor:
        return images.clamp(0, 1)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Tensor, ...], output: Tensor) -> None:
        pass

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Tensor:
        return gradient


def _as_piq_wants(images: Tensor, row: Row) -> Tensor:
    """The images clipped to [0, 1], since piq rejects others, and repeated to three channels if necessary."""
    images = _Clip.apply(images)
    return images.expand(-1, 3, -1, -1) if row.needs_rgb and images.shape[1] == 1 else images


def _score_pair(x: Tensor, y: Tensor, row: Row) -> Tensor:
    import piq

    try:
        score: Tensor = getattr(piq, row.function)(x, y, reduction="none")
    except torch.linalg.LinAlgError:
        if row.fallback is None:
            raise
        return row.fallback(x, y)
    if row.fallback is not None and not torch.isfinite(score).all():
        return row.fallback(x, y)
    return score


class PiqMetric(FullReferenceMetric):
    """A metric that piq computes; each function below makes one.

    Args:
        row: the metric's row of :data:`TABLE`.

    Example:
        >>> _ = torch.manual_seed(0)
        >>> image = torch.rand(1, 1, 32, 32)
        >>> noisy = (image + 0.1 * torch.randn(1, 1, 32, 32)).clamp(0, 1)
        >>> round(PiqMetric(TABLE["haarpsi"])(noisy, image).item(), 3)
        0.762
    """

    def __init__(self, row: Row) -> None:
        super().__init__()
        self.row = row

    @property
    def minimum_size(self) -> int:
        """What piq's window or pyramid needs."""
        return self.row.minimum_size

    def compare(self, synthesized: Tensor, reference: Tensor, mask: Tensor | None = None) -> Tensor:
        """Scores ``(N,)`` within the row's range."""
        return piq_score(synthesized, reference, self.row)


def dss() -> PiqMetric:
    """DCT subband similarity (Balanov et al. 2015)."""
    return PiqMetric(TABLE["dss"])


def haarpsi() -> PiqMetric:
    """Haar wavelet-based perceptual similarity index (Reisenhofer et al. 2018)."""
    return PiqMetric(TABLE["haarpsi"])


def iw_ssim() -> PiqMetric:
    """Information content weighted structural similarity (Wang and Li 2011)."""
    return PiqMetric(TABLE["iw_ssim"])


def mdsi() -> PiqMetric:
    """Mean deviation similarity index (Nafchi et al. 2016)."""
    return PiqMetric(TABLE["mdsi"])


def ms_gmsd() -> PiqMetric:
    """Multi-scale gradient magnitude similarity deviation, of the luminance (Zhang et al. 2017)."""
    return PiqMetric(TABLE["ms_gmsd"])


def srsim() -> PiqMetric:
    """Spectral residual based similarity (Zhang and Li 2012)."""
    return PiqMetric(TABLE["srsim"])


def vsi() -> PiqMetric:
    """Visual saliency-induced index (Zhang et al. 2014)."""
    return PiqMetric(TABLE["vsi"])
