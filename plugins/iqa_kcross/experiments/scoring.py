"""Scores for an experiment: one pass of the engine with K-CROSS in detail, its branches' combinations by arithmetic.

The score is the mean of the branches that apply, so whatever is asked of any set of branches follows from the branches'
scores, and each image is encoded once.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

import polars as pl

from iqa_kcross.experiments.opening import Model, Opened
from iqa_registry.agreement.scores import ID
from iqa_registry.evaluation.evaluate import evaluate, start_metrics
from iqa_registry.evaluation.items import WHOLE_IMAGE
from iqa_registry.evaluation.options import choose_device
from iqa_registry.evaluation.store import RunFolder
from iqa_registry.evaluation.summary import problems
from iqa_registry.parameters import format_reference
from iqa_registry.plugin import Inputs, IQAError, Registry
from iqa_registry.tables.schema import directions, to_wide, wide_name

if TYPE_CHECKING:
    from iqa_kcross.training.run import Bars

KCROSS, WITHOUT_LESIONS = "kcross", "kcross-healthy"
HEALTHY = ("complex", "structure")
BASELINES = ("mae", "psnr", "ssim", "ms_ssim", "nlpd", "gmsd", "lpips", "dists")
"""The metrics that K-CROSS is compared with by default, those of its paper's Table II that the registry has."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where scores land, and how progress is shown.

    Attributes:
        registry: where metrics are looked up.
        bars: makes progress bars.
        folder: a run folder, which an interrupted experiment goes on from; ``None`` for memory.
        fresh: start the folder over.
    """

    registry: Registry
    bars: Bars
    folder: Path | None = None
    fresh: bool = False

    def part(self, name: str) -> Place:
        """The place of one run among several."""
        folder = None if self.folder is None else self.folder / slug(name)
        return Place(self.registry, self.bars, folder, self.fresh)


def slug(text: str) -> str:
    """A folder's name made of a text.

    Example:
        >>> slug("nnunet:/models/small,fold=0")
        'nnunet-models-small-fold-0'
    """
    return "-".join("".join(sign if sign.isalnum() else " " for sign in text).split())


@dataclass(frozen=True, slots=True)
class Column:
    """One metric's scores of the rated images.

    Attributes:
        name: of the metric, or of branches.
        scores: float, in the order of the rated images, null where there is none.
        higher_is_better: the metric's direction.
        apart: whether it does not apply to all images that K-CROSS scores, so that it has rows of its own.
    """

    name: str
    scores: pl.Series
    higher_is_better: bool = True
    apart: bool = False


@dataclass(frozen=True, slots=True)
class Scored:
    """What the engine gave.

    Attributes:
        table: one row per rated image, one column per metric, and one a branch of it.
        higher_is_better: metric to direction.
        failures: what was not scored and why, a line each.
    """

    table: pl.DataFrame
    higher_is_better: Mapping[str, bool]
    failures: Sequence[str] = field(default_factory=list)

    def metric(self, text: str) -> Column | None:
        """A metric as it is; ``None`` if it could not start."""
        if text not in self.higher_is_better:
            return None
        return Column(text, self.table[text], self.higher_is_better[text])

    def branches(self, text: str, model: Model, chosen: Sequence[str]) -> Column:
        """The mean of some branches' scores, where they apply."""
        # Where no image could be scored there are no columns of branches.
        there = [
            name for name in (wide_name(text, branch) for branch in chosen) if name in self.table.columns
        ]
        value = pl.mean_horizontal(there) if there else pl.lit(None)
        mean = self.table.with_columns(value.cast(pl.Float64).alias("mean"))["mean"]
        if set(chosen) == set(model.settings.branches):
            mean = self.table[text]
        apart = bool((mean.is_null() & self.table[text].is_not_null()).any())
        return Column("+".join(chosen), mean, True, apart)

    def applies(self, text: str, branch: str) -> int:
        """To how many images a branch applies."""
        name = wide_name(text, branch)
        return self.table[name].count() if name in self.table.columns else 0


def kcross_text(model: Model, segmenter: str, registry: Registry) -> str:
    """The metric as the score table names it."""
    text = format_reference("kcross", {"weights": model.weights, "segmenter": segmenter})
    return registry.resolve_metric(text).text


def combinations(branches: Sequence[str]) -> list[tuple[str, ...]]:
    """Every non-empty set of branches, single ones first.

    Example:
        >>> combinations(["complex", "tumor"])
        [('complex',), ('tumor',), ('complex', 'tumor')]
    """
    return [
        chosen for count in range(1, len(branches) + 1) for chosen in itertools.combinations(branches, count)
    ]


def score(opened: Opened, texts: Sequence[str], segmenter: str, place: Place) -> Scored:
    """Score the rated pairs with all metrics in one run.

    Args:
        opened: the pairs.
        texts: metrics; those of K-CROSS must be able to start.
        segmenter: what finds the lesions; decides whether the masks' lesions are shown to the metrics.
        place: where the scores land.

    Raises:
        UsageError: an unknown metric, or a run folder of another run.
        IQAError: K-CROSS cannot start, or no image was scored.
    """
    options = opened.options_for(segmenter)
    device = choose_device(options.device)
    started = start_metrics(place.registry, texts, device)
    for text, reason in started.failed.items():
        if text.startswith("kcross"):
            raise IQAError(reason)
    # A mask would only be a region that nobody uses here.
    pairs = [replace(pair, mask=None, labels=pair.labels) for pair in opened.pairs]
    folder = None if place.folder is None else RunFolder(place.folder, place.fresh)
    with place.bars("scoring") as progress:
        inputs = Inputs(pairs, arguments={"data": opened.place})
        table = evaluate(inputs, started, options, place.registry, folder, progress).table
    table = table.filter(pl.col("region") == WHOLE_IMAGE)
    failures = [
        *started.failed.values(),
        *(
            f"{message} ({count} rows)"
            for _, message, count in problems(table.filter(pl.col("status") == "error"))
        ),
    ]
    names = [metric.text for metric in started.ready]
    if failures and not (table["status"] == "ok").any():
        raise IQAError(f"{opened.place}: no image was scored: {failures[0]}")
    return Scored(_wide(table, opened), _directions(table, names), failures)


def _wide(table: pl.DataFrame, opened: Opened) -> pl.DataFrame:
    """One row per rated image, in the order of the ratings; null where a metric gave none."""
    return opened.rated.scores.table.select(ID).join(
        to_wide(table, [ID]), on=ID, how="left", maintain_order="left"
    )


def _directions(table: pl.DataFrame, names: Sequence[str]) -> dict[str, bool]:
    found = directions(table)
    return {name: found[name] for name in names if name in found}


def own_columns(scored: Scored, text: str, model: Model) -> list[Column]:
    """K-CROSS, without the tumor branch where the model has it, and each branch."""
    branches = model.settings.branches
    columns = [replace(scored.branches(text, model, branches), name=KCROSS)]
    if set(HEALTHY) < set(branches):
        columns.append(replace(scored.branches(text, model, HEALTHY), name=WITHOUT_LESIONS))
    if len(branches) > 1:
        columns += [
            replace(scored.branches(text, model, [name]), name=f"{KCROSS}-{name}") for name in branches
        ]
    return columns


def baseline_columns(scored: Scored, names: Sequence[str]) -> list[Column]:
    """The baselines that could start."""
    return [column for column in map(scored.metric, names) if column is not None]
