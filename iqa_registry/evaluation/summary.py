"""The summary of a score table: everything in it is derived from the rows."""

from __future__ import annotations

import math
import re
from collections.abc import Collection, Sequence
from typing import Any

import polars as pl

from iqa_registry.errors import UsageError, nearest
from iqa_registry.evaluation.items import BOTH_EMPTY, OUTSIDE
from iqa_registry.images.notes import BEYOND, EQUAL, split_notes
from iqa_registry.statistics.bootstrap import mean_interval
from iqa_registry.tables.schema import (
    COMPONENT,
    LEVEL,
    METRIC,
    NATIVE,
    OK,
    PLANE,
    REGION,
    STATUS,
    SUBJECT,
    with_component,
)

SHIFT_LIMIT = 1.0
"""Residual shift in pixels from which a pair is warned about."""


def summarize(table: pl.DataFrame, group_by: Sequence[str] = (), resamples: int = 2000) -> pl.DataFrame:
    """Counts, mean, standard deviation and 95 % bootstrap interval of the mean, per metric, region and group.

    The interval resamples subjects where they are known, since slices of one patient are not independent: one subject
    has no interval. Where subjects are not known, it resamples images as if they were independent; ``interval_by`` is
    ``subject`` or ``image``. A mean that contains an infinite score (PSNR of equal images) is infinite, and has no
    deviation or interval; ``n_infinite`` counts them.

    Args:
        table: score rows, as :func:`iqa_registry.evaluate` gives them.
        group_by: further columns to group by, for example ``model`` or ``epoch``.
        resamples: bootstrap samples.

    Returns:
        One row per metric, component, region and group, in the order of the table; and per plane, where there are
        several.

    Raises:
        UsageError: a column that the table does not have.
    """
    check_groups(group_by, table.columns)
    table = with_component(table)
    levels = [LEVEL] if LEVEL in table.columns else []
    if PLANE in table.columns and table[PLANE].drop_nulls().n_unique() > 1:
        levels.insert(0, PLANE)
    keys = [*dict.fromkeys([METRIC, COMPONENT, REGION, "dimensions", *levels, *group_by])]
    rows = [
        dict(zip(keys, key, strict=True)) | _statistics(group, resamples)
        for key, group in table.group_by(keys, maintain_order=True)
    ]
    return pl.DataFrame(rows, infer_schema_length=None).select([*group_by, *_ordered(rows, group_by)])


def in_native_units(table: pl.DataFrame) -> tuple[pl.DataFrame, list[str]]:
    """The table with the scores that have one in the unit of the stored values (HU), and what must be known of them.

    Example:
        >>> rows = {"metric": ["mae", "ssim"], "score": [0.1, 0.9], "score_native": [200.0, None]}
        >>> rows["clipped"] = [0.2, 0.2]
        >>> found, notes = in_native_units(pl.DataFrame(rows))
        >>> found.rows(), notes[0]
        ([('mae', 200.0, 200.0, 0.2)], 'some values were clipped: errors in native units are lower bounds.')
    """
    found = table.filter(pl.col(NATIVE).is_not_null()).with_columns(pl.col(NATIVE).alias("score"))
    notes = []
    shares = [name for name in ("clipped", "clipped_reference") if name in found.columns]
    if found.height and any((found[name].fill_null(0) > 0).any() for name in shares):
        notes.append("some values were clipped: errors in native units are lower bounds.")
    others = sorted(set(table[METRIC]) - set(found[METRIC]))
    if others:
        notes.append(
            f"no native unit for {', '.join(others)}: only errors that scale with the values have one."
        )
    return found, notes


def check_groups(group_by: Sequence[str], columns: Collection[str]) -> None:
    """Check that the table has the columns.

    Raises:
        UsageError: there is none of that name; the nearest is offered.
    """
    for name in group_by:
        if name not in columns:
            raise UsageError(f"The table has no column {name!r}.{nearest(name, columns)}")


def _ordered(rows: Sequence[dict[str, Any]], group_by: Sequence[str]) -> list[str]:
    return [name for name in (rows[0] if rows else {}) if name not in group_by]


def _statistics(group: pl.DataFrame, resamples: int) -> dict[str, Any]:
    scored = group.filter(pl.col(STATUS) == OK)
    scores = scored["score"].to_numpy()
    infinite = int((~scored["score"].is_finite()).sum())
    plain = len(scores) > 0 and infinite == 0
    clusters = scored[SUBJECT]
    known = clusters.null_count() == 0
    low, high = (math.nan, math.nan)
    if plain and len(scores) > 1 and resamples:
        low, high = mean_interval(scores, clusters.to_numpy() if known else None, resamples=resamples)
    direction = group["higher_is_better"].drop_nulls()
    return {
        "n": len(scores),
        "mean": float(scores.mean()) if len(scores) else None,
        "std": float(scores.std(ddof=1)) if plain and len(scores) > 1 else None,
        "ci_low": None if math.isnan(low) else low,
        "ci_high": None if math.isnan(high) else high,
        "interval_by": None if math.isnan(low) else "subject" if known else "image",
        "n_subjects": clusters.n_unique() if known else None,
        "higher_is_better": direction[0] if len(direction) else None,
        "n_error": int((group["status"] == "error").sum()),
        "n_not_applicable": int((group["status"] == "not_applicable").sum()),
        "n_infinite": infinite,
    }


