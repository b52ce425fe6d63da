"""Heat maps of absolute correlations: metrics by targets, Pearson and Spearman side by side."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from iqa_registry.agreement.drawing import WIDTH, ink_on, new_figure
from iqa_registry.agreement.systems import SystemCorrelation, group_label

if TYPE_CHECKING:
    from matplotlib.figure import Figure

MOST_COLUMNS = 4
"""More targets and groups than these go onto a further figure."""
METRIC_ROOM = 20
"""Names of metrics are broken after so many characters."""
COLORS = "cividis"
"""Dark is weak, bright is strong; made for color-blind readers (Nunez, Anderton and Renslow 2018)."""


def draw_correlations(found: Sequence[SystemCorrelation], title: str = "") -> list[Figure]:
    """Draw the absolute correlations, the value in each cell; a cell without a value stays gray.

    Args:
        found: correlations; a column for each group and target, a row for each metric.
        title: what stands above.

    Returns:
        Figures of at most :data:`MOST_COLUMNS` columns.

    Example:
        >>> from iqa_registry.statistics.correlation import pearson, spearman
        >>> x, y = [1, 2, 3, 5], [1, 2, 4, 3]
        >>> figures = draw_correlations([SystemCorrelation({}, "dice", "fid", pearson(x, y), spearman(x, y))])
        >>> [text.get_text() for text in figures[0].axes[0].texts]
        ['0.68']
    """
    columns = list(dict.fromkeys((group_label(item.group), item.target) for item in found))
    pages = [columns[start : start + MOST_COLUMNS] for start in range(0, len(columns), MOST_COLUMNS)]
    return [_draw(found, page, title) for page in pages]


def _draw(found: Sequence[SystemCorrelation], columns: list[tuple[str, str]], title: str) -> Figure:
    there = [item for item in found if (group_label(item.group), item.target) in columns]
    metrics = sorted({item.metric for item in there}, key=[item.metric for item in found].index)
    figure = new_figure(WIDTH, 1.9 + 0.42 * len(metrics) + 0.18 * _lines(columns))
    panels = figure.subplots(1, 2, sharey=True)
    for panel, name in zip(panels, ("Pearson", "Spearman"), strict=True):
        values = _grid(there, name.lower(), metrics, columns)
        image = _panel(panel, values, name)
        panel.set_xticks(range(len(columns)), _column_labels(columns), fontsize=9)
        panel.set_yticks(range(len(metrics)), [_broken(name, METRIC_ROOM) for name in metrics], fontsize=10)
    bar = figure.colorbar(image, ax=panels, fraction=0.03, pad=0.02)
    bar.set_label("absolute correlation", fontsize=10)
    sizes = sorted({item.pearson.n for item in there})
    n = f"n = {sizes[0]}" if len(sizes) == 1 else f"n = {sizes[0]} to {sizes[-1]}"
    figure.suptitle(
        f"{title or 'Absolute correlation of metrics with the target'} ({n} systems)", fontsize=12
    )
    return figure


def _panel(panel: Any, values: list[list[float]], name: str) -> Any:
    """One heat map with its values, in black or white by how bright the cell is."""
    from matplotlib import colormaps

    colors = colormaps[COLORS]
    panel.set_facecolor("0.85")
    image = panel.imshow(values, cmap=colors, vmin=0, vmax=1, aspect="auto")
    for row, cells in enumerate(values):
        for column, value in enumerate(cells):
            if not math.isnan(value):
                ink = ink_on(colors(value))
                panel.text(column, row, f"{value:.2f}", ha="center", va="center", color=ink, fontsize=11)
    panel.set_title(name, fontsize=11)
    panel.tick_params(length=0)
    return image


def _grid(
    found: Sequence[SystemCorrelation], name: str, metrics: list[str], columns: list[tuple[str, str]]
) -> list[list[float]]:
    grid = [[math.nan] * len(columns) for _ in metrics]
    for item in found:
        place = metrics.index(item.metric), columns.index((group_label(item.group), item.target))
        grid[place[0]][place[1]] = abs(getattr(item, name).value)
    return grid


def _column_labels(columns: Sequence[tuple[str, str]]) -> list[str]:
    """Target above, group below, broken so that neighbors do not meet."""
    room = min(18, 44 // len(columns))
    return [
        "\n".join([_broken(target, room), *(_broken(part, room) for part in group.split(", ") if part)])
        for group, target in columns
    ]


def _broken(text: str, room: int) -> str:
    """Lines of at most so many characters, broken after signs and blanks where there are any."""
    pieces = re.findall(r"[^\s_\-=:,]*[\s_\-=:,]?", text)
    lines = [""]
    for piece in (part[at : at + room] for part in pieces for at in range(0, len(part), room)):
        if lines[-1] and len((lines[-1] + piece).rstrip()) > room:
            lines.append("")
        lines[-1] += piece
    # A pair of dollar signs would be set as mathematics.
    return "\n".join(line.rstrip() for line in lines).replace("$", r"\$")


def _lines(columns: Sequence[tuple[str, str]]) -> int:
    return max(label.count("\n") + 1 for label in _column_labels(columns))
