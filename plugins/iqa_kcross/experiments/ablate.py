"""Every branch and every combination of branches: Table III of the paper in shape."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal

import numpy as np

from iqa_kcross.experiments.judging import judge_columns, left_out, of_group
from iqa_kcross.experiments.opening import Model, Opened, check_modalities
from iqa_kcross.experiments.scoring import Column, Place, combinations, kcross_text, score
from iqa_registry.agreement.judging import Settings
from iqa_registry.agreement.study import Group
from iqa_registry.plugin import UsageError

Measure = Literal["inconsistency", "srocc"]
BETTER = {"inconsistency": min, "srocc": max}


@dataclass(frozen=True, slots=True)
class Ablation:
    """What was found.

    Attributes:
        combinations: names of the sets of branches, in the order of the columns.
        measure: what the cells are.
        groups: what was judged.
        failures: what was not scored and why.
    """

    combinations: Sequence[str]
    measure: Measure
    groups: Sequence[Group]
    failures: Sequence[str] = field(default_factory=list)

    def cells(self, group: Group) -> Mapping[str, Mapping[str, Any]]:
        """By set of branches: ``n``, the measure with its interval, ``all_images`` and ``best``.

        Branches that do not apply to all images of the group are not compared with the others.
        """
        judged = of_group(group)
        values = {name: judged[name].row for name in self.combinations if name in judged}
        most = max((row["n"] for row in values.values()), default=0)
        equals = [row[self.measure] for row in values.values() if row["n"] == most]
        best = BETTER[self.measure]((value for value in equals if not np.isnan(value)), default=None)
        ends = (self.measure, f"{self.measure}_low", f"{self.measure}_high")
        return {
            name: {"n": row["n"]}
            | {end: row[end] for end in ends if end in row}
            | {"all_images": row["n"] == most, "best": row["n"] == most and row[self.measure] == best}
            for name, row in values.items()
        }

    def rows(self) -> list[dict[str, Any]]:
        """One row per group and set of branches."""
        return [
            {"group": group.name} | group.keys | {"branches": name} | dict(cell)
            for group in self.groups
            for name, cell in self.cells(group).items()
        ]


def ablate(
    opened: Opened,
    model: Model,
    segmenter: str,
    place: Place,
    settings: Settings,
    measure: Measure = "inconsistency",
    same_images: bool = False,
) -> Ablation:
    """Score once and judge every combination of branches.

    Args:
        opened: rated pairs.
        model: of the pairs' modalities.
        segmenter: finds the lesions.
        place: where scores land.
        settings: groups, clusters, bootstrap.
        measure: what the cells are.
        same_images: judge only on images to which every branch applies.

    Raises:
        WeightsError: the model is for other modalities.
        UsageError: an unknown column, or no image to which every branch applies.
    """
    check_modalities(model, opened)
    text = kcross_text(model, segmenter, place.registry)
    scored = score(opened, [text], segmenter, place)
    columns = [scored.branches(text, model, chosen) for chosen in combinations(model.settings.branches)]
    if same_images:
        opened, columns = _where_all_apply(opened, columns, model)
    groups = judge_columns(opened, columns, settings)
    names = [column.name for column in columns]
    return Ablation(names, measure, groups, [*scored.failures, *left_out(groups)])


def _where_all_apply(opened: Opened, columns: Sequence[Column], model: Model) -> tuple[Opened, list[Column]]:
    single = [column for column in columns if column.name in model.settings.branches]
    rows = np.logical_and.reduce([column.scores.is_not_null().to_numpy() for column in single])
    if not rows.any():
        raise UsageError(
            f"{opened.place}: there is no image to which every branch of {model.path} applies; "
            "choose another segmenter, or leave --same-images out."
        )
    kept = [replace(column, scores=column.scores.filter(rows), apart=False) for column in columns]
    rated = opened.rated
    scores = replace(rated.scores, table=rated.scores.table.filter(rows))
    return replace(
        opened, rated=replace(rated, scores=scores, ratings=rated.ratings[rows], single=None)
    ), kept
