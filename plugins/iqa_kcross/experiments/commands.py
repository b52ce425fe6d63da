"""``iqa kcross evaluate | ablate | segmenters | domain-gap``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from iqa_kcross.plugin import DEFAULT_WEIGHTS
from iqa_kcross.training import need_lightning
from iqa_registry.cli import arguments, judged, render
from iqa_registry.cli.arguments import LABELS, PATH, TableFile, flag, option, together
from iqa_registry.cli.progress import progress_bar
from iqa_registry.plugin import UsageError

if TYPE_CHECKING:
    from iqa_kcross.checkpoint import ModelFile
    from iqa_kcross.experiments.opening import Opened
    from iqa_kcross.experiments.running import Bench, Found

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


@arguments.command(
    examples=(
        "iqa kcross evaluate --dataset phantom:pairs=300,seed=11 --group-by lesion",
        f"iqa kcross evaluate {_EXAMPLE} --metric ssim --metric psnr -o STUDY",
    ),
    resumes=True,
)
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
    request = _prepare(_single(given), [weights], [segmenter], given)
    from iqa_kcross.experiments.evaluate import evaluate as run
    from iqa_kcross.experiments.running import BASELINES

    _finish(request, run(*request.single, metric or BASELINES), given)


@arguments.command(
    examples=(
        f"iqa kcross ablate {_EXAMPLE}",
        f"iqa kcross ablate {_EXAMPLE} --measure srocc --same-images",
    ),
    resumes=True,
)
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
    request = _prepare(_single(given), [weights], [segmenter], given)
    from iqa_kcross.experiments.ablate import ablate as run

    _finish(request, run(*request.single, measure, same_images), given)


@arguments.command(
    examples=(
        f"iqa kcross segmenters {_EXAMPLE} --segmenter none",
        "iqa kcross segmenters --pairs study/manifest.csv --segmenter nnunet --segmenter labels -o STUDY",
    ),
    resumes=True,
)
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
    request = _prepare(_single(given), [weights], segmenter, given)
    from iqa_kcross.experiments.segmenters import compare_segmenters

    found = compare_segmenters(request.opened[0], request.models[0], segmenter, request.bench)
    _finish(request, found, given)


@arguments.command(
    "domain-gap",
    examples=(
        "iqa kcross domain-gap --weights kcross-t1-t2 --test phantom:pairs=16,seed=2 --metric psnr --segmenter labels",
        "iqa kcross domain-gap --train t1.toml --train pd.toml --runs RUNS --test study/manifest.csv",
    ),
    resumes=True,
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
    _check_training(weights, train, runs)
    request = _prepare(test, weights, [segmenter], given)
    from iqa_kcross.experiments.domain_gap import check_tests
    from iqa_kcross.experiments.domain_gap import domain_gap as run
    from iqa_kcross.experiments.opening import read_model
    from iqa_kcross.experiments.running import BASELINES

    baselines, registry = metric or BASELINES, request.bench.registry
    if train:
        check_tests(request.opened, request.segmenter, registry, baselines)
        from iqa_kcross.training.several import train_models

        models = train_models(train, runs or Path(), registry, progress_bar)
        request = replace(request, models=[read_model(path, registry) for path in models])
    found = run(request.models, request.opened, request.segmenter, request.bench, baselines)
    _finish(request, found, given, legend=False)


COMMANDS = (evaluate, ablate, segmenters, domain_gap)
"""What ``iqa kcross`` adds."""


@dataclass(frozen=True)
class _Request:
    """What a command is to work on, opened."""

    opened: Sequence[Opened]
    models: Sequence[ModelFile]
    segmenter: str
    bench: Bench

    @property
    def single(self) -> tuple[Opened, ModelFile, str, Bench]:
        return self.opened[0], self.models[0], self.segmenter, self.bench


def _single(given: Mapping[str, Any]) -> list[str]:
    """The dataset or manifest, if one is named."""
    pairs, dataset = given["pairs"], given["dataset"]
    if pairs is not None and dataset is not None:
        raise UsageError("--pairs and --dataset contradict each other. Choose one.")
    named = [str(item) for item in (pairs, dataset) if item is not None]
    if not named:
        which = f"{given['ratings']}: ratings without pairs. " if given["ratings"] else ""
        raise UsageError(f"{which}Name a dataset with --dataset, or a manifest of rated pairs with --pairs.")
    return named


def _prepare(
    data: Sequence[str], weights: Sequence[str], segmenters: Sequence[str | None], given: Mapping[str, Any]
) -> _Request:
    """Check everything that can be wrong before images are scored."""
    arguments.check_output(given["as_json"], given["as_csv"])
    if given["fresh"] and given["output"] is None:
        raise UsageError("--fresh discards the scores in a folder. Name it with -o.")
    from iqa_kcross.experiments.opening import LABELS, NNUNET, open_rated, read_model
    from iqa_kcross.experiments.running import Bench
    from iqa_kcross.pairs import LESIONS
    from iqa_registry.agreement.judging import Settings
    from iqa_registry.evaluation.options import make_options
    from iqa_registry.plugin import build_registry

    lesions, cluster = given["lesions"], given["cluster"]
    chosen = [name or (LABELS if lesions else NNUNET) for name in segmenters]
    if lesions and chosen and LABELS not in chosen:
        raise UsageError(f"--lesions needs --segmenter labels, not {', '.join(chosen)}. Change one of them.")
    registry = build_registry()
    models = [read_model(name, registry) for name in weights]
    settings = Settings(list(given.get("group_by", ())), cluster, given["resamples"], seed=given["seed"])
    options = make_options(
        {name: given[name] for name in ("intensity", "slices", "device", "workers")}
        | {"label_names": {} if lesions in (None, "dataset") else {LESIONS: lesions}}
    )
    columns = [*settings.group_by, *([cluster] if cluster not in (None, "none") else [])]
    opened = [open_rated(name, registry, options, given["ratings"], given["where"], columns) for name in data]
    bench = Bench(registry, progress_bar, settings, given["output"], given["fresh"])
    return _Request(opened, models, (chosen or [""])[0], bench)


def _check_training(weights: Sequence[str], train: Sequence[Path], runs: Path | None) -> None:
    if bool(weights) == bool(train):
        raise UsageError(
            "models are missing or given twice. "
            "Give either trained models (--weights) or settings to train with (--train)."
        )
    if train and runs is None:
        raise UsageError("--train needs a folder for the runs. Name it with --runs FOLDER.")
    if train:
        need_lightning()


def _finish(request: _Request, found: Found, given: Mapping[str, Any], legend: bool = True) -> None:
    """Write, print, and report on stderr what was left out; exit code 1 if anything was."""
    from iqa_kcross.experiments.show import facts, origin
    from iqa_registry.plugin import LevelRanker
    from iqa_registry.tables import writing

    about = facts(request.models, request.opened)
    if given["table"] is not None:
        written = writing.write_tables(given["table"], found.tables, about)
        render.warn(f"written: {', '.join(map(str, written))}")
    if given["as_json"]:
        render.echo_json(about | {name: writing.defined(rows) for name, rows in found.tables.items()})
    elif given["as_csv"]:
        click.echo(writing.as_csv(found.tables["rows"]), nl=False)
    else:
        for line in [*found.lines, *(origin(request.models, request.opened) if legend else [])]:
            click.echo(line)
    notes = [f"{opened.place}: {line}" for opened in request.opened for line in opened.pairs.notes]
    judged.report(found.groups, [*notes, *found.failures], LevelRanker(), request.bench.settings)
