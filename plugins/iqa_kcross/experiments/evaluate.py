"""K-CROSS, its branches and the usual metrics against ratings: Tables II and IV of the paper in shape."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

from iqa_kcross.checkpoint import ModelFile
from iqa_kcross.experiments.opening import Opened, check_modalities
from iqa_kcross.experiments.running import (
    BASELINES,
    KCROSS,
    WITHOUT_LESIONS,
    Bench,
    Found,
    baseline_texts,
    judge_columns,
    kcross_text,
    own_columns,
    score,
)
from iqa_registry.agreement.comparison import against
from iqa_registry.agreement.report import metric_rows
from iqa_registry.agreement.study import Group
from iqa_registry.cli import judged, render


def evaluate(
    opened: Opened, model: ModelFile, segmenter: str, bench: Bench, baselines: Sequence[str] = BASELINES
) -> Found:
    """Score and judge all images, and then each group.

    Returns:
        ``rows``: one per group and metric; ``comparisons``: per group, K-CROSS (and where it was judged K-CROSS without
        the tumor branch) against each baseline, see :func:`iqa_registry.agreement.comparison.against`.

    Raises:
        WeightsError: the model is for other modalities.
        UsageError: an unknown metric or column.
        IQAError: K-CROSS cannot start.
    """
    check_modalities(model, opened)
    text = kcross_text(model, segmenter, bench.registry)
    names = baseline_texts(baselines, bench.registry)
    rated, failures = score(opened, [text, *names], segmenter, bench)
    columns = own_columns(text, model) | {name: [name] for name in names}
    groups = judge_columns(rated, columns, replace(bench.settings, group_by=()))
    if bench.settings.group_by:
        groups += judge_columns(rated, columns, bench.settings)
    compared = [_compared(group, names, bench.settings.level) for group in groups]
    keys = dict.fromkeys(name for group in groups for name in group.keys)
    rows, comparisons = [], []
    for group, found in zip(groups, compared, strict=True):
        about = {"group": group.name} | keys | group.keys
        rows += [about | row for row in metric_rows([group])]
        comparisons += [about | row for challenger in found for row in challenger]
    return Found(groups, {"rows": rows, "comparisons": comparisons}, [*_lines(groups, compared)], failures)


def _compared(group: Group, names: Sequence[str], level: float) -> list[list[dict[str, Any]]]:
    """The rows of each challenger."""
    by_name = {item.metric: item for item in group.judged}
    baselines = [by_name[name] for name in names if name in by_name]
    own = [by_name[name] for name in (KCROSS, WITHOUT_LESIONS) if name in by_name]
    return [against(challenger, baselines, level) for challenger in own]


def _lines(groups: Sequence[Group], compared: Sequence[list[list[dict[str, Any]]]]) -> Iterator[str]:
    for group, challengers in zip(groups, compared, strict=True):
        yield f"{judged.headline(group)}\n"
        shown = [
            judged.metric_row(item.row, ("inconsistency", "skill", "srocc"), n=True) for item in group.judged
        ]
        yield f"{render.table(shown)}\n"
        for rows in filter(None, challengers):
            yield from judged.against_lines(rows)
    yield f"{judged.LEGEND}\n"
