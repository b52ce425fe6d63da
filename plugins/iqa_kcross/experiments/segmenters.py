"""How much K-CROSS depends on what finds the lesions: Table V of the paper in shape."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import polars as pl

from iqa_kcross.checkpoint import ModelFile
from iqa_kcross.experiments.opening import Opened, check_modalities
from iqa_kcross.experiments.running import Bench, Found, Rows, judge_columns, kcross_text, rows_of, score
from iqa_kcross.experiments.show import kind_of, short
from iqa_kcross.hookspecs import choose_branches
from iqa_registry.agreement.study import Group
from iqa_registry.cli import render
from iqa_registry.cli.judged import number
from iqa_registry.plugin import UsageError
from iqa_registry.statistics.agreement import srocc
from iqa_registry.tables.schema import wide_name


def compare_segmenters(opened: Opened, model: ModelFile, segmenters: Sequence[str], bench: Bench) -> Found:
    """Score the same pairs with one segmenter after the other.

    Args:
        opened: rated pairs.
        model: of the pairs' modalities, with a branch that looks at lesions.
        segmenters: two or more; the others are compared with the first.
        bench: where it runs, with one run folder per segmenter.

    Returns:
        ``rows``: one per group and segmenter, with the inconsistency, its interval and the shift of the scores;
        ``spreads``: one per group, with mean, standard deviation and variance (over all but one) of the
        inconsistencies; ``shifts``: one per segmenter, with ``n``, ``with_lesion`` (images whose tumor branch was
        active), ``mean``, and compared with the first segmenter ``mean_change``, ``largest_change`` (absolute
        differences of the scores) and ``srocc``.

    Raises:
        UsageError: fewer than two segmenters, one twice, or a model that does not look at lesions.
        WeightsError: the model is for other modalities.
    """
    looking = _looking(model, segmenters)
    check_modalities(model, opened)
    texts = {name: kcross_text(model, name, bench.registry) for name in segmenters}
    for name in segmenters:  # what lacks its labels should say so before hours of scoring
        opened.options_for(name)
    rated, failures = opened.pairs.rated, []
    for name, text in texts.items():
        found, failed = score(opened, [text], name, bench.part(name))
        rated = rated.with_scores(found.scores)
        failures += [f"{name}: {line}" for line in failed]
    table, first = rated.scores.table, texts[segmenters[0]]
    shifts = [{"segmenter": name} | _shift(table, text, first, looking) for name, text in texts.items()]
    groups = judge_columns(rated, {name: [text] for name, text in texts.items()}, bench.settings)
    shown = ("n", "inconsistency", "inconsistency_low", "inconsistency_high")
    moved = {
        shift["segmenter"]: {f"scores_{key}": shift[key] for key in shift if key not in ("segmenter", "n")}
        for shift in shifts
    }
    rows = [
        {"group": group.name, **group.keys, "segmenter": name}
        | {key: row[key] for key in shown if key in row}
        | moved[name]
        for group in groups
        for name, row in rows_of(group, texts).items()
    ]
    tables = {"rows": rows, "spreads": [_spread(group) for group in groups], "shifts": shifts}
    return Found(groups, tables, [*_lines(groups, tables, kind_of(opened))], failures)


def _looking(model: ModelFile, segmenters: Sequence[str]) -> list[str]:
    """The branches that look at lesions, where segmenters can be compared by them."""
    if len(segmenters) < 2:
        raise UsageError("there is nothing to compare. Name two or more segmenters with --segmenter.")
    if len(set(segmenters)) < len(segmenters):
        raise UsageError(f"--segmenter {' --segmenter '.join(segmenters)}: one is given twice. Remove it.")
    chosen = choose_branches(list(model.settings.branches))
    looking = [name for name, branch in chosen.items() if branch.needs_lesions]
    if not looking:
        raise UsageError(
            f"{model.path}: has no branch that looks at lesions, so no segmenter changes a score. "
            "Choose other weights."
        )
    return looking


def _shift(table: pl.DataFrame, text: str, first: str, looking: Sequence[str]) -> dict[str, Any]:
    """How the scores with a segmenter differ from those with the first."""
    active = [name for name in (wide_name(text, branch) for branch in looking) if name in table.columns]
    both = table.select(ours=text, theirs=first).drop_nulls()
    change = (both["ours"] - both["theirs"]).abs()
    return {
        "n": table[text].count(),
        "with_lesion": sum(table[name].count() for name in active),
        "mean": table[text].mean(),
        "mean_change": change.mean(),
        "largest_change": change.max(),
        "srocc": srocc(*both.to_numpy().T) if both.height else None,
    }


def _spread(group: Group) -> dict[str, Any]:
    values = [row["inconsistency"] for row in rows_of(group).values()]
    several = len(values) > 1
    return {"group": group.name, **group.keys, "n": len(group.ratings)} | {
        "mean": float(np.mean(values)) if values else math.nan,
        "deviation": float(np.std(values, ddof=1)) if several else math.nan,
        "variance": float(np.var(values, ddof=1)) if several else math.nan,
    }


def _lines(groups: Sequence[Group], tables: Mapping[str, Rows], about: str) -> Iterator[str]:
    """Inconsistency by segmenter and group, its spread, and how the scores move."""
    names = {group.name: short(group) for group in groups}
    cells = [(row["segmenter"], names[row["group"]], number(row["inconsistency"])) for row in tables["rows"]]
    for kind, title, digits in (("deviation", "standard deviation", 3), ("variance", "variance", 4)):
        cells += [
            (f"{title}, percent", names[row["group"]], number(100 * row[kind], digits))
            for row in tables["spreads"]
        ]
    yield f"inconsistency of kcross by segmenter, {about} (lower is better)\n"
    yield f"{render.pivot('segmenter', cells)}\n"
    shifts = tables["shifts"]
    yield f"scores, and how far they move from those with {shifts[0]['segmenter']}\n"
    titles = {
        "mean": "mean score", "mean_change": "mean |change|", "largest_change": "largest |change|", "srocc": "SROCC",
    }  # fmt: skip
    shown = [
        {"segmenter": row["segmenter"], "n": row["n"], "with lesion": row["with_lesion"]}
        | {title: number(row[name]) for name, title in titles.items()}
        for row in shifts
    ]
    yield f"{render.table(shown)}\n"
