"""``iqa segment list | train | evaluate | predict``."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from iqa_registry.cli import render
from iqa_registry.cli.arguments import CHANNELS, PATH, flag, group, option
from iqa_registry.cli.progress import progress_bar
from iqa_registry.plugin import build_registry

_segmenter = option("segmenter", default="nnunet")
_size = option(
    "size",
    "patch",
    type=click.IntRange(min=16),
    note="Slices are cropped and padded to it.",
    old=("--patch",),
)


@group()
def segment() -> None:
    """List, train, test and run segmenters, which find lesions for metrics that use them."""


@segment.command("list", examples=("iqa segment list", "iqa segment list --json"))
@option("json")
def list_segmenters(as_json: bool) -> None:
    """List the segmenters, what each is and where it comes from."""
    registry = build_registry()
    rows = [
        {"segmenter": spec.name, "from": str(spec.origin), "summary": spec.summary}
        for spec in registry.segmenters.values()
    ]
    if as_json:
        render.echo_json(rows)
        return
    click.echo(render.table(rows, flexible="summary"))
    render.show_failures(registry)


@segment.command(
    examples=(
        "iqa segment train --dataset phantom:pairs=40,size=128,lesions=1 --size 64 --steps 2 -o MODEL",
        "iqa segment train --dataset brats:/data/BraTS2021 --framework monai --steps 4000 -o MODEL",
    )
)
@option("dataset", required=True, old=("--data",))
@option(
    "--framework",
    section="Model",
    type=click.Choice(["nnunet", "monai"]),
    default="nnunet",
    old=("--segmenter",),
    help="Train a model of nnU-Net v2 (a folder) or of MONAI (model.safetensors in the folder).",
)
@option("--architecture", section="Model", default="AttentionUnet", metavar="NAME", help="Network of MONAI.")
@option(
    "--channels",
    section="Model",
    type=CHANNELS,
    metavar="N+N+...",
    help="Channels of the stages. By default those of a small network.",
)
@option("start", note="An earlier result of this command. By default random weights.")
@_size
@option(
    "--steps",
    section="Training",
    type=click.IntRange(min=1),
    default=1000,
    metavar="N",
    help="Optimizer steps.",
)
@option("batch-size", "batch", type=click.IntRange(min=1), metavar="N", default=8, old=("--batch",))
@option(
    "--learning-rate",
    "rate",
    section="Training",
    type=click.FloatRange(0, min_open=True),
    default=2e-3,
    metavar="RATE",
    old=("--rate",),
    help="Highest learning rate.",
)
@option(
    "--dice",
    section="Training",
    type=click.Choice(["batch", "image"]),
    default="batch",
    help="Compute the Dice coefficient of the loss over the batch, or per slice.",
)
@option(
    "--held-out-share",
    "held_out",
    section="Training",
    type=click.FloatRange(0, 1, min_open=True, max_open=True),
    default=0.1,
    metavar="SHARE",
    old=("--held-out",),
    help="Share of the subjects that are held out to measure the result.",
)
@option("precision")
@option("device")
@option("seed")
@option("output", required=True)
def train(dataset: str, output: Path, **settings: Any) -> None:
    """Train a 2-D network that finds lesions in single images of any of the dataset's modalities.

    Every modality of every subject with a label map is a training image, which is flipped, rotated, scaled and degraded
    at random. The last subjects are held out. Their Dice coefficients are printed and kept in a JSON file.
    """
    from iqa_registry.evaluation.options import choose_device
    from iqa_segmentation.training.run import run

    settings["device"] = choose_device(settings["device"])
    plan = _plan(dataset, settings)
    out = output if plan.segmenter == "nnunet" else output / "model.safetensors"
    opened = build_registry().dataset(dataset)
    with progress_bar("reading", "slices") as reading, progress_bar("training", "steps") as training:
        rows = run(plan, opened, out, (reading, training))
    click.echo(render.table(_shown(rows)))
    spec = plan.segmenter + ":" + ("" if plan.segmenter == "nnunet" else "weights=") + str(out)
    click.echo(f"use it with --segmenter {spec}")


def _plan(dataset: str, settings: dict[str, Any]) -> Any:
    from iqa_segmentation.training.loop import Recipe
    from iqa_segmentation.training.run import Plan

    kind = settings["framework"]
    recipe_names = ("steps", "batch", "rate", "seed", "dice", "precision", "device")
    return Plan(
        kind,
        Recipe(**{name: settings[name] for name in recipe_names}),
        settings["architecture"],
        settings["channels"],
        settings["patch"],
        settings["held_out"],
        settings["start"],
        _told(dataset, settings),
    )


def _told(dataset: str, settings: dict[str, Any]) -> str:
    """The command for the record, with defaults, without the folder."""
    given = {"dataset": dataset, **settings}
    if given["channels"]:
        given["channels"] = "+".join(map(str, given["channels"]))
    if given["framework"] == "nnunet":
        del given["architecture"]
    params = click.get_current_context().command.params
    told = [f"{item.opts[0]} {given[item.name]}" for item in params if given.get(item.name) is not None]
    return " ".join(["iqa segment train", *told])


@segment.command(
    examples=(
        "iqa segment evaluate --dataset phantom:pairs=8,size=128 --size 128",
        "iqa segment evaluate --dataset brats:/data/BraTS2021 --segmenter nnunet:MODEL --json",
    )
)
@option("dataset", required=True, old=("--data",))
@_segmenter
@_size
@flag(
    "--synthesized-images",
    "Measure on the synthesized images of the pairs instead of the subjects' own images.",
    "Input",
    old=("--synthesized",),
)
@option("json")
def evaluate(segmenter: str, dataset: str, patch: int, synthesized_images: bool, as_json: bool) -> None:
    """Measure a segmenter on a dataset with label maps: Dice, and false alarms where there is no lesion."""
    from iqa_segmentation.training.samples import collect, collect_synthesized
    from iqa_segmentation.training.scores import measure

    registry = build_registry()
    built, opened = registry.segmenter(segmenter), registry.dataset(dataset)
    if synthesized_images:
        samples = collect_synthesized(opened, patch)
    else:
        with progress_bar("reading", "slices") as progress:
            samples = collect(opened, patch, progress)
    rows = measure(built, samples)
    if as_json:
        render.echo_json(rows)
        return
    click.echo(render.table(_shown(rows)))


def _shown(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [
        {
            "modality": row["modality"],
            "with lesion": row["slices"],
            "Dice": render.number(row["dice"], 3),
            "without": row["healthy"],
            "false alarms": render.number(row["false_alarms"], 3),
            "pixels": render.number(row["false_area"], 3),
        }
        for row in rows
    ]


@segment.command(
    examples=(
        "iqa segment predict brain.nii.gz labels.nii.gz",
        "iqa segment predict slice.png labels.png --segmenter nnunet:MODEL",
    )
)
@click.argument("image", type=PATH)
@click.argument("file", type=PATH, required=False, metavar="FILE")
@_segmenter
@option("--output", "-o", "old_file", type=PATH, hidden=True)
def predict(image: Path, file: Path | None, segmenter: str, old_file: Path | None) -> None:
    """Write the label map of IMAGE to FILE: NIfTI for a volume, PNG for a 2-D image.

    The label map is on the grid of IMAGE.
    """
    out = file or old_file
    if out is None:
        raise click.UsageError("Missing argument 'FILE'.", click.get_current_context())
    from iqa_segmentation.files import check_output, segment_file

    check_output(image, out)
    labels = segment_file(build_registry().segmenter(segmenter), image, out)
    found = {int(label): int((labels == label).sum()) for label in set(labels.ravel().tolist()) if label}
    counts = (
        ", ".join(f"{count} of label {label}" for label, count in sorted(found.items())) or "no structure"
    )
    click.echo(f"{counts} in {labels.size} pixels; {out}")
