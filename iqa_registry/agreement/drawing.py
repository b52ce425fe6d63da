"""What all figures share: their width, the colors of text, files."""

from __future__ import annotations

import io
from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from matplotlib.figure import Figure

WIDTH = 9.0
"""In inches: at 100 points an inch the figure is 900 wide, and its text is still read."""


def new_figure(width: float, height: float) -> Figure:
    """An empty figure of so many inches, apart from matplotlib's global state."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), layout="constrained")
    FigureCanvasAgg(figure)
    return figure


def to_files(figure: Figure) -> dict[str, bytes]:
    """A figure as ``.png`` (160 points an inch) and ``.svg``."""
    files = {}
    for suffix, settings in ((".png", {"dpi": 160}), (".svg", {"metadata": {"Date": None}})):
        buffer = io.BytesIO()
        figure.savefig(buffer, format=suffix[1:], **settings)
        files[suffix] = buffer.getvalue()
    return files


def ink_on(color: Sequence[float]) -> str:
    """Black or white, whichever is read better on a color.

    Example:
        >>> ink_on((1, 1, 0, 1)), ink_on((0, 0, 0.5, 1))
        ('black', 'white')
    """
    return "black" if _luminance(color) > 0.18 else "white"


def _luminance(color: Sequence[float]) -> float:
    """Relative luminance of an sRGB color (WCAG 2); black and white ink contrast equally at 0.18."""
    linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in color[:3]]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]
