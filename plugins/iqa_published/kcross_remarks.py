"""Why the published Table II of K-CROSS and Algorithm 4 differ, with the numbers of the table at hand."""

from __future__ import annotations

from collections.abc import Callable

from iqa_published.kcross import HIGHER_IS_BETTER, ORDERS, Row, Table2
from iqa_published.numbers import SCORED
from iqa_registry.statistics.inconsistency import skill

PREFILLED = (38.1, 37.4)
"""Percent of the 7,500 published ratings, and of the 3,000 of IXI, that equal the value the rating program began with.

Counted in the files of the public repository; the table of scores does not hold that value.
"""
_CLOSE = 6e-5
"""Two numbers that are equal to four decimals, one of them printed so."""


def remarks(found: Table2) -> list[str]:
    """The differences explained, a paragraph each; those that the data cannot show are left out.

    Example:
        >>> print(remarks(Table2(40, [], []))[-1][:56])
        38.1 % of the 7,500 published ratings (37.4 % of IXI) eq
    """
    rows = [row for row in found.rows if row.metric in SCORED and row.levels is not None]
    parts: tuple[Callable[[list[Row]], str | None], ...] = (
        _arithmetic, _random_orders, _near_chance, _direction, _minmax, _misprint,
    )  # fmt: skip
    texts = [text for part in parts if (text := part(rows))]
    if any(row.metric not in SCORED for row in found.rows):
        texts.append(
            "MS-SSIM, NLPD, GMSD, DeepIQA, LPIPS, DISTS and K-CROSS are shown as published: their scores of single "
            "images were not published, so nothing can be recomputed."
        )
    texts.append(
        f"{PREFILLED[0]} % of the 7,500 published ratings ({PREFILLED[1]} % of IXI) equal the value that the rating "
        "program had filled in from the L2 distance of the two images. They lean towards pixel metrics, and a study "
        "on them must say so."
    )
    return texts


def _arithmetic(rows: list[Row]) -> str | None:
    known = [(row.log, row.authors_order) for row in rows if row.log and row.authors_order]
    equal = sum(abs(log - value) < _CLOSE for log, value in known)
    agrees = (
        " With the rows in the order in which the authors' machine listed its folders, this arithmetic gives "
        f"{equal} of the {len(known)} numbers in the authors' logs to four decimals."
    )
    return (
        "The public code takes argsort(score)_k, the index of the k-th smallest score, where Algorithm 4 needs the "
        f"rank of the k-th.{agrees if known else ''}"
    )


def _random_orders(rows: list[Row]) -> str | None:
    if not rows:
        return None
    widest = max(rows, key=lambda row: (row.order_high or 0) - (row.order_low or 0))
    spread = max(row.levels_spread or 0 for row in rows)
    held = _held(_complete(rows))
    return (
        f"So it depends on the order of the rows: over {ORDERS:,} random orders of the same images it goes from "
        f"{widest.order_low:.4f} to {widest.order_high:.4f} for {widest.dataset}, {widest.model}, {widest.metric} "
        f"(median {widest.order_median:.4f}).{held} LevelRanker gives one value in all of these orders (they "
        f"differ by {spread:.0e})."
    )


def _complete(rows: list[Row]) -> list[Row]:
    """Those that hold all images of the paper, so that the published number speaks of the same."""
    return [row for row in rows if row.published is not None and row.authors_order is not None]


def _held(rows: list[Row]) -> str:
    """How many published numbers lie within the range of the random orders, and how far the others are off."""
    off = [
        max((row.order_low or 0) - (row.published or 0), (row.published or 0) - (row.order_high or 0))
        for row in rows
    ]
    outside = [value for value in off if value > _CLOSE]
    if not off:
        return ""
    text = f" {len(off) - len(outside)} of the {len(off)} published numbers lie within the range of theirs"
    if not outside:
        return f"{text}."
    return f"{text}, the others at most {max(outside):.4f} outside: the authors' order is no random one."


def _near_chance(rows: list[Row]) -> str | None:
    known = _complete(rows)
    if not known:
        return None
    away = [abs((row.published or 0) - (row.chance or 0)) for row in known]
    below = sum((row.chance or 0) - (row.levels or 0) for row in known) / len(known)
    skills = sorted(skill(row.levels or 0, row.chance or 0) for row in known)
    return (
        f"The published numbers lie on average {sum(away) / len(away):.4f} and at most "
        f"{max(away):.4f} from chance, on either side; ranked as Algorithm 4 is "
        f"described, these metrics lie on average {below:.4f} below chance (skill {skills[0]:.2f} to {skills[-1]:.2f})."
    )


def _direction(rows: list[Row]) -> str | None:
    wrong = [row for row in rows if not HIGHER_IS_BETTER[row.metric] and row.unturned is not None]
    if not wrong:
        return None
    numbers = ", ".join(
        f"{row.dataset} {row.model} {row.unturned:.4f} (turned {row.levels:.4f}, chance {row.chance:.4f})"
        for row in wrong
    )
    return (
        "The public code also ranks MAE, where smaller is better, as if larger were. Algorithm 4 with MAE not turned: "
        f"{numbers}. Without ranks this mistake hides."
    )


def _minmax(rows: list[Row]) -> str | None:
    complete = [row for row in rows if row.authors_order is not None]
    known = [(row.log_minmax, row.minmax) for row in complete if row.log_minmax and row.minmax]
    if not known:
        return None
    equal = sum(abs(log - value) < _CLOSE for log, value in known)
    return (
        f"The min-max alignment (the authors call it regression) equals their logs in {equal} of the {len(known)} "
        "numbers known here to four decimals."
    )


def _misprint(rows: list[Row]) -> str | None:
    differ = [
        f"{row.dataset}, {row.model}, {row.metric}: {row.published:.4f} printed, {row.log:.4f} logged, "
        f"{'not' if row.authors_order is None else f'{row.authors_order:.4f}'} recomputed"
        for row in rows
        if row.published is not None and row.log is not None and abs(row.published - row.log) > _CLOSE
    ]
    return f"The paper and the authors' log differ: {'; '.join(differ)}." if differ else None
