"""``iqa kcross evaluate | ablate | segmenters | domain-gap``."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import click

from iqa_kcross.training import need_lightning
from iqa_registry.cli import arguments, render
from iqa_registry.cli.arguments import PATH, as_csv, as_json, flag, together
from iqa_registry.cli.progress import progress_bar
from iqa_registry.errors import UsageError

if TYPE_CHECKING:
    from iqa_kcross.experiments.opening import Model, Opened, Source
    from iqa_kcross.experiments.scoring import Place
    from iqa_registry.agreement.judging import Settings
    from iqa_registry.agreement.study import Group

DEFAULT_WEIGHTS = "kcross-t1-t2"
SEGMENTER_HELP = (
    "Finds the lesions: nnunet, nnunet:PATH, labels (the masks'), none. "
    "By default nnunet, with --lesions labels."
)

_data = click.option(
    "--data", metavar="SPEC", help="Dataset (phantom:pairs=300,seed=9) or manifest of rated pairs."
)
_weights = click.option(
    "--weights", default=DEFAULT_WEIGHTS, show_default=True, help="Shipped model, or a model file."
)
_segmenter = click.option("--segmenter", metavar="NAME", help=SEGMENTER_HELP)
_baselines = click.option(
    "--metric",
    "-m",
    multiple=True,
    metavar="NAME",
    help="What K-CROSS is set against; may be repeated. By default mae, psnr, ssim, ms_ssim, nlpd, gmsd, lpips, dists.",
)
_reading = together(
    click.option("--ratings", type=PATH, help="Table of ratings. By default they are in the data."),
    click.option(
        "--where", multiple=True, metavar="COLUMN=VALUES", help="Only these pairs, as for `iqa agree`."
    ),
    click.option(
        "--lesions",
        metavar="LABELS",
        help="Labels of the masks that are lesion (1,4), for the segmenter labels. By default the dataset's.",
    ),
    click.option("--intensity", metavar="RULE", help="Intensity rule, as for `iqa evaluate`."),
    click.option("--slices", metavar="FIRST:LAST", help="Slices of volumes, as in Python (50:80)."),
    arguments.device,
    arguments.workers,
)
_group_by = click.option("--group-by", metavar="COLUMNS", help="Judge each group by itself (model,lesion).")
_judging = together(
    click.option(
        "--cluster",
        metavar="COLUMN",
        help="Images drawn together by the bootstrap; subject where there is one.",
    ),
    click.option(
        "--resamples",
        type=click.IntRange(min=0),
        default=2000,
        show_default=True,
        help="Bootstrap samples; 0 for no intervals.",
    ),
    click.option("--seed", default=0, show_default=True, help="Of the bootstrap."),
)
_results = together(
    click.option("--run", type=PATH, help="Folder that keeps the scores; the same command goes on from it."),
    flag("--fresh", "Start that folder over."),
    click.option("--output", "-o", type=PATH, help="File for the numbers, .csv or .json."),
    as_json,
    as_csv,
    arguments.debug,
)


@click.command()
@_data
@_weights
@_segmenter
@_baselines
@_group_by
@_reading
@_judging
@_results
def evaluate(
    data: str | None, weights: str, segmenter: str | None, metric: tuple[str, ...], **given: Any
) -> None:
    """Set K-CROSS and each of its branches against other metrics: which agrees best with the ratings?

    Algorithm 4's inconsistency, skill and SROCC with 95 % bootstrap intervals, all metrics on the same images but for
    branches that do not apply everywhere; then the paired difference of K-CROSS to each of the others.
    """
    from iqa_kcross.experiments import show
    from iqa_kcross.experiments.evaluate import evaluate as run
    from iqa_kcross.experiments.scoring import BASELINES

    request = _prepare([data], [weights], [segmenter], given)
    found = run(*request.single, request.place, request.settings, metric or BASELINES)
    tables = {"rows": found.rows(), "comparisons": found.comparison_rows()}
    _finish(request, tables, show.evaluation(found), found)


@click.command()
@_data
@_weights
@_segmenter
@_group_by
@click.option(
    "--measure",
    type=click.Choice(["inconsistency", "srocc"]),
    default="inconsistency",
    show_default=True,
    help="What the cells are.",
)
@flag("--same-images", "Only images to which every branch applies: those with lesions.")
@_reading
@_judging
@_results
def ablate(
    data: str | None, weights: str, segmenter: str | None, measure: Any, same_images: bool, **given: Any
) -> None:
    """Judge every branch and every combination of branches (the shape of the paper's Table III).

    Each image is scored once; the score of a combination is the mean of its branches that apply.
    """
    from iqa_kcross.experiments import show
    from iqa_kcross.experiments.ablate import ablate as run

    request = _prepare([data], [weights], [segmenter], given)
    found = run(*request.single, request.place, request.settings, measure, same_images)
    _finish(request, {"rows": found.rows()}, show.ablation(found, request.kind), found)


@click.command()
@_data
@_weights
@click.option("--segmenter", multiple=True, metavar="NAME", help="Two or more; the first is the yardstick.")
@_group_by
@_reading
@_judging
@_results
def segmenters(data: str | None, weights: str, segmenter: tuple[str, ...], **given: Any) -> None:
    """Compare segmenters: how much does the score depend on what finds the lesions (Table V)?

    Inconsistency by segmenter and group with its standard deviation and variance, and how far the scores move
    against the first segmenter.
    """
    from iqa_kcross.experiments import show
    from iqa_kcross.experiments.segmenters import compare_segmenters

    request = _prepare([data], [weights], segmenter, given)
    opened, model = request.opened[0], request.models[0]
    found = compare_segmenters(opened, model, segmenter, request.place, request.settings)
    tables = {"rows": found.rows(), "spreads": found.spreads(), "shifts": found.shifts}
    _finish(request, tables, show.comparison(found, request.kind), found)


@click.command("domain-gap")
@click.option("--weights", multiple=True, help="A trained model; may be repeated.")
@click.option(
    "--train", multiple=True, type=PATH, metavar="CONFIG.toml", help="Train a model first; may be repeated."
)
@click.option(
    "--runs", type=PATH, help="Folder of the training runs; what is trained there is not trained again."
)
@click.option(
    "--test", multiple=True, metavar="SPEC", help="Dataset or manifest of rated pairs; may be repeated."
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
    """Test models on other data than they were trained on (the shape of the paper's Tables VI to VIII).

    One column for each pair of training set and test set. Modalities may differ: that is a part of the gap.
    """
    from iqa_kcross.experiments import show
    from iqa_kcross.experiments.domain_gap import check_tests
    from iqa_kcross.experiments.domain_gap import domain_gap as run
    from iqa_kcross.experiments.scoring import BASELINES

    if given["ratings"] is not None and len(test) > 1:
        raise UsageError("--ratings belongs to one --test; put the ratings of several into their manifests.")
    if not test:
        raise UsageError("name a dataset or a manifest of rated pairs with --test.")
    training = _one_way(weights, train, runs)
    request = _prepare(test, weights, [segmenter], given)
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
    """What a command was asked for, opened."""

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


def _prepare(
    data: Sequence[str | None],
    weights: Sequence[str],
    segmenters: Sequence[str | None],
    given: dict[str, Any],
) -> _Request:
    """Check everything that can be wrong before images are scored."""
    from iqa_kcross.experiments.opening import LABELS, NNUNET, open_source, read_model
    from iqa_kcross.experiments.scoring import Place
    from iqa_kcross.experiments.show import check_output
    from iqa_registry.registry import build_registry

    arguments.check_output(given["as_json"], given["csv"])
    check_output(given["output"])
    if given["fresh"] and given["run"] is None:
        raise UsageError("--fresh starts the folder of --run over; name it.")
    default = LABELS if given["lesions"] else NNUNET
    chosen = [name or default for name in segmenters]
    if given["lesions"] and chosen and LABELS not in chosen:
        raise UsageError(f"--lesions goes with --segmenter labels, not {', '.join(chosen)}.")
    registry = build_registry()
    models = [read_model(name, registry) for name in weights]
    settings = _settings(given)
    opened = [open_source(_source(name, given, settings), registry) for name in data]
    place = Place(registry, progress_bar, given["run"], given["fresh"])
    return _Request(opened, models, chosen[0] if chosen else default, place, settings, given)


def _settings(given: Mapping[str, Any]) -> Settings:
    from iqa_registry.agreement.judging import Settings

    groups = given.get("group_by")
    names = [name.strip() for name in groups.split(",")] if groups else []
    return Settings(names, given["cluster"], given["resamples"], seed=given["seed"])


def _source(data: str | None, given: Mapping[str, Any], settings: Settings) -> Source:
    from iqa_kcross.experiments.opening import Source

    if data is None:
        which = f"{given['ratings']}: ratings without pairs; " if given["ratings"] else ""
        raise UsageError(f"{which}name a dataset or a manifest of rated pairs with --data.")
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
    """Whether models are to be trained; refuses contradictions."""
    if bool(weights) == bool(train):
        raise UsageError("give either trained models (--weights) or settings to train by (--train).")
    if train and runs is None:
        raise UsageError("--train needs a folder for the runs; name it with --runs FOLDER.")
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
    """Write, print, and say on stderr what was left out; exit code 1 if anything was."""
    from iqa_kcross.experiments import show

    given = request.given
    about = show.facts(request.models, request.opened)
    if given["output"] is not None:
        written = show.save(given["output"], tables, about)
        render.warn(f"written: {', '.join(map(str, written))}")
    if given["as_json"]:
        from iqa_registry.tables.writing import defined

        render.echo_json(about | {name: defined(rows) for name, rows in tables.items()})
    elif given["csv"]:
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
    from iqa_registry.ranker import LevelRanker

    return caveats(groups, LevelRanker(), settings)


def _echo(lines: Sequence[str], origin: Sequence[str]) -> None:
    for line in [*lines, *origin]:
        click.echo(line)