def problems(table: pl.DataFrame) -> list[tuple[str, str, int]]:
    """The distinct messages of rows without a score: status, message, number of rows.

    Components of a score are left out: a component may not apply to an image, which is not a problem.

    Example:
        >>> rows = {"metric": ["psnr"] * 2, "component": ["", ""], "status": ["ok", "error"]}
        >>> rows["message"] = [None, "a.png: truncated"]
        >>> problems(pl.DataFrame(rows))
        [('error', 'a.png: truncated', 1)]
    """
    failed = with_component(table).filter((pl.col(STATUS) != OK) & (pl.col(COMPONENT) == ""))
    counted = failed.group_by("status", "message", maintain_order=True).len()
    return [(row[0], row[1] or "", row[2]) for row in counted.iter_rows()]


def interval_notes(summary: pl.DataFrame) -> list[str]:
    """What a reader of the intervals of :func:`summarize` must know, a sentence each.

    Example:
        >>> rows = {"n": [9], "n_infinite": [0], "n_subjects": [1], "interval_by": [None]}
        >>> interval_notes(pl.DataFrame(rows))
        ['one subject gives no interval: its slices are not independent.']
    """
    notes = []
    alone = (pl.col("n") > 1) & (pl.col("n_subjects") == 1) & (pl.col("n_infinite") == 0)
    if summary.filter(alone).height:
        notes.append("one subject gives no interval: its slices are not independent.")
    if summary.filter(pl.col("interval_by") == "image").height:
        notes.append(
            "the intervals take the images as independent, since their subjects are not known. Name them with a "
            "column subject in a manifest, or {subject} in a template of file names."
        )
    return notes


def failures(table: pl.DataFrame) -> list[str]:
    """Why a run was not a full success, a line each: what makes its exit code 1.

    These are errors, pairs that a metric scored in no region, and metrics that scored nothing. A region that does not
    reach an image does not count, and neither does a pair whose images are both empty.

    Example:
        >>> rows = {"metric": ["psnr"] * 2, "component": [""] * 2, "status": ["ok", "not_applicable"]}
        >>> rows |= {"pair_id": ["a"] * 2, "message": [None, "the mask is empty"]}
        >>> failures(pl.DataFrame(rows))
        []
    """
    table = with_component(table).filter(pl.col(COMPONENT) == "")
    scored = (pl.col(STATUS) == OK).any()
    harmless = (
        (pl.col("message").is_in([BOTH_EMPTY, OUTSIDE]) & (pl.col(STATUS) != "error")).fill_null(False).any()
    )
    missed = (
        table.filter(
            ~scored.over(METRIC, "pair_id") & (~harmless.over(METRIC, "pair_id") | ~scored.over(METRIC))
        )
        if table.height
        else table
    )
    wrong = pl.concat([table.filter(pl.col(STATUS) == "error"), missed])
    return wrong["message"].drop_nulls().unique(maintain_order=True).to_list()


_FILE = re.compile(r"[^\s'\"(),;]*[^\s'\"(),;.]\.[A-Za-z][A-Za-z0-9]{1,5}(?:\.gz)?(?![A-Za-z0-9])")


def gathered(found: Sequence[tuple[str, str, int]]) -> list[tuple[str, str, int]]:
    """Messages that differ only in the files that they name, as one: the first, with a second file as example.

    Args:
        found: see :func:`problems`.

    Example:
        >>> gathered([("error", f"{name}.png: truncated", 1) for name in "abc"])
        [('error', 'a.png: truncated (3 such messages, also b.png)', 3)]
    """
    alike: dict[tuple[str, str], list[tuple[str, int]]] = {}
    for status, message, count in found:
        alike.setdefault((status, _FILE.sub("FILE", message)), []).append((message, count))
    lines = []
    for (status, _), items in alike.items():
        message = items[0][0]
        if len(items) > 1:
            first, second = (_FILE.findall(text) for text, _ in items[:2])
            other = next((name for name in second if name not in first), second[0])
            message += f" ({len(items)} such messages, also {other})"
        lines.append((status, message, sum(count for _, count in items)))
    return lines


def noted(table: pl.DataFrame) -> list[tuple[str, int]]:
    """The first note of each kind, and how many further ones of that kind differ from it.

    Example:
        >>> noted(pl.DataFrame({"notes": ["mask: a.nii is full.", None, "mask: b.nii is full."]}))
        [('a.nii is full.', 1)]
    """
    found: dict[str, dict[str, None]] = {}
    if "notes" in table.columns:
        for text in table["notes"].drop_nulls().unique(maintain_order=True):
            for note in split_notes(text):
                found.setdefault(note.kind, {}).setdefault(note.message)
    if EQUAL in found and _all_equal(table):
        only_within = all(BEYOND in message for message in found[EQUAL])
        text = f"every synthesized image equals its reference{BEYOND if only_within else ''}."
        found[EQUAL] = {text: None}
    return [(next(iter(messages)), len(messages) - 1) for messages in found.values()]


def _all_equal(table: pl.DataFrame) -> bool:
    scored = table.filter(pl.col(STATUS) == OK)["notes"].fill_null("")
    return len(scored) > 0 and bool(scored.str.contains(rf"(^|; ){EQUAL}: ").all())


def shifted_pairs(table: pl.DataFrame) -> tuple[int, float]:
    """How many pairs have a residual shift of a pixel or more, and the largest shift in pixels."""
    shifts = table.filter(pl.col("shift") >= SHIFT_LIMIT).unique("pair_id")["shift"]
    return len(shifts), float(shifts.max() or 0.0)  # type: ignore[arg-type]
