"""Trained on one dataset, tested on another: Tables VI to VIII of the paper in shape."""

from __future__ import annotations

import string
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from iqa_kcross.experiments.judging import judge_columns, left_out, of_group
from iqa_kcross.experiments.opening import Model, Opened
from iqa_kcross.experiments.scoring import (
    BASELINES,
    KCROSS,
    WITHOUT_LESIONS,
    Column,
    Place,
    Scored,
    baseline_columns,
    kcross_text,
    own_columns,
    score,
)
from iqa_registry.agreement.judging import Judged, Settings
from iqa_registry.agreement.study import Group
from iqa_registry.plugin import Registry, UsageError

OWN = (f"{KCROSS}-structure", f"{KCROSS}-complex", WITHOUT_LESIONS, KCROSS)
"""The rows of K-CROSS, in the order of the paper."""


@dataclass(frozen=True, slots=True)
class Cell:
    """One training set and one test set.

    Attributes:
        model: what was trained.
        opened: what it is tested on.
        judged: by metric, baselines first.
    """

    model: Model
    opened: Opened
    judged: Mapping[str, Judged]


@dataclass(frozen=True, slots=True)
class DomainGap:
    """What was found.

    Attributes:
        models: in the order given.
        tests: in the order given.
        metrics: the rows of the table.
        cells: for each test set, for each model.
        groups: for each test set what was judged.
        failures: what was not scored and why.
    """

    models: Sequence[Model]
    tests: Sequence[Opened]
    metrics: Sequence[str]
    cells: Sequence[Cell]
    groups: Sequence[Group]
    failures: Sequence[str] = field(default_factory=list)

    def rows(self) -> list[dict[str, Any]]:
        """One row per metric, training set and test set."""
        names = ("n", "inconsistency", "inconsistency_low", "inconsistency_high", "srocc")
        return [
            {
                "metric": name,
                "training": cell.model.trained_on,
                "modalities": cell.model.modalities,
                "weights": cell.model.weights,
                "test": cell.opened.place,
                "simulated": cell.opened.simulated,
            }
            | {key: cell.judged[name].row[key] for key in names if key in cell.judged[name].row}
            for cell in self.cells
            for name in self.metrics
            if name in cell.judged
        ]


def domain_gap(
    models: Sequence[Model],
    tests: Sequence[Opened],
    segmenter: str,
    place: Place,
    settings: Settings,
    baselines: Sequence[str] = BASELINES,
) -> DomainGap:
    """Score each test set once with all models and the baselines.

    Modalities may differ between training and test: that is a part of the gap.

    Args:
        models: trained models.
        tests: rated pairs.
        segmenter: finds the lesions.
        place: where scores land, one run a test set.
        settings: clusters and bootstrap.
        baselines: what K-CROSS is compared with.

    Raises:
        UsageError: no model, no test set, one of them twice, an unknown metric.
        IQAError: K-CROSS cannot start.
    """
    _check([model.weights for model in models], "--weights", "a trained model")
    names = check_tests(tests, segmenter, place.registry, baselines)
    texts = [kcross_text(model, segmenter, place.registry) for model in models]
    cells: list[Cell] = []
    groups: list[Group] = []
    failures: list[str] = []
    for number, opened in enumerate(tests, start=1):
        part = place.part(f"{number} {opened.place}")
        scored = score(opened, [*texts, *names], segmenter, part)
        columns = [*baseline_columns(scored, names), *_own(models, scored, texts)]
        groups += judge_columns(opened, columns, replace(settings, group_by=()))
        cells += _cells(models, opened, of_group(groups[-1]), names)
        failures += [f"{opened.place}: {line}" for line in scored.failures]
    return DomainGap(models, tests, [*names, *OWN], cells, groups, [*failures, *left_out(groups)])


def check_tests(
    tests: Sequence[Opened], segmenter: str, registry: Registry, baselines: Sequence[str] = BASELINES
) -> list[str]:
    """What can be wrong with the test sets, to be said before models are trained; returns the baselines' names.

    Raises:
        UsageError: no test set, one twice, no lesions for the segmenter ``labels``, an unknown metric.
    """
    _check([opened.place for opened in tests], "--test", "a dataset or a manifest of rated pairs")
    for opened in tests:
        opened.options_for(segmenter)
    return [registry.resolve_metric(name).text for name in baselines]


def _own(models: Sequence[Model], scored: Scored, texts: Sequence[str]) -> list[Column]:
    """The rows of K-CROSS for all models, with the model's number before the name."""
    return [
        replace(column, name=f"{number}/{column.name}")
        for number, (model, text) in enumerate(zip(models, texts, strict=True))
        for column in own_columns(scored, text, model)
        if column.name in OWN
    ]


def _cells(
    models: Sequence[Model], opened: Opened, judged: Mapping[str, Judged], names: Sequence[str]
) -> list[Cell]:
    shared = {name: item for name, item in judged.items() if name in names}
    return [
        Cell(model, opened, shared | _of_model(judged, f"{number}/")) for number, model in enumerate(models)
    ]


def _of_model(judged: Mapping[str, Judged], prefix: str) -> dict[str, Judged]:
    return {name.removeprefix(prefix): item for name, item in judged.items() if name.startswith(prefix)}


def _check(names: Sequence[str], option: str, what: str) -> None:
    if not names:
        raise UsageError(f"name {what} with {option}.")
    for name in names:
        if names.count(name) > 1:
            raise UsageError(f"{option} {name}: stands there twice; keep one.")
    if len(names) > len(string.ascii_uppercase):
        raise UsageError(f"{option}: {len(names)} are too many for one table; at most 26.")


def train_models(configs: Sequence[Path], folder: Path, place: Place) -> list[str]:
    """Train a model for each settings file in ``FOLDER/NAME``; what is trained already is not trained again.

    Returns:
        The model files.

    Raises:
        UsageError: a settings file that does not fit, two of one name, or a folder of another run.
    """
    from iqa_kcross.training.config import read_config
    from iqa_kcross.training.run import open_run, run_stage_one, run_stage_two

    _check([path.stem for path in configs], "--train", "a settings file (TOML)")
    read = [(path, read_config(path)) for path in configs]
    for path, config in read:
        if not config.data.data:
            raise UsageError(f"{path}: names no dataset to train on; set data under [data].")
    models = []
    for path, config in read:
        session = open_run(config, folder / path.stem, place.registry, place.bars)
        models.append(str(run_stage_two(session, run_stage_one(session))))
    return models
