"""What an agreement study found, as rows: of each metric, of each pair of metrics, of each rater."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from iqa_registry.agreement.drawing import to_files
from iqa_registry.agreement.interactions import interactions
from iqa_registry.agreement.judging import STATISTICS
from iqa_registry.agreement.separating import AUCS
from iqa_registry.agreement.study import Group
from iqa_registry.tables.writing import write_file, write_rows

INTERVALS = [f"{name}{end}" for name in STATISTICS for end in ("", "_low", "_high")]
ORDER = (
    "metric",
    "higher_is_better",
    "n",
    "clusters",
    *INTERVALS,
    "chance",
    "constant",
    "tied",
    "infinite",
    "seeds",
    "best",
    "best_share",
    "top3_share",
    "rank_low",
    "rank_high",
    *(f"{name}{end}" for name in AUCS for end in ("", "_low", "_high")),
    "order_correct",
    "acceptable",
    "pairs",
    "different_pairs",
)


def metric_rows(groups: Sequence[Group]) -> list[dict[str, Any]]:
    """One row for each group and metric: the group's values, then what :data:`ORDER` names."""
    return [
        group.keys | {name: judged.row[name] for name in ORDER if name in judged.row}
        for group in groups
        for judged in group.judged
    ]


def comparison_rows(groups: Sequence[Group]) -> list[dict[str, Any]]:
    """One row for each group and pair of metrics."""
    return [group.keys | row for group in groups for row in group.comparisons]


def rater_rows(groups: Sequence[Group]) -> list[dict[str, Any]]:
    """One row for each group and rater, or statistic of all raters (``rater`` is then ``all``)."""
    rows: list[dict[str, Any]] = []
    for group in groups:
        if group.panel is None:
            continue
        others, bound = group.panel.others, group.panel.bound
        means = {
            "one rater against the mean of the others, inconsistency": others.mean_inconsistency,
            "one rater against the mean of the others, SROCC": others.mean_srocc,
        }
        if bound is not None:
            means["bound: a noise-free truth, inconsistency"] = bound.inconsistency
            means["bound: a noise-free truth, skill"] = bound.skill
            means["bound: a noise-free truth, SROCC"] = bound.srocc
        for statistic in (
            *group.panel.reliability,
            *({"statistic": k, "value": v} for k, v in means.items()),
        ):
            rows.append(group.keys | {"rater": "all", **statistic})
        for rater in group.panel.raters:
            for name in ("n", "bias", "inconsistency", "srocc"):
                rows.append(
                    group.keys | {"rater": rater["rater"], "statistic": name, "value": float(rater[name])}
                )
        for within in group.panel.within:
            for name in ("images", "icc", "difference", "srocc"):
                statistic = {
                    "rater": within["rater"],
                    "statistic": f"repeats, {name}",
                    "value": float(within[name]),
                }
                rows.append(group.keys | statistic)
    return rows


def write_study(groups: Sequence[Group], folder: Path) -> list[Path]:
    """Write the tables of a study, each as Parquet, CSV and JSON.

    They are ``agreement``, ``comparisons``, with individual raters ``raters``, and with several groups
    ``interactions``.

    Raises:
        UsageError: the folder is a file.
        IQAError: it cannot be written.
    """
    tables = {
        "agreement": metric_rows(groups),
        "comparisons": comparison_rows(groups),
        "raters": rater_rows(groups),
        "interactions": interactions(groups)[0],
    }
    return [path for name, rows in tables.items() if rows for path in write_rows(folder, name, rows)]


def draw_study(groups: Sequence[Group], folder: Path, over: str | None) -> list[Path]:
    """Draw every figure into a folder, PNG and SVG.

    Args:
        groups: see :func:`~iqa_registry.agreement.study.judge`.
        folder: it is made if necessary.
        over: the column of numbers of the course; ``None`` for no such figure.
    """
    from iqa_registry.agreement import figures

    judged = [group for group in groups if group.judged]
    drawn = {"inconsistency": figures.draw_inconsistency(judged)}
    for group in judged:
        drawn[f"scatter{_slug(group)}"] = figures.draw_scatter(group)
        if group.comparisons:
            drawn[f"significance{_slug(group)}"] = figures.draw_significance(group)
    if over is not None:
        drawn[f"inconsistency-{over}"] = figures.draw_course(judged, over)
    return [
        write_file(folder / f"{name}{suffix}", content)
        for name, figure in drawn.items()
        for suffix, content in to_files(figure).items()
    ]


def _slug(group: Group) -> str:
    """For example ``-ixi-munit``."""
    text = "".join(f"-{value}" for value in group.keys.values())
    return "".join(sign if sign.isalnum() or sign in "-_." else "_" for sign in text)
