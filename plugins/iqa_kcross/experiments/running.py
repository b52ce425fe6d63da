"""How every experiment runs: one pass of the engine with the components of K-CROSS, then columns are judged.

The score is the mean of the branches that apply, so the score of any set of branches follows from the components, and
each image is encoded once.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from iqa_kcross.checkpoint import ModelFile
from iqa_kcross.experiments.opening import Opened
from iqa_registry.agreement.judging import Settings
from iqa_registry.agreement.pairs import score_rated
from iqa_registry.agreement.ratings import Rated
from iqa_registry.agreement.scores import combine
from iqa_registry.agreement.study import Group, judge
from iqa_registry.evaluation.evaluate import start_metrics
from iqa_registry.evaluation.options import choose_device
from iqa_registry.evaluation.store import RunFolder
from iqa_registry.parameters import format_reference
from iqa_registry.plugin import IQAError, Registry, UsageError
from iqa_registry.tables.schema import split_name, wide_name

if TYPE_CHECKING:
    from iqa_kcross.training.run import Bars

KCROSS, WITHOUT_LESIONS = "kcross", "kcross-healthy"
HEALTHY = ("complex", "structure")
BASELINES = ("mae", "psnr", "ssim", "ms_ssim", "nlpd", "gmsd", "lpips", "dists")
"""The metrics that K-CROSS is compared with by default, those of its paper's Table II that the registry has."""
Rows = Sequence[Mapping[str, Any]]
Measure = Literal["inconsistency", "srocc"]


@dataclass(frozen=True, slots=True)
class Bench:
    """Where an experiment runs.

    Attributes:
        registry: where metrics are looked up.
        bars: makes progress bars.
        settings: groups, clusters, bootstrap.
        folder: a run folder, from which an interrupted experiment resumes; ``None`` for memory.
        fresh: discard what the folder holds.
    """

    registry: Registry
    bars: Bars
    settings: Settings = field(default_factory=Settings)
    folder: Path | None = None
    fresh: bool = False

    def part(self, name: str) -> Bench:
        """The same with a folder of its own, for one run among several.

        Example:
            >>> Bench(None, None, folder=Path("run")).part("nnunet:/models/small,fold=0").folder.name
            'nnunet-models-small-fold-0'
        """
        slug = "-".join("".join(sign if sign.isalnum() else " " for sign in name).split())
        return replace(self, folder=self.folder and self.folder / slug)


@dataclass(frozen=True, slots=True)
class Found:
    """What an experiment found.

    Attributes:
        groups: what was judged.
        tables: the result as tables, the main one first.
        lines: the result as text.
        failures: what was not scored and why, one line each.
    """

    groups: Sequence[Group]
    tables: Mapping[str, Rows]
    lines: Sequence[str]
    failures: Sequence[str] = ()


def kcross_text(model: ModelFile, segmenter: str, registry: Registry) -> str:
    """The metric as the score table names it."""
    text = format_reference(KCROSS, {"weights": model.weights, "segmenter": segmenter})
    return registry.resolve_metric(text).text


def baseline_texts(baselines: Sequence[str], registry: Registry) -> list[str]:
    """The metrics that K-CROSS is compared with, as the score table names them.

    Raises:
        UsageError: an unknown metric, or the name of one of K-CROSS's own rows.
    """
    texts = [registry.resolve_metric(name).text for name in baselines]
    for text in texts:
        if ":" not in text and text.partition("-")[0] == KCROSS:
            raise UsageError(f"--metric {text}: K-CROSS and its branches are compared anyway. Name others.")
    return texts


def score(opened: Opened, texts: Sequence[str], segmenter: str, bench: Bench) -> tuple[Rated, list[str]]:
    """Score the rated pairs with all metrics in one run, see :func:`iqa_registry.agreement.pairs.score_rated`.

    Raises:
        UsageError: an unknown metric, a run folder of another run, or no lesions for the segmenter ``labels``.
        IQAError: K-CROSS cannot start, or no image was scored.
    """
    options = opened.options_for(segmenter)
    started = start_metrics(bench.registry, texts, choose_device(options.device))
    for text, reason in started.failed.items():
        if text.startswith(KCROSS):
            raise IQAError(reason)
    folder = None if bench.folder is None else RunFolder(bench.folder, bench.fresh)
    with bench.bars("scoring") as progress:
        return score_rated(opened.pairs, started, options, bench.registry, folder, progress)


def columns_of(text: str, model: ModelFile, branches: Iterable[str]) -> list[str]:
    """The columns whose mean is the score by some branches; by all of them it is the metric's own."""
    chosen = [wide_name(text, name) for name in branches]
    return [text] if len(chosen) == len(model.settings.branches) else chosen


def own_columns(text: str, model: ModelFile) -> dict[str, list[str]]:
    """K-CROSS, without the tumor branch where the model has it, and each branch."""
    branches = model.settings.branches
    chosen = {KCROSS: branches}
    if set(HEALTHY) < set(branches):
        chosen[WITHOUT_LESIONS] = HEALTHY
    if len(branches) > 1:
        chosen |= {f"{KCROSS}-{name}": (name,) for name in branches}
    return {name: columns_of(text, model, parts) for name, parts in chosen.items()}


def judge_columns(rated: Rated, columns: Mapping[str, Sequence[str]], settings: Settings) -> list[Group]:
    """Judge columns on the same images; branches that do not apply to all of them are judged apart.

    Args:
        rated: what :func:`score` gives.
        columns: name to the columns whose mean is judged.
        settings: groups, clusters, bootstrap.

    Raises:
        UsageError: no image is scored.
    """
    scores, scored = combine(rated.scores, columns), rated.scores.table
    whole = {name: scored[split_name(columns[name][0])[0]].is_not_null() for name in scores.metrics}
    apart = [name for name, there in whole.items() if (scores.table[name].is_null() & there).any()]
    return judge(replace(rated, scores=scores), settings=replace(settings, apart=apart))


def rows_of(group: Group, names: Iterable[str] = ()) -> dict[str, dict[str, Any]]:
    """What was judged in a group by name: in the order of ``names`` where given, else the most consistent first."""
    rows = {judged.metric: judged.row for judged in group.judged}
    return {name: rows[name] for name in names or rows if name in rows}


def cells(rows: Mapping[str, Mapping[str, Any]], measure: Measure) -> dict[str, dict[str, Any]]:
    """For each name ``n``, the measure and its interval, ``all_images`` and ``best``.

    What does not apply to all images is not compared with the others.
    """
    most = max((row["n"] for row in rows.values()), default=0)
    equals = [row[measure] for row in rows.values() if row["n"] == most and not math.isnan(row[measure])]
    best = (min if measure == "inconsistency" else max)(equals, default=None)
    shown = ("n", measure, f"{measure}_low", f"{measure}_high")
    return {
        name: {key: row[key] for key in shown if key in row}
        | {"all_images": row["n"] == most, "best": row["n"] == most and row[measure] == best}
        for name, row in rows.items()
    }
