"""Further sources of variation besides subjects: other raters, other training seeds.

Intervals over subjects hold for the raters, and for the trained networks, that a study happened to have. To hold for
others, the variance that these bring has to be added. With the variances of a statistic over bootstrap samples of
subjects (V1), of raters with all subjects (V2), and of both at once (V12)::

    variance of the raters' choice  E = V1 + 2 V2 - V12,  at least 0, times k / (k - 1)
    total                           V = V1 C / (C - 1) + E

since V1, V2 and V12 hold the interaction of subjects and raters once, once and three times. The samples over subjects
are stretched about the estimate by sqrt(V / V1). The square of Student's quantile is the mean of those for C - 1 and
for k - 1 degrees of freedom, weighted by the two variances (Cochran), since with few raters E is known badly.

Source: A. B. Owen, "The pigeonhole bootstrap", Annals of Applied Statistics 1 (2007), doi:10.1214/07-AOAS122, for what
the variances hold.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from iqa_registry.statistics.arrays import Array

DRAWS = 400
"""Bootstrap samples of raters."""


def unit_draws(
    units: int, draws: int = DRAWS, seed: int = 0
) -> np.ndarray[tuple[int, int], np.dtype[np.int64]]:
    """Which units (raters, seeds) are drawn in each sample, ``(draws, units)``.

    Example:
        >>> unit_draws(3, 2).shape
        (2, 3)
    """
    return np.random.default_rng([seed, units]).integers(0, units, (draws, units))


@dataclass(frozen=True, slots=True)
class Source:
    """What one further source does to a statistic.

    Attributes:
        alone: ``(D,)`` samples over its units, with all clusters.
        both: ``(D,)`` over both, with the clusters of the first D samples over clusters.
        units: k, raters or seeds, at least 2.
        shared: whether all metrics have the same draws, as of raters; the seeds of a metric are its own.
    """

    alone: Array
    both: Array
    units: int
    shared: bool = True

    def less(self, other: Source) -> Source:
        """The source of a difference of two statistics with the same draws."""
        return Source(self.alone - other.alone, self.both - other.both, self.units)


def widened(samples: Array, sources: Sequence[Source], clusters: int) -> tuple[float, float]:
    """By how much the spread of samples grows if other units had been drawn too.

    Args:
        samples: ``(B,)`` over clusters.
        sources: what comes on top; none leaves everything as it is.
        clusters: C.

    Returns:
        The factor, at least 1, and the number of clusters that have as many degrees of freedom and one more.

    Example:
        >>> generator = np.random.default_rng(0)
        >>> subjects, raters = generator.normal(size=400), generator.normal(size=400)
        >>> factor, clusters = widened(subjects, [Source(raters, subjects + raters, 10)], 50)
        >>> round(factor, 1), round(clusters)
        (1.4, 16)
    """
    if not sources or np.isnan(samples).all() or any(np.isnan(source.both).all() for source in sources):
        return 1.0, float(clusters)
    own = float(np.nanvar(samples)) * clusters / max(1, clusters - 1)
    if not own > 0:
        return 1.0, float(clusters)
    total, reach = own, own * _quantile(clusters - 1) ** 2
    for source in sources:
        first, alone, both = (
            float(np.nanvar(part)) for part in (samples[: source.alone.size], source.alone, source.both)
        )
        extra = max(0.0, first + 2 * alone - both) * source.units / (source.units - 1)
        total += extra
        reach += extra * _quantile(source.units - 1) ** 2
    return math.sqrt(total / own), _freedom(math.sqrt(reach / total)) + 1


def _quantile(freedom: float) -> float:
    from scipy.special import stdtrit

    return float(stdtrit(freedom, 0.975))


def _freedom(quantile: float) -> float:
    """The degrees of freedom that have this quantile."""
    from scipy.optimize import brentq

    if quantile <= _quantile(1e6):
        return 1e6
    return float(brentq(lambda freedom: _quantile(freedom) - quantile, 0.9, 1e6))


def stretched(samples: Array, estimate: float, factor: float) -> Array:
    """Samples with a spread about the estimate that is larger by a factor.

    Example:
        >>> stretched(np.array([0.1, 0.4]), 0.2, 2.0).round(3)
        array([0. , 0.6])
    """
    return estimate + (samples - estimate) * factor
