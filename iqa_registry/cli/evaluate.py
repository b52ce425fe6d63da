"""``iqa evaluate``: the main job."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from iqa_registry.cli import render
from iqa_registry.errors import IQAError, UsageError

if TYPE_CHECKING:
    import polars as pl

    from iqa_registry.evaluation.options import Options
    from iqa_registry.evaluation.runner import Outcome, Run, Started
    from iqa_registry.images.pairs import Pair
    from iqa_registry.registry import Registry

DEFAULT_METRICS = ("psnr", "ssim")
INPUT, IMAGES, RUNNING, PRINTING = "Input", "Images and intensity", "Running", "Output"


def evaluate(
    synthesized: Annotated[
        str | None, typer.Argument(help="A synthesized image or volume, a folder of them, or a DICOM series.")
    ] = None,
    reference: Annotated[
        str | None, typer.Argument(help="The reference, likewise; folders match by name.")
    ] = None,
    metric: Annotated[
        list[str] | None,
        typer.Option(
            "--metric", "-m", help="A metric, NAME or NAME:KEY=VALUE,...; may be repeated. See `iqa list`."
        ),
    ] = None,
    pairs: Annotated[
        Path | None,
        typer.Option(
            help="A manifest (CSV or Parquet): synthesized, reference, optional mask, further columns."
        ),
    ] = None,
    dataset: Annotated[
        str | None, typer.Option(help="A dataset of a plugin, NAME:PATH; see `iqa plugins`.")
    ] = None,
    output: Annotated[
        Path | None,
        typer.Option(
            "--output", "-o", help="Run folder: scores land there, and a killed run goes on from it."
        ),
    ] = None,
    fresh: Annotated[bool, typer.Option("--fresh", help="Start the run folder over.")] = False,
    axis: Annotated[
        str, typer.Option(help="Axis along which volumes are cut: axial, coronal, sagittal.")
    ] = "axial",
    slices: Annotated[
        str | None, typer.Option(help="Slices of a volume, FIRST:LAST as in Python (50:80).")
    ] = None,
    mask: Annotated[
        Path | None, typer.Option(help="A mask, or a folder matched by name: scores inside it are added.")
    ] = None,
    regions: Annotated[
        list[str] | None, typer.Option(help="A region of a label map, NAME=LABEL,LABEL; may be repeated.")
    ] = None,
    foreground: Annotated[
        bool, typer.Option("--foreground", help="Add scores inside the reference's nonzero region.")
    ] = False,
    intensity: Annotated[
        str | None,
        typer.Option(
            help="dtype | range=LO,HI | reference-percentile=LO,HI | each-percentile=LO,HI | none. "
            "By default dtype for 8 and 16 bit pictures, reference-percentile=0.5,99.5 for everything else."
        ),
    ] = None,
    out_of_range: Annotated[
        str, typer.Option(help="Values outside the limits: clip (and count) or error.")
    ] = "clip",
    allow_scale_mismatch: Annotated[
        bool, typer.Option("--allow-scale-mismatch", help="Score pairs whose value ranges plainly disagree.")
    ] = False,
    resample: Annotated[
        str | None, typer.Option(help="`reference` brings synthesized volumes onto the reference's grid.")
    ] = None,
    resize: Annotated[
        bool, typer.Option("--resize", help="Resize pictures to the reference's size.")
    ] = False,
    crop: Annotated[
        bool, typer.Option("--crop", help="Crop both pictures centrally to their common size.")
    ] = False,
    device: Annotated[str, typer.Option(help="auto, cpu, cuda or cuda:N.")] = "auto",
    precision: Annotated[str, typer.Option(help="fp32, or bf16 for metrics that allow it.")] = "fp32",
    batch_size: Annotated[str, typer.Option(help="Images per batch, or auto.")] = "auto",
    workers: Annotated[int, typer.Option(help="Threads that read images ahead.")] = 2,
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
    debug: Annotated[bool, typer.Option("--debug", help="Show the traceback of errors.")] = False,
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
    options = _options(
        {
            "intensity": intensity, "out_of_range": out_of_range, "allow_scale_mismatch": allow_scale_mismatch,
            "axis": axis, "slices": slices, "foreground": foreground, "regions": regions or [],
            "resample": resample, "resize": resize, "crop": crop, "details": details, "check_shift": shift_check,
            "device": device, "precision": precision, "batch_size": batch_size, "workers": workers, "strict": strict,
        }
    )  # fmt: skip
    from iqa_registry.registry import build_registry

    registry = build_registry()
    request = _Request(synthesized, reference, pairs, dataset, mask)
    if regions and mask is None and not (pairs or dataset):
        raise UsageError("--regions names labels of a mask; give it with --mask.")
    chosen, unmatched = request.collect(registry)
    run, started = _start(registry, chosen, metric or list(DEFAULT_METRICS), options)
    for line in unmatched:
        render.warn(f"not scored: {line}")
    outcome = _execute(run, output, fresh, request.arguments())
    _print(outcome, group_by.split(",") if group_by else [], "json" if as_json else "csv" if as_csv else None)
    _report(outcome, started, unmatched, output)


class _Request:
    """Where the pairs come from."""

    def __init__(
        self,
        synthesized: str | None,
        reference: str | None,
        pairs: Path | None,
        dataset: str | None,
        mask: Path | None,
    ) -> None:
        self.given = {"images": synthesized, "--pairs": pairs, "--dataset": dataset}
        self.synthesized, self.reference, self.pairs, self.dataset = synthesized, reference, pairs, dataset
        self.mask = mask
        named = [name for name, value in self.given.items() if value is not None]
        if len(named) > 1:
            raise UsageError(f"{' and '.join(named)} contradict each other; choose one.")
        if mask is not None and synthesized is None:
            raise UsageError("--mask goes with two images or folders; a manifest has a column for it.")

    def arguments(self) -> dict[str, Any]:
        """What the run record keeps."""
        return {
            name: None if value is None else str(value)
            for name, value in vars(self).items()
            if name != "given"
        }

    def collect(self, registry: Registry) -> tuple[list[Pair], list[str]]:
        """The pairs, and what was left unmatched."""
        from iqa_registry.images.pairs import pair_paths, read_manifest

        if self.dataset is not None:
            return list(registry.dataset(self.dataset).pairs()), []
        if self.pairs is not None:
            found = read_manifest(self.pairs)
        elif self.synthesized is not None:
            found = pair_paths(self.synthesized, self.reference, self.mask)
        else:
            from iqa_registry.sample import MANIFEST, NOTICE

            render.warn(NOTICE)
            found = read_manifest(MANIFEST)
        return list(found.pairs), list(found.unmatched)


def _options(given: dict[str, Any]) -> Options:
    from iqa_registry.evaluation.options import make_options
    from iqa_registry.images.masks import parse_regions

    given["regions"] = parse_regions(given["regions"])
    if given["resample"] not in (None, "reference"):
        raise UsageError(f"--resample {given['resample']!r}: the one choice is `reference`.")
    given["resample"] = given["resample"] is not None
    size = given["batch_size"]
    if size != "auto" and not size.isdigit():
        raise UsageError(f"--batch-size {size!r}: expected auto or a number of at least 1.")
    given["batch_size"] = None if size == "auto" else int(size)
    return make_options(given)


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
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    from iqa_registry.evaluation.store import MemoryStore, RunFolder

    console = Console(stderr=True)
    columns = (TextColumn("scoring"), BarColumn(), MofNCompleteColumn(), _Rate(), TimeRemainingColumn())
    with Progress(*columns, console=console, disable=not console.is_terminal, transient=True) as bar:
        task = bar.add_task("scoring", total=len(run.items))

        def progress(done: int, total: int) -> None:
            bar.update(task, completed=done, total=total)

        if output is None:
            return run.execute(MemoryStore(), progress)
        with RunFolder(output).opened(run.record(arguments), fresh) as store:
            return run.execute(store, progress)


def _rate_text(speed: float | None) -> str:
    return "" if not speed else f"{speed:.1f} pairs/s"


def _Rate() -> Any:  # noqa: N802 - stands among rich's column classes
    from rich.progress import ProgressColumn, Task
    from rich.text import Text as RichText

    class Rate(ProgressColumn):
        """Pairs a second."""

        def render(self, task: Task) -> RichText:
            return RichText(_rate_text(task.finished_speed or task.speed))

    return Rate()


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
        not_scored = {
            "error": row["n_error"],
            "not applicable": row["n_not_applicable"],
            "infinite": row["n_infinite"],
        }
        shown["not scored"] = ", ".join(f"{count} {name}" for name, count in not_scored.items() if count)
        rows.append(shown)
    if not any(row["not scored"] for row in rows):
        for row in rows:
            del row["not scored"]
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
