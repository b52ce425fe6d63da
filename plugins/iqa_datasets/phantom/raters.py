"""Simulated raters: ten of them look at an image's errors, weigh them each in their own way, and choose a level.

No radiologist took part and nothing here says how radiologists judge. A rater's impression of an image is

    q = exp(-sum over errors of weight x severity) + bias + noise,

rated on ten levels, 0, 0.1 ... 0.9, the highest level not above q, as in NIRPS. The weights are our assumption: errors
that change what would be diagnosed weigh most, those that an eye reads through least. Raters differ in weights, bias
and noise, all scaled by one number so that their agreement, ICC(2,1), is as asked for.

ICC(2,1): two-way random effects, absolute agreement, single rater; P. E. Shrout and J. L. Fleiss, "Intraclass
correlations: uses in assessing rater reliability", Psychological Bulletin 86(2), 420-428, 1979,
DOI 10.1037/0033-2909.86.2.420. Trimmed mean: the highest and the lowest score are dropped and the rest averaged, as the
K-CROSS paper does with ten radiologists.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from iqa_datasets.phantom.degradations import DEGRADATIONS
from iqa_registry.statistics.raters import icc

Array = NDArray[np.float64]

WEIGHTS = {
    "lost-lesion": 2.2,
    "invented-lesion": 2.0,
    "displaced-lesion": 1.5,
    "lesion-brightness": 1.1,
    "residual-source": 1.2,
    "warp": 1.4,
    "blur": 1.3,
    "kspace-shift": 1.0,
    "missing-lines": 0.9,
    "aliasing": 1.1,
    "checkerboard": 0.7,
    "noise": 0.6,
}
"""Mean weight of each error at severity 1."""
SPREAD_WEIGHT, SPREAD_BIAS, SPREAD_NOISE = 0.3, 0.07, 0.12
"""Standard deviations, before scaling: of a weight's logarithm, of the bias, of the noise."""
LEVELS = 10


@dataclass(frozen=True, slots=True, eq=False)
class Panel:
    """Raters who have been drawn.

    Attributes:
        weights: ``(raters, errors)``, errors in the order of :data:`~iqa_datasets.phantom.degradations.DEGRADATIONS`.
        bias: ``(raters,)``.
        noise: standard deviation of the noise.
    """

    weights: Array
    bias: Array
    noise: float

    def rate(self, severities: Array, draws: Array) -> Array:
        """Score images.

        Args:
            severities: ``(n, errors)`` in [0, 1].
            draws: ``(n, raters)``, standard normal: the noise of each act of rating.

        Returns:
            ``(n, raters)``, each 0, 0.1 ... 0.9; larger is better.

        Example:
            >>> panel = make_panel(np.random.default_rng(0), 4, 0.62, np.eye(12))
            >>> panel.rate(np.eye(12)[:1], np.zeros((1, 4))).tolist()
            [[0.1, 0.2, 0.0, 0.0]]
        """
        impression = np.exp(-severities @ self.weights.T) + self.bias + self.noise * draws
        return np.floor(LEVELS * impression).clip(0, LEVELS - 1) / LEVELS


def make_panel(rng: np.random.Generator, raters: int, agreement: float, severities: Array) -> Panel:
    """Draw raters who agree with each other as well as asked for.

    Args:
        rng: source of their differences.
        raters: how many; at least 2.
        agreement: wanted ICC(2,1), above 0 and below 1.
        severities: ``(n, errors)``, errors of images like those that will be rated: agreement depends on them.

    Returns:
        The panel whose ICC(2,1) on ``severities`` comes nearest.
    """
    weight_draws = rng.standard_normal((raters, len(DEGRADATIONS)))
    bias_draws = rng.standard_normal(raters)
    noise_draws = rng.standard_normal((len(severities), raters))

    def panel(scale: float) -> Panel:
        weights = np.array([WEIGHTS[name] for name in DEGRADATIONS])
        own = np.exp(scale * SPREAD_WEIGHT * weight_draws)
        return Panel(weights * own, scale * SPREAD_BIAS * bias_draws, scale * SPREAD_NOISE)

    low, high = 0.0, 8.0
    for _ in range(20):
        middle = (low + high) / 2
        agreed = single_rater_icc(panel(middle).rate(severities, noise_draws))
        low, high = (middle, high) if agreed > agreement else (low, middle)
    return panel((low + high) / 2)


def single_rater_icc(ratings: Array) -> float:
    """ICC(2,1) of ``(n, raters)`` scores; 0 where all scores are equal.

    Example:
        >>> table = np.array([[9, 2, 5, 8], [6, 1, 3, 2], [8, 4, 6, 8], [7, 1, 2, 6], [10, 5, 6, 9.0], [6, 2, 4, 7]])
        >>> round(single_rater_icc(table), 2)  # the table of Shrout and Fleiss, who give 0.29
        0.29
    """
    value = icc(ratings, "2,1").value
    return 0.0 if math.isnan(value) else value
