"""A map as a 2-D image: reference, synthesized image and map side by side with a scale, or the map alone."""

from __future__ import annotations

import io
import math
from collections.abc import Iterable
from typing import Any

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from iqa_registry.local_maps.colors import UNDEFINED, Table, colorize
from iqa_registry.local_maps.local_map import LocalMap, Mask
from iqa_registry.local_maps.scale import Scale

LONGEST = 384
"""Pixels that the longest side of a panel has at least; smaller 2-D images are enlarged by a whole factor."""
OUTLINE = (0, 200, 220)
GAP, LINE, BAR, LABELS = 10, 20, 16, 64
BACKGROUND, INK = (255, 255, 255), (0, 0, 0)


def draw_map(found: LocalMap) -> Table:
    """The map's colors alone, one pixel for each of its pixels: ``(H, W, 3)``."""
    return colorize(found.values, found.scale.low, found.scale.high, found.scale.colors)


def draw_panel(found: LocalMap, spacing: tuple[float, float] = (1.0, 1.0)) -> Table:
    """Reference, synthesized image and map side by side, with a scale and the map's mean.

    Args:
        found: what to draw; the outlines of its regions are drawn in all three.
        spacing: millimeters from row to row and from column to column, so that thick slices are not squashed.

    Returns:
        ``(rows, columns, 3)``.
    """
    size = panel_size(found.values.shape, spacing)
    panels = [_enlarge(picture, size) for picture in (_grey(found.reference), _grey(found.synthesized))]
    panels.append(_enlarge(draw_map(found), size))
    for mask in found.regions.values():
        border = outline(_enlarge(mask, size))
        for panel in panels:
            panel[border] = OUTLINE
    captions = _captions(found)
    height, width = size
    canvas = Image.new(
        "RGB",
        (GAP + 3 * (width + GAP) + BAR + LABELS, LINE + height + GAP + LINE * len(captions)),
        BACKGROUND,
    )
    draw, font = ImageDraw.Draw(canvas), ImageFont.load_default(size=14)
    for number, (title, panel) in enumerate(
        zip(("reference", "synthesized", found.metric), panels, strict=True)
    ):
        left = GAP + number * (width + GAP)
        draw.text((left, 2), _fitted(draw, title, width, font), INK, font)
        canvas.paste(Image.fromarray(panel), (left, LINE))
    _draw_scale(draw, canvas, found.scale, (GAP + 3 * (width + GAP), LINE, height))
    for number, text in enumerate(captions):
        place = (GAP, LINE + height + GAP // 2 + number * LINE)
        draw.text(place, _fitted(draw, text, canvas.width - 2 * GAP, font), INK, font)
    return np.array(canvas)


def panel_size(shape: tuple[int, ...], spacing: tuple[float, float]) -> tuple[int, int]:
    """Rows and columns of a panel: the longest side has at least :data:`LONGEST` pixels, the proportions are real.

    Example:
        >>> panel_size((224, 192), (1.0, 1.0)), panel_size((26, 256), (5.5, 1.0))
        ((448, 384), (286, 512))
    """
    rows, columns = (side * step / min(spacing) for side, step in zip(shape, spacing, strict=True))
    factor = max(1, math.ceil(LONGEST / max(rows, columns)))
    return max(1, round(rows * factor)), max(1, round(columns * factor))


def outline(mask: Mask) -> Mask:
    """The pixels of a mask that touch what is outside of it.

    Example:
        >>> outline(np.ones((3, 3), bool)).astype(int).tolist()
        [[1, 1, 1], [1, 0, 1], [1, 1, 1]]
    """
    padded = np.pad(mask, 1)
    inside = padded[:-2, 1:-1] & padded[2:, 1:-1] & padded[1:-1, :-2] & padded[1:-1, 2:]
    return np.asarray(mask & ~inside)


def to_png(pixels: Table) -> bytes:
    """Encode a 2-D image."""
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, format="PNG", compress_level=3)
    return buffer.getvalue()


def _grey(image: np.ndarray[Any, Any]) -> Table:
    pixels = np.rint(image.clip(0, 1) * 255).astype(np.uint8)
    return np.ascontiguousarray(np.broadcast_to(pixels, (3, *pixels.shape[1:])).transpose(1, 2, 0))


def _enlarge(pixels: np.ndarray[Any, Any], size: tuple[int, int]) -> np.ndarray[Any, Any]:
    """Repeat pixels, so that nothing is drawn that is not in the data."""
    rows, columns = (
        np.arange(want) * have // want for want, have in zip(size, pixels.shape[:2], strict=True)
    )
    return pixels[rows][:, columns].copy()


def _captions(found: LocalMap) -> list[str]:
    means = [("mean", found.mean())]
    means += [(f"mean in {region}", found.mean(region)) for region in found.regions]
    shown = ", ".join(f"{label} {'–' if value is None else f'{value:.4g}'}" for label, value in means)
    undefined = "; gray: not defined" if np.isnan(found.values).any() else ""
    return [found.pair_id, f"map: {shown}; black: equal{undefined}"]


def _draw_scale(
    draw: ImageDraw.ImageDraw, canvas: Image.Image, scale: Scale, place: tuple[int, int, int]
) -> None:
    """The colors from bottom to top, in steps of one pixel, with five values."""
    left, top, height = place
    values = np.linspace(scale.high, scale.low, height)[:, None].repeat(BAR, axis=1)
    canvas.paste(Image.fromarray(colorize(values, scale.low, scale.high, scale.colors)), (left, top))
    draw.rectangle((left, top, left + BAR - 1, top + height - 1), outline=UNDEFINED)
    font = ImageFont.load_default(size=12)
    for value in np.linspace(scale.low, scale.high, 5):
        row = top + round((scale.high - value) / (scale.high - scale.low) * (height - 1))
        draw.line((left + BAR, row, left + BAR + 3, row), INK)
        draw.text((left + BAR + 6, row), tick(value), INK, font, anchor="lm")


def tick(value: float) -> str:
    """A value beside the scale.

    Example:
        >>> tick(0.25), tick(-0.0), tick(1e-17)
        ('0.25', '0', '0')
    """
    rounded = round(float(value), 6)
    return f"{rounded + 0.0:.4g}"


def _fitted(draw: ImageDraw.ImageDraw, text: str, width: int, font: Any) -> str:
    """The text, cut where the 2-D image ends."""
    for length in _lengths(text):
        shown = text if length == len(text) else text[:length] + "…"
        if draw.textlength(shown, font) <= width:
            return shown
    return ""


def _lengths(text: str) -> Iterable[int]:
    return range(len(text), 0, -1)
