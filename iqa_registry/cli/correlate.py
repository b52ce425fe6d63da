"""``iqa correlate``: metrics against a downstream score, over systems."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from iqa_registry.cli import arguments, render
from iqa_registry.cli.arguments import PATH, option
from iqa_registry.errors import IQAError, UsageError

if TYPE_CHECKING:
    from iqa_registry.agreement.systems import Correlations

NAME = "correlations"


@arguments.command(
    examples=(
        "iqa correlate systems.csv --against dice --group-by task",
        "iqa correlate systems.csv --against dice --metric fid --group-by task -o STUDY --plot",
    )
)
@click.argument("table", type=PATH)
@option(
    "--against",
    section="Input",
    multiple=True,
    required=True,
    metavar="COLUMN",
    old=("--target", "-t"),
    help="Column with a downstream score. May be repeated.",
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
) -> None:
    """Correlate metrics with a downstream score, for example Dice, over systems.

    TABLE (.csv, .csv.gz, .parquet or .json) has one row per system, for example a translation method, and one column
    per score. Pearson's and Spearman's correlations are shown with 95 % intervals (Fisher) and p-values by permutation,
    which are exact for up to 8 systems. A note below says what so few systems can show.

    The exit code is 0 if all groups were correlated, 1 if a group had fewer than 3 systems or nothing could be
    correlated, and 2 for wrong usage.
    """
    arguments.check_output(as_json, as_csv, plot, output)
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
