"""``iqa evaluate``: the main job."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import click

from iqa_registry.cli import arguments, render
from iqa_registry.cli.arguments import flag, option
from iqa_registry.cli.progress import progress_bar
from iqa_registry.cli.request import open_request, read_options, warn_of_labels
from iqa_registry.errors import IQAError, UsageError
from iqa_registry.naming import split_metrics

if TYPE_CHECKING:
    import polars as pl

    from iqa_registry.evaluation.evaluate import Outcome, Started
    from iqa_registry.evaluation.options import Options
    from iqa_registry.evaluation.store import RunFolder
    from iqa_registry.inputs import Inputs
    from iqa_registry.registry import Registry


@arguments.command(
    examples=(
        "iqa evaluate fake.nii.gz real.nii.gz --metric ssim --slices 50:80 -o run",
        'iqa evaluate "fake/{model}/{case}_fake_B.png" "real/{case}_real_B.png" --group-by model',
        "iqa evaluate --pairs pairs.csv --metric lpips --group-by model",
    ),
    resumes=True,
)
@arguments.images
@option("metric")
@arguments.grid
@arguments.masks
@arguments.scale
@option("planes")
@option("empty")
@option("components")
@option(
    "check_shift",
    "--shift-check/--no-shift-check",
    help="Warn about pairs shifted by a pixel or more.",
    section="Images",
    default=True,
)
@option(
    "align",
    "--align",
    type=click.Choice(("translation",)),
    default=None,
    help="Also score 2-D images and slices at their best whole-pixel shift, as the region aligned.",
    section="Images",
)
@option(
    "align_range",
    "--align-range",
    type=click.IntRange(min=1),
    metavar="PIXELS",
    default=5,
    help="Largest shift that --align tries along rows and columns.",
    section="Images",
)
@option("group-by")
@option(
    "pool",
    note="Adds the mean by volume, or by subject, weighted by the size of the region.",
    type=click.Choice(("volume", "subject")),
    default=None,
)
@option(
    "units",
    "--units",
    type=click.Choice(("scaled", "native")),
    default="scaled",
    help="Show errors scaled to [0, 1], or in the unit of the stored values (HU), as the column score_native has them.",
    section="Statistics",
)
@option("device")
@option("precision")
@option("batch-size")
@option("workers")
@flag("--strict", "Stop at the first pair that is not scored.", section="Running")
@option("output", note="Repeat the command to resume an interrupted run.")
@option("fresh")
@flag(
    "--verify",
    "Read every file again, and score again where one holds something else than then.",
    section="Output",
)
@option("json", note="Prints the score table instead of the summary.")
@option("csv", note="Prints the score table instead of the summary.")
def evaluate(
    synthesized: str | None,
    reference: str | None,
    pairs: Path | None,
    dataset: str | None,
    mask: Path | None,
    labels: Path | None,
    metric: tuple[str, ...],
    output: Path | None,
    fresh: bool,
    verify: bool,
    group_by: tuple[str, ...],
    pool: Literal["volume", "subject"] | None,
    as_json: bool,
    as_csv: bool,
    units: str,
    **settings: Any,
) -> None:
    """Score synthesized images against their references.

    SYNTHESIZED and REFERENCE are two images or volumes, two folders matched by name, two DICOM series, or two quoted
    templates whose placeholders match the files: "fake/{model}/{case}_fake_B.png" "real/{case}_real_B.png".

    Without images, the bundled sample is scored. Exit code: 0 all scored, 1 something was not, 2 wrong usage.
    A mask that does not reach an image, and images that are empty in both, count as scored.
    """
    arguments.check_output(as_json, as_csv)
    folder = _folder(output, fresh, verify)
    options = read_options(settings)
    from iqa_registry.registry import build_registry

    registry = build_registry()
    metric = tuple(split_metrics(metric, registry.metrics))
    for name in metric:
        registry.metric_spec(name)
    given = {
        "synthesized": synthesized, "reference": reference, "pairs": pairs, "dataset": dataset,
        "mask": mask, "labels": labels,
    }  # fmt: skip
    inputs, options = open_request(given, options, registry)
    _check_groups(inputs, group_by)
    started = _start(registry, metric, options, inputs)
    outcome = _evaluate(inputs, started, options, registry, folder)
    form = "json" if as_json else "csv" if as_csv else None
    _print(_pooled(outcome, pool, group_by), list(group_by), form, units)
    _report(outcome, output)


def _check_groups(inputs: Inputs, group_by: tuple[str, ...]) -> None:
    """Name a wrong column before anything is scored."""
    from iqa_registry.evaluation.summary import check_groups
    from iqa_registry.tables.schema import table_types

    check_groups(group_by, table_types(pair.groups for pair in inputs.pairs))


def _start(registry: Registry, metrics: Sequence[str], options: Options, inputs: Inputs) -> Started:
    from iqa_registry.evaluation.chosen import DEFAULT_METRICS
    from iqa_registry.evaluation.evaluate import start_metrics
    from iqa_registry.evaluation.options import choose_device
    from iqa_registry.images.layouts import check_layouts

    started = start_metrics(registry, metrics or DEFAULT_METRICS, choose_device(options.device))
    for reason in started.failed.values():
        render.warn(f"error: {reason}")
    if not started.ready:
        raise IQAError("none of the metrics can start.")
    check_layouts(inputs.pairs, options.layout, {item.dimensions for item in started.ready})
    warn_of_labels(options, started.ready)
    return started


def _folder(output: Path | None, fresh: bool, verify: bool) -> RunFolder | None:
    if fresh and output is None:
        raise UsageError("--fresh discards what is in a run folder. Name it with -o.")
    if verify and output is None:
        raise UsageError("--verify compares the files with those of a run folder. Name it with -o.")
    from iqa_registry.evaluation.store import RunFolder

    return None if output is None else RunFolder(output, fresh, verify)


def _evaluate(
    inputs: Inputs, started: Started, options: Options, registry: Registry, folder: RunFolder | None
) -> Outcome:
    from iqa_registry.evaluation import evaluate as engine

    for line in inputs.left_out:
        render.warn(f"left out: {line}")
    with progress_bar("scoring") as progress:
        return engine.evaluate(inputs, started, options, registry, folder, progress)


def _pooled(
    outcome: Outcome, level: Literal["volume", "subject"] | None, group_by: tuple[str, ...]
) -> Outcome:
    if level is None:
        return outcome
    from iqa_registry.evaluation.pooling import mixed_columns, pool

    table = pool(outcome.table, level, group_by)
    if table.height == outcome.table.height:
        what = "no volumes" if level == "volume" else "no subjects that are known"
        render.warn(f"note: --pool {level} adds nothing: there are {what}.")
    for name, values in mixed_columns(outcome.table, group_by).items() if level == "subject" else ():
        some = ", ".join(map(str, values[:3]))
        render.warn(
            f"note: the scores of a subject are pooled over its values of {name} ({some}); "
            f"keep these apart with --group-by {name}."
        )
    return replace(outcome, table=table)


def _print(outcome: Outcome, group_by: list[str], form: str | None, units: str) -> None:
    if form == "json":
        from iqa_registry.tables.writing import as_json

        click.echo(as_json(outcome.table), nl=False)
    elif form == "csv":
        from iqa_registry.tables.writing import as_csv

        click.echo(as_csv(outcome.table), nl=False)
    else:
        from iqa_registry.evaluation.summary import in_native_units, interval_notes, summarize

        table, notes = in_native_units(outcome.table) if units == "native" else (outcome.table, [])
        if table.is_empty():
            table = outcome.table
        summary = summarize(table, group_by)
        click.echo(render.table(_summary_rows(summary, group_by)))
        for line in [*notes, *interval_notes(summary)]:
            render.warn(f"note: {line}")


def _summary_rows(summary: pl.DataFrame, group_by: list[str]) -> list[dict[str, Any]]:
    from iqa_registry.tables.schema import wide_name

    rows = []
    for row in summary.iter_rows(named=True):
        shown = {name: row[name] for name in group_by} | {
            "metric": f"{wide_name(row['metric'], row['component'])} {render.ARROWS[row['higher_is_better']]}",
            "region": row["region"],
            **({"plane": row["plane"] or ""} if "plane" in row else {}),
            **({"level": row["level"]} if "level" in row else {}),
            "dims": f"{row['dimensions']}-D",
            "n": row["n"],
            "mean": render.number(row["mean"]),
            "std": render.number(row["std"]),
            "95 % interval": render.interval(row, "ci"),
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


def _report(outcome: Outcome, output: Path | None) -> None:
    """Say on stderr what was not scored, and end with exit code 1 if there is any."""
    from iqa_registry.evaluation.items import BOTH_EMPTY
    from iqa_registry.evaluation.summary import failures, gathered, problems, shifted_pairs

    if outcome.stopped:
        raise IQAError(f"stopped (--strict): {outcome.stopped}")
    found = problems(outcome.table)
    lines = gathered(found)
    for status, message, count in lines[:20]:
        times = f" ({count} rows)" if count > 1 else ""
        if message == BOTH_EMPTY:
            message += " (score them with --empty score)"
        render.warn(f"{status.replace('_', ' ')}: {message}{times}")
    if len(lines) > 20:
        render.warn(f"... and {len(lines) - 20} further reasons; see the column `message` of the table.")
    for remark in outcome.remarks:
        render.warn(f"note: {remark}")
    for message, more in outcome.notes:
        render.warn(f"note: {message}{f' (and {more} more; see the column notes)' if more else ''}")
    count, largest = shifted_pairs(outcome.table)
    if count:
        render.warn(
            f"warning: {count} pairs seem shifted by a pixel or more (largest {largest:.1f} px), which dominates PSNR; "
            "see the column `shift`."
        )
    if output is not None:
        render.warn(f"{outcome.table.height} rows in {output}/scores, settings in {output}/run.json")
    if failures(outcome.table) or outcome.failed or outcome.left_out:
        raise click.exceptions.Exit(1)
