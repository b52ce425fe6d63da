"""The panel of raters: how much they agree among themselves, which bounds what a metric can reach."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from iqa_registry.errors import UsageError
from iqa_registry.statistics.arrays import Array
from iqa_registry.statistics.raters import HumanCeiling, bias, human_ceiling, icc, krippendorff_alpha

FORMS = ("2,1", "2,k")


@dataclass(frozen=True)
class Panel:
    """What is known of the raters of one group.

    Attributes:
        reliability: rows of ``statistic``, ``value``.
        raters: rows of ``rater``, ``n``, ``bias``, ``inconsistency`` and ``srocc`` against the others.
        ceiling: each rater against the trimmed mean of the others.
    """

    reliability: list[dict[str, Any]]
    raters: list[dict[str, Any]]
    ceiling: HumanCeiling


def panel_of(single: Array, names: Sequence[str]) -> Panel | None:
    """Describe the raters.

    Args:
        single: ``(n, k)`` ratings, NaN where a rater did not see an image.
        names: of the ``k`` raters.

    Returns:
        ``None`` where no two raters saw one image.

    Example:
        >>> panel = panel_of(np.array([[0.1, 0.2], [0.5, 0.4], [0.9, 0.8]]), ["rater_1", "rater_2"])
        >>> panel.reliability[0]["statistic"], round(panel.reliability[0]["value"], 3)
        ('ICC(2,1): two-way random, absolute agreement, single rater', 0.96)
    """
    seen = np.flatnonzero(~np.isnan(single).all(axis=0))
    shared = (~np.isnan(single)).sum(axis=1) > 1
    if seen.size < 2 or not shared.any():
        return None
    single, names = single[:, seen], [names[int(number)] for number in seen]
    ceiling = human_ceiling(single)
    biases = bias(single)
    raters = [
        {
            "rater": name.removeprefix("rater_"),
            "n": int((~np.isnan(single[:, number])).sum()),
            "bias": float(biases[number]),
            "inconsistency": float(ceiling.inconsistency[number]),
            "srocc": float(ceiling.srocc[number]),
        }
        for number, name in enumerate(names)
    ]
    return Panel(_reliability(single), raters, ceiling)


def _reliability(single: Array) -> list[dict[str, Any]]:
    rows = []
    for form in FORMS:
        try:
            found = icc(single, form)  # type: ignore[arg-type]
        except UsageError:
            # Too few images, or raters that share none: no such coefficient, but the others are still worth telling.
            continue
        rows.append({"statistic": found.name, "value": found.value})
    for level in ("interval", "ordinal"):
        value = krippendorff_alpha(single, level)
        rows.append({"statistic": f"Krippendorff's alpha, {level}", "value": value})
    return rows
