"""Columns of scores against the ratings, and K-CROSS against the baselines."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from iqa_registry.agreement.comparison import compare, holm
from iqa_registry.agreement.judging import Judged, Settings
from iqa_registry.agreement.ratings import Rated
from iqa_registry.agreement.scores import Scores
from iqa_registry.agreement.study import Group, judge
from iqa_registry.statistics.bootstrap import percentile_interval

if TYPE_CHECKING:
    from iqa_kcross.experiments.opening import Opened
    from iqa_kcross.experiments.scoring import Column


def judge_columns(opened: Opened, columns: Sequence[Column], settings: Settings) -> list[Group]:
    """Judge all columns on the same images, and each that has rows of its own on those.

    Args:
        opened: the ratings and the columns to group by.
        columns: what is judged.
        settings: groups, clusters, bootstrap.

    Returns:
        The groups; in each the columns that share their images, then those that stand apart.

    Raises:
        UsageError: no image is scored.
    """
    together = [column for column in columns if not column.apart]
    groups = judge(_rated(opened, together), None, settings)
    apart = [column for column in columns if column.apart and column.scores.count()]
    if apart:
        found = judge(_rated(opened, apart), None, replace(settings, each=True))
        for group, other in zip(groups, found, strict=True):
            for judged in other.judged:
                judged.row["best"] = False
                group.judged.append(judged)
    return groups


def left_out(groups: Sequence[Group]) -> list[str]:
    """What the judging passed over, a line each."""
    return [f"{group.name}: {line}" for group in groups for line in group.notes]


def _rated(opened: Opened, columns: Sequence[Column]) -> Rated:
    base = opened.rated.scores
    # A pair may have columns that are named as a metric, say scores of an earlier study.
    table = base.table.drop([column.name for column in columns], strict=False)
    table = table.with_columns(column.scores.alias(column.name) for column in columns)
    directions = {column.name: column.higher_is_better for column in columns}
    return Rated(Scores(table, directions, opened.place), opened.rated.ratings)


def of_group(group: Group) -> Mapping[str, Judged]:
    """What was judged in a group, by name."""
    return {judged.metric: judged for judged in group.judged}


def against(group: Group, challenger: str, baselines: Sequence[str], level: float) -> list[dict[str, Any]]:
    """One metric against each baseline that was judged on the same images.

    Returns:
        One row per baseline, the most consistent first: ``challenger``, ``baseline``, ``difference`` of the
        inconsistencies (negative where the challenger is more consistent) and ``reduction``, the share of the
        baseline's inconsistency that the challenger has less, each with a paired interval ``_low``, ``_high``;
        ``p_value`` and ``p_holm``, corrected for the number of baselines.
    """
    judged = of_group(group)
    if challenger not in judged:
        return []
    ours = judged[challenger]
    rows = [
        _against(ours, judged[name], level)
        for name in baselines
        if name in judged and np.array_equal(np.sort(ours.rows), np.sort(judged[name].rows))
    ]
    rows.sort(key=lambda row: judged[row["baseline"]].row["inconsistency"])
    known = [row for row in rows if "p_value" in row]
    for row, corrected in zip(known, holm([row["p_value"] for row in known]), strict=True):
        row["p_holm"] = corrected
    return rows


def _against(ours: Judged, theirs: Judged, level: float) -> dict[str, Any]:
    own, other = ours.row["inconsistency"], theirs.row["inconsistency"]
    row: dict[str, Any] = {
        "challenger": ours.metric,
        "baseline": theirs.metric,
        "n": ours.row["n"],
        "difference": own - other,
        "reduction": 1 - own / other if other > 0 else float("nan"),
    }
    for found in compare([ours, theirs], level):
        row |= {name: found[name] for name in ("difference_low", "difference_high", "p_value")}
        second = theirs.samples["inconsistency"]
        ratios = np.divide(
            ours.samples["inconsistency"], second, out=np.full_like(second, np.nan), where=second > 0
        )
        low, high = percentile_interval(1 - ratios, ours.row["clusters"], level)
        row |= {"reduction_low": low, "reduction_high": high}
    return row
