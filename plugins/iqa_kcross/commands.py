"""``iqa kcross``: train, export, describe; the experiments of the paper are in :mod:`iqa_kcross.experiments`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from iqa_kcross.experiments.commands import COMMANDS, LESIONS_HELP
from iqa_registry.cli.arguments import LABELS, PATH, Assignment, Words, group, option, together
from iqa_registry.cli.progress import progress_bar
from iqa_registry.plugin import UsageError

if TYPE_CHECKING:
    from iqa_kcross.training.config import TrainingConfig


_LIGHTNING = {"auto": "auto", "fp32": "32-true", "bf16": "bf16-mixed", "fp16": "16-mixed"}
"""What Lightning calls the precisions."""


@group()
def kcross() -> None:
    """Train, export and examine K-CROSS, a learned metric of synthesized MRI (arXiv:2307.04296).

    Scoring needs none of this: `iqa evaluate --metric kcross` uses the weights that ship, which were trained on
    simulated data.
    """


def _setting(name: str, setting: str, default: str = "", **changes: Any) -> Any:
    """An option for a setting; its default is the setting's, so that a file can change it."""
    return option(name, setting, **{"default": None, "show_default": default or False, **changes})


def _steps(stage: str, default: str) -> Any:
    return _setting(
        *(f"--steps-{stage}", f"stage_{stage}__steps", default),
        section="Training",
        type=click.IntRange(min=1),
        metavar="N",
        help=f"Optimizer steps of stage {stage}.",
    )


_settings = together(
    _setting("dataset", "data__data", note="Subjects, for stage one.", old=("--data",)),
    _setting(
        *("--rated", "data__rated", "that of --dataset"),
        section="Input",
        metavar="SPEC",
        help="Dataset or manifest of rated pairs, for stage two.",
    ),
    _setting("ratings", "data__ratings", "in the dataset or manifest"),
    _setting("source", "data__source", "t1"),
    _setting("target", "data__target", "t2"),
    _setting("segmenter", "data__segmenter", "nnunet"),
    _setting(
        *("--lesions", "data__lesions"),
        section="Images",
        metavar="LABELS",
        type=LABELS,
        help=LESIONS_HELP,
    ),
    _setting("slices", "data__slices", "the dataset's"),
    _setting(
        "size", "data__size", "256", type=click.IntRange(min=1), note="Slices are cropped and padded to it."
    ),
    _setting(
        *("--width", "network__width", "64, as in the paper"),
        section="Training",
        type=click.IntRange(min=1),
        metavar="N",
        help="Channels of the first feature map.",
    ),
    _steps("one", "20000"),
    _steps("two", "4000"),
    _setting(
        "precision",
        "run__precision",
        "auto",
        type=Words([*_LIGHTNING], {v: k for k, v in _LIGHTNING.items()}),
    ),
    _setting(
        *("--devices", "run__devices", "1"),
        section="Running",
        type=click.IntRange(min=1),
        metavar="N",
        help="Number of GPUs.",
    ),
    _setting("seed", "run__seed", "0"),
)


@kcross.command(
    examples=(
        "iqa kcross train --dataset brats:/data/BraTS2021 --rated study/manifest.csv -o RUN",
        "iqa kcross train --dataset phantom:pairs=24,size=128 --lesions dataset --segmenter labels --size 128 "
        "--width 4 --steps-one 2 --steps-two 5 -o RUN",
    ),
    resumes=True,
)
@option(
    "output",
    "folder",
    required=True,
    note="Repeat the command to resume an interrupted training.",
    old=("--out",),
)
@option("config", "config_file")
@_settings
@option(
    "--set",
    "changes",
    section="Input",
    multiple=True,
    type=Assignment("SECTION.NAME"),
    metavar="SECTION.NAME=VALUE",
    help="Any other setting; see `iqa kcross settings`. May be repeated.",
)
@option(
    "--stage",
    section="Training",
    type=click.Choice(["both", "one", "two"]),
    default="both",
    help="Train the networks on subjects (one), the score networks on ratings (two), or both.",
)
@option("start", note="For stage two alone. By default that of stage one in the same folder.")
def train(
    folder: Path,
    config_file: Path | None,
    changes: tuple[tuple[str, str], ...],
    stage: str,
    start: Path | None,
    **given: Any,
) -> None:
    """Train K-CROSS on your own images and ratings.

    The result is model.safetensors in the folder. Use it with `iqa evaluate --metric
    kcross:weights=FOLDER/model.safetensors`.
    """
    config = _config(config_file, changes, given)
    _check_data(config, stage)
    if start is not None and stage != "two":
        raise UsageError("--start is the model that stage two alone starts from. Add --stage two.")
    from iqa_kcross.training import need_lightning

    need_lightning()
    from iqa_kcross.training.rated import read_rated
    from iqa_kcross.training.run import STAGES, open_run, run_stage_one, run_stage_two
    from iqa_registry.plugin import build_registry

    registry = build_registry()
    if stage != "one":
        # A mistake in the ratings is reported before hours of stage one.
        read_rated(config.data, registry)
    session = open_run(config, folder, registry, progress_bar)
    if stage != "two":
        begun = run_stage_one(session)
        click.echo(f"stage one: {begun}", err=True)
    else:
        begun = start or folder / STAGES[0] / "model.safetensors"
        if not begun.is_file():
            raise UsageError(f"{begun}: no such file. Train stage one first, or name its model with --start.")
    if stage == "one":
        return
    model = run_stage_two(session, begun)
    click.echo(f"{model}: use it with --metric kcross:weights={model}")


