"""``iqa correlate``: metrics against a downstream score, over systems."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from iqa_registry.cli import arguments, render
from iqa_registry.cli.arguments import PATH, as_csv, as_json, flag
from iqa_registry.errors import IQAError, UsageError

if TYPE_CHECKING:
    from iqa_registry.agreement.systems import Correlations

NAME = "correlations"


@click.command()
@click.argument("table", type=PATH)
@click.option(
    "--target",
    "-t",
    multiple=True,
    required=True,
    metavar="COLUMN",
    help="A downstream score; may be repeated.",
)
@click.option(
    "--metric",
    "-m",
    multiple=True,
    metavar="COLUMN",
    help="What is correlated with it; may be repeated. By default all other columns of numbers.",
)
@click.option("--group-by", metavar="COLUMNS", help="Correlate within each group (task, or task,fold).")
@click.option("--system", metavar="COLUMN", help="Names the rows; by default the first column of text.")
@click.option(
    "--sort-by",
    type=click.Choice(["spearman", "pearson"]),
    default="spearman",
    show_default=True,
    help="The strongest of these first.",
)
@click.option("--seed", default=0, show_default=True, help="Of the random pairings for more than 8 systems.")
@as_json
@as_csv
@click.option("--output", "-o", type=PATH, help=f"Folder for {NAME}.parquet, .csv and .json.")
@flag("--plot", "Draw the heat map of absolute correlations into that folder (PNG and SVG).")
@arguments.debug
def correlate(
    table: Path,
    target: tuple[str, ...],
    metric: tuple[str, ...],
    group_by: str | None,
    system: str | None,
    sort_by: str,
    seed: int,
    as_json: bool,
    csv: bool,
    output: Path | None,
    plot: bool,
) -> None:
    """Correlate metrics with a downstream score (Dice) over systems.

    TABLE (.csv, .csv.gz, .parquet or .json) has one row for each system, a translation method say, and one column
    for each score. Pearson's and Spearman's correlation are given with 95 % intervals (Fisher) and p-values by
    permutation, exact up to 8 systems; what few systems can show is said below.

    Exit code: 0 all groups correlated, 1 a group had fewer than 3 systems or nothing could be correlated, 2 wrong
    usage.
    """
    arguments.check_output(as_json, csv, plot, output)
    found = _correlate(table, target, metric, group_by, system, sort_by, seed)
    for line in found.left_out:
        render.warn(f"left out: {line}")
    if not found.found:
        raise IQAError(f"{table}: no group has values of {', '.join(target)} for 3 systems; add systems.")
    if output is not None:
        from iqa_registry.agreement.system_report import save_correlations

        written = save_correlations(found.found, output, NAME, plot)
        render.warn(f"{', '.join(path.name for path in written)} in {output}")
    _show(found, as_json, csv)
    if found.left_out:
        raise click.exceptions.Exit(1)


def _correlate(
    path: Path,
    targets: Sequence[str],
    metrics: Sequence[str],
    group_by: str | None,
    system: str | None,
    order: str,
    seed: int,
) -> Correlations:
    from iqa_registry.agreement import systems
    from iqa_registry.tables.reading import read_table

    table = read_table(path)
    groups = [name.strip() for name in (group_by or "").split(",") if name.strip()]
    try:
        columns = systems.choose_columns(table, targets, metrics, groups, system)
        return systems.correlate(table, columns, order, seed)
    except UsageError as error:
        raise UsageError(f"{path}: {error}") from error


def _show(found: Correlations, as_json: bool, csv: bool) -> None:
    """The tables, and what they can show: below them, or on stderr where the output is for programs."""
    from iqa_registry.agreement.system_report import heading, p_value_note, power_note, readable_rows
    from iqa_registry.tables.writing import as_csv, defined

    rows = defined([item.row() for item in found.found])
    tables = found.tables()
    notes = {heading(items): note for items in tables if (note := power_note(items))}
    if as_json:
        render.echo_json({"correlations": rows, "notes": notes, "left_out": found.left_out})
        return
    if csv:
        click.echo(as_csv(rows), nl=False)
        for name, note in notes.items():
            render.warn(f"{name}: {' '.join(note.splitlines())}")
        return
    for items in tables:
        name = heading(items)
        click.echo(f"{name}\n\n{render.table(readable_rows(items))}\n")
        click.echo(f"{p_value_note(items)}\n{notes.get(name, '')}".rstrip() + "\n")
