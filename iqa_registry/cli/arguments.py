"""Arguments and options that several commands share, so that they read the same everywhere."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from iqa_registry.cli import complete

Synthesized = Annotated[
    str | None, typer.Argument(help="A synthesized image or volume, a folder of them, or a DICOM series.")
]
Reference = Annotated[str | None, typer.Argument(help="The reference, likewise; folders match by name.")]
Metrics = Annotated[
    list[str] | None,
    typer.Option(
        "--metric",
        "-m",
        help="A metric, NAME or NAME:KEY=VALUE,...; may be repeated. See `iqa list`.",
        autocompletion=complete.metric_names,
    ),
]
Pairs = Annotated[
    Path | None,
    typer.Option(help="A manifest (CSV or Parquet): synthesized, reference, optional mask, further columns."),
]
Dataset = Annotated[str | None, typer.Option(help="A dataset of a plugin, NAME:PATH; see `iqa plugins`.")]
Axis = Annotated[str, typer.Option(help="Axis along which volumes are cut: axial, coronal, sagittal.")]
Slices = Annotated[str | None, typer.Option(help="Slices of a volume, FIRST:LAST as in Python (50:80).")]
Regions = Annotated[
    list[str] | None, typer.Option(help="A region of a label map, NAME=LABEL,LABEL; may be repeated.")
]
Intensity = Annotated[
    str | None,
    typer.Option(
        help="dtype | range=LO,HI | reference-percentile=LO,HI | each-percentile=LO,HI | none. "
        "By default dtype for 8 and 16 bit pictures, reference-percentile=0.5,99.5 for everything else."
    ),
]
OutOfRange = Annotated[str, typer.Option(help="Values outside the limits: clip (and count) or error.")]
ScaleMismatch = Annotated[
    bool, typer.Option("--allow-scale-mismatch", help="Score pairs whose value ranges plainly disagree.")
]
Resample = Annotated[
    str | None, typer.Option(help="`reference` brings synthesized volumes onto the reference's grid.")
]
Resize = Annotated[bool, typer.Option("--resize", help="Resize pictures to the reference's size.")]
Crop = Annotated[bool, typer.Option("--crop", help="Crop both pictures centrally to their common size.")]
Device = Annotated[str, typer.Option(help="auto, cpu, cuda or cuda:N.")]
Workers = Annotated[int, typer.Option(help="Threads that read images ahead.")]
Debug = Annotated[bool, typer.Option("--debug", help="Show the traceback of errors.")]
