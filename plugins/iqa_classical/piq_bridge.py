"""Bridge to the full-reference metrics of piq that this plugin does not implement itself.

DSS, HaarPSI, IW-SSIM, MDSI, MS-GMSD, SR-SIM and VSI, computed by piq (Apache-2.0, https://github.com/photosynthesis-
team/piq) with its default parameters, one row of :data:`TABLE` each. What the bridge adds:

- One pair at a time. piq's SR-SIM scales its saliency by the extremes of the whole batch, and one reference that
  IW-SSIM cannot invert stops the whole batch, so in a batch a score would depend on its neighbors.
- Grey images are repeated to three channels for MDSI and VSI, which piq does too, with a warning each time.
- A value where piq gives none: HaarPSI of two black images, which piq scores infinity, is 1. IW-SSIM of a reference
  whose local covariance is singular (constant, a plain ramp or stripes) takes equal weights, which is MS-SSIM.
- Rounding that carries a score out of its range (1.000004 for an image against itself) is cut off.
- MDSI and IW-SSIM are not symmetric; the synthesized image is their first argument, the reference the second.

IW-SSIM takes the absolute value of each scale's term, so it does not see the sign of an inverted contrast. VSI of two
constant images is 1 whatever their values, because neither has saliency.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from iqa_classical.filters import luminance
from iqa_classical.ms_ssim import MSSSIM
from iqa_registry.metrics import FullReferenceMetric

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
    metric = MSSSIM().to(synthesized.device)
    return metric.compare(metric.encode(luminance(synthesized)), metric.encode(luminance(reference)))


@dataclass(frozen=True, slots=True)
class Row:
    """How one metric is called.

    Attributes:
        function: its name in piq.
        score_range: what its scores are kept within.
        minimum_size: least side at which piq gives a number.
        needs_rgb: whether grey images are repeated to three channels.
        fallback: the score where piq gives none.
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


class PiqMetric(FullReferenceMetric):
    """A metric that piq computes; the functions below make one each.

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
        """What piq's own window or pyramid needs."""
        return self.row.minimum_size

    def encode(self, images: Tensor) -> Tensor:
        """The images cut to [0, 1], outside of which piq refuses them, and repeated to three channels if need be."""
        images = images.clamp(0, 1)
        return images.expand(-1, 3, -1, -1) if self.row.needs_rgb and images.shape[1] == 1 else images

    def compare(self, synthesized: Tensor, reference: Tensor, mask: Tensor | None = None) -> Tensor:
        """Scores ``(N,)`` within the row's range."""
        pairs = zip(synthesized.split(1), reference.split(1), strict=True)
        return torch.cat([self._score(*pair) for pair in pairs]).clamp(*self.row.score_range)

    def _score(self, synthesized: Tensor, reference: Tensor) -> Tensor:
        import piq

        try:
            score: Tensor = getattr(piq, self.row.function)(synthesized, reference, reduction="none")
        except torch.linalg.LinAlgError:
            if self.row.fallback is None:
                raise
            return self.row.fallback(synthesized, reference)
        if self.row.fallback is not None and not torch.isfinite(score).all():
            return self.row.fallback(synthesized, reference)
        return score


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
