"""What readers of an agreement study must know, found in its numbers."""

from __future__ import annotations

from collections.abc import Sequence

from iqa_registry.agreement.judging import Settings
from iqa_registry.agreement.study import Group
from iqa_registry.ranker import Ranker
from iqa_registry.statistics.resampling import MOST_CLUSTERS_FOR_PAIRS, MOST_ROWS_FOR_PAIRS

MANY_TIES = 0.1
FEW_CLUSTERS = 20


def caveats(groups: Sequence[Group], ranker: Ranker, settings: Settings) -> list[str]:
    """A line for each thing that changes how the numbers are to be read."""
    lines = [] if ranker.warning is None else [ranker.warning]
    for group in (group for group in groups if group.judged):
        found = [*_of_levels(group), *_of_scores(group)]
        if settings.resamples:
            found += _of_intervals(group)
        lines += [f"{group.name}: {line}" for line in found]
    return lines


def _of_levels(group: Group) -> list[str]:
    row = group.judged[0].row
    if row["chance"] == 0:
        return ["all ratings are equal: skill and correlations are not defined"]
    if row["inconsistency"] >= row["constant"]:
        return [
            f"giving all images one score would be as consistent ({row['constant']:.4f}) as every metric or more so; "
            "read skill and SROCC"
        ]
    return []


def _of_scores(group: Group) -> list[str]:
    lines = []
    for judged in group.judged:
        row = judged.row
        if row["tied"] > MANY_TIES:
            share = f"{100 * row['tied']:.0f} %"
            lines.append(
                f"{row['metric']} gives {share} of the images a score that another one has: tied images get a mean "
                f"rating, which lowers inconsistency without knowledge (a constant score: {row['constant']:.4f})"
            )
        if row["infinite"]:
            lines.append(
                f"{row['metric']} is infinite for {row['infinite']} images: in the order they come last, "
                "for PLCC and fits they count as the largest finite score"
            )
    return lines


def _of_intervals(group: Group) -> list[str]:
    lines = []
    number = max(judged.row["clusters"] for judged in group.judged)
    if number < 2:
        return ["a single cluster: no intervals, and nothing to fit PLCC and RMSE on; see --cluster"]
    if number < FEW_CLUSTERS:
        lines.append(f"{number} clusters only: the intervals are rough, and cover less often than they say")
    if len(group.ratings) > MOST_ROWS_FOR_PAIRS or number > MOST_CLUSTERS_FOR_PAIRS:
        lines.append(f"more than {MOST_ROWS_FOR_PAIRS} images: KROCC and pairwise accuracy have no interval")
    return lines
