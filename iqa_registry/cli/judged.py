"""What commands that judge metrics against ratings print: the headline and the rows of a group, and what to mind."""

from __future__ import annotations

import math
from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import click

from iqa_registry.cli import render

if TYPE_CHECKING:
    from iqa_registry.agreement.judging import Settings
    from iqa_registry.agreement.panel import Panel
    from iqa_registry.agreement.study import Group
    from iqa_registry.ranker import Ranker

BEST = "*"
LEGEND = (
    f"{BEST} the most consistent metric and those not distinguishable from it (paired bootstrap, Holm, 5 %)"
)

COLUMNS = (
    "  visible: the smallest true difference that such a study sees (power 80 %, corrected for the number of pairs)\n"
    "  equal within: the smallest margin within which the two are equal (TOST, 5 %)\n"
    "  best in, top 3 in: share of the bootstrap samples"
)


def headline(group: Group) -> str:
    """The group's name and size, and what its inconsistencies are to be compared with."""
    clusters = int(group.clusters.max()) + 1
    of = f" of {clusters} clusters" if clusters < len(group.ratings) else ""
    row = group.judged[0].row if group.judged else {}
    levels = (
        f"; chance {render.number(row['chance'])}, a constant score {render.number(row['constant'])}"
        if row
        else ""
    )
    return f"{group.name}: {len(group.ratings)} images{of}{levels}"


def metric_row(row: Mapping[str, Any], intervals: Collection[str] = (), n: bool = False) -> dict[str, str]:
    """One metric as text: its name, then inconsistency, skill and SROCC.

    Args:
        row: of :class:`~iqa_registry.agreement.judging.Judged`.
        intervals: the statistics that are followed by their 95 % interval.
        n: whether the number of images is shown.

    Example:
        >>> row = {"metric": "psnr", "higher_is_better": True, "best": True, "n": 8}
        >>> row |= {"inconsistency": 0.125, "skill": 0.5, "srocc": 0.75}
        >>> metric_row(row, n=True)
        {'': '', 'metric': 'psnr ↑', 'n': '8', 'inconsistency': '0.1250', 'skill': '0.5000', 'SROCC': '0.7500'}
    """
    shown = {
        "": BEST if row["best"] and "inconsistency_low" in row else "",
        "metric": f"{row['metric']} {render.ARROWS[row['higher_is_better']]}",
    }
    if n:
        shown["n"] = str(row["n"])
    for name, title in (("inconsistency", "inconsistency"), ("skill", "skill"), ("srocc", "SROCC")):
        shown[title] = render.number(row[name])
        if name in intervals:
            # The headings are alike, but keys differ.
            shown[f"95 %{' ' * len(shown)}"] = render.interval(row, name)
    return shown


def comparison_lines(group: Group) -> Iterator[str]:
    """The most consistent metric against each other one, and how firm the order is, as text."""
    first = group.judged[0].metric
    rows = {
        row["second"] if row["first"] == first else row["first"]: (row, 1 if row["first"] == first else -1)
        for row in group.comparisons
        if first in (row["first"], row["second"])
    }
    yield f"{first} compared with the others (difference of inconsistency; negative: {first} is more consistent)"
    table = []
    for item in group.judged:
        row, sign = rows.get(item.metric, ({}, 1))
        if not row and item.metric != first:
            continue
        ends = sorted(sign * row[f"difference_{end}"] for end in ("low", "high")) if row else [math.nan] * 2
        interval = {"difference_low": ends[0], "difference_high": ends[1]}
        shown = {
            "metric": item.metric,
            "difference": number(sign * row["difference"] if row else None),
            "95 %": render.interval(interval, "difference", number) if row else "",
            "p (Holm)": number(row.get("p_holm")),
            "visible": number(row.get("visible")),
            "equal within": number(row.get("equal_within")),
        }
        if any("practically_equal" in other for other, _ in rows.values()):
            shown["practically equal"] = "" if not row else "yes" if row["practically_equal"] else "not shown"
        shown["best in"] = render.percent(item.row.get("best_share", math.nan))
        shown["top 3 in"] = render.percent(item.row.get("top3_share", math.nan))
        table.append(shown)
    yield render.table(table)


def auc_rows(group: Group) -> list[dict[str, str]]:
    """The AUCs of each metric as text, none where they were not asked for."""
    titles = {"auc": "AUC, acceptable", "auc_different": "AUC, different", "auc_better": "AUC, better"}
    rows = []
    for item in group.judged:
        shown: dict[str, str] = {}
        for name, title in titles.items():
            if name in item.row:
                shown[title] = render.number(item.row[name])
                shown[f"95 %{' ' * len(shown)}"] = render.interval(item.row, name)
        if "order_correct" in item.row:
            shown["order right"] = render.percent(item.row["order_correct"])
        if shown:
            rows.append({"metric": item.metric} | shown)
    return rows


