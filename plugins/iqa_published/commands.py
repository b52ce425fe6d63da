"""``iqa reproduce kcross-table2 | translation-figure2``."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from iqa_registry.cli import arguments, render
from iqa_registry.cli.arguments import group, option
from iqa_registry.plugin import UsageError

if TYPE_CHECKING:
    from iqa_published.kcross import Row, Table2
    from iqa_registry.agreement.systems import SystemCorrelation

SHOWN = 20
"""How many lines of what was left out are printed."""


@group()
def reproduce() -> None:
    """Recompute published results and show them next to the published numbers."""


@reproduce.command(
    "kcross-table2",
    examples=(
        "iqa reproduce kcross-table2 nirps:/data/nirps_dataset",
        "iqa reproduce kcross-table2 nirps:/data/nirps_dataset --epochs 50 -o STUDY",
    ),
)
@click.argument("dataset", metavar="NIRPS")
@option(
    "--epochs",
    section="Input",
    type=click.IntRange(min=1),
    default=40,
    metavar="N",
    help="Number of epochs from the first. The paper used 40; its authors' logs have 30, 40 and 50.",
)
@option("output", note="It gets kcross-table2.parquet, .csv and .json.")
@option("json")
@option("csv")
def kcross_table2(dataset: str, epochs: int, as_json: bool, as_csv: bool, output: Path | None) -> None:
    """Recompute Table II of K-CROSS (arXiv:2307.04296) from its published scores and ratings.

    NIRPS is a dataset with the authors' table, for example nirps:PATH. MAE, PSNR and SSIM are compared with the
    radiologists' ratings in several ways: as published, by the arithmetic of the public code in the authors' order of
    the rows, by Algorithm 4 as described (levels), and by min-max scaling, next to chance and a constant score. The
    reasons for the differences are listed below the table.
    """
    arguments.check_output(as_json, as_csv)
    from iqa_published.kcross import compare
    from iqa_published.kcross_remarks import remarks
    from iqa_registry.plugin import build_registry

    registry = build_registry()
    opened = registry.dataset(dataset)
    table = opened.table()
    _warn([f"left out: {line}" for line in opened.left_out])
    try:
        found = compare(table, registry, epochs)
    except UsageError as error:
        raise UsageError(f"{dataset}: {error}") from error
    rows, texts = [row.as_dict() for row in found.rows], remarks(found)
    if output is not None:
        from iqa_registry.tables.writing import write_rows

        _written(write_rows(output, "kcross-table2", rows), output)
    if as_json:
        render.echo_json({"epochs": epochs, "rows": rows, "notes": found.notes, "remarks": texts})
    elif as_csv:
        _echo_csv(rows)
    else:
        _show_table2(found, texts)
    if as_json or as_csv:
        _warn(found.notes)


@reproduce.command(
    "translation-figure2",
    examples=("iqa reproduce translation-figure2", "iqa reproduce translation-figure2 -o STUDY --plot"),
)
@option("output", note="It gets translation-figure2.parquet, .csv and .json.")
@option("plot")
@option("json")
@option("csv")
def translation_figure2(as_json: bool, as_csv: bool, output: Path | None, plot: bool) -> None:
    """Recompute Figure 2 of Konz et al. (arXiv:2404.07318) from the numbers of their Table 1.

    The correlations of FID, KID, SWD and IS with Dice over five systems in two tasks are shown with intervals and exact
    p-values. What the paper's text says about its figure is checked against them.
    """
    arguments.check_output(as_json, as_csv, plot, output)
    from iqa_published.translation import claims, figure2

    found = figure2()
    rows, checked = [item.row() for item in found], [claim.as_dict() for claim in claims(found)]
    if output is not None:
        from iqa_registry.agreement.system_report import save_correlations

        title = "Konz et al. 2024, Figure 2 from Table 1: |r| with Dice"
        _written(save_correlations(found, output, "translation-figure2", plot, title), output)
    if as_json:
        render.echo_json({"correlations": rows, "claims": checked})
    elif as_csv:
        _echo_csv(rows)
    else:
        _show_figure2(found, checked)


def _show_table2(found: Table2, texts: Sequence[str]) -> None:
    title = f"K-CROSS, Table II: inconsistency with radiologists' ratings, epochs 1 to {found.epochs} (lower is better)"
    columns: tuple[str, ...] = ("published", "authors_order", "levels", "minmax", "chance", "constant")
    click.echo(f"{title}\n\n{render.table([_line(row, columns) for row in found.rows])}\n")
    click.echo(
        "public code: its arithmetic with the rows in the authors' order; levels: Algorithm 4 as described.\n"
    )
    columns = ("published", "order_low", "order_median", "order_high", "levels")
    orders = [_line(row, columns) for row in found.rows if row.levels is not None]
    click.echo(f"The public code's arithmetic over random orders of the rows\n\n{render.table(orders)}\n")
    click.echo("\n\n".join(_paragraph(text) for text in [*found.notes, *texts]))


_HEADS = {
    "authors_order": "public code",
    "order_low": "lowest",
    "order_median": "median",
    "order_high": "highest",
}


def _line(row: Row, columns: Sequence[str]) -> dict[str, str]:
    names = {"dataset": row.dataset, "model": row.model, "metric": row.metric}
    return names | {_HEADS.get(name, name): render.number(getattr(row, name)) for name in columns}


def _show_figure2(found: Sequence[SystemCorrelation], checked: Sequence[dict[str, Any]]) -> None:
    from iqa_registry.agreement.system_report import heading, p_value_note, power_note, readable_rows
    from iqa_registry.agreement.systems import Correlations

    for items in Correlations(list(found), []).tables():
        click.echo(f"{heading(items)}\n\n{render.table(readable_rows(items))}\n")
        click.echo(f"{p_value_note(items)}\n{power_note(items) or ''}".rstrip() + "\n")
    click.echo("What the paper says about its Figure 2, which it prints without numbers:\n")
    for claim in checked:
        verdict = ", ".join(
            f"{kind.capitalize()} {'yes' if claim[kind] else 'no'}" for kind in ("pearson", "spearman")
        )
        click.echo(f"  {claim['claim']}: {verdict}\n{textwrap.indent(_paragraph(claim['numbers']), '    ')}")


def _paragraph(text: str) -> str:
    return textwrap.fill(text, 100, break_long_words=False, break_on_hyphens=False)


def _echo_csv(rows: Sequence[dict[str, Any]]) -> None:
    from iqa_registry.tables import writing

    click.echo(writing.as_csv(rows), nl=False)


def _warn(notes: Sequence[str]) -> None:
    for note in notes[:SHOWN]:
        render.warn(note)
    if len(notes) > SHOWN:
        render.warn(f"... and {len(notes) - SHOWN} more")


def _written(paths: Sequence[Path], folder: Path) -> None:
    render.warn(f"{', '.join(path.name for path in paths)} in {folder}")
