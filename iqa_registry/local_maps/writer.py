"""Maps as files: a 2-D image for each, a NIfTI volume for each volume and metric, and a table of their means."""

from __future__ import annotations

import re
from pathlib import Path, PurePath
from types import TracebackType
from typing import Any

import numpy as np
import polars as pl

from iqa_registry.errors import UsageError
from iqa_registry.images.image import Array
from iqa_registry.images.pair import Pair
from iqa_registry.local_maps.local_map import LocalMap, grid_source
from iqa_registry.local_maps.picture import draw_map, draw_panel, to_png
from iqa_registry.local_maps.volume import Grid, empty_volume, place, reference_grid, to_nifti
from iqa_registry.tables.schema import make_table
from iqa_registry.tables.writing import write_file, write_table

TABLE = "maps.csv"
COLUMNS = {
    "pair_id": pl.String, "metric": pl.String, "region": pl.String, "mean": pl.Float64, "lowest": pl.Float64,
    "highest": pl.Float64, "equal": pl.Float64, "brightest": pl.Float64, "picture": pl.String, "volume": pl.String,
}  # fmt: skip


class MapWriter:
    """Writes maps into a folder; what is there under the same name is replaced.

    Files are named ``PAIR_ID-METRIC.png`` and, for volumes, ``PAIR-METRIC.nii.gz``; a ``/`` in an identifier makes a
    subfolder, and characters that not every file system takes become ``_``. A volume is written once all of its
    slices are there. Slices that were not mapped are NaN in it.

    Args:
        folder: is made if necessary.
        panel: draw reference and synthesized image beside the map, with a scale; else the map's colors alone.

    Attributes:
        rows: what the table ``maps.csv`` holds, one row per map and region.
        2-D images: number of 2-D images written.
        volumes: number of volumes written.
    """

    def __init__(self, folder: Path, panel: bool = True) -> None:
        self.folder = folder
        self.rows: list[dict[str, Any]] = []
        self.pictures = 0
        self.volumes = 0
        self._panel = panel
        self._names: dict[str, tuple[str, str]] = {}
        self._pair: Pair | None = None
        self._grid: Grid | None = None
        self._open: dict[str, tuple[str, Array]] = {}

    def __enter__(self) -> MapWriter:
        if self.folder.exists() and not self.folder.is_dir():
            raise UsageError(f"{self.folder}: is a file; -o names a folder.")
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is None:
            self._finish_pair()
            write_table(self.folder / TABLE, make_table(self.rows, COLUMNS))

    def add(self, found: LocalMap) -> None:
        """Write the 2-D image of a map, and keep its values for the volume.

        Raises:
            UsageError: another map has the same file name.
            IQAError: the folder cannot be written.
        """
        if found.pair is not self._pair:
            self._finish_pair()
            self._pair = found.pair
            self._grid = None if found.axis is None else reference_grid(grid_source(found.pair))
        picture = self._name(found.pair_id, found.metric, ".png")
        spacing = (1.0, 1.0) if self._grid is None or found.axis is None else self._grid.spacing(found.axis)
        self._write(picture, to_png(draw_panel(found, spacing) if self._panel else draw_map(found)))
        self.pictures += 1
        volume = ""
        if self._grid is not None:
            if found.metric not in self._open:
                name = self._name(found.pair.pair_id, found.metric, ".nii.gz")
                self._open[found.metric] = (name, empty_volume(self._grid))
            volume, values = self._open[found.metric]
            place(values, found)
        self._add_rows(found, picture, volume)

    def _add_rows(self, found: LocalMap, picture: str, volume: str) -> None:
        for region in (None, *found.regions):
            values = found.values if region is None else found.values[found.regions[region]]
            defined = values[~np.isnan(values)]
            bounds = (float(defined.min()), float(defined.max())) if defined.size else (None, None)
            self.rows.append(
                {
                    "pair_id": found.pair_id, "metric": found.metric, "region": region or "image",
                    "mean": found.mean(region), "lowest": bounds[0], "highest": bounds[1],
                    "equal": found.scale.equal, "brightest": found.scale.far,
                    "picture": picture, "volume": volume,
                }
            )  # fmt: skip

    def _finish_pair(self) -> None:
        for metric, (name, values) in self._open.items():
            if self._grid is not None:
                self._write(name, to_nifti(values, self._grid, f"iqa maps: {metric}"))
                self.volumes += 1
        self._open = {}

    def _name(self, pair_id: str, metric: str, suffix: str) -> str:
        name = file_stem(pair_id, metric) + suffix
        if self._names.setdefault(name, (pair_id, metric)) != (pair_id, metric):
            other = " of ".join(reversed(self._names[name]))
            raise UsageError(
                f"{metric} of {pair_id} and {other} would both be {name}; give the pairs other names."
            )
        return name

    def _write(self, name: str, content: bytes) -> None:
        write_file(self.folder / name, content)


def file_stem(pair_id: str, metric: str) -> str:
    """The name of a map's files below the output folder, without suffix; it never leads out of that folder.

    Example:
        >>> file_stem("t1c/axial-012", "ssim:window=7"), file_stem("../../etc/x y", "error")
        ('t1c/axial-012-ssim_window=7', 'etc/x_y-error')
    """
    parts = [part for part in PurePath(pair_id).parts if part not in ("..", "/", "\\")]
    safe = [_safe(part) for part in parts] or ["image"]
    return "/".join([*safe[:-1], f"{safe[-1]}-{_safe(metric)}"])


def _safe(text: str) -> str:
    return re.sub(r"[^\w.+=,@-]", "_", text)
