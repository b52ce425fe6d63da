"""``iqa plan``: how large a study has to be to see a difference between two metrics."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import click

from iqa_registry.cli import arguments, render
from iqa_registry.cli.arguments import CHANNELS, option
from iqa_registry.errors import UsageError

if TYPE_CHECKING:
    from iqa_registry.agreement.pilot import Pilot
    from iqa_registry.statistics.planning import Design, Model, Plan

NAMES = {"icc": "rater-icc"}
SHARE = click.FloatRange(0, 1)
OPEN = click.FloatRange(0, 1, min_open=True, max_open=True)
POSITIVE = click.FloatRange(min=0, min_open=True)


@arguments.command(
    examples=(
        "iqa plan RUN --ratings ratings.csv --where region=image --difference 0.03",
        "iqa plan --statistic srocc --srocc 0.7 --difference 0.1 --rater-icc 0.6 --raters-per-image 1+3",
    )
)
@click.argument("scores", type=click.Path(), required=False)
@option("ratings", note="Of the pilot.")
@option("where")
@option("metric", note="The two to compare; by default the two most consistent ones of the pilot.")
@option("cluster")
@option(
    "--statistic",
    section="Statistics",
    type=click.Choice(["inconsistency", "srocc"]),
    default="inconsistency",
    help="What the difference is of.",
)
@option(
    "--difference",
    section="Statistics",
    type=POSITIVE,
    metavar="X",
    help="Difference that the study is to see. By default the one of the pilot.",
)
@option("--power", section="Statistics", type=OPEN, default=0.8, metavar="P", help="Chance to see it.")
@option("--alpha", section="Statistics", type=OPEN, default=0.05, metavar="P", help="Level of the test.")
@option(
    "--comparisons",
    section="Statistics",
    type=click.IntRange(min=1),
    default=1,
    metavar="N",
    help="Number of comparisons that the level is corrected for.",
)
@option(
    "--raters-per-image",
    "raters",
    section="Statistics",
    type=CHANNELS,
    metavar="K+K",
    help="Raters of each image.",
)
@option(
    "--images-per-subject",
    "images",
    section="Statistics",
    type=CHANNELS,
    metavar="M+M",
    help="Images of each subject.",
)
@option(
    "--srocc",
    section="Model",
    type=click.FloatRange(0, 1, max_open=True),
    metavar="R",
    help="Without a pilot: SROCC of the better metric with the mean of the raters.",
)
@option(
    "--rater-icc", "icc", section="Model", type=OPEN, metavar="R", help="Without a pilot: ICC of one rater."
)
@option(
    "--spread",
    section="Model",
    type=POSITIVE,
    metavar="SD",
    help="Without a pilot: standard deviation of the mean ratings, for the inconsistency.",
)
@option(
    "--between",
    section="Model",
    type=click.FloatRange(-1, 1, min_open=True, max_open=True),
    metavar="R",
    help="Without a pilot: SROCC of the two metrics. By default their errors are independent.",
)
@option(
    "--subject-share",
    section="Model",
    type=SHARE,
    default=0.5,
    metavar="SHARE",
    help="Without a pilot: share of the variance that lies between subjects.",
)
@option("seed")
@option("json")
@option("csv")
def plan(
    scores: str | None,
    as_json: bool,
    as_csv: bool,
    raters: tuple[int, ...] | None,
    images: tuple[int, ...] | None,
    **options: Any,
) -> None:
    """Plan a study: the subjects, images and raters needed to see a difference between two metrics.

    SCORES and --ratings are a pilot, as for `iqa agree`. Without one, name --srocc, --rater-icc and --difference, and
    for the inconsistency --spread; they are meant for the first of --raters-per-image.

    The study is simulated from a model with normal variables, whose values come from the pilot, and the test is the one
    of `iqa agree`: paired, over subjects. With a pilot its own standard error calibrates the model.
    """
    arguments.check_output(as_json, as_csv)
    pilot = _pilot(scores, options) if scores else None
    raters = raters or _raters(pilot)
    images = images or ((pilot.design.images,) if pilot else (1,))
    if pilot and raters != (1,) and pilot.model.single > 0.99 and pilot.design.raters == 1:
        raise UsageError(
            "the pilot has no individual raters, which --raters-per-image needs. Give their ratings, or drop it."
        )
    model = pilot.model if pilot else _model(raters[0], options)
    plans = _plans(model, raters, images, options)
    rows = [_row(found) for found in plans]
    if as_json:
        render.echo_json(rows)
    elif as_csv:
        from iqa_registry.tables.writing import as_csv as to_csv

        click.echo(to_csv(rows), nl=False)
    else:
        _print(plans, pilot, options)


def _raters(pilot: Pilot | None) -> tuple[int, ...]:
    if pilot is None:
        return (3,)
    own = pilot.design.raters
    return (own,) if own == 1 else tuple(sorted({own, 2 * own, max(1, own // 2)}))


def _model(raters: int, options: Mapping[str, Any]) -> Model:
    from iqa_registry.statistics.planning import model_of

    needed = ["srocc", "icc", "difference"] + ["spread"] * (options["statistic"] == "inconsistency")
    missing = [f"--{NAMES.get(name, name)}" for name in needed if options[name] is None]
    if missing:
        raise UsageError(
            f"without a pilot a plan needs {', '.join(missing)}. Name them, or give SCORES and --ratings."
        )
    return model_of(
        options["statistic"],
        options["srocc"],
        options["difference"],
        single=options["icc"],
        raters=raters,
        spread=options["spread"] or 1.0,
        between=options["between"],
        shares=(options["subject_share"],) * 2,
    )


def _pilot(scores: str, options: Mapping[str, Any]) -> Pilot:
    from iqa_registry.agreement.judging import Settings
    from iqa_registry.agreement.pilot import read_pilot
    from iqa_registry.agreement.ratings import rate
    from iqa_registry.agreement.scores import Wanted, read_scores, select
    from iqa_registry.agreement.study import judge
    from iqa_registry.registry import build_registry

    found = read_scores(scores, build_registry(), Wanted(options["metric"]))
    rated = rate(select(found, options["where"]), options["ratings"], among=found)
    groups = judge(rated, settings=Settings(cluster=options["cluster"], seed=options["seed"]))
    if len(groups) > 1:
        names = ", ".join(group.name for group in groups)
        raise UsageError(f"{scores}: has several regions ({names}). Choose one with --where region=NAME.")
    for line in (*rated.remarks, *rated.notes, *groups[0].notes):
        render.warn(f"note: {line}")
    return read_pilot(groups[0], options["statistic"], options["difference"])


def _plans(
    model: Model, raters: tuple[int, ...], images: tuple[int, ...], options: Mapping[str, Any]
) -> list[Plan]:
    from iqa_registry.statistics.planning import Design, subjects_needed

    alpha = options["alpha"] / options["comparisons"]
    if options["power"] <= alpha:
        raise UsageError("--power must be above the level of the test. Name a larger one.")
    designs: list[Design] = [Design(40, m, k) for k in raters for m in images]
    return [
        subjects_needed(model, design, options["statistic"], options["power"], alpha, options["seed"])
        for design in designs
    ]


def _row(found: Plan) -> dict[str, Any]:
    design = found.design
    total = design.subjects * design.images
    return {
        "raters": design.raters,
        "images_per_subject": design.images,
        "subjects": design.subjects,
        "images": total,
        "ratings": total * design.raters,
        "difference": abs(found.difference),
        "standard_error": found.error,
        "power": found.power,
    }


def _print(plans: list[Plan], pilot: Pilot | None, options: Mapping[str, Any]) -> None:
    name = "SROCC" if options["statistic"] == "srocc" else "inconsistency"
    if pilot is not None:
        design = pilot.design
        click.echo(
            f"pilot: {pilot.metrics[0]} and {pilot.metrics[1]}, {design.subjects} subjects with {design.images} images "
            f"and {design.raters} rater{'s' * (design.raters > 1)}; they differ by {render.number(pilot.difference)} "
            f"in {name} (standard error {render.number(pilot.error)})"
        )
        if design.raters > 1:
            click.echo(f"ICC of one rater {pilot.model.single:.3f} (consistency)")
    wanted = options["difference"] or (pilot.difference if pilot else math.nan)
    click.echo(
        f"to see a difference of {render.number(wanted)} in {name} with a power of {render.percent(options['power'])} "
        f"at the level {options['alpha'] / options['comparisons']:.3g}:\n"
    )
    rows = [{key.replace("_", " "): _text(value) for key, value in _row(found).items()} for found in plans]
    click.echo(render.table(rows))


def _text(value: float) -> str:
    return str(value) if isinstance(value, int) else render.number(value)
