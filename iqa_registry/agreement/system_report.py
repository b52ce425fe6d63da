"""Correlations of systems as readers get them: tables, what few systems can show, files."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path

from iqa_registry.agreement.systems import LEVEL, SystemCorrelation, group_label
from iqa_registry.statistics.correlation import (
    MONTE_CARLO,
    Correlation,
    critical_value,
    fisher_interval,
    smallest_p_value,
)
from iqa_registry.tables.writing import write_file, write_rows

FEW = 15
"""Below this many systems some |r| above one half cannot be distinguished from zero."""


def heading(items: Sequence[SystemCorrelation]) -> str:
    """The heading of the table of one group and target.

    Example:
        >>> from iqa_registry.statistics.correlation import pearson, spearman
        >>> heading([SystemCorrelation({"task": "mri-ct"}, "dice", "fid", pearson([], []), spearman([], []))])
        'dice, task mri-ct'
    """
    return ", ".join(filter(None, (items[0].target, group_label(items[0].group))))


def readable_rows(items: Sequence[SystemCorrelation]) -> list[dict[str, str]]:
    """One line for each metric of one group and target, as text.

    Example:
        >>> from iqa_registry.statistics.correlation import pearson, spearman
        >>> x, y = [1, 2, 3, 5], [1, 2, 3, 4]
        >>> row = readable_rows([SystemCorrelation({}, "dice", "fid", pearson(x, y), spearman(x, y))])[0]
        >>> row["pearson"], row["pearson 95 %"], row["p"]
        ('0.983', '0.39 to 1.00', '0.083')
    """
    return [
        {
            "metric": item.metric,
            "n": str(item.pearson.n),
            "pearson": _text(item.pearson.value, 3),
            "pearson 95 %": _interval(item.pearson),
            "p": _p_value(item.pearson),
            "spearman": _text(item.spearman.value, 3),
            "spearman 95 %": _interval(item.spearman),
            # A second key of its own, since rows are dictionaries; on the terminal it reads the same.
            "p ": _p_value(item.spearman),
        }
        for item in items
    ]


def p_value_note(items: Sequence[SystemCorrelation]) -> str:
    """How the p-values were found."""
    if all(item.pearson.exact for item in items):
        return "p by permutation, two-sided, exact: all pairings gone through."
    return (
        f"p by permutation, two-sided, Monte Carlo: {MONTE_CARLO:,} random pairings, seeded; p = (b + 1) / "
        f"({MONTE_CARLO:,} + 1), doubled for two sides."
    )


def save_correlations(
    items: Sequence[SystemCorrelation], folder: Path, name: str, plot: bool = False, title: str = ""
) -> list[Path]:
    """Write correlations as NAME.parquet, .csv and .json, and with ``plot`` their heat maps.

    Returns:
        The files. Heat maps are NAME.png and NAME.svg, further ones NAME-2.png ...

    Raises:
        IQAError: the folder cannot be written.
    """
    written = write_rows(folder, name, [item.row() for item in items])
    if plot:
        from iqa_registry.agreement.drawing import to_files
        from iqa_registry.agreement.heatmap import draw_correlations

        for number, figure in enumerate(draw_correlations(items, title), start=1):
            stem = name if number == 1 else f"{name}-{number}"
            files = to_files(figure)
            written += [write_file(folder / f"{stem}{suffix}", content) for suffix, content in files.items()]
    return written


def _text(value: float, digits: int) -> str:
    return "" if math.isnan(value) else f"{value:.{digits}f}"


def _interval(found: Correlation) -> str:
    return "" if math.isnan(found.low) else f"{found.low:.2f} to {found.high:.2f}"


def _p_value(found: Correlation) -> str:
    return (
        ""
        if math.isnan(found.p_value)
        else f"{found.p_value:.3f}"
        if found.p_value >= 0.001
        else f"{found.p_value:.1g}"
    )


def power_note(items: Sequence[SystemCorrelation]) -> str | None:
    """What the systems of one group and target can and cannot show, where they are few.

    Args:
        items: the metrics of one group and target.

    Returns:
        A line for each fact, computed from ``items``; nothing for :data:`FEW` systems or more.

    Example:
        >>> from iqa_registry.statistics.correlation import pearson, spearman
        >>> item = SystemCorrelation({}, "dice", "fid", pearson([1, 2, 3, 5], [1, 2, 3, 4]), spearman([1], [1]))
        >>> print(power_note([item]))
        With 4 systems the smallest possible two-sided p-value is 0.0833.
        Only |r| above 0.950 differs from 0 at the 5 % level (Pearson, normal data).
        An r of 0 would have an interval from -0.96 to 0.96; that of fid, r = 0.98, reaches from 0.39 to 1.00.
        Such a table can rule out little.
    """
    known = [item for item in items if not math.isnan(item.pearson.value)]
    if not known or (n := max(item.pearson.n for item in known)) >= FEW:
        return None
    lines = [
        f"With {n} systems the smallest possible two-sided p-value is {smallest_p_value(n):.3g}.",
        f"Only |r| above {critical_value(n, LEVEL):.3f} differs from 0 at the 5 % level (Pearson, normal data).",
    ]
    if len(known) > 1:
        lines.insert(1, _multiple(len(known), smallest_p_value(n)))
    strongest = max(known, key=lambda item: abs(item.pearson.value))
    if not math.isnan(strongest.pearson.low):
        low, high = fisher_interval(0, n, LEVEL)
        lines += [
            f"An r of 0 would have an interval from {low:.2f} to {high:.2f}; that of {strongest.metric}, "
            f"r = {strongest.pearson.value:.2f}, reaches from {strongest.pearson.low:.2f} to "
            f"{strongest.pearson.high:.2f}.",
            "Such a table can rule out little.",
        ]
    return "\n".join(lines)


def _multiple(tests: int, least: float) -> str:
    """What Holm's correction leaves: the smallest of k p-values has to be below 0.05 / k."""
    if least * tests > 0.05:
        return (
            f"Corrected for {tests} metrics (Holm) that is {min(1.0, least * tests):.3g}: "
            "no order, however clear, reaches the 5 % level."
        )
    return f"Corrected for {tests} metrics (Holm) the smallest one has to be at most {0.05 / tests:.3g}."
