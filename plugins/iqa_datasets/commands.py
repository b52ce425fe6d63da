"""``iqa datasets list | info | export | build-nirps``."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from iqa_registry.cli import render
from iqa_registry.cli.arguments import PATH, as_json, flag
from iqa_registry.cli.progress import progress_bar
from iqa_registry.errors import UsageError
from iqa_registry.registry import Registry, build_registry, find

if TYPE_CHECKING:
    from iqa_registry.specs import RegisteredDataset

SHOWN = 20
"""How many lines of what was left out are printed."""


@click.group()
def datasets() -> None:
    """List, describe, export and build datasets."""


@datasets.command("list")
@as_json
def list_datasets(as_json: bool) -> None:
    """List the datasets: name, license, whether what they need is installed, plugin."""
    registry = build_registry()
    rows = [_facts(spec) for spec in registry.datasets.values()]
    if as_json:
        render.echo_json(rows)
        return
    shown = [
        {
            "dataset": row["name"],
            "ready": "yes" if row["ready"] else f'pip install "{row["distribution"]}[{row["extra"]}]"',
            "license": row["license"],
            "from": f"{row['distribution']} {row['version']}",
            "summary": row["summary"],
        }
        for row in rows
    ]
    click.echo(render.table(shown, flexible="summary"))
    render.show_failures(registry)


@datasets.command()
@click.argument("name")
@as_json
def info(name: str, as_json: bool) -> None:
    """Show what the dataset NAME is: parameters, labels, license, an example."""
    registry = build_registry()
    spec = find(registry.datasets, name, "datasets")
    facts = _facts(spec)
    parameters = _parameters(registry, spec)
    factory = _factory(spec)
    labels = {key: list(value) for key, value in getattr(factory, "label_names", {}).items()}
    examples = _examples(name, [row["parameter"] for row in parameters if row["default"] == "required"])
    description = _description(factory)
    if as_json:
        extra = {"description": description, "parameters": parameters, "labels": labels, "examples": examples}
        render.echo_json(facts | extra)
        return
    click.echo(f"{name}: {spec.summary}\n\n{description}\n")
    lines = {
        "license": spec.license,
        "plugin": str(spec.origin),
        "needs extra": f"{spec.extra} ({'installed' if facts['ready'] else 'not installed'})"
        if spec.extra
        else "",
        "labels": ", ".join(f"{key} {'+'.join(map(str, value))}" for key, value in labels.items()),
    }
    for label, value in lines.items():
        if value:
            click.echo(f"  {label:<14}{value}")
    click.echo("\nParameters\n" + render.table(parameters, flexible="description"))
    click.echo("\nExamples\n" + "\n".join(f"  {line}" for line in examples))


@datasets.command()
@click.argument("spec")
@click.option(
    "--output",
    "-o",
    type=PATH,
    required=True,
    help="File to write; its suffix sets the format: .parquet, .csv, .csv.gz, .tsv, .json, .md, .tex, .xlsx.",
)
@flag("--force", "Replace a file that is there.")
def export(spec: str, output: Path, force: bool) -> None:
    """Write the table of the dataset SPEC: one row a pair with its group columns and ratings.

    Exit code 1 if anything was left out; it is named.
    """
    from iqa_registry.tables import writing

    writing.check_suffix(output)
    if output.exists() and not force:
        raise UsageError(f"{output}: is there already; give --force to replace it.")
    dataset = build_registry().dataset(spec)
    table = dataset.table()
    writing.write_table(output, table)
    click.echo(f"{table.height} rows, {table.width} columns in {output}")
    _report(dataset.left_out)


@datasets.command("build-nirps")
@click.argument("out", type=PATH)
@click.option("--reference", required=True, type=PATH, help="Folder of reference slices.")
@click.option(
    "--synthesized",
    multiple=True,
    metavar="MODEL:EPOCH=FOLDER",
    help="Folder of one model's slices at one epoch, named as the references; may be repeated.",
)
@click.option(
    "--models", type=PATH, help="Instead: a folder that holds MODEL/epoch_K/ folders of such slices."
)
@click.option(
    "--dataset", required=True, metavar="NAME", help="What the data set is called in the tree (ixi)."
)
@click.option("--modality", required=True, metavar="NAME", help="The modality that was synthesized (t2).")
@click.option("--ratings", type=PATH, help="Table (CSV or Parquet) with model, epoch, slice_id and rating.")
@click.option(
    "--metric", "-m", multiple=True, metavar="NAME", help="Scores to write; mae, psnr and ssim by default."
)
@click.option(
    "--intensity",
    metavar="RULE",
    help="How stored numbers become [0, 1], as for `iqa evaluate`; 8 and 16 bit pictures by their type.",
)
@flag("--force", "Replace this modality where the tree has it already.")
def build_nirps(
    out: Path,
    reference: Path,
    synthesized: tuple[str, ...],
    models: Path | None,
    dataset: str,
    modality: str,
    ratings: Path | None,
    metric: tuple[str, ...],
    intensity: str | None,
    force: bool,
) -> None:
    """Write a tree like NIRPS into the folder OUT, from slices of one modality.

    OUT/nirps_dataset/DATASET/MODALITY/MODEL/epoch_K/SLICE/ gets img.png (8 bit) and a file for each score of that
    picture; ratings go to artificial.txt. Exit code 1 if anything was left out; it is named.
    """
    from iqa_datasets.nirps_build import Build, find_models, parse_models

    if bool(synthesized) == (models is not None):
        raise UsageError(
            "name the synthesized slices, with --synthesized MODEL:EPOCH=FOLDER or with --models FOLDER."
        )
    folders = parse_models(synthesized) if models is None else find_models(models)
    build = Build(out, dataset, modality, metric or ("mae", "psnr", "ssim"), intensity)
    with progress_bar("building") as progress:
        made = build.run(build_registry(), reference, folders, ratings, force, progress)
    click.echo(
        f"{made.images} images of {len(folders)} models and epochs, {made.rated} rated, in {made.folder}"
    )
    _report(made.left_out)


def _report(left_out: Sequence[str]) -> None:
    """Name what was left out, and end with exit code 1 if there is any."""
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
    return [f"iqa evaluate --dataset {spec} --metric psnr", f"iqa datasets export {spec} -o {name}.parquet"]
