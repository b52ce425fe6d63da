"""Draw the figure of ``docs/architecture.md``: the floors of the core, the plugins, and the way of a pair.

    python tools/make_architecture.py             writes docs/images/architecture.png
    python tools/make_architecture.py --output F  writes another file

The floors are those of ``tests/test_architecture.py``, which holds every import to them. A test sees that the figure
names each part of the core.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import Any

FIGURE = Path(__file__).resolve().parents[1] / "docs" / "images" / "architecture.png"
FLOORS = (
    ("command line", ("cli",), "commands and options"),
    (
        "results",
        ("api", "adapters", "local_maps", "agreement", "testing"),
        "Python, local maps, ratings, conformance kit",
    ),
    ("one run", ("evaluation",), "plan, load, encode, score, store"),
    ("one door in", ("inputs", "sample"), "images, manifest, dataset or sample"),
    ("what there is", ("registry", "datasets", "settings"), "names to ready metrics"),
    (
        "tools",
        ("images", "weights", "parameters", "plugins", "isolation"),
        "from files and text to arrays, tensors and values",
    ),
    (
        "interfaces",
        ("metrics", "loss", "ranker", "segmenter", "hookspecs", "licenses"),
        "what a plugin implements; iqa_registry.plugin collects the names",
    ),
    (
        "ground",
        ("specs", "statistics", "tables", "errors", "files", "naming", "progress"),
        "declarations, numbers, the score table",
    ),
)
"""The floors from the top: title, the parts of the core on it, what they do."""
PLUGINS = ("classical", "learned", "kcross", "rankers", "datasets", "segmentation", "published", "yours")
STEPS = (
    ("files", "inputs.py", "Pair"),
    ("plan", "evaluation/plan.py", "Item"),
    ("load", "evaluation/loader.py", "Loaded"),
    ("encode once", "evaluation/encoding.py", "Encoded"),
    ("compare", "evaluation/scoring.py", "Row"),
    ("keep", "evaluation/store.py", "part-*.parquet"),
    ("report", "summary.py, agreement/", "tables"),
)
"""The way of a pair: what happens, where, and what comes out."""
BLUE, GREEN, SAND, INK = "#dbe7f5", "#dcefe0", "#f6ecd6", "#22313f"


def box(axes: Any, place: tuple[float, float, float, float], color: str) -> None:
    """A rounded box; ``place`` is left, bottom, width, height."""
    from matplotlib.patches import FancyBboxPatch

    left, bottom, width, height = place
    style = "round,pad=0,rounding_size=0.12"
    axes.add_patch(
        FancyBboxPatch((left, bottom), width, height, boxstyle=style, facecolor=color, edgecolor=INK, lw=0.8)
    )


def arrow(axes: Any, start: tuple[float, float], end: tuple[float, float]) -> None:
    """An arrow from ``start`` to ``end``."""
    axes.annotate("", end, start, arrowprops={"arrowstyle": "-|>", "color": INK, "lw": 1.2})


def draw_floors(axes: Any, bottom: float, height: float) -> None:
    """The floors of the core, one above the other, and the arrow that says which way imports point."""
    for number, (title, parts, what) in enumerate(reversed(FLOORS)):
        low = bottom + number * height
        box(axes, (0.6, low, 10.2, height - 0.12), BLUE)
        axes.text(0.8, low + height / 2 - 0.06, title, size=10, weight="bold", va="center")
        axes.text(3.1, low + height / 2 + 0.1, "   ".join(parts), size=10, family="monospace", va="center")
        axes.text(3.1, low + height / 2 - 0.24, what, size=8, color="#55636f", va="center")
    top = bottom + len(FLOORS) * height
    axes.text(
        5.7,
        top + 0.1,
        "iqa_registry: imports point down",
        size=11,
        weight="bold",
        ha="center",
    )
    arrow(axes, (0.3, top - 0.2), (0.3, bottom + 0.1))


def draw_plugins(axes: Any, bottom: float, height: float) -> None:
    """The plugins beside the house: what they import and how they are found."""
    top = bottom + len(FLOORS) * height
    box(axes, (12.6, bottom, 3.2, top - bottom - 0.12), GREEN)
    axes.text(14.2, top + 0.1, "plugins: none imports another", size=11, weight="bold", ha="center")
    step = (top - bottom - 0.6) / len(PLUGINS)
    for number, name in enumerate(PLUGINS):
        text = name if name == "yours" else f"iqa_{name}"
        axes.text(
            14.2, top - 0.6 - number * step, text, size=10, family="monospace", ha="center", va="center"
        )
    low = bottom + 1.5 * height
    arrow(axes, (12.6, low), (10.8, low))
    axes.text(11.7, low + 0.1, "import\niqa_registry.plugin", size=8, ha="center", va="bottom")
    high = bottom + 3.5 * height
    arrow(axes, (10.8, high), (12.6, high))
    axes.text(11.7, high + 0.1, "loads by entry point,\nwhen needed", size=8, ha="center", va="bottom")


def draw_steps(axes: Any) -> None:
    """The way of a pair from its files to the tables."""
    width, gap = 1.93, 0.28
    axes.text(8.2, 2.05, "How a pair travels", size=11, weight="bold", ha="center")
    for number, (title, where, result) in enumerate(STEPS):
        left = 0.6 + number * (width + gap)
        box(axes, (left, 0.3, width, 1.5), SAND)
        middle = left + width / 2
        axes.text(middle, 1.5, title, size=10, weight="bold", ha="center", va="center")
        axes.text(middle, 1.07, where, size=6.8, family="monospace", ha="center", va="center")
        axes.text(middle, 0.65, result, size=9, ha="center", va="center", style="italic")
        if number:
            arrow(axes, (left - gap, 1.05), (left, 1.05))


def draw(output: Path) -> None:
    """Write the figure."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(11.5, 8.1), dpi=110)
    FigureCanvasAgg(figure)
    axes = figure.add_axes((0, 0, 1, 1))
    axes.set_axis_off()
    axes.set_xlim(0, 16.4)
    axes.set_ylim(0, 11.6)
    draw_floors(axes, 2.7, 1.04)
    draw_plugins(axes, 2.7, 1.04)
    draw_steps(axes)
    output.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(output, metadata={"Software": None})


def main(arguments: Sequence[str] | None = None) -> int:
    """Draw; returns the exit code."""
    parser = argparse.ArgumentParser(description="Draw the figure of docs/architecture.md.")
    parser.add_argument("--output", type=Path, default=FIGURE)
    output: Path = parser.parse_args(arguments).output
    draw(output)
    print(f"{output}: {output.stat().st_size / 1000:.0f} kB")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
