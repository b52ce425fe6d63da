"""``iqa kcross evaluate | ablate | segmenters | domain-gap``."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import click

from iqa_kcross.training import need_lightning
from iqa_registry.cli import arguments, render
from iqa_registry.cli.arguments import LABELS, PATH, TableFile, flag, option, together
from iqa_registry.cli.progress import progress_bar
from iqa_registry.plugin import UsageError

if TYPE_CHECKING:
    from iqa_kcross.experiments.opening import Model, Opened, Source
    from iqa_kcross.experiments.scoring import Place
    from iqa_registry.agreement.judging import Settings
    from iqa_registry.agreement.study import Group

DEFAULT_WEIGHTS = "kcross-t1-t2"
LESIONS_HELP = (
    "Labels of the label maps that mark lesions (1,4), or `dataset` for those that the dataset names."
)
BASELINES_NOTE = "Compared with K-CROSS. By default mae, psnr, ssim, ms_ssim, nlpd, gmsd, lpips and dists."
_EXAMPLE = "--dataset phantom:pairs=16,size=128 --segmenter labels"

_data = together(
    option("dataset", note="With ratings.", old=("--data",)),
    option("pairs", note="With ratings."),
)
_weights = option("weights", default=DEFAULT_WEIGHTS)
_segmenter = option(
    "segmenter",
    note="Also labels (those of the masks) and none. By default nnunet, or labels if --lesions is given.",
)
_baselines = option("metric", note=BASELINES_NOTE)
_reading = together(
    option("ratings", note="By default they are in the data."),
    option("where"),
    option("--lesions", section="Images", metavar="LABELS", type=LABELS, help=LESIONS_HELP),
    *(option(name) for name in ("intensity", "slices", "device", "workers")),
)
_judging = together(*(option(name) for name in ("cluster", "resamples", "seed")))
_results = together(
    option(
        "output", note="It keeps the scores: repeat the command to resume an interrupted run.", old=("--run",)
    ),
    option("fresh"),
    option("table", type=TableFile((".csv", ".json"))),
    option("json"),
    option("csv"),
)


@arguments.command(examples=("iqa kcross evaluate --dataset phantom:pairs=300,seed=11 --group-by lesion",))
@_data
@_weights
@_segmenter
@_baselines
@option("group-by")
@_reading
@_judging
@_results
def evaluate(weights: str, segmenter: str | None, metric: tuple[str, ...], **given: Any) -> None:
    """Compare K-CROSS and each of its branches with other metrics: which agrees best with the ratings?

    The table shows the inconsistency of Algorithm 4, skill and SROCC with 95 % bootstrap intervals. All metrics are
    judged on the same images, except for branches that do not apply everywhere. Then the paired difference of K-CROSS
    to each of the others is shown.
    """
    request = _prepare([_named(given)], [weights], [segmenter], given)
    from iqa_kcross.experiments import show
    from iqa_kcross.experiments.evaluate import evaluate as run
    from iqa_kcross.experiments.scoring import BASELINES

    found = run(*request.single, request.place, request.settings, metric or BASELINES)
    tables = {"rows": found.rows(), "comparisons": found.comparison_rows()}
    _finish(request, tables, show.evaluation(found), found)


@arguments.command(examples=(f"iqa kcross ablate {_EXAMPLE}",))
@_data
@_weights
@_segmenter
@option("group-by")
@option(
    "--measure",
    section="Statistics",
    type=click.Choice(["inconsistency", "srocc"]),
    default="inconsistency",
    help="What the cells show.",
)
@flag("--same-images", "Judge only images to which every branch applies: those with lesions.", "Statistics")
@_reading
@_judging
@_results
def ablate(weights: str, segmenter: str | None, measure: Any, same_images: bool, **given: Any) -> None:
    """Judge every branch and every combination of branches (the shape of the paper's Table III).

    Each image is scored once. The score of a combination is the mean of its branches that apply.
    """
    request = _prepare([_named(given)], [weights], [segmenter], given)
    from iqa_kcross.experiments import show
    from iqa_kcross.experiments.ablate import ablate as run

    found = run(*request.single, request.place, request.settings, measure, same_images)
    _finish(request, {"rows": found.rows()}, show.ablation(found, request.kind), found)


@arguments.command(examples=(f"iqa kcross segmenters {_EXAMPLE} --segmenter none",))
@_data
@_weights
@option("segmenter", multiple=True, note="Name two or more; the others are compared with the first.")
@option("group-by")
@_reading
@_judging
@_results
def segmenters(weights: str, segmenter: tuple[str, ...], **given: Any) -> None:
    """Compare segmenters: how much does the score depend on what finds the lesions (Table V)?

    The tables show the inconsistency by segmenter and group with its standard deviation and variance, and how far the
    scores move from those with the first segmenter.
    """
    request = _prepare([_named(given)], [weights], segmenter, given)
    from iqa_kcross.experiments import show
    from iqa_kcross.experiments.segmenters import compare_segmenters

    opened, model = request.opened[0], request.models[0]
    found = compare_segmenters(opened, model, segmenter, request.place, request.settings)
    tables = {"rows": found.rows(), "spreads": found.spreads(), "shifts": found.shifts}
    _finish(request, tables, show.comparison(found, request.kind), found)


@arguments.command(
    "domain-gap",
    examples=(
        "iqa kcross domain-gap --weights kcross-t1-t2 --test phantom:pairs=16,seed=2 --metric psnr --segmenter labels",
    ),
)
@option("weights", multiple=True, note="May be repeated.")
@option(
    "--train",
    section="Training",
    multiple=True,
    type=PATH,
    metavar="FILE",
    help="Train a model first, with these settings (TOML). May be repeated.",
)
@option(
    "--runs",
    section="Training",
    type=PATH,
    metavar="FOLDER",
    help="Folder of the training runs. A model that is there already is not trained again.",
)
@option(
    "--test",
    section="Input",
    multiple=True,
    metavar="SPEC",
    help="Dataset or manifest of rated pairs. May be repeated.",
)
@_segmenter
@_baselines
@_reading
@_judging
@_results
def domain_gap(
    weights: tuple[str, ...],
    train: tuple[Path, ...],
    runs: Path | None,
    test: tuple[str, ...],
    segmenter: str | None,
    metric: tuple[str, ...],
    **given: Any,
) -> None:
    """Test models on data other than they were trained on (the shape of the paper's Tables VI to VIII).

    There is one column for each pair of training set and test set. Modalities may differ: that is part of the gap.
    """
    if given["ratings"] is not None and len(test) > 1:
        raise UsageError("--ratings belongs to one --test. Put the ratings of several into their manifests.")
    if not test:
        raise UsageError("no test set is given. Name a dataset or a manifest of rated pairs with --test.")
    training = _one_way(weights, train, runs)
    request = _prepare(test, weights, [segmenter], given)
    from iqa_kcross.experiments import show
    from iqa_kcross.experiments.domain_gap import check_tests
    from iqa_kcross.experiments.domain_gap import domain_gap as run
    from iqa_kcross.experiments.scoring import BASELINES

    baselines = metric or BASELINES
    if training:
        check_tests(request.opened, request.segmenter, request.place.registry, baselines)
        request = replace(request, models=_trained(train, runs, request.place))
    found = run(request.models, request.opened, request.segmenter, request.place, request.settings, baselines)
    _finish(request, {"rows": found.rows()}, show.gap(found, request.kind), found, legend=False)


COMMANDS = (evaluate, ablate, segmenters, domain_gap)
"""What ``iqa kcross`` adds."""


class _Found(Protocol):
    """What all results have."""

    @property
    def groups(self) -> Sequence[Group]: ...

    @property
    def failures(self) -> Sequence[str]: ...


@dataclass(frozen=True)
class _Request:
    """What a command is to work on, opened."""

    opened: Sequence[Opened]
    models: Sequence[Model]
    segmenter: str
    place: Place
    settings: Settings
    given: Mapping[str, Any]

    @property
    def single(self) -> tuple[Opened, Model, str]:
        return self.opened[0], self.models[0], self.segmenter

    @property
    def kind(self) -> str:
        from iqa_kcross.experiments.show import kind_of

        return kind_of(self.opened)


def _named(given: Mapping[str, Any]) -> str | None:
    """The dataset or manifest."""
    pairs, dataset = given["pairs"], given["dataset"]
    if pairs is not None and dataset is not None:
        raise UsageError("--pairs and --dataset contradict each other. Choose one.")
    return dataset if pairs is None else str(pairs)


def _prepare(
    data: Sequence[str | None],
    weights: Sequence[str],
    segmenters: Sequence[str | None],
    given: dict[str, Any],
) -> _Request:
    """Check everything that can be wrong before images are scored."""
    arguments.check_output(given["as_json"], given["as_csv"])
    if given["fresh"] and given["output"] is None:
        raise UsageError("--fresh discards the scores in a folder. Name it with -o.")
    if not all(data):
        which = f"{given['ratings']}: ratings without pairs; " if given["ratings"] else ""
        raise UsageError(f"{which}name a dataset with --dataset, or a manifest of rated pairs with --pairs.")
    from iqa_kcross.experiments.opening import LABELS, NNUNET, open_source, read_model
    from iqa_kcross.experiments.scoring import Place
    from iqa_registry.plugin import build_registry

    default = LABELS if given["lesions"] else NNUNET
    chosen = [name or default for name in segmenters]
    if given["lesions"] and chosen and LABELS not in chosen:
        raise UsageError(f"--lesions needs --segmenter labels, not {', '.join(chosen)}. Change one of them.")
    registry = build_registry()
    models = [read_model(name, registry) for name in weights]
    settings = _settings(given)
    opened = [open_source(_source(name, given, settings), registry) for name in data if name]
    place = Place(registry, progress_bar, given["output"], given["fresh"])
    return _Request(opened, models, chosen[0] if chosen else default, place, settings, given)


def _settings(given: Mapping[str, Any]) -> Settings:
    from iqa_registry.agreement.judging import Settings

    return Settings(list(given.get("group_by", ())), given["cluster"], given["resamples"], seed=given["seed"])


def _source(data: str, given: Mapping[str, Any], settings: Settings) -> Source:
    from iqa_kcross.experiments.opening import Source

    cluster = [settings.cluster] if settings.cluster not in (None, "none") else []
    return Source(
        data=data,
        ratings=given["ratings"],
        where=given["where"],
        columns=[*settings.group_by, *filter(None, cluster)],
        lesions=given["lesions"],
        intensity=given["intensity"],
        slices=given["slices"],
        device=given["device"],
        workers=given["workers"],
    )


def _one_way(weights: Sequence[str], train: Sequence[Path], runs: Path | None) -> bool:
    """Whether models are to be trained; contradictions are rejected."""
    if bool(weights) == bool(train):
        raise UsageError(
            "models are missing or given twice. "
            "Give either trained models (--weights) or settings to train with (--train)."
        )
    if train and runs is None:
        raise UsageError("--train needs a folder for the runs. Name it with --runs FOLDER.")
    if train:
        need_lightning()
    return bool(train)


def _trained(train: Sequence[Path], runs: Path | None, place: Place) -> list[Model]:
    from iqa_kcross.experiments.domain_gap import train_models
    from iqa_kcross.experiments.opening import read_model

    return [read_model(path, place.registry) for path in train_models(train, runs or Path(), place)]


def _finish(
    request: _Request,
    tables: Mapping[str, Sequence[Mapping[str, Any]]],
    lines: Iterable[str],
    found: _Found,
    legend: bool = True,
) -> None:
    """Write, print, and report on stderr what was left out; exit code 1 if anything was."""
    from iqa_kcross.experiments import show

    given = request.given
    about = show.facts(request.models, request.opened)
    if given["table"] is not None:
        written = show.save(given["table"], tables, about)
        render.warn(f"written: {', '.join(map(str, written))}")
    if given["as_json"]:
        from iqa_registry.tables.writing import defined

        render.echo_json(about | {name: defined(rows) for name, rows in tables.items()})
    elif given["as_csv"]:
        from iqa_registry.tables.writing import as_csv as to_csv

        click.echo(to_csv(tables["rows"]), nl=False)
    else:
        _echo([*lines], show.origin(request.models, request.opened) if legend else [])
    notes = [f"{opened.place}: {line}" for opened in request.opened for line in opened.notes]
    for line in [*notes, *found.failures]:
        render.warn(f"left out: {line}")
    for line in _caveats(found.groups, request.settings):
        render.warn(f"note: {line}")
    if notes or found.failures:
        raise click.exceptions.Exit(1)


def _caveats(groups: Sequence[Group], settings: Settings) -> list[str]:
    from iqa_registry.agreement.caveats import caveats
    from iqa_registry.plugin import LevelRanker

    return caveats(groups, LevelRanker(), settings)


def _echo(lines: Sequence[str], origin: Sequence[str]) -> None:
    for line in [*lines, *origin]:
        click.echo(line)
