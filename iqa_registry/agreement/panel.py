"""The panel of raters: how much they agree among themselves, and what their noise leaves for a metric to reach."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np

from iqa_registry.errors import UsageError
from iqa_registry.statistics.arrays import Array
from iqa_registry.statistics.raters import bias, icc, krippendorff_alpha, pooled
from iqa_registry.statistics.reliability import (
    AgainstTheOthers,
    NoiseBound,
    against_the_others,
    most_correlation,
    noise_bound,
    split_half,
    within_rater,
)

FORMS = ("2,1", "2,k")


@dataclass(frozen=True)
class Panel:
    """What is known of the raters of one group.

    Attributes:
        reliability: rows of ``statistic``, ``value``.
        raters: rows of ``rater``, ``n``, ``bias``, ``inconsistency`` and ``srocc`` against the others.
        others: each rater against the trimmed mean of the others.
        bound: what a metric that knew the true quality would be expected to score; ``None`` where the raters share too
            few images.
        single: ``(n, k)`` their ratings.
        within: rows of ``rater``, ``images``, ``icc``, ``difference`` and ``srocc`` of raters who rated images twice.
    """

    reliability: list[dict[str, Any]]
    raters: list[dict[str, Any]]
    others: AgainstTheOthers
    bound: NoiseBound | None
    single: Array
    within: list[dict[str, Any]] = field(default_factory=list)


def panel_of(
    single: Array,
    names: Sequence[str],
    pool: str = "trimmed-mean",
    repeats: Mapping[str, Array] | None = None,
) -> Panel | None:
    """Describe the raters.

    Args:
        single: ``(n, k)`` ratings, NaN where a rater did not see an image.
        names: of the ``k`` raters.
        pool: how their ratings become one, see :class:`~iqa_registry.agreement.ratings.HowRated`.
        repeats: rater to ``(n, m)`` ratings of the same images, one column per repeat.

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
    others = against_the_others(single)
    biases = bias(single)
    raters = [
        {
            "rater": name.removeprefix("rater_"),
            "n": int((~np.isnan(single[:, number])).sum()),
            "bias": float(biases[number]),
            "inconsistency": float(others.inconsistency[number]),
            "srocc": float(others.srocc[number]),
        }
        for number, name in enumerate(names)
    ]
    within = [{"rater": name} | asdict(within_rater(table)) for name, table in (repeats or {}).items()]
    return Panel(_reliability(single), raters, others, _bound(single, pool), single, within)


def _bound(single: Array, pool: str) -> NoiseBound | None:
    try:
        return noise_bound(single, lambda ratings: pooled(ratings, pool))
    except UsageError:
        # Raters who share too few images tell nothing of their noise.
        return None


def _reliability(single: Array) -> list[dict[str, Any]]:
    rows = []
    for form in FORMS:
        try:
            found = icc(single, form)  # type: ignore[arg-type]
        except UsageError:
            # Too few images, or raters that share none: no such coefficient, but the others are still worth telling.
            continue
        rows.append({"statistic": found.name, "value": found.value})
        if form == "2,k":
            name = "square root of ICC(2,k): correlation of a noise-free truth with the mean rating"
            rows.append({"statistic": name, "value": most_correlation(found.value)})
    for level in ("interval", "ordinal"):
        value = krippendorff_alpha(single, level)
        rows.append({"statistic": f"Krippendorff's alpha, {level}", "value": value})
    for ranks, kind in ((False, "Pearson"), (True, "Spearman")):
        name = f"split-half reliability of the mean rating ({kind}, Spearman-Brown)"
        rows.append({"statistic": name, "value": split_half(single, ranks=ranks)})
    return rows
