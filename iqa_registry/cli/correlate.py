"""``iqa correlate``: metrics against a downstream score, over systems."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from iqa_registry.cli import arguments, render
from iqa_registry.cli.arguments import flag, option
from iqa_registry.errors import IQAError, UsageError

if TYPE_CHECKING:
    from iqa_registry.agreement.similarity import Similarity
    from iqa_registry.agreement.systems import Correlations

NAME = "correlations"


@arguments.command(
    examples=(
        "iqa correlate systems.csv --against dice --group-by task",
        "iqa correlate systems.csv --against dice --metric fid --group-by task -o STUDY --plot",
        "iqa correlate RUN --among-metrics -o STUDY --plot",
    )
)
@click.argument("table", type=click.Path(path_type=Path))
@option(
    "--against",
    section="Input",
    multiple=True,
    metavar="COLUMN",
    old=("--target", "-t"),
    help="Column with a downstream score. May be repeated.",
)
@flag(
    "--among-metrics",
    "Correlate the metrics with each other instead, and group those that agree. TABLE may be a run folder then.",
    "Input",
)
@option(
    "--system",
    section="Input",
    metavar="COLUMN",
    help="Column that names the systems. By default the first column of text.",
)
@option(
    "metric", note="Here the name of a column; by default all other columns of numbers.", shell_complete=None
)
@option("group-by")
@option(
    "--sort-by",
    section="Statistics",
    type=click.Choice(["spearman", "pearson"]),
    default="spearman",
    help="Show the strongest of these correlations first.",
)
@option("seed", note="Used for random pairings of more than 8 systems.")
@option("output")
@option("plot")
@option("json")
@option("csv")
def correlate(
    table: Path,
    against: tuple[str, ...],
    metric: tuple[str, ...],
    group_by: tuple[str, ...],
    system: str | None,
    sort_by: str,
    seed: int,
    as_json: bool,
    as_csv: bool,
    output: Path | None,
    plot: bool,
    among_metrics: bool,
) -> None:
    """Correlate metrics with a downstream score, for example Dice, over systems.

    TABLE (.csv, .csv.gz, .parquet or .json) has one row per system, for example a translation method, and one column
    per score. Pearson's and Spearman's correlations are shown with 95 % intervals (Fisher) and p-values by permutation,
    which are exact for up to 8 systems. A note below says what so few systems can show. With --among-metrics the
    metrics are correlated with each other, over the rows of the table or the images of a run.

    The exit code is 0 if all groups were correlated, 1 if a group had fewer than 3 systems or nothing could be
    correlated, and 2 for wrong usage.
    """
    arguments.check_output(as_json, as_csv, plot, output)
    if among_metrics == bool(against):
        raise UsageError("name a column with --against, or give --among-metrics; one of the two.")
    if among_metrics:
        _among(table, metric, group_by, as_json, as_csv, output, plot)
        return
    found = _correlate(table, against, metric, group_by, system, sort_by, seed)
    for line in found.left_out:
        render.warn(f"left out: {line}")
    if not found.found:
        raise IQAError(f"{table}: no group has values of {', '.join(against)} for 3 systems. Add systems.")
    if output is not None:
        from iqa_registry.agreement.system_report import save_correlations

        written = save_correlations(found.found, output, NAME, plot)
        render.warn(f"{', '.join(path.name for path in written)} in {output}")
    _show(found, as_json, as_csv)
    if found.left_out:
        raise click.exceptions.Exit(1)


def _correlate(
    path: Path,
    targets: Sequence[str],
    metrics: Sequence[str],
    group_by: Sequence[str],
    system: str | None,
    order: str,
    seed: int,
) -> Correlations:
    from iqa_registry.agreement import systems
    from iqa_registry.tables.reading import read_table

    table = read_table(path, commas=True)
    try:
        columns = systems.choose_columns(table, targets, metrics, list(group_by), system)
        return systems.correlate(table, columns, order, seed)
    except UsageError as error:
        raise UsageError(f"{path}: {error}") from error


def _show(found: Correlations, as_json: bool, as_csv: bool) -> None:
    """Print the tables and what they can show: below them, or on stderr where the output is for programs."""
    from iqa_registry.agreement.system_report import heading, p_value_note, power_note, readable_rows
    from iqa_registry.tables.writing import as_csv as to_csv
    from iqa_registry.tables.writing import defined

    rows = defined([item.row() for item in found.found])
    tables = found.tables()
    notes = {heading(items): note for items in tables if (note := power_note(items))}
    if as_json:
        render.echo_json({"correlations": rows, "notes": notes, "left_out": found.left_out})
        return
    if as_csv:
        click.echo(to_csv(rows), nl=False)
        for name, note in notes.items():
            render.warn(f"{name}: {' '.join(note.splitlines())}")
        return
    for items in tables:
        name = heading(items)
        click.echo(f"{name}\n\n{render.table(readable_rows(items))}\n")
        click.echo(f"{p_value_note(items)}\n{notes.get(name, '')}".rstrip() + "\n")


def _among(
    path: Path,
    metrics: Sequence[str],
    group_by: Sequence[str],
    as_json: bool,
    as_csv: bool,
    folder: Path | None,
    plot: bool,
) -> None:
    """Metrics against each other."""
    from iqa_registry.agreement.similarity import draw_similarity
    from iqa_registry.tables.writing import as_csv as to_csv
    from iqa_registry.tables.writing import defined, write_file, write_rows

    found = _similarities(path, metrics, group_by)
    rows = defined([{**group, **row} for group, item in found for row in item.rows()])
    if folder is not None:
        written = write_rows(folder, "metrics", rows)
        for number, (group, item) in enumerate(found if plot else []):
            from iqa_registry.agreement.drawing import to_files

            name = "metrics" if not number else f"metrics-{number + 1}"
            figure = draw_similarity(item, ", ".join(map(str, group.values())))
            written += [write_file(folder / f"{name}{end}", data) for end, data in to_files(figure).items()]
        render.warn(f"{', '.join(item.name for item in written)} in {folder}")
    if as_json:
        render.echo_json(rows)
    elif as_csv:
        click.echo(to_csv(rows), nl=False)
    else:
        for group, item in found:
            _show_similarity(group, item)


def _similarities(
    path: Path, metrics: Sequence[str], group_by: Sequence[str]
) -> list[tuple[dict[str, Any], Similarity]]:
    from iqa_registry.agreement import systems
    from iqa_registry.agreement.scores import Wanted, read_scores
    from iqa_registry.agreement.similarity import similarity
    from iqa_registry.registry import build_registry
    from iqa_registry.tables.reading import read_table
    from iqa_registry.tables.schema import METRIC, REGION, SCORE

    groups = list(group_by)
    table = None if path.is_dir() else read_table(path, commas=True)
    if table is None or {METRIC, SCORE} <= set(table.columns):
        scores = read_scores(str(path), build_registry(), Wanted(metrics))
        table, chosen = scores.table, tuple(scores.metrics)
        several = REGION in table.columns and table[REGION].n_unique() > 1
        groups += [REGION] if several and REGION not in groups else []
    else:
        chosen = systems.choose_columns(table, (), metrics, groups).metrics
    try:
        if not groups:
            return [({}, similarity(table, chosen))]
        parts = table.group_by(groups, maintain_order=True)
        return [(dict(zip(groups, key, strict=True)), similarity(part, chosen)) for key, part in parts]
    except UsageError as error:
        raise UsageError(f"{path}: {error}") from error


def _show_similarity(group: dict[str, Any], found: Similarity) -> None:
    from iqa_registry.agreement.similarity import NEAR

    if group:
        click.echo(", ".join(f"{name} {value}" for name, value in group.items()))
    rows = [
        {"group": str(number), "metric": name}
        | {other: render.number(value, 2) for other, value in zip(found.metrics, values, strict=True)}
        for name, number, values in zip(found.metrics, found.groups, found.correlations, strict=True)
    ]
    click.echo(render.table(rows))
    click.echo(
        f"\nSpearman's correlation; metrics of one group have a mean |correlation| of {1 - NEAR:.1f} or more "
        "(average linkage)\n"
    )
