"""Draw figures of the documents (``docs/images``): contact sheets of the phantom, and the map on the first page.

    python tools/make_pictures.py           writes them
    python tools/make_pictures.py --folder F  writes them into another folder

Needs the extra ``phantom``. The 2-D images are as small as they can be and still show what they are to show.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from iqa_datasets.phantom.contrast import MODALITIES
from iqa_datasets.phantom.degradations import DEGRADATIONS, Context, degrade
from iqa_datasets.phantom.fields import Grid
from iqa_datasets.phantom.scene import Scene, make_scene
from iqa_datasets.phantom.template import load_template
from iqa_datasets.phantom.writer import PALETTE
from iqa_registry.sample import MANIFEST

Array = np.ndarray[Any, np.dtype[Any]]

IMAGES = Path(__file__).resolve().parents[1] / "docs" / "images"
MARGIN = 0.045
"""Share of a slice that is cut off at each side."""
SEVERITIES = (0.33, 0.66, 1.0)


def main() -> int:
    """Write the sheets; returns the exit code."""
    parser = argparse.ArgumentParser(description="Draw the contact sheets of the documents.")
    parser.add_argument("--folder", type=Path, default=IMAGES)
    folder = parser.parse_args().folder
    folder.mkdir(parents=True, exist_ok=True)
    sheets = {"phantom-modalities.png": modalities(), "phantom-degradations.png": degradations()}
    for name, sheet in sheets.items():
        sheet.quantize(128, dither=Image.Dither.NONE).save(folder / name, optimize=True)
        print(f"{folder / name}: {(folder / name).stat().st_size / 1000:.0f} kB")
    sample_map(folder / "maps-ssim.png")
    return 0


def sample_map(path: Path) -> None:
    """What ``iqa maps`` draws of a pair of the bundled sample, in two thirds of its size."""
    pair, subject = "sim-0003-06", "sim-0003"
    images = [
        MANIFEST.parent / "synthesized" / f"{pair}.png",
        MANIFEST.parent / "reference" / f"{subject}.png",
    ]
    mask = MANIFEST.parent / "labels" / f"{subject}.png"
    with tempfile.TemporaryDirectory() as folder:
        options = ["--mask", mask, "--metric", "ssim", "-o", folder]
        subprocess.run([sys.executable, "-m", "iqa_registry", "maps", *images, *options], check=True)
        (drawn,) = Path(folder).glob("*.png")
        panel = Image.open(drawn).convert("RGB")
    panel = panel.resize((panel.width * 2 // 3, panel.height * 2 // 3), Image.Resampling.LANCZOS)
    panel.quantize(128, dither=Image.Dither.NONE).save(path, optimize=True)
    print(f"{path}: {path.stat().st_size / 1000:.0f} kB")


def scene(seed: int, height: float, lesion: bool, size: int) -> Scene:
    """A subject of the sheets."""
    grid = Grid(size, (height,), volume=False)
    return make_scene(np.random.default_rng([42, seed]), grid, load_template(), lesion)


def modalities() -> Image.Image:
    """Six subjects, a row each: the four modalities and the label map."""
    subjects = [
        (0, 0.0, False),
        (1, 14.0, False),
        (2, 30.0, False),
        (3, 10.0, True),
        (4, 20.0, True),
        (5, 27.0, True),
    ]
    rows = []
    for seed, height, lesion in subjects:
        drawn = scene(seed, height, lesion, 256)
        images = [grey(drawn.image(name)) for name in MODALITIES]
        rows.append([*images, np.asarray(PALETTE, np.uint8)[drawn.labels()]])
    names = ["healthy"] * 3 + ["with lesion"] * 3
    return sheet(rows, [*(name.upper() for name in MODALITIES), "labels"], names, 144)


def degradations() -> Image.Image:
    """Each error at three severities, beside the reference, in a T2 and a FLAIR image of one subject.

    Slices of 128 pixels, shown pixel by pixel: a checkerboard does not survive being reduced.
    """
    drawn = scene(4, 20.0, True, 128)
    rows = []
    for name in DEGRADATIONS:
        row = []
        for target in ("t2", "flair"):
            image, context = drawn.image(target), Context(drawn, target, "t1")
            row.append(grey(image))
            for severity in SEVERITIES:
                row.append(grey(degrade(image, {name: severity}, context, np.random.default_rng(2))))
        rows.append(row)
    columns = [
        f"{target}{text}"
        for target in ("T2", "FLAIR")
        for text in (" reference", *map(" {}".format, SEVERITIES))
    ]
    return sheet(rows, columns, list(DEGRADATIONS), 116)


def grey(image: Array) -> Array:
    """[0, 1] as 8-bit color."""
    return np.repeat(np.rint(image * 255).astype(np.uint8)[..., None], 3, axis=2)


def sheet(
    rows: Sequence[Sequence[Array]], columns: Sequence[str], names: Sequence[str], side: int
) -> Image.Image:
    """Tiles of ``side`` pixels in rows, a name above each column and left of each row."""
    font = ImageFont.load_default(size=13)
    left, top = 128, 24
    width, height = left + len(columns) * side, top + len(rows) * side
    picture = Image.new("RGB", (width, height), "white")
    pen = ImageDraw.Draw(picture)
    for number, text in enumerate(columns):
        pen.text((left + (number + 0.5) * side, top / 2), text, "black", font, anchor="mm")
    for line, (name, row) in enumerate(zip(names, rows, strict=True)):
        pen.text((6, top + (line + 0.5) * side), name, "black", font, anchor="lm")
        for number, tile in enumerate(row):
            picture.paste(cut(tile, side), (left + number * side, top + line * side))
    return picture


def cut(tile: Array, side: int) -> Image.Image:
    """The middle of a slice, which the brain fills, in a tile's size."""
    margin = round(MARGIN * len(tile))
    middle = Image.fromarray(tile[margin : len(tile) - margin, margin : len(tile) - margin])
    return middle if middle.width == side else middle.resize((side, side), Image.Resampling.LANCZOS)


if __name__ == "__main__":
    raise SystemExit(main())