def _config(file: Path | None, changes: tuple[tuple[str, str], ...], given: dict[str, Any]) -> TrainingConfig:
    from iqa_kcross.training.config import read_config

    if given["data__ratings"] is not None:
        given["data__ratings"] = str(given["data__ratings"])
    if given["run__precision"] is not None:
        given["run__precision"] = _LIGHTNING[given["run__precision"]]
    values = {name.replace("__", "."): value for name, value in given.items() if value is not None}
    return read_config(file, values | dict(changes))


def _check_data(config: TrainingConfig, stage: str) -> None:
    data = config.data
    if data.source == data.target:
        raise UsageError(f"--source and --target are both {data.source}. Choose two modalities.")
    if stage != "two" and not data.data:
        raise UsageError(
            "stage one needs subjects. Name a dataset with --dataset (phantom:pairs=800, brats:PATH)."
        )
    if stage != "one" and not (data.rated or data.data):
        what = "ratings without pairs: " if data.ratings else ""
        raise UsageError(f"{what}stage two needs rated pairs. Name a dataset or a manifest with --rated.")


@kcross.command(examples=("iqa kcross settings", "iqa kcross settings --json"))
@option("json")
def settings(as_json: bool) -> None:
    """List the settings of the training with their defaults."""
    from iqa_kcross.training.config import describe_config
    from iqa_registry.cli import render

    rows = [
        {"setting": name, "default": render_default(default), "description": text}
        for name, text, default in describe_config()
    ]
    if as_json:
        render.echo_json(rows)
    else:
        click.echo(render.table(rows, flexible="description"))


def render_default(value: Any) -> str:
    """A default as TOML has it."""
    import json

    if isinstance(value, dict):
        return "{ " + ", ".join(f"{name} = {item}" for name, item in value.items()) + " }"
    return json.dumps(list(value) if isinstance(value, tuple) else value)


@kcross.command(
    examples=(
        "iqa kcross export RUN/model.safetensors scoring.safetensors",
        "iqa evaluate fake real --metric kcross:scoring.safetensors",
    )
)
@click.argument("model", type=PATH)
@click.argument("file", type=PATH)
def export(model: Path, file: Path) -> None:
    """Write the part of MODEL that scoring needs to FILE, without decoders and networks of the source modality."""
    from iqa_kcross.checkpoint import load_model, save_model

    loaded, history = load_model(model)
    save_model(loaded, file, history, for_scoring=True)
    click.echo(
        f"{file}: {file.stat().st_size / 1e6:.1f} MB, from {model} ({model.stat().st_size / 1e6:.1f} MB)"
    )


@kcross.command(
    examples=("iqa kcross describe kcross-t1-t2", "iqa kcross describe RUN/model.safetensors --json")
)
@click.argument("model")
@option("json")
def describe(model: str, as_json: bool) -> None:
    """Show what MODEL, a file or the name of weights that ship, was built and trained with."""
    from iqa_kcross.checkpoint import describe_file
    from iqa_registry.cli import render
    from iqa_registry.plugin import build_registry

    file = build_registry().weights.open(model)
    facts = describe_file(file) | {"sha256": file.sha256}
    if as_json:
        render.echo_json(facts)
        return
    for name, value in facts.items():
        shown = (
            ", ".join(f"{key} {item}" for key, item in value.items()) if isinstance(value, dict) else value
        )
        click.echo(f"{name:<12}{shown}")


for _command in COMMANDS:
    kcross.add_command(_command)
