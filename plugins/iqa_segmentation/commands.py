"""``iqa segment list | train | evaluate | predict``."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from iqa_registry.cli import render
from iqa_registry.cli.arguments import PATH, as_json, debug, flag
from iqa_registry.cli.progress import progress_bar
from iqa_registry.errors import UsageError
from iqa_registry.registry import build_registry

_segmenter = click.option(
    "--segmenter",
    default="nnunet",
    show_default=True,
    metavar="SPEC",
    help="NAME or NAME:KEY=VALUE,...; see `iqa segment list`.",
)
_data = click.option("--data", metavar="SPEC", required=True, help="A dataset; see `iqa datasets list`.")


@click.group()
def segment() -> None:
    """List, train, test and run segmenters, which find lesions for metrics that look at them."""


@segment.command("list")
@as_json
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


@segment.command()
@click.option(
    "--segmenter",
    type=click.Choice(["nnunet", "monai"]),
    default="nnunet",
    show_default=True,
    help="nnunet writes a trained-model folder of nnU-Net v2; monai a safetensors file.",
)
@_data
@click.option("-o", "--output", "out", type=PATH, required=True, help="The folder; for monai *.safetensors.")
@click.option(
    "--start", type=PATH, help="Weights to start from: what such a training wrote. Random by default."
)
@click.option("--architecture", default="AttentionUnet", show_default=True, help="Network of MONAI.")
@click.option("--channels", metavar="N+N+...", help="Channels of the stages; a small network by default.")
@click.option(
    "--patch",
    type=click.IntRange(min=16),
    default=256,
    show_default=True,
    help="Side of the slices in pixels.",
)
@click.option(
    "--steps", type=click.IntRange(min=1), default=1000, show_default=True, help="How many batches."
)
@click.option("--batch", type=click.IntRange(min=1), default=8, show_default=True, help="Slices in a batch.")
@click.option(
    "--rate",
    type=click.FloatRange(0, min_open=True),
    default=2e-3,
    show_default=True,
    help="Highest learning rate.",
)
@click.option(
    "--seed",
    type=click.IntRange(min=0),
    default=0,
    show_default=True,
    help="Of weights, order and augmentation.",
)
@click.option(
    "--dice",
    type=click.Choice(["batch", "image"]),
    default="batch",
    show_default=True,
    help="Dice coefficient of the loss: over the batch, or the mean over its slices.",
)
@click.option(
    "--held-out",
    type=click.FloatRange(0, 1, min_open=True, max_open=True),
    default=0.1,
    show_default=True,
    help="Share of the subjects to measure on.",
)
@click.option(
    "--precision",
    type=click.Choice(["fp32", "bf16"]),
    default="fp32",
    show_default=True,
    help="bf16: mixed precision, faster where the processor has it.",
)
@click.option("--device", default="cpu", show_default=True, help="auto, cpu, cuda or cuda:N.")
@debug
def train(out: Path, data: str, **settings: Any) -> None:
    """Train a 2-D network that finds lesions in single images of any of the dataset's modalities.

    Every modality of every subject with a label map is a training image, flipped, turned, scaled and degraded at
    random. The last subjects are held out; their Dice coefficients are printed and kept in training.json.
    """
    from iqa_registry.evaluation.options import choose_device
    from iqa_segmentation.training.run import run

    settings["device"] = choose_device(settings["device"])
    plan = _plan(data, settings)
    dataset = build_registry().dataset(data)
    with progress_bar("reading", "slices") as reading, progress_bar("training", "steps") as training:
        rows = run(plan, dataset, out, (reading, training))
    click.echo(render.table(_shown(rows)))
    spec = plan.segmenter + ":" + ("" if plan.segmenter == "nnunet" else "weights=") + str(out)
    click.echo(f"use it with --segmenter {spec}")


def _plan(data: str, settings: dict[str, Any]) -> Any:
    from iqa_segmentation.training.loop import Recipe
    from iqa_segmentation.training.run import Plan

    kind = settings["segmenter"]
    names = ["steps", "batch", "rate", "seed", "dice", "precision", "device"]
    recipe = Recipe(**{name: settings[name] for name in names})
    told = [f"--segmenter {kind} --data {data}"]
    if kind == "monai":
        told.append(f"--architecture {settings['architecture']}")
    told += [f"--start {settings['start']}"] if settings["start"] else []
    names += ["patch", "held_out", *(["channels"] if settings["channels"] else [])]
    told += [f"--{name.replace('_', '-')} {settings[name]}" for name in names]
    channels = _numbers(settings["channels"]) if settings["channels"] else None
    return Plan(
        kind,
        recipe,
        settings["architecture"],
        channels,
        settings["patch"],
        settings["held_out"],
        settings["start"],
        "iqa segment train " + " ".join(told),
    )


def _numbers(text: str) -> tuple[int, ...]:
    try:
        return tuple(int(part) for part in text.split("+"))
    except ValueError as error:
        raise UsageError(f"--channels {text}: expected whole numbers joined by +, as in 8+16+32.") from error


@segment.command()
@_segmenter
@_data
@click.option(
    "--patch",
    type=click.IntRange(min=16),
    default=256,
    show_default=True,
    help="Slices are cropped and padded to this side.",
)
@flag("--synthesized", "Measure on the synthesized images of the pairs instead of the subjects' own images.")
@as_json
@debug
def evaluate(segmenter: str, data: str, patch: int, synthesized: bool, as_json: bool) -> None:
    """Measure a segmenter against a dataset's label maps: Dice, and false alarms where there is no lesion."""
    from iqa_segmentation.training.samples import collect, collect_synthesized
    from iqa_segmentation.training.scores import measure

    registry = build_registry()
    built, dataset = registry.segmenter(segmenter), registry.dataset(data)
    samples = collect_synthesized(dataset, patch) if synthesized else collect(dataset, patch)
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


@segment.command()
@click.argument("image", type=PATH)
@_segmenter
@click.option(
    "-o", "--output", "out", type=PATH, required=True, help="NIfTI for a volume, PNG for a picture."
)
@debug
def predict(image: Path, segmenter: str, out: Path) -> None:
    """Write the label map of IMAGE, on the grid of its file."""
    from iqa_segmentation.files import check_output, segment_file

    check_output(image, out)
    labels = segment_file(build_registry().segmenter(segmenter), image, out)
    found = {int(label): int((labels == label).sum()) for label in set(labels.ravel().tolist()) if label}
    counts = (
        ", ".join(f"{count} of label {label}" for label, count in sorted(found.items())) or "no structure"
    )
    click.echo(f"{counts} in {labels.size} pixels; {out}")
