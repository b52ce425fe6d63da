"""How much K-CROSS depends on what finds the lesions: Table V of the paper in shape."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import polars as pl

from iqa_kcross.experiments.judging import judge_columns, left_out, of_group
from iqa_kcross.experiments.opening import Model, Opened, check_modalities
from iqa_kcross.experiments.scoring import Column, Place, kcross_text, score
from iqa_registry.agreement.judging import Settings
from iqa_registry.agreement.study import Group
from iqa_registry.plugin import UsageError
from iqa_registry.statistics.agreement import srocc


@dataclass(frozen=True, slots=True)
class Comparison:
    """What was found.

    Attributes:
        segmenters: as the user named them.
        groups: in each, one judged column a segmenter.
        shifts: one row per segmenter: ``segmenter``, ``n``, ``with_lesion`` (images whose tumor branch was active),
            ``mean``, and against the first segmenter ``mean_change``, ``largest_change`` (absolute differences of the
            scores) and ``srocc``.
        failures: what was not scored and why.
    """

    segmenters: Sequence[str]
    groups: Sequence[Group]
    shifts: Sequence[Mapping[str, Any]]
    failures: Sequence[str] = field(default_factory=list)

    def inconsistencies(self, group: Group) -> dict[str, float]:
        """By segmenter."""
        judged = of_group(group)
        return {name: judged[name].row["inconsistency"] for name in self.segmenters if name in judged}

    def spreads(self) -> list[dict[str, Any]]:
        """One row per group: mean, standard deviation and variance (over all but one) of the inconsistencies."""
        rows = []
        for group in self.groups:
            values = np.array(list(self.inconsistencies(group).values()))
            rows.append(
                {"group": group.name}
                | group.keys
                | {
                    "n": len(group.ratings),
                    "mean": float(values.mean()) if values.size else float("nan"),
                    "deviation": float(values.std(ddof=1)) if values.size > 1 else float("nan"),
                    "variance": float(values.var(ddof=1)) if values.size > 1 else float("nan"),
                }
            )
        return rows

    def rows(self) -> list[dict[str, Any]]:
        """One row per group and segmenter: inconsistency with interval, and how the scores moved over all images."""
        moved = {row["segmenter"]: row for row in self.shifts}
        names = ("n", "inconsistency", "inconsistency_low", "inconsistency_high")
        return [
            {"group": group.name}
            | group.keys
            | {"segmenter": name}
            | {key: judged.row[key] for key in names if key in judged.row}
            | {f"scores_{key}": value for key, value in moved[name].items() if key not in ("segmenter", "n")}
            for group in self.groups
            for name, judged in sorted(
                of_group(group).items(), key=lambda item: self.segmenters.index(item[0])
            )
        ]


def compare_segmenters(
    opened: Opened, model: Model, segmenters: Sequence[str], place: Place, settings: Settings
) -> Comparison:
    """Score the same pairs with one segmenter after the other.

    Args:
        opened: rated pairs.
        model: of the pairs' modalities, with a branch that looks at lesions.
        segmenters: two or more; the first is what the others are compared with.
        place: where scores land, one run a segmenter.
        settings: groups, clusters, bootstrap.

    Raises:
        UsageError: fewer than two segmenters, one twice, or a model that does not look at lesions.
        WeightsError: the model is for other modalities.
    """
    _check(model, segmenters)
    check_modalities(model, opened)
    texts = [kcross_text(model, name, place.registry) for name in segmenters]
    for name in segmenters:  # what lacks its labels should say so before hours of scoring
        opened.options_for(name)
    columns, shifts, failures = [], [], []
    for name, text in zip(segmenters, texts, strict=True):
        scored = score(opened, [text], name, place.part(name))
        columns.append(Column(name, scored.table[text]))
        lesion = sum(scored.applies(text, branch) for branch in _looking(model))
        shifts.append({"segmenter": name, **_shift(columns[-1].scores, columns[0].scores, lesion)})
        failures += [f"{name}: {line}" for line in scored.failures]
    groups = judge_columns(opened, columns, settings)
    return Comparison(segmenters, groups, shifts, [*failures, *left_out(groups)])


def _check(model: Model, segmenters: Sequence[str]) -> None:
    if len(segmenters) < 2:
        raise UsageError("there is nothing to compare; name two or more with --segmenter.")
    if len(set(segmenters)) < len(segmenters):
        raise UsageError(f"--segmenter {' --segmenter '.join(segmenters)}: one stands there twice; keep one.")
    if not _looking(model):
        raise UsageError(
            f"{model.path}: has no branch that looks at lesions, so no segmenter changes anything."
        )


def _looking(model: Model) -> list[str]:
    """The branches that look at lesions."""
    from iqa_kcross.hookspecs import choose_branches

    return [
        name
        for name, branch in choose_branches(list(model.settings.branches)).items()
        if branch.needs_lesions
    ]


def _shift(scores: pl.Series, first: pl.Series, with_lesion: int) -> dict[str, Any]:
    both = (scores.is_not_null() & first.is_not_null()).to_numpy()
    ours, theirs = scores.to_numpy()[both], first.to_numpy()[both]
    change = np.abs(ours - theirs)
    known = bool(both.any())
    return {
        "n": int(scores.count()),
        "with_lesion": with_lesion,
        "mean": scores.mean(),
        "mean_change": float(change.mean()) if known else float("nan"),
        "largest_change": float(change.max()) if known else float("nan"),
        "srocc": srocc(ours, theirs) if known else float("nan"),
    }
