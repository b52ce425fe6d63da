"""``iqa kcross``: train, export, describe; the experiments of the paper are in :mod:`iqa_kcross.experiments`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from iqa_kcross.experiments.commands import COMMANDS
from iqa_registry.cli.arguments import PATH, as_json, debug, together
from iqa_registry.cli.progress import progress_bar

if TYPE_CHECKING:
    from iqa_kcross.training.config import TrainingConfig


@click.group()
def kcross() -> None:
    """Train, export and examine K-CROSS, a learned metric of synthesized MRI (arXiv:2307.04296).

    Scoring needs none of this: `iqa evaluate --metric kcross` uses the weights that ship, trained on simulated data.
    """


def _shown(name: str, setting: str, metavar: str, help_text: str, default: str = "") -> Any:
    """An option that stands for a setting; its default is the setting's, so that a file can change it."""
    shown = f"{help_text}  [default: {default}]" if default else help_text
    return click.option(name, setting, metavar=metavar, default=None, help=shown)


_settings = together(
    _shown("--data", "data__data", "SPEC", "Dataset of subjects (brats:PATH, phantom:pairs=800): stage one."),
    _shown(
        "--rated", "data__rated", "SPEC", "Dataset or manifest of rated pairs: stage two.", "that of --data"
    ),
    _shown("--ratings", "data__ratings", "FILE", "Table of ratings.", "in the dataset or manifest"),
    _shown("--source", "data__source", "MODALITY", "What is translated.", "t1"),
    _shown("--target", "data__target", "MODALITY", "What is scored.", "t2"),
    _shown("--segmenter", "data__segmenter", "NAME", "Finds the lesions; frozen.", "nnunet"),
    _shown("--lesions", "data__lesions", "LABELS", "Labels of the masks that are lesion (1,4), or dataset."),
    _shown("--slices", "data__slices", "A:B", "Slices of volumes, as in Python.", "the dataset's"),
    _shown("--size", "data__size", "PIXELS", "Rows and columns, padded or cropped to.", "256"),
    _shown("--width", "network__width", "N", "Channels of the first feature map.", "64, the paper's"),
    _shown("--steps-one", "stage_one__steps", "N", "Optimizer steps of stage one.", "20000"),
    _shown("--steps-two", "stage_two__steps", "N", "Optimizer steps of stage two.", "4000"),
    _shown("--precision", "run__precision", "KIND", "auto, 32-true, bf16-mixed or 16-mixed.", "auto"),
    _shown("--devices", "run__devices", "N", "How many GPUs.", "1"),
    _shown("--seed", "run__seed", "N", "Of weights, split and order.", "0"),
)


@kcross.command()
@click.option("-o", "--out", "folder", type=PATH, required=True, help="Folder of the run.")
@click.option("--config", "config_file", type=PATH, help="TOML file of settings; options override it.")
@_settings
@click.option(
    "--set", "changes", multiple=True, metavar="SECTION.NAME=VALUE", help="Any other setting; repeatable."
)
@click.option(
    "--stage",
    type=click.Choice(["both", "one", "two"]),
    default="both",
    show_default=True,
    help="one: networks, from subjects; two: score networks, from ratings.",
)
@click.option(
    "--start", type=PATH, help="Model that stage two alone begins with. Stage one's in the same folder."
)
@debug
def train(
    folder: Path,
    config_file: Path | None,
    changes: tuple[str, ...],
    stage: str,
    start: Path | None,
    **given: Any,
) -> None:
    """Train K-CROSS on one's own images and ratings.

    The same command again goes on where it was interrupted. `iqa kcross settings` lists everything that --set and
    --config take. The result is OUT/model.safetensors: `iqa evaluate --metric kcross:weights=OUT/model.safetensors`.
    """
    from iqa_kcross.training import need_lightning

    need_lightning()
    from iqa_kcross.training.rated import read_rated
    from iqa_kcross.training.run import STAGES, open_run, run_stage_one, run_stage_two
    from iqa_registry.errors import UsageError
    from iqa_registry.registry import build_registry

    config = _config(config_file, changes, given)
    _check_data(config, stage)
    if start is not None and stage != "two":
        raise UsageError("--start is where stage two alone begins: add --stage two.")
    registry = build_registry()
    if stage != "one":
        # What is wrong with the ratings is said before hours of stage one.
        read_rated(config.data, registry)
    session = open_run(config, folder, registry, progress_bar)
    if stage != "two":
        begun = run_stage_one(session)
        click.echo(f"stage one: {begun}", err=True)
    else:
        begun = start or folder / STAGES[0] / "model.safetensors"
        if not begun.is_file():
            raise UsageError(f"{begun}: no such file; train stage one first, or name its model with --start.")
    if stage == "one":
        return
    model = run_stage_two(session, begun)
    click.echo(f"{model}: use it with --metric kcross:weights={model}")


def _config(file: Path | None, changes: tuple[str, ...], given: dict[str, Any]) -> TrainingConfig:
    from iqa_kcross.training.config import read_config
    from iqa_registry.errors import UsageError

    values = {name.replace("__", "."): value for name, value in given.items() if value is not None}
    for text in changes:
        name, equals, value = text.partition("=")
        if not equals:
            raise UsageError(f"--set {text}: expected SECTION.NAME=VALUE.")
        values[name] = value
    return read_config(file, values)


def _check_data(config: TrainingConfig, stage: str) -> None:
    from iqa_registry.errors import UsageError

    data = config.data
    if data.source == data.target:
        raise UsageError(f"--source and --target are both {data.source}; choose two modalities.")
    if stage != "two" and not data.data:
        raise UsageError(
            "stage one needs subjects: name a dataset with --data (phantom:pairs=800, brats:PATH)."
        )
    if stage != "one" and not (data.rated or data.data):
        what = "ratings without pairs: " if data.ratings else ""
        raise UsageError(f"{what}stage two needs rated pairs; name a dataset or a manifest with --rated.")


@kcross.command()
@as_json
@debug
def settings(as_json: bool) -> None:
    """List the settings of training with their defaults."""
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


@kcross.command()
@click.argument("model", type=PATH)
@click.argument("out", type=PATH)
@debug
def export(model: Path, out: Path) -> None:
    """Write what scoring needs of MODEL to the file OUT: no decoders, none of the source modality's networks."""
    from iqa_kcross.checkpoint import load_model, save_model

    loaded, history = load_model(model)
    save_model(loaded, out, history, for_scoring=True)
    click.echo(
        f"{out}: {out.stat().st_size / 1e6:.1f} MB, from {model} ({model.stat().st_size / 1e6:.1f} MB)"
    )


@kcross.command()
@click.argument("model")
@as_json
@debug
def describe(model: str, as_json: bool) -> None:
    """Show what MODEL, a file or the name of shipped weights, was built and trained with."""
    from iqa_kcross.checkpoint import describe_file
    from iqa_registry.cli import render
    from iqa_registry.registry import build_registry

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
