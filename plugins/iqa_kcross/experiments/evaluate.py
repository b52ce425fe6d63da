"""K-CROSS, its branches and the usual metrics against ratings: Tables II and IV of the paper in shape."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from iqa_kcross.experiments.judging import against, judge_columns, left_out
from iqa_kcross.experiments.opening import Model, Opened, check_modalities
from iqa_kcross.experiments.scoring import (
    BASELINES,
    KCROSS,
    WITHOUT_LESIONS,
    Place,
    baseline_columns,
    kcross_text,
    own_columns,
    score,
)
from iqa_registry.agreement.judging import Settings
from iqa_registry.agreement.report import metric_rows
from iqa_registry.agreement.study import Group


@dataclass(frozen=True, slots=True)
class Evaluation:
    """What was found.

    Attributes:
        groups: all images, then each group that was asked for.
        comparisons: for each group the rows of :func:`~iqa_kcross.experiments.judging.against`, of K-CROSS and, where
            it was judged, of K-CROSS without the tumor branch.
        failures: what was not scored and why.
    """

    groups: Sequence[Group]
    comparisons: Sequence[Sequence[dict[str, Any]]]
    failures: Sequence[str] = field(default_factory=list)

    def rows(self) -> list[dict[str, Any]]:
        """One row per group and metric."""
        keys = self._keys()
        return [
            keys[number] | row for number, group in enumerate(self.groups) for row in metric_rows([group])
        ]

    def comparison_rows(self) -> list[dict[str, Any]]:
        """One row per group, challenger and baseline."""
        return [key | row for key, rows in zip(self._keys(), self.comparisons, strict=True) for row in rows]

    def _keys(self) -> list[dict[str, Any]]:
        names = {name: None for group in self.groups for name in group.keys}
        return [{"group": group.name} | names | group.keys for group in self.groups]


def evaluate(
    opened: Opened,
    model: Model,
    segmenter: str,
    place: Place,
    settings: Settings,
    baselines: Sequence[str] = BASELINES,
) -> Evaluation:
    """Score and judge.

    Args:
        opened: rated pairs.
        model: of the pairs' modalities.
        segmenter: finds the lesions.
        place: where scores land.
        settings: ``group_by`` gives groups beside all images.
        baselines: what K-CROSS is compared with.

    Raises:
        WeightsError: the model is for other modalities.
        UsageError: an unknown metric or column.
        IQAError: K-CROSS cannot start.
    """
    check_modalities(model, opened)
    text = kcross_text(model, segmenter, place.registry)
    names = [place.registry.resolve_metric(name).text for name in baselines]
    scored = score(opened, [text, *names], segmenter, place)
    columns = [*own_columns(scored, text, model), *baseline_columns(scored, names)]
    groups = judge_columns(opened, columns, replace(settings, group_by=()))
    if settings.group_by:
        groups += judge_columns(opened, columns, settings)
    compared = [
        [row for name in (KCROSS, WITHOUT_LESIONS) for row in against(group, name, names, settings.level)]
        for group in groups
    ]
    return Evaluation(groups, compared, [*scored.failures, *left_out(groups)])
