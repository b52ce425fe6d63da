"""``iqa agree``: which metric agrees with the raters."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from iqa_registry.cli import arguments, judged, render
from iqa_registry.cli.arguments import COLUMNS, Assignment, flag, option
from iqa_registry.cli.progress import progress_bar
from iqa_registry.errors import UsageError

if TYPE_CHECKING:
    from iqa_registry.agreement.judging import Settings
    from iqa_registry.agreement.ratings import Rated
    from iqa_registry.agreement.study import Group
    from iqa_registry.ranker import Ranker
    from iqa_registry.registry import Registry


@arguments.command(
    examples=(
        "iqa agree RUN --ratings ratings.csv --group-by model -o STUDY --plot",
        "iqa agree scores.csv --where epoch=1:41 --metric ssim --metric dists",
    )
)
@click.argument("scores", type=click.Path())
@option("ratings", note="One row per image or per rating, or one column per rater.")
@option("where")
@option(
    "--id",
    "identity",
    section="Input",
    type=COLUMNS,
    default="pair_id",
    metavar="COLUMNS",
    help="Columns that identify an image. If the ratings call one otherwise: pair_id=COLUMN.",
)
@option("--rating", section="Input", default="rating", metavar="COLUMN", help="Column with the ratings.")
@option(
    "--raters",
    section="Input",
    type=COLUMNS,
    default=(),
    show_default=False,
    metavar="COLUMNS",
    help="Columns with the ratings of individual raters. By default those named rater_...",
)
@flag("--lower-rating-is-better", "Reverse the scale of the ratings, if 1 is the best.", "Input")
@option("metric", note="By default all of them.")
@option(
    "--direction",
    section="Metrics",
    multiple=True,
    type=Assignment("METRIC", choices=("higher", "lower")),
    metavar="METRIC=higher|lower",
    help="Say which scores are better, for a metric that no plugin declares. May be repeated.",
)
@option(
    "--ranker",
    section="Metrics",
    default="levels",
    metavar="NAME",
    help="Ranker, which maps scores to the scale of the ratings; see `iqa plugins`.",
)
@option("group-by")
@option("cluster")
@option("pool", note="Used for individual raters.")
@option("resamples")
@option(
    "--equal-within",
    section="Statistics",
    type=click.FloatRange(min=0, min_open=True),
    metavar="X",
    help="Test which metrics are practically equal: their inconsistencies differ by less than X.",
)
@option(
    "--acceptable",
    section="Statistics",
    type=float,
    metavar="RATING",
    help="Add the AUC of telling images with at least this rating (after --lower-rating-is-better) from the others.",
)
@flag(
    "--rated-pairs",
    "Add AUCs of the pairs of images that the individual raters tell apart (Krasula et al. 2016).",
    "Statistics",
)
@flag(
    "--random-raters",
    "Make intervals and comparisons hold for other raters too: draw raters as subjects are drawn.",
    "Statistics",
)
@flag(
    "--own-images",
    "Judge each metric on all images that it scored, even where others scored fewer.",
    "Statistics",
    old=("--each",),
)
@option(
    "--trend",
    section="Statistics",
    metavar="COLUMN",
    old=("--over",),
    help="Column of numbers to draw the trend over. By default epoch, if there is one.",
)
@option("seed")
@option("output")
@option("plot")
@option("json")
@option("csv")
def agree(
    scores: str,
    ranker: str,
    trend: str | None,
    as_json: bool,
    as_csv: bool,
    output: Path | None,
    plot: bool,
    **options: Any,
) -> None:
    """Measure how well metrics agree with human ratings.

    SCORES is a run folder of `iqa evaluate -o`, a score table (.csv, .parquet or .json; one row per score or per
    image), or a dataset that includes scores (nirps:PATH).

    By default the scores of each metric are mapped to the raters' scale by rank (Algorithm 4 of K-CROSS). Inconsistency
    is the mean distance to the ratings, and skill places it between chance (0) and perfect (1). SROCC, KROCC, PLCC and
    RMSE (after a logistic fit on other subjects) and pairwise accuracy are shown next to it, with 95 % bootstrap
    intervals.

    The exit code is 0 if everything was judged, 1 if images were left out or a group could not be judged, and 2 for
    wrong usage.
    """
    arguments.check_output(as_json, as_csv, plot, output)
    from iqa_registry.registry import build_registry

    registry = build_registry()
    rated = _rated(scores, registry, options)
    for line in rated.remarks:
        render.warn(f"note: {line}")
    column = _trend(trend, rated)
    settings = _settings(options)
    chosen = registry.ranker(ranker)
    groups = _judge(rated, chosen, settings)
    # Files come first: whoever reads what is printed may stop reading.
    _write(groups, output, plot, column)
    if as_json or as_csv:
        _print_rows(groups, as_json)
    else:
        _print(groups, settings)
    judged.report(groups, [*rated.scores.notes, *rated.notes], chosen, settings)


def _rated(scores: str, registry: Registry, options: Mapping[str, Any]) -> Rated:
    from iqa_registry.agreement.ratings import HowRated, rate
    from iqa_registry.agreement.scores import Wanted, read_scores, select

    # NAME=OTHER: what the scores call NAME, the ratings call OTHER.
    named = [column.partition("=") for column in options["identity"]]
    identity = [name.strip() for name, _, _ in named]
    directions = {name: way == "higher" for name, way in options["direction"]}
    wanted = Wanted(options["metric"], identity, directions)
    how = HowRated(
        rating=options["rating"],
        raters=list(options["raters"]),
        identity=[other.strip() or name.strip() for name, _, other in named],
        higher_is_better=not options["lower_rating_is_better"],
        pool=options["pool"],
    )
    found = read_scores(scores, registry, wanted)
    return rate(select(found, options["where"]), options["ratings"], how, among=found)


def _settings(options: Mapping[str, Any]) -> Settings:
    from iqa_registry.agreement.judging import Settings

    return Settings(
        group_by=list(options["group_by"]),
        cluster=options["cluster"],
        resamples=options["resamples"],
        seed=options["seed"],
        each=options["own_images"],
        equal_within=options["equal_within"],
        acceptable=options["acceptable"],
        rated_pairs=options["rated_pairs"],
        random_raters=options["random_raters"],
    )


def _judge(rated: Rated, ranker: Ranker, settings: Settings) -> list[Group]:
    from iqa_registry.agreement.study import judge

    with progress_bar("judging", unit="metrics") as progress:
        return judge(rated, ranker, settings, progress)


def _trend(column: str | None, rated: Rated) -> str | None:
    from iqa_registry.tables.reading import column_of

    table = rated.scores.table
    if column is None:
        found = (
            "epoch" in table.columns and table["epoch"].dtype.is_numeric() and table["epoch"].n_unique() > 1
        )
        return "epoch" if found else None
    if not column_of(table, column, rated.scores.place, "--trend").dtype.is_numeric():
        raise UsageError(f"--trend {column}: the column does not hold numbers. Name another one.")
    return column


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
        click.echo(judged.headline(group))
        click.echo(render.table([_shown(item.row, bool(settings.resamples)) for item in group.judged]))
        if group.comparisons:
            click.echo("\n".join(judged.comparison_lines(group)))
        if aucs := judged.auc_rows(group):
            click.echo(render.table(aucs))
        if group.panel is not None:
            click.echo("\n".join(judged.rater_lines(group.panel)))
    if len(groups) > 1 and settings.resamples:
        click.echo("\n" + "\n".join(judged.interaction_lines(groups)))
    if any(group.comparisons for group in groups):
        click.echo(f"\n{judged.LEGEND}\n{judged.COLUMNS}")


def _shown(row: Mapping[str, Any], intervals: bool) -> dict[str, str]:
    shown = judged.metric_row(row, ("inconsistency", "srocc") if intervals else ())
    for name, title in (
        ("krocc", "KROCC"),
        ("plcc", "PLCC"),
        ("rmse", "RMSE"),
        ("pairwise_accuracy", "pairs"),
    ):
        shown[title] = render.number(row[name], 3)
    return shown


def _write(groups: list[Group], output: Path | None, plot: bool, trend: str | None) -> None:
    from iqa_registry.agreement import report

    if output is None:
        return
    written = report.write_study(groups, output)
    if plot:
        written += report.draw_study(groups, output, trend)
    render.warn(f"{len(written)} files in {output}")
