"""``iqa agree``: which metric agrees with the raters."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from iqa_registry.cli import arguments, complete, render
from iqa_registry.cli.arguments import PATH, as_csv, as_json, flag
from iqa_registry.cli.progress import progress_bar
from iqa_registry.errors import UsageError

if TYPE_CHECKING:
    from iqa_registry.agreement.judging import Settings
    from iqa_registry.agreement.ratings import Rated
    from iqa_registry.agreement.study import Group
    from iqa_registry.ranker import Ranker
    from iqa_registry.registry import Registry


@click.command()
@click.argument("scores", type=click.Path())
@click.option(
    "--ratings", type=PATH, help="Table of ratings by image: means, a column a rater, or a row a rating."
)
@arguments.metrics("A metric; may be repeated. By default all of them.", complete.metric_names)
@click.option(
    "--ranker",
    default="levels",
    show_default=True,
    metavar="NAME",
    help="Brings scores onto the raters' scale; `iqa plugins` lists them.",
)
@click.option("--group-by", metavar="COLUMNS", help="Judge each group by itself (dataset,model).")
@click.option(
    "--where",
    multiple=True,
    metavar="COLUMN=VALUES",
    help="Only these images: model=munit,unit or epoch=1:41 (as in Python); may be repeated.",
)
@click.option(
    "--cluster",
    metavar="COLUMN",
    help="Images drawn together by the bootstrap; by default subject, else none.",
)
@click.option(
    "--over", metavar="COLUMN", help="Numbers to draw the course over; by default epoch, where there is one."
)
@click.option(
    "--id",
    "identity",
    default="pair_id",
    show_default=True,
    metavar="COLUMNS",
    help="What tells an image from the others.",
)
@click.option(
    "--rating", default="rating", show_default=True, metavar="COLUMN", help="The column of ratings."
)
@click.option("--raters", metavar="COLUMNS", help="Columns of single raters; by default rater_...")
@click.option(
    "--pool",
    type=click.Choice(["trimmed-mean", "mean", "median"]),
    default="trimmed-mean",
    show_default=True,
    help="How single raters become one rating.",
)
@flag("--lower-rating-is-better", "Ratings are read from their other end (1 is best, say).")
@click.option(
    "--direction",
    multiple=True,
    metavar="METRIC=WAY",
    help="higher or lower is better, for a metric that no plugin declares; may be repeated.",
)
@click.option("--resamples", default=2000, show_default=True, help="Bootstrap samples; 0 for no intervals.")
@click.option("--seed", default=0, show_default=True, help="Of the bootstrap.")
@flag("--each", "Judge each metric on all images that it scored, even where others scored fewer.")
@as_json
@as_csv
@click.option(
    "--output", "-o", type=PATH, help="Folder for agreement, comparisons and raters (.parquet, .csv, .json)."
)
@flag("--plot", "Draw figures into that folder (PNG and SVG).")
@arguments.debug
def agree(
    scores: str,
    ranker: str,
    over: str | None,
    as_json: bool,
    csv: bool,
    output: Path | None,
    plot: bool,
    **options: Any,
) -> None:
    """Measure how well metrics agree with human ratings.

    SCORES is a run folder of `iqa evaluate -o`, a score table (.csv, .parquet, .json; a row a score or a row an
    image), or a dataset that brings scores (nirps:PATH).

    By default each metric is given the raters' own scale by rank (Algorithm 4 of K-CROSS): inconsistency is the mean
    distance to the ratings, and skill says how far from chance (0) to perfect (1) it is. SROCC, KROCC, PLCC and RMSE
    (after a logistic fit on other subjects) and pairwise accuracy stand beside it, each with a 95 % bootstrap interval.

    Exit code: 0 done, 1 images were left out or a group could not be judged, 2 wrong usage.
    """
    arguments.check_output(as_json, csv, plot, output)
    from iqa_registry.registry import build_registry

    registry = build_registry()
    rated = _rated(scores, registry, options)
    course = _over(over, rated)
    settings = _settings(options)
    chosen = registry.ranker(ranker)
    groups = _judge(rated, chosen, settings)
    # Files first: who reads what is printed may stop reading.
    _write(groups, output, plot, course)
    if as_json or csv:
        _print_rows(groups, as_json)
    else:
        _print(groups, settings)
    notes = [*rated.scores.notes, *rated.notes]
    _report(groups, notes, chosen, settings)


def _rated(scores: str, registry: Registry, options: Mapping[str, Any]) -> Rated:
    from iqa_registry.agreement.ratings import HowRated, rate
    from iqa_registry.agreement.scores import Wanted, read_scores, select

    identity = _names(options["identity"])
    wanted = Wanted(options["metric"], identity, _directions(options["direction"]))
    how = HowRated(
        rating=options["rating"],
        raters=_names(options["raters"]),
        identity=identity,
        higher_is_better=not options["lower_rating_is_better"],
        pool=options["pool"],
    )
    found = read_scores(scores, registry, wanted)
    return rate(select(found, options["where"]), options["ratings"], how, among=found)


def _names(text: str | None) -> list[str]:
    return [name.strip() for name in text.split(",")] if text else []


def _directions(given: tuple[str, ...]) -> dict[str, bool]:
    ways = {"higher": True, "lower": False}
    found = {}
    for text in given:
        name, _, way = text.rpartition("=")
        if not name or way not in ways:
            raise UsageError(f"--direction {text}: expected METRIC=higher or METRIC=lower.")
        found[name] = ways[way]
    return found


def _settings(options: Mapping[str, Any]) -> Settings:
    from iqa_registry.agreement.judging import Settings

    if options["resamples"] < 0:
        raise UsageError(f"--resamples {options['resamples']}: expected 0 or more.")
    return Settings(
        group_by=_names(options["group_by"]),
        cluster=options["cluster"],
        resamples=options["resamples"],
        seed=options["seed"],
        each=options["each"],
    )


def _judge(rated: Rated, ranker: Ranker, settings: Settings) -> list[Group]:
    from iqa_registry.agreement.study import judge

    with progress_bar("judging", unit="metrics") as progress:
        return judge(rated, ranker, settings, progress)


def _over(over: str | None, rated: Rated) -> str | None:
    from iqa_registry.tables.reading import column_of

    table = rated.scores.table
    if over is None:
        there = (
            "epoch" in table.columns and table["epoch"].dtype.is_numeric() and table["epoch"].n_unique() > 1
        )
        return "epoch" if there else None
    if not column_of(table, over, rated.scores.place, "--over").dtype.is_numeric():
        raise UsageError(f"--over {over}: the column holds something else than numbers.")
    return over


def _print_rows(groups: list[Group], as_json: bool) -> None:
    from iqa_registry.agreement import report
    from iqa_registry.tables import writing

    if as_json:
        render.echo_json(writing.defined(report.metric_rows(groups)))
    else:
        click.echo(writing.as_csv(report.metric_rows(groups)), nl=False)


def _print(groups: list[Group], settings: Settings) -> None:
    for number, group in enumerate(groups):
        if number:
            click.echo()
        click.echo(_headline(group))
        click.echo(render.table([_shown(judged.row, bool(settings.resamples)) for judged in group.judged]))
        if group.panel is not None:
            click.echo(_raters(group))
    if any(group.comparisons for group in groups):
        click.echo(
            "\n* the most consistent metric and those not distinguishable from it (paired bootstrap, Holm, 5 %)"
        )


def _headline(group: Group) -> str:
    clusters = int(group.clusters.max()) + 1
    of = f" of {clusters} clusters" if clusters < len(group.ratings) else ""
    row = group.judged[0].row if group.judged else {}
    levels = (
        f"; chance {render.number(row['chance'])}, a constant score {render.number(row['constant'])}"
        if row
        else ""
    )
    return f"{group.name}: {len(group.ratings)} images{of}{levels}"


def _shown(row: Mapping[str, Any], intervals: bool) -> dict[str, str]:
    shown = {
        "": "*" if row["best"] and intervals else "",
        "metric": f"{row['metric']} {render.ARROWS[row['higher_is_better']]}",
    }
    for name, title in (("inconsistency", "inconsistency"), ("skill", "skill"), ("srocc", "SROCC")):
        shown[title] = _number(row[name])
        if intervals and name != "skill":
            ends = [_number(row.get(f"{name}_{end}")) for end in ("low", "high")]
            shown[f"95 %{' ' * len(shown)}"] = " to ".join(ends) if all(ends) else ""
    for name, title in (
        ("krocc", "KROCC"),
        ("plcc", "PLCC"),
        ("rmse", "RMSE"),
        ("pairwise_accuracy", "pairs"),
    ):
        shown[title] = _number(row[name], 3)
    return shown


def _number(value: float | None, digits: int = 4) -> str:
    return "" if value is None or value != value else render.number(value, digits)


def _raters(group: Group) -> str:
    panel = group.panel
    if panel is None:
        return ""
    ceiling = panel.ceiling
    lines = [
        f"{len(panel.raters)} raters, each against the others: mean inconsistency "
        f"{_number(ceiling.mean_inconsistency)}, SROCC {_number(ceiling.mean_srocc)} (what a metric can hope for)"
    ]
    lines += [f"  {row['statistic']}: {_number(row['value'], 3)}" for row in panel.reliability]
    biases = sorted(panel.raters, key=lambda rater: rater["bias"])
    low, high = biases[0], biases[-1]
    lines.append(f"  bias from {low['bias']:+.3f} ({low['rater']}) to {high['bias']:+.3f} ({high['rater']})")
    return "\n".join(lines)


def _write(groups: list[Group], output: Path | None, plot: bool, over: str | None) -> None:
    from iqa_registry.agreement import report

    if output is None:
        return
    written = report.write_study(groups, output)
    if plot:
        written += report.draw_study(groups, output, over)
    render.warn(f"{len(written)} files in {output}")


def _report(groups: list[Group], notes: list[str], ranker: Ranker, settings: Settings) -> None:
    """Say on stderr what was left out and what to beware of; exit code 1 if images were."""
    from iqa_registry.agreement.caveats import caveats

    for line in notes:
        render.warn(f"left out: {line}")
    for group in groups:
        for line in group.notes:
            render.warn(f"{group.name}: {line}")
    for line in caveats(groups, ranker, settings):
        render.warn(f"note: {line}")
    if notes or any(group.notes for group in groups):
        raise click.exceptions.Exit(1)
