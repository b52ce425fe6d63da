"""Trained on one dataset, tested on another: Tables VI to VIII of the paper in shape."""

from __future__ import annotations

import string
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from iqa_kcross.checkpoint import ModelFile
from iqa_kcross.experiments.opening import Opened
from iqa_kcross.experiments.running import (
    BASELINES,
    KCROSS,
    WITHOUT_LESIONS,
    Bench,
    Found,
    baseline_texts,
    cells,
    judge_columns,
    kcross_text,
    own_columns,
    rows_of,
    score,
)
from iqa_kcross.experiments.show import cell_text, kind_of
from iqa_registry.agreement.study import Group
from iqa_registry.cli import render
from iqa_registry.cli.judged import BEST
from iqa_registry.plugin import Registry, UsageError

OWN = (f"{KCROSS}-structure", f"{KCROSS}-complex", WITHOUT_LESIONS, KCROSS)
"""The rows of K-CROSS, in the order of the paper."""
LETTERS = string.ascii_uppercase


def domain_gap(
    models: Sequence[ModelFile],
    tests: Sequence[Opened],
    segmenter: str,
    bench: Bench,
    baselines: Sequence[str] = BASELINES,
) -> Found:
    """Score each test set once with all models and the baselines.

    Modalities may differ between training and test: that is a part of the gap.

    Args:
        models: trained models.
        tests: rated pairs.
        segmenter: finds the lesions.
        bench: where it runs, with one run folder per test set.
        baselines: what K-CROSS is compared with.

    Returns:
        ``rows``: one per metric, training set and test set.

    Raises:
        UsageError: no model, no test set, one of them twice, an unknown metric.
        IQAError: K-CROSS cannot start.
    """
    _check([model.weights for model in models], "--weights", "a trained model")
    names = check_tests(tests, segmenter, bench.registry, baselines)
    texts = [kcross_text(model, segmenter, bench.registry) for model in models]
    columns = {name: [name] for name in names} | {
        f"{number}/{name}": parts
        for number, (model, text) in enumerate(zip(models, texts, strict=True))
        for name, parts in own_columns(text, model).items()
        if name in OWN
    }
    groups: list[Group] = []
    failures: list[str] = []
    found: dict[tuple[int, int], dict[str, Any]] = {}
    for number, opened in enumerate(tests):
        rated, failed = score(opened, [*texts, *names], segmenter, bench.part(f"{number + 1} {opened.place}"))
        failures += [f"{opened.place}: {line}" for line in failed]
        groups += judge_columns(rated, columns, replace(bench.settings, group_by=()))
        judged = rows_of(groups[-1])
        for model in range(len(models)):
            rows = {name: judged.get(name, judged.get(f"{model}/{name}")) for name in (*names, *OWN)}
            found[model, number] = {name: row for name, row in rows.items() if row is not None}
    measured = ("n", "inconsistency", "inconsistency_low", "inconsistency_high", "srocc")
    table = [
        {"metric": name}
        | _about(models[model], tests[number])
        | {key: row[key] for key in measured if key in row}
        for (model, number), rows in found.items()
        for name, row in rows.items()
    ]
    return Found(groups, {"rows": table}, [*_lines(models, tests, found)], failures)


def check_tests(
    tests: Sequence[Opened], segmenter: str, registry: Registry, baselines: Sequence[str] = BASELINES
) -> list[str]:
    """The baselines' names; whatever can be wrong with the test sets is reported before models are trained.

    Raises:
        UsageError: no test set, one twice, no lesions for the segmenter ``labels``, an unknown metric.
    """
    _check([opened.place for opened in tests], "--test", "a dataset or a manifest of rated pairs")
    for opened in tests:
        opened.options_for(segmenter)
    return baseline_texts(baselines, registry)


def _check(names: Sequence[str], option: str, what: str) -> None:
    if not names:
        raise UsageError(f"name {what} with {option}.")
    for name in names:
        if names.count(name) > 1:
            raise UsageError(f"{option} {name}: is given twice. Remove one.")
    if len(names) > len(LETTERS):
        raise UsageError(f"{option}: {len(names)} are too many for one table. Give at most {len(LETTERS)}.")


def _about(model: ModelFile, opened: Opened) -> dict[str, Any]:
    return {
        "training": model.trained_on,
        "modalities": model.modalities,
        "weights": model.weights,
        "test": opened.place,
        "simulated": opened.simulated,
    }


def _lines(
    models: Sequence[ModelFile],
    tests: Sequence[Opened],
    found: Mapping[tuple[int, int], Mapping[str, Any]],
) -> Iterator[str]:
    """One row per metric, one column per training set and test set."""
    kind = kind_of(*tests)
    yield f"inconsistency, training set -> test set, {kind} (lower is better; {BEST} the best of the column)\n"
    yield render.pivot(
        "metric",
        (
            (name, f"{LETTERS[model]} -> {test + 1}", cell_text(cell, "inconsistency"))
            for (model, test), rows in found.items()
            for name, cell in cells(rows, "inconsistency").items()
        ),
    )
    yield ""
    for letter, model in zip(LETTERS, models, strict=False):
        simulated = " (simulated)" if model.history.simulated else ""
        yield f"{letter}: {model.weights}, {model.modalities}, trained on {model.trained_on}{simulated}"
    for number, opened in enumerate(tests, start=1):
        simulated = " (simulated images, simulated raters)" if opened.simulated else ""
        yield f"{number}: {opened.place}, {len(opened.pairs.rated.ratings)} images{simulated}"
