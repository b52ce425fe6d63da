"""Rated pairs: which images of a manifest or a dataset have a rating, and their scores next to the ratings."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from iqa_registry.agreement.ratings import Rated, rate
from iqa_registry.agreement.scores import ID, Scores, make_scores, select
from iqa_registry.errors import IQAError, UsageError
from iqa_registry.evaluation.items import Item
from iqa_registry.evaluation.options import Options
from iqa_registry.evaluation.plan import plan_items
from iqa_registry.evaluation.store import RunFolder
from iqa_registry.evaluation.summary import problems
from iqa_registry.inputs import Inputs
from iqa_registry.registry import Registry
from iqa_registry.tables.reading import column_of
from iqa_registry.tables.schema import SUBJECT, group_types, make_table

if TYPE_CHECKING:
    from iqa_registry.evaluation.evaluate import Progress, Started


@dataclass(frozen=True, slots=True)
class RatedPairs:
    """Pairs with ratings of their 2-D images or slices.

    Attributes:
        place: what the user named, for messages.
        inputs: the pairs of which an image is rated.
        items: the rated images.
        rated: one row per item with its columns and its rating, no scores yet.
        notes: what was left out, one line each.
    """

    place: str
    inputs: Inputs
    items: Sequence[Item]
    rated: Rated
    notes: Sequence[str] = ()


def find_rated(
    inputs: Inputs,
    place: str,
    options: Options | None = None,
    ratings: str | Path | None = None,
    where: Sequence[str] = (),
    columns: Sequence[str] = (),
) -> RatedPairs:
    """Join pairs with their ratings; no image is scored.

    Args:
        inputs: the pairs.
        place: what the user named, for messages.
        options: which slices of volumes.
        ratings: a table of ratings; by default they are columns of the pairs.
        where: conditions that the images must meet, see :func:`iqa_registry.agreement.scores.select`.
        columns: columns that must be there.

    Raises:
        UsageError: no pairs, no ratings, no rated image, or a column is missing.

    Example:
        >>> from iqa_registry.inputs import open_inputs
        >>> found = find_rated(open_inputs(), "the sample", where=["source=t1"])
        >>> len(found.items), found.rated.ratings.shape
        (48, (48,))
    """
    if not inputs.pairs:
        raise UsageError(f"{place}: has no pairs. Name a dataset or a manifest that has.")
    items = plan_items(inputs.pairs, options or Options(), {2})
    rows = [
        {ID: item.pair_id, **item.pair.groups, SUBJECT: item.subject, "slice": item.slice} for item in items
    ]
    table = make_table(rows, group_types(rows))
    table = table.drop(name for name in (SUBJECT, "slice") if table[name].null_count() == table.height)
    for name in columns:
        column_of(table, name, place, "--group-by, --cluster")
    found = Scores(table, {}, place)
    rated = rate(select(found, where), ratings, among=found)
    wanted = set(rated.scores.table[ID])
    items = [item for item in items if item.pair_id in wanted]
    kept = {id(item.pair) for item in items}
    pairs = [pair for pair in inputs.pairs if id(pair) in kept]
    return RatedPairs(place, replace(inputs, pairs=pairs), items, rated, [*inputs.left_out, *rated.notes])


def score_rated(
    pairs: RatedPairs,
    metrics: Sequence[str] | Started,
    options: Options,
    registry: Registry,
    folder: RunFolder | None = None,
    progress: Progress | None = None,
) -> tuple[Rated, list[str]]:
    """Score whole images with metrics; regions are left out.

    Args:
        pairs: what :func:`find_rated` gives.
        metrics: names with parameters, or metrics that are started already.
        options: the settings; with ``components`` each component is a column too.
        registry: where names are looked up.
        folder: keeps the scores, see :func:`iqa_registry.evaluation.evaluate.evaluate`.
        progress: told the images done and the images in all.

    Returns:
        The ratings with one column per score, and what was not scored and why, one line each.

    Raises:
        UsageError: an unknown name, no metric that can start, or a run folder of another run.
        IQAError: no image was scored.
    """
    from iqa_registry.evaluation.evaluate import evaluate, silent

    whole = replace(pairs.inputs, pairs=[replace(pair, mask=None) for pair in pairs.inputs.pairs])
    outcome = evaluate(whole, metrics, options, registry, folder, progress or silent)
    errors = [(message, count) for status, message, count in problems(outcome.table) if status == "error"]
    failures = [*outcome.failed.values(), *(f"{message} ({count} rows)" for message, count in errors)]
    if failures and "ok" not in outcome.table["status"]:
        raise IQAError(f"{pairs.place}: no image was scored: {failures[0]}")
    return pairs.rated.with_scores(make_scores(outcome.table, registry, place=pairs.place)), failures
