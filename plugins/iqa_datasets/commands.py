"""``iqa datasets list | info | export | build-nirps``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from iqa_registry.cli import arguments, render
from iqa_registry.cli.arguments import PATH, Assignment, group, option
from iqa_registry.cli.progress import progress_bar
from iqa_registry.plugin import Registry, UsageError, build_registry, install_command
from iqa_registry.registry import find

if TYPE_CHECKING:
    from iqa_registry.specs import RegisteredDataset

SHOWN = 20
"""How many lines of what was left out are printed."""


@group()
def datasets() -> None:
    """List, describe, export and build datasets."""


@datasets.command("list", examples=("iqa datasets list", "iqa datasets list --json"))
@option("json")
def list_datasets(as_json: bool) -> None:
    """List the datasets: name, whether what they need is installed, license and plugin."""
    registry = build_registry()
    rows = [_facts(spec) for spec in registry.datasets.values()]
    if as_json:
        render.echo_json(rows)
        return
    shown = [
        {
            "dataset": row["name"],
            "ready": "yes" if row["ready"] else install_command(row["extra"], row["distribution"]),
            "license": row["license"],
            "from": f"{row['distribution']} {row['version']}",
            "summary": row["summary"],
        }
        for row in rows
    ]
    click.echo(render.table(shown, flexible="summary"))
    render.show_failures(registry)


@datasets.command(examples=("iqa datasets info nirps", "iqa datasets info phantom --json"))
@click.argument("name")
@option("json")
def info(name: str, as_json: bool) -> None:
    """Show what the dataset NAME is: parameters, labels, license and an example."""
    registry = build_registry()
    spec = find(registry.datasets, name, "datasets")
    facts = _facts(spec)
    parameters = _parameters(registry, spec)
    factory = _factory(spec)
    labels = _labels(getattr(factory, "label_names", {}))
    others = {key: _labels(names) for key, names in getattr(factory, "other_label_names", {}).items()}
    examples = _examples(name, [row["parameter"] for row in parameters if row["default"] == "required"])
    description = _description(factory)
    if as_json:
        extra = {"description": description, "parameters": parameters, "labels": labels, "examples": examples}
        extra |= {"other_labels": others}
        render.echo_json(facts | extra)
        return
    click.echo(f"{name}: {spec.summary}\n\n{description}\n")
    lines = {
        "license": spec.license,
        "plugin": str(spec.origin),
        "needs extra": f"{spec.extra} ({'installed' if facts['ready'] else 'not installed'})"
        if spec.extra
        else "",
        "labels": _joined(labels),
    } | {key: _joined(names) for key, names in others.items()}
    for label, value in lines.items():
        if value:
            click.echo(f"  {label:<14}{value}")
    click.echo("\nParameters\n" + render.table(parameters, flexible="description"))
    click.echo("\nExamples\n" + "\n".join(f"  {line}" for line in examples))


def _labels(names: Mapping[str, Sequence[int]]) -> dict[str, list[int]]:
    return {key: list(value) for key, value in names.items()}


def _joined(labels: Mapping[str, Sequence[int]]) -> str:
    return ", ".join(f"{key} {'+'.join(map(str, value))}" for key, value in labels.items())


def _reject_folder(ctx: click.Context, param: click.Parameter, folder: Path | None) -> None:
    # Earlier versions wrote the table with -o.
    if folder is not None:
        raise click.BadParameter("a dataset is exported to one file. Name it with --table FILE.", ctx, param)


@datasets.command(
    examples=(
        "iqa datasets export phantom:pairs=20,size=128 --table pairs.parquet",
        "iqa datasets export nirps:/data/nirps_dataset --table nirps.csv",
    )
)
@click.argument("spec")
@option("table", required=True)
@option("output", hidden=True, is_eager=True, expose_value=False, callback=_reject_folder)
@option("force")
def export(spec: str, table: Path, force: bool) -> None:
    """Write the table of the dataset SPEC: one row per pair with its group columns and ratings.

    The exit code is 1 if anything was left out, which is then listed.
    """
    from iqa_registry.tables import writing

    writing.check_suffix(table)
    if table.exists() and not force:
        raise UsageError(f"{table} exists already. Add --force to replace it.")
    dataset = build_registry().dataset(spec)
    rows = dataset.table()
    writing.write_table(table, rows)
    click.echo(f"{rows.height} rows, {rows.width} columns in {table}")
    _report(dataset.left_out)


@datasets.command(
    "build-nirps",
    examples=(
        "iqa datasets build-nirps -o NIRPS --reference real --synthesized unit:1=fake "
        "--dataset-name ixi --modality t2",
        "iqa datasets build-nirps -o NIRPS --reference real --models results --metric ssim "
        "--dataset-name ixi --modality t2",
    ),
)
@arguments.old_argument("output")
@option("output", required=True)
@option(
    "--reference",
    section="Input",
    required=True,
    type=PATH,
    metavar="FOLDER",
    help="Folder of reference slices.",
)
@option(
    "--synthesized",
    section="Input",
    multiple=True,
    type=Assignment("MODEL:EPOCH", "FOLDER"),
    metavar="MODEL:EPOCH=FOLDER",
    help="Folder of the slices of one model at one epoch, named like the references. May be repeated.",
)
@option(
    "--models",
    section="Input",
    type=PATH,
    metavar="FOLDER",
    help="Folder that holds MODEL/epoch_K/ folders of such slices, in place of --synthesized.",
)
@option(
    "--dataset-name",
    section="Output",
    required=True,
    metavar="NAME",
    old=("--dataset",),
    help="Name of the data in the tree, for example ixi.",
)
@option(
    "--modality",
    section="Output",
    required=True,
    metavar="NAME",
    help="Modality that was synthesized, for example t2.",
)
@option("ratings", note="It has the columns model, epoch, slice_id and rating.")
@option("metric", note="By default mae, psnr and ssim.")
@option("intensity")
@option("force")
def build_nirps(
    output: Path,
    reference: Path,
    synthesized: tuple[tuple[str, str], ...],
    models: Path | None,
    dataset_name: str,
    modality: str,
    ratings: Path | None,
    metric: tuple[str, ...],
    intensity: str | None,
    force: bool,
) -> None:
    """Write a tree like NIRPS from slices of one modality.

    The folder nirps_dataset/NAME/MODALITY/MODEL/epoch_K/SLICE/ in the output gets img.png (8-bit) and one file per
    score of that image. Ratings go to artificial.txt. The exit code is 1 if anything was left out, which is
    then listed.
    """
    from iqa_datasets.nirps_build import Build, find_models, parse_models

    if bool(synthesized) == (models is not None):
        raise UsageError(
            "the synthesized slices are missing or given twice. "
            "Name them with --synthesized MODEL:EPOCH=FOLDER or with --models FOLDER."
        )
    folders = (
        parse_models(["=".join(item) for item in synthesized]) if models is None else find_models(models)
    )
    build = Build(output, dataset_name, modality, metric or ("mae", "psnr", "ssim"), intensity)
    with progress_bar("building") as progress:
        made = build.run(build_registry(), reference, folders, ratings, force, progress)
    click.echo(
        f"{made.images} images of {len(folders)} models and epochs, {made.rated} rated, in {made.folder}"
    )
    _report(made.left_out)


def _report(left_out: Sequence[str]) -> None:
    """List what was left out; exit code 1 if there is any."""
    for line in left_out[:SHOWN]:
        render.warn(f"left out: {line}")
    if len(left_out) > SHOWN:
        render.warn(f"... and {len(left_out) - SHOWN} more")
    if left_out:
        raise click.exceptions.Exit(1)


def _facts(spec: RegisteredDataset) -> dict[str, Any]:
    origin = spec.origin
    return {
        "name": spec.name,
        "summary": spec.summary,
        "license": spec.license,
        "extra": spec.extra,
        "ready": _is_ready(spec),
        "plugin": origin.plugin,
        "distribution": origin.distribution,
        "version": origin.version,
        "factory": spec.factory,
    }


def _is_ready(spec: RegisteredDataset) -> bool:
    """Whether the packages of the dataset's extra are installed."""
    from importlib import metadata

    from packaging.requirements import Requirement

    if spec.extra is None:
        return True
    for text in metadata.requires(spec.origin.distribution) or []:
        requirement = Requirement(text)
        marker = requirement.marker
        of_the_extra = (
            marker and marker.evaluate({"extra": spec.extra}) and not marker.evaluate({"extra": ""})
        )
        if of_the_extra and not any(metadata.distributions(name=requirement.name)):
            return False
    return True