def interaction_lines(groups: Sequence[Group]) -> Iterator[str]:
    """Whether groups differ, as text: the tests that are significant, else the smallest p-value of each kind."""
    from iqa_registry.agreement.interactions import interactions

    rows, why = interactions(groups)
    if why:
        yield why
    for single in (True, False):
        tests = [row for row in rows if (not row["other"]) == single and row["p_holm"] == row["p_holm"]]
        if not tests:
            continue
        what = "agreement with the raters" if single else "differences between metrics (interactions)"
        found = [row for row in tests if row["p_holm"] < 0.05]
        least = min(row["p_holm"] for row in tests)
        yield f"{what}: " + (
            f"no evidence that the groups differ (smallest p, Holm: {least:.3f})"
            if not found
            else "the groups differ (Welch or Hotelling, p after Holm)"
        )
        for row in found:
            name = row["metric"] + (f" - {row['other']}" if row["other"] else "")
            yield (
                f"  {row['statistic']} of {name}: {number(row['lowest'])} ({row['lowest_group']}) to "
                f"{number(row['highest'])} ({row['highest_group']}), p = {row['p_holm']:.2g}"
            )


def rater_lines(panel: Panel) -> Iterator[str]:
    """What is known of the raters, as text."""
    others, bound = panel.others, panel.bound
    yield (
        f"{len(panel.raters)} raters, each compared with the mean of the others: inconsistency "
        f"{render.number(others.mean_inconsistency)}, SROCC {render.number(others.mean_srocc)} "
        "(one rater; a metric can do better)"
    )
    if bound is not None:
        yield (
            f"a metric that knew the true quality: inconsistency {render.number(bound.inconsistency)}, "
            f"skill {render.number(bound.skill)}, SROCC {render.number(bound.srocc)} "
            "(what the raters' noise leaves; nothing can be expected to do better)"
        )
    yield from (f"  {row['statistic']}: {render.number(row['value'], 3)}" for row in panel.reliability)
    biases = sorted(panel.raters, key=lambda rater: rater["bias"])
    low, high = biases[0], biases[-1]
    for row in panel.within:
        yield (
            f"  {row['rater']} rated {row['images']} images again: ICC(2,1) {render.number(row['icc'], 3)}, mean "
            f"difference {render.number(row['difference'], 3)}, SROCC {render.number(row['srocc'], 3)}"
        )
    yield f"  bias from {low['bias']:+.3f} ({low['rater']}) to {high['bias']:+.3f} ({high['rater']})"


def against_lines(rows: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    """One metric against others, as text.

    Args:
        rows: at least one, see :func:`iqa_registry.agreement.comparison.against`.
    """
    name, closest = rows[0]["challenger"], rows[0]["baseline"]
    yield f"{name} against the others (negative: {name} is more consistent)\n"
    yield render.table(
        [
            {
                "metric": row["baseline"],
                "difference": number(row["difference"]),
                "95 % ": render.interval(row, "difference", number),
                "p (Holm)": number(row.get("p_holm")),
                "reduction": render.percent(row["reduction"]),
                "95 %  ": render.interval(row, "reduction", render.percent),
            }
            for row in rows
        ]
    )
    yield f"against the best of them, {closest}: {_reduction(rows[0])}\n"


def _reduction(row: Mapping[str, Any]) -> str:
    share, low, high = (row.get(f"reduction{end}", math.nan) for end in ("", "_low", "_high"))
    word = "less"
    if share < 0:
        share, low, high, word = -share, -high, -low, "more"
    ends = render.interval({"reduction_low": low, "reduction_high": high}, "reduction", render.percent)
    return f"{render.percent(share)} {word} inconsistency" + (f" (95 % {ends})" if ends else "")


def number(value: float | None, digits: int = 4) -> str:
    """A number for reading; what is 0 but for the last bits of a sum is shown as 0.

    Example:
        >>> number(0.25), number(-2.8e-17), number(float("nan"))
        ('0.2500', '0.0000', '')
    """
    return render.number(None if value is None else round(value, 12) + 0.0, digits)


def report(groups: Sequence[Group], left_out: Sequence[str], ranker: Ranker, settings: Settings) -> None:
    """Report on stderr what was left out and what to be careful about; exit code 1 if images were left out."""
    from iqa_registry.agreement.caveats import caveats

    for line in left_out:
        render.warn(f"left out: {line}")
    for group in groups:
        for line in group.notes:
            render.warn(f"{group.name}: {line}")
    for line in caveats(groups, ranker, settings):
        render.warn(f"note: {line}")
    if left_out or any(group.notes for group in groups):
        raise click.exceptions.Exit(1)
