"""``iqa evaluate``: the main job."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from iqa_registry.cli import arguments, render
from iqa_registry.cli.progress import progress_bar
from iqa_registry.cli.request import Request, read_options
from iqa_registry.errors import IQAError, UsageError

if TYPE_CHECKING:
    import polars as pl

    from iqa_registry.evaluation.options import Options
    from iqa_registry.evaluation.runner import Outcome, Run, Started
    from iqa_registry.images.pairs import Pair
    from iqa_registry.registry import Registry

DEFAULT_METRICS = ("psnr", "ssim")


def evaluate(
    synthesized: arguments.Synthesized = None,
    reference: arguments.Reference = None,
    metric: arguments.Metrics = None,
    pairs: arguments.Pairs = None,
    dataset: arguments.Dataset = None,
    output: Annotated[
        Path | None,
        typer.Option(
            "--output", "-o", help="Run folder: scores land there, and a killed run goes on from it."
        ),
    ] = None,
    fresh: Annotated[bool, typer.Option("--fresh", help="Start the run folder over.")] = False,
    axis: arguments.Axis = "axial",
    slices: arguments.Slices = None,
    mask: Annotated[
        Path | None, typer.Option(help="A mask, or a folder matched by name: scores inside it are added.")
    ] = None,
    regions: arguments.Regions = None,
    foreground: Annotated[
        bool, typer.Option("--foreground", help="Add scores inside the reference's nonzero region.")
    ] = False,
    intensity: arguments.Intensity = None,
    out_of_range: arguments.OutOfRange = "clip",
    allow_scale_mismatch: arguments.ScaleMismatch = False,
    resample: arguments.Resample = None,
    resize: arguments.Resize = False,
    crop: arguments.Crop = False,
    device: arguments.Device = "auto",
    precision: Annotated[str, typer.Option(help="fp32, or bf16 for metrics that allow it.")] = "fp32",
    batch_size: Annotated[str, typer.Option(help="Images per batch, or auto.")] = "auto",
    workers: arguments.Workers = 2,
    strict: Annotated[
        bool, typer.Option("--strict", help="Stop at the first pair that is not scored.")
    ] = False,
    details: Annotated[
        bool, typer.Option("--details", help="Add the parts of a score, as METRIC[PART].")
    ] = False,
    shift_check: Annotated[bool, typer.Option(help="Warn about pairs shifted by a pixel or more.")] = True,
    group_by: Annotated[
        str | None, typer.Option(help="Columns to group the summary by, COLUMN,COLUMN.")
    ] = None,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print the score table as JSON, no summary.")
    ] = False,
    as_csv: Annotated[bool, typer.Option("--csv", help="Print the score table as CSV, no summary.")] = False,
    debug: arguments.Debug = False,
) -> None:
    """Score synthesized images against their references.

    Without images, the bundled sample is scored. Exit code: 0 all scored, 1 something was not, 2 wrong usage.
    """
    import os

    if debug:
        os.environ["IQA_DEBUG"] = "1"
    if as_json and as_csv:
        raise UsageError("--json and --csv contradict each other; choose one.")
    if fresh and output is None:
        raise UsageError("--fresh starts a run folder over; name it with -o.")
    options = read_options(
        {
            "intensity": intensity, "out_of_range": out_of_range, "allow_scale_mismatch": allow_scale_mismatch,
            "axis": axis, "slices": slices, "foreground": foreground, "regions": regions or [],
            "resample": resample, "resize": resize, "crop": crop, "details": details, "check_shift": shift_check,
            "device": device, "precision": precision, "batch_size": batch_size, "workers": workers, "strict": strict,
        }
    )  # fmt: skip
    from iqa_registry.registry import build_registry

    registry = build_registry()
    request = Request(synthesized, reference, pairs, dataset, mask)
    if regions and mask is None and not (pairs or dataset):
        raise UsageError("--regions names labels of a mask; give it with --mask.")
    chosen, unmatched = request.collect(registry)
    run, started = _start(registry, chosen, metric or list(DEFAULT_METRICS), options)
    for line in unmatched:
        render.warn(f"not scored: {line}")
    outcome = _execute(run, output, fresh, request.arguments())
    _print(outcome, group_by.split(",") if group_by else [], "json" if as_json else "csv" if as_csv else None)
    _report(outcome, started, unmatched, output)


def _start(
    registry: Registry, pairs: list[Pair], metrics: list[str], options: Options
) -> tuple[Run, Started]:
    from iqa_registry.evaluation.options import choose_device
    from iqa_registry.evaluation.runner import Run, start_metrics

    device = choose_device(options.device)
    started = start_metrics(registry, metrics, device)
    for reason in started.failed.values():
        render.warn(f"error: {reason}")
    if not started.ready:
        raise IQAError("none of the metrics can start.")
    return Run(pairs, started, options, device), started


def _execute(run: Run, output: Path | None, fresh: bool, arguments: dict[str, Any]) -> Outcome:
    from iqa_registry.evaluation.store import MemoryStore, RunFolder

    with progress_bar("scoring") as progress:
        if output is None:
            return run.execute(MemoryStore(), progress)
        with RunFolder(output).opened(run.record(arguments), fresh) as store:
            return run.execute(store, progress)


def _print(outcome: Outcome, group_by: list[str], form: str | None) -> None:
    if form == "json":
        render.echo_json(outcome.table.to_dicts())
    elif form == "csv":
        typer.echo(outcome.table.write_csv(), nl=False)
    else:
        from iqa_registry.evaluation.summary import summarize

        typer.echo(render.table(_summary_rows(summarize(outcome.table, group_by), group_by)))


def _summary_rows(summary: pl.DataFrame, group_by: list[str]) -> list[dict[str, Any]]:
    rows = []
    for row in summary.iter_rows(named=True):
        interval = f"{render.number(row['ci_low'])} to {render.number(row['ci_high'])}"
        shown = {name: row[name] for name in group_by} | {
            "metric": f"{row['metric']} {render.ARROWS[row['higher_is_better']]}",
            "region": row["region"],
            "dims": f"{row['dimensions']}-D",
            "n": row["n"],
            "mean": render.number(row["mean"]),
            "std": render.number(row["std"]),
            "95 % interval": interval if row["ci_low"] is not None else "",
        }
        notes = {
            "error": row["n_error"],
            "not applicable": row["n_not_applicable"],
            "infinite": row["n_infinite"],
        }
        shown["notes"] = ", ".join(f"{count} {name}" for name, count in notes.items() if count)
        rows.append(shown)
    if not any(row["notes"] for row in rows):
        for row in rows:
            del row["notes"]
    return rows


def _report(outcome: Outcome, started: Started, unmatched: list[str], output: Path | None) -> None:
    """Say on stderr what was not scored, and end with exit code 1 if there is any."""
    from iqa_registry.evaluation.summary import problems, shifted_pairs

    if outcome.stopped:
        raise IQAError(f"stopped (--strict): {outcome.stopped}")
    found = problems(outcome.table)
    for status, message, count in found[:20]:
        times = f" ({count} rows)" if count > 1 else ""
        render.warn(f"{status.replace('_', ' ')}: {message}{times}")
    if len(found) > 20:
        render.warn(f"... and {len(found) - 20} further reasons; see the column `message` of the table.")
    count, largest = shifted_pairs(outcome.table)
    if count:
        render.warn(
            f"warning: {count} pairs seem shifted by a pixel or more (largest {largest:.1f} px), which dominates PSNR; "
            "see the column `shift`."
        )
    if output is not None:
        render.warn(f"{outcome.table.height} rows in {output}/scores, settings in {output}/run.json")
    if found or started.failed or unmatched:
        raise typer.Exit(1)