def _factory(spec: RegisteredDataset) -> Any:
    import importlib

    module, _, attribute = spec.factory.partition(":")
    return getattr(importlib.import_module(module), attribute)


def _description(factory: Any) -> str:
    """What the factory's docstring says before its sections, without markup."""
    import inspect

    text = inspect.getdoc(factory) or ""
    for section in ("Args:", "Example:", "Examples:", "Attributes:", "Raises:"):
        text = text.partition(f"\n{section}")[0]
    return text.replace("``", "").strip()


def _parameters(registry: Registry, spec: RegisteredDataset) -> list[dict[str, str]]:
    schema = registry.parameters(spec).model_json_schema()
    required = schema.get("required", [])
    return [
        {
            "parameter": name,
            "default": "required" if name in required else _text(item.get("default")),
            "takes": render.takes(item, schema.get("$defs", {})),
            "description": item.get("description", ""),
        }
        for name, item in schema.get("properties", {}).items()
    ]


def _text(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, list):
        return "+".join(map(str, value)) or "all"
    return "none" if value is None else str(value)


def _examples(name: str, required: Sequence[str]) -> list[str]:
    parts = ["PATH" if item == "path" else f"{item}=VALUE" for item in required]
    spec = f"{name}:{','.join(parts)}" if parts else name
    return [
        f"iqa evaluate --dataset {spec} --metric psnr",
        f"iqa datasets export {spec} --table {name}.parquet",
    ]
