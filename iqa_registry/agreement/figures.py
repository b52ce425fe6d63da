"""Figures of an agreement study: scores against ratings, inconsistency, significance, course over epochs."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from iqa_registry.agreement.drawing import WIDTH, ink_on, new_figure
from iqa_registry.agreement.judging import Judged
from iqa_registry.agreement.study import Group
from iqa_registry.statistics.arrays import finite
from iqa_registry.statistics.inconsistency import chance_of_each
from iqa_registry.statistics.mapping import Mapping, fit_logistic

if TYPE_CHECKING:
    from matplotlib.figure import Figure

COLORS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
"""Okabe and Ito's colors, which color-blind readers can distinguish; the yellow is left out, too pale for lines."""
STYLES = ("-", "--", ":", "-.")
MOST_POINTS = 5000
_SMALL = 8.5


def _grid(number: int, height: float) -> tuple[Figure, list[Any]]:
    """A figure with so many panels; those left over are taken away."""
    columns = 2 if number in (2, 4) else min(3, number)
    lines = math.ceil(number / columns)
    figure = new_figure(WIDTH if columns > 1 else 5.5, height * lines)
    panels = figure.subplots(lines, columns, squeeze=False).ravel().tolist()
    for panel in panels[number:]:
        panel.remove()
    for panel in panels[:number]:
        panel.tick_params(labelsize=_SMALL)
        panel.spines[["top", "right"]].set_visible(False)
    return figure, panels[:number]


def draw_scatter(group: Group) -> Figure:
    """Score against rating, a panel for each metric, with the logistic curve of four parameters fitted to all rows."""
    figure, panels = _grid(len(group.judged), 2.7)
    chosen = _sample(len(group.ratings))
    for panel, judged in zip(panels, group.judged, strict=True):
        higher = judged.row["higher_is_better"]
        natural = finite(judged.scores) * (1 if higher else -1)
        shown = chosen[chosen < len(natural)]
        panel.scatter(natural[shown], judged.ratings[shown], s=9, alpha=0.35, color=COLORS[0], linewidths=0)
        fitted = fit_logistic(judged.scores, judged.ratings)
        places = np.linspace(natural.min(), natural.max(), 200)
        if fitted.best is not None:
            places = _crowded(panel, fitted, higher)
        curve = fitted(places if higher else -places)
        panel.plot(places, curve, color=COLORS[1], linewidth=2, label="logistic fit")
        panel.set_xlabel(
            f"{judged.metric} ({'higher' if higher else 'lower'} is better)", fontsize=_SMALL + 0.5
        )
        panel.set_title(
            f"SROCC {judged.row['srocc']:.2f}, I {judged.row['inconsistency']:.3f}", fontsize=_SMALL + 0.5
        )
        panel.set_ylabel("rating", fontsize=_SMALL + 0.5)
    panels[0].legend(fontsize=_SMALL, loc="best", frameon=True)
    figure.suptitle(f"Score against rating: {group.name} ({len(group.ratings)} images)", fontsize=11)
    return figure


def _crowded(panel: Any, fitted: Mapping, higher: bool) -> Any:
    """Stretch the axis where scores crowd at their best end, as the fit does; places of the curve."""
    sign, best, offset = (1 if higher else -1), fitted.best or 0.0, fitted.offset

    def forward(values: Any) -> Any:
        return sign * fitted.scaled(sign * np.asarray(values, dtype=np.float64))

    def back(values: Any) -> Any:
        return sign * (best + offset - np.exp(-sign * np.asarray(values, dtype=np.float64)))

    panel.set_xscale("function", functions=(forward, back))
    distances = np.geomspace(offset, best - fitted.low, 4)
    ticks = sign * np.array([best, *(best - distances)])
    panel.set_xticks(ticks, [f"{tick + 0.0:.3g}" for tick in ticks], rotation=30)
    panel.minorticks_off()
    return sign * (best - np.concatenate([[0.0], np.geomspace(offset / 10, best - fitted.low, 200)]))


def _sample(number: int) -> np.ndarray[Any, np.dtype[np.int64]]:
    """Rows to draw: all, or an even choice of very many."""
    return np.unique(np.linspace(0, number - 1, min(number, MOST_POINTS)).astype(np.int64))


def draw_inconsistency(groups: Sequence[Group]) -> Figure:
    """Inconsistency of each metric with its interval, a panel for each group, with chance and a constant score's."""
    longest = max(len(group.judged) for group in groups)
    figure, panels = _grid(len(groups), 1.35 + 0.3 * longest)
    for panel, group in zip(panels, groups, strict=True):
        _bars(panel, group)
    handles, labels = panels[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=5, fontsize=_SMALL, frameon=False)
    figure.suptitle("Inconsistency with the ratings (lower is better)", fontsize=11)
    return figure


