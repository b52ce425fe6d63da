"""Paired comparison of metrics: is one more consistent with the raters than another, or is it chance?"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from iqa_registry.statistics.bootstrap import percentile_interval, two_sided_p_value

if TYPE_CHECKING:
    from iqa_registry.agreement.judging import Judged


def compare(judged: Sequence[Judged], level: float = 0.95) -> list[dict[str, Any]]:
    """Compare the inconsistency of each two metrics that were judged on the same images.

    Both were computed from the same bootstrap samples, so the difference has samples too: its interval is paired. The
    p-values are corrected for their number by Holm's method.

    Args:
        judged: metrics of one group.
        level: ``1 - level`` is the error rate of the family.

    Returns:
        One row per pair: ``first``, ``second``, ``difference`` (first less second), ``difference_low`` and ``_high``,
        ``p_value``, ``p_holm``, ``distinguishable``.
    """
    rows = []
    sampled = [(item, np.sort(item.rows)) for item in judged if item.samples]
    for (first, images), (second, others) in itertools.combinations(sampled, 2):
        if not np.array_equal(images, others):
            continue
        samples = first.samples["inconsistency"] - second.samples["inconsistency"]
        number = first.row["clusters"]
        low, high = percentile_interval(samples, number, level)
        difference = first.row["inconsistency"] - second.row["inconsistency"]
        rows.append(
            {
                "first": first.metric,
                "second": second.metric,
                "difference": difference,
                "difference_low": low,
                "difference_high": high,
                "p_value": two_sided_p_value(samples, difference, number),
            }
        )
    for row, corrected in zip(rows, holm([row["p_value"] for row in rows]), strict=True):
        row["p_holm"] = corrected
        row["distinguishable"] = bool(corrected < 1 - level)
    return rows


def holm(p_values: Sequence[float]) -> list[float]:
    """P-values corrected for their number by Holm's step-down method (statsmodels); NaN stay NaN and do not count.

    Source: Holm, "A simple sequentially rejective multiple test procedure", Scand. J. Statist. 6 (1979).

    Example:
        >>> holm([0.01, 0.04, 0.03])
        [0.03, 0.06, 0.06]
    """
    known = [value for value in p_values if not math.isnan(value)]
    if not known:
        return list(p_values)
    from statsmodels.stats.multitest import multipletests

    corrected = iter(multipletests(known, method="holm")[1].tolist())
    return [value if math.isnan(value) else round(next(corrected), 12) for value in p_values]
