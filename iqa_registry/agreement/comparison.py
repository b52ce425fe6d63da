"""Paired comparison of metrics: is one more consistent with the raters than another, or is it chance?"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from iqa_registry.statistics.bootstrap import percentile_interval, reflected, two_sided_p_value
from iqa_registry.statistics.power import equal_within, equivalence_p_value, standard_error, visible_ratio
from iqa_registry.statistics.sources import Source, stretched, widened

if TYPE_CHECKING:
    from iqa_registry.agreement.judging import Judged

ALSO = ("srocc", "auc", "auc_different", "auc_better")
"""What is compared besides inconsistency, where it is there."""


def compare(
    judged: Sequence[Judged], level: float = 0.95, margin: float | None = None
) -> list[dict[str, Any]]:
    """Compare the inconsistency of each two metrics that were judged on the same images.

    Both were computed from the same bootstrap samples, so the difference has samples too: its interval is paired. The
    p-values are corrected for their number by Holm's method.

    Args:
        judged: metrics of one group.
        level: ``1 - level`` is the error rate of the family.
        margin: of the inconsistency; what counts as practically equal. By default this is not tested.

    Returns:
        One row per pair: ``first``, ``second``, ``difference`` (first less second), ``difference_low`` and ``_high``,
        ``p_value``, ``p_holm``, and the same of SROCC and of AUCs, ``srocc_...``; ``distinguishable``, whether
        ``p_holm`` is below ``1 - level``; ``visible``, the smallest true difference that would have been seen with a
        power of 80 % after a correction for as many pairs; ``equal_within``, the smallest margin within which the two
        are equal at the level of each pair (TOST); with ``margin`` also ``p_equal`` and ``practically_equal``.
    """
    sampled = [(item, np.sort(item.rows)) for item in judged if item.samples]
    rows = [
        {"first": first.metric, "second": second.metric} | _difference(first, second, level)
        for (first, images), (second, others) in itertools.combinations(sampled, 2)
        if np.array_equal(images, others)
    ]
    _add_holm(rows)
    for row in rows:
        row["distinguishable"] = bool(row["p_holm"] < 1 - level)
        _add_limits(row, level, len(rows), margin)
    return rows


def _add_limits(row: dict[str, Any], level: float, pairs: int, margin: float | None) -> None:
    """What could have been seen, and what can be called equal."""
    error, df = row.pop("error"), row.pop("df")
    row["visible"] = math.nan if math.isnan(error) else error * visible_ratio(df, (1 - level) / pairs)
    row["equal_within"] = (
        math.nan if math.isnan(error) else equal_within(row["difference"], error, df, 1 - level)
    )
    if margin is not None:
        row["p_equal"] = equivalence_p_value(row["difference"], error, df, margin)
        row["practically_equal"] = bool(row["p_equal"] < 1 - level)


def add_stability(judged: Sequence[Judged]) -> None:
    """Add how often each metric is the most consistent, and among the first three, over the bootstrap samples.

    Of metrics judged on the same images only; those that tie share a place. Adds ``best_share``, ``top3_share`` and
    the interval of the rank, ``rank_low`` and ``rank_high``, to the rows. A share is not the probability of being the
    best: it says how firmly this study orders them.
    """
    from scipy.stats import rankdata

    sampled = [item for item in judged if item.samples]
    if len(sampled) < 2 or any(
        not np.array_equal(np.sort(item.rows), np.sort(sampled[0].rows)) for item in sampled
    ):
        return
    # Corrected as the intervals are, so that the samples lie around what is reported.
    samples = np.stack(
        [reflected(item.samples["inconsistency"], item.row["inconsistency"]) for item in sampled], axis=1
    )
    best = samples == samples.min(axis=1, keepdims=True)
    shares = (best / best.sum(axis=1, keepdims=True)).mean(axis=0)
    ranks = rankdata(samples, axis=1)
    for number, item in enumerate(sampled):
        low, high = np.quantile(ranks[:, number], [0.025, 0.975])
        item.row |= {
            "best_share": float(shares[number]),
            "top3_share": float((ranks[:, number] <= 3).mean()),
            "rank_low": float(low),
            "rank_high": float(high),
        }


def against(challenger: Judged, baselines: Sequence[Judged], level: float = 0.95) -> list[dict[str, Any]]:
    """Compare one metric with each of some others that were judged on the same images.

    Args:
        challenger: the metric.
        baselines: the others, of the same group.
        level: coverage of the intervals.

    Returns:
        One row per baseline, the most consistent first: ``challenger``, ``baseline``, ``n``, ``difference`` of the
        inconsistencies (negative where the challenger is more consistent) and ``reduction``, the share of the
        baseline's inconsistency that the challenger has less. With bootstrap samples each has a paired interval
        ``_low``, ``_high``, and there is a ``p_value`` and ``p_holm``, corrected for the number of baselines.
    """
    images = np.sort(challenger.rows)
    same = [item for item in baselines if np.array_equal(images, np.sort(item.rows))]
    same.sort(key=lambda item: item.row["inconsistency"])
    rows = [_against(challenger, item, level) for item in same]
    _add_holm([row for row in rows if "p_value" in row])
    return rows


def _against(ours: Judged, theirs: Judged, level: float) -> dict[str, Any]:
    own, other = ours.row["inconsistency"], theirs.row["inconsistency"]
    row: dict[str, Any] = {
        "challenger": ours.metric,
        "baseline": theirs.metric,
        "n": ours.row["n"],
        "difference": own - other,
        "reduction": 1 - own / other if other > 0 else math.nan,
    }
    if ours.samples and theirs.samples:
        row |= _difference(ours, theirs, level)
        del row["error"], row["df"]
        second = theirs.samples["inconsistency"]
        ratios = np.divide(
            ours.samples["inconsistency"], second, out=np.full_like(second, np.nan), where=second > 0
        )
        low, high = percentile_interval(1 - ratios, ours.row["clusters"], level)
        row |= {"reduction_low": low, "reduction_high": high}
    return row


def _difference(first: Judged, second: Judged, level: float) -> dict[str, Any]:
    """First less second, with what the samples that both share say of it."""
    row: dict[str, Any] = {}
    for name in ("inconsistency", *ALSO):
        if name in first.samples and name in second.samples:
            row |= _of_statistic(name, first, second, level)
    return row


def _of_statistic(name: str, first: Judged, second: Judged, level: float) -> dict[str, Any]:
    difference = first.row[name] - second.row[name]
    samples = first.samples[name] - second.samples[name]
    factor, number = widened(samples, _sources(name, first, second), first.row["clusters"])
    samples = stretched(samples, difference, factor)
    low, high = percentile_interval(samples, number, level)
    prefix = "" if name == "inconsistency" else f"{name}_"
    row = {
        f"{prefix}difference": difference,
        f"{prefix}difference_low": low,
        f"{prefix}difference_high": high,
        f"{prefix}p_value": two_sided_p_value(samples, difference, number),
    }
    if name == "inconsistency":
        row |= {"error": standard_error(samples, number), "df": number - 1}
    return row


def _sources(name: str, first: Judged, second: Judged) -> list[Source]:
    """Further sources of a difference: raters, drawn alike for both metrics, and the seeds of each by themselves."""
    own, others = first.sources.get(name, []), second.sources.get(name, [])
    alike = ([source for source in sources if source.shared] for sources in (own, others))
    found = [one.less(other) for one, other in zip(*alike, strict=True)]
    for sources, samples in ((own, second.samples[name]), (others, first.samples[name])):
        # The sign of a difference does not matter for its variance.
        found += [replace(one, both=one.both - samples[: one.both.size]) for one in sources if not one.shared]
    return found


def _add_holm(rows: Sequence[dict[str, Any]]) -> None:
    for prefix in ("", *(f"{name}_" for name in ALSO)):
        if not rows or f"{prefix}p_value" not in rows[0]:
            continue
        corrected = holm([row[f"{prefix}p_value"] for row in rows])
        for row, value in zip(rows, corrected, strict=True):
            row[f"{prefix}p_holm"] = value


def holm(p_values: Sequence[float]) -> list[float]:
    """P-values corrected for their number by Holm's step-down method; NaN stay NaN and do not count.

    Source: Holm, "A simple sequentially rejective multiple test procedure", Scand. J. Statist. 6 (1979).

    Example:
        >>> holm([0.01, 0.04, 0.03])
        [0.03, 0.06, 0.06]
    """
    known = [value for value in p_values if not math.isnan(value)]
    if not known:
        return list(p_values)
    ascending = np.argsort(known, kind="stable")
    scaled = np.asarray(known)[ascending] * np.arange(len(known), 0, -1)
    corrected = np.empty(len(known))
    corrected[ascending] = np.minimum(np.maximum.accumulate(scaled), 1)
    remaining = iter(corrected.tolist())
    return [value if math.isnan(value) else round(next(remaining), 12) for value in p_values]