def _bars(panel: Any, group: Group) -> None:
    names = [judged.metric for judged in group.judged]
    values = [judged.row["inconsistency"] for judged in group.judged]
    places = range(len(names))
    best = [judged.row["best"] for judged in group.judged]
    colors = [COLORS[0] if here else "0.65" for here in best]
    panel.barh(places, values, color=colors, height=0.62)
    for place, judged in zip(places, group.judged, strict=True):
        low, high = (judged.row.get(f"inconsistency_{end}", math.nan) for end in ("low", "high"))
        if not math.isnan(low):
            panel.plot([low, high], [place, place], color="black", linewidth=1.4, solid_capstyle="butt")
            panel.plot([low, high], [place, place], "|", color="black", markersize=6)
    first = group.judged[0].row
    panel.axvline(first["chance"], color=COLORS[1], linewidth=1.8, label="chance")
    panel.axvline(first["constant"], color=COLORS[2], linewidth=1.8, linestyle="--", label="a constant score")
    if group.panel is not None:
        one = group.panel.others.mean_inconsistency
        panel.axvline(
            one, color=COLORS[3], linewidth=1.8, linestyle="-.", label="one rater against the others"
        )
        if group.panel.bound is not None:
            panel.axvline(
                group.panel.bound.inconsistency,
                **{"color": "black", "linewidth": 1.8, "linestyle": ":", "label": "a noise-free truth"},
            )
    panel.scatter([], [], marker="s", color=COLORS[0], label="best, or not told from it")
    panel.set_yticks(places, names, fontsize=_SMALL)
    panel.invert_yaxis()
    panel.set_xlim(left=0)
    panel.set_xlabel("inconsistency", fontsize=_SMALL)
    panel.set_title(f"{group.name} (n = {len(group.ratings)})", fontsize=_SMALL + 1)


def draw_significance(group: Group) -> Figure:
    """Which metrics differ: row less column in inconsistency; bold where Holm's correction leaves it significant."""
    from matplotlib import colormaps

    names = [judged.metric for judged in group.judged]
    side = len(names)
    values = np.full((side, side), np.nan)
    sure = np.zeros((side, side), dtype=bool)
    for row in group.comparisons:
        first, second = names.index(row["first"]), names.index(row["second"])
        values[first, second], values[second, first] = row["difference"], -row["difference"]
        sure[first, second] = sure[second, first] = row["distinguishable"]
    figure = new_figure(min(WIDTH, 3.2 + 0.62 * side), 2.1 + 0.42 * side)
    panel = figure.subplots()
    panel.set_facecolor("0.9")
    most = np.nanmax(np.abs(values)) if np.isfinite(values).any() else 1.0
    image = panel.imshow(
        values, cmap=colormaps["PuOr_r"], vmin=-(most or 1.0), vmax=most or 1.0, aspect="auto"
    )
    for row_number, column in zip(*np.nonzero(np.isfinite(values)), strict=True):
        value, here = values[row_number, column], bool(sure[row_number, column])
        _cell(panel, value, tuple(image.to_rgba(value)), here, (column, row_number))
    panel.set_xticks(range(side), names, rotation=40, ha="right", fontsize=_SMALL)
    panel.set_yticks(range(side), names, fontsize=_SMALL)
    panel.tick_params(length=0)
    bar = figure.colorbar(image, ax=panel)
    bar.set_label("row less column (negative: row is better)", fontsize=_SMALL)
    bar.ax.tick_params(labelsize=_SMALL)
    panel.set_title(
        f"Difference in inconsistency: {group.name}\nbold with *: significant at 5 % after Holm", fontsize=10
    )
    return figure


def _cell(panel: Any, value: float, color: Sequence[float], sure: bool, place: tuple[int, int]) -> None:
    """The number in a cell of the matrix."""
    text, weight = f"{value:+.3f}{'*' if sure else ''}", "bold" if sure else "normal"
    style: dict[str, Any] = {"color": ink_on(color), "fontsize": _SMALL, "weight": weight}
    panel.text(*place, text, ha="center", va="center", **style)


def draw_course(groups: Sequence[Group], over: str) -> Figure:
    """Inconsistency along a column of numbers (epochs): the mean of |aligned - rating| at each value.

    The scores are aligned over the whole group, so the values of a curve average to the group's inconsistency. Chance
    at a value is what a random order of the group has there in expectation.
    """
    figure, panels = _grid(len(groups), 2.9)
    # A metric looks the same in every panel, whatever its place there.
    metrics = list(dict.fromkeys(judged.metric for group in groups for judged in group.judged))
    shown: dict[str, Any] = {}
    for panel, group in zip(panels, groups, strict=True):
        for judged in group.judged:
            number = metrics.index(judged.metric)
            style = {
                "color": COLORS[number % len(COLORS)],
                "linestyle": STYLES[number // len(COLORS) % len(STYLES)],
            }
            (shown[judged.metric],) = panel.plot(*_course(group, judged, over), **style, linewidth=1.5)
        first = group.judged[0]
        means = _means(group.table[over].to_numpy()[first.rows], chance_of_each(first.ratings))
        (shown["chance"],) = panel.plot(*means, color="0.55", linewidth=3, alpha=0.6, zorder=0)
        panel.set_xlabel(over, fontsize=_SMALL)
        panel.set_ylabel("inconsistency", fontsize=_SMALL)
        panel.set_ylim(bottom=0)
        panel.set_title(group.name, fontsize=_SMALL + 1)
    names = [*metrics, "chance"]
    lines = [shown[name] for name in names]
    figure.legend(lines, names, loc="outside lower center", ncols=6, fontsize=_SMALL, frameon=False)
    figure.suptitle(f"Inconsistency against {over} (lower is better)", fontsize=11)
    return figure


def _course(group: Group, judged: Judged, over: str) -> tuple[Any, Any]:
    errors = np.abs(judged.aligned - judged.ratings)
    return _means(group.table[over].to_numpy()[judged.rows], errors)


def _means(places: Any, values: Any) -> tuple[Any, Any]:
    known, index = np.unique(places, return_inverse=True)
    return known, np.bincount(index, weights=values) / np.bincount(index)
