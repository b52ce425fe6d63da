"""The table of options that mean one thing in every command that has them; its grammar is in :mod:`.arguments`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import click

from iqa_registry.cli import complete
from iqa_registry.cli.values import (
    BATCH_SIZE,
    COLUMNS,
    DEVICE,
    FILE,
    FOLDER,
    FOREGROUND,
    INTENSITY,
    PLANES,
    SLICES,
    TableFile,
)


@dataclass(frozen=True, slots=True)
class Shared:
    """What an option is in every command that has it."""

    section: str
    help: str
    settings: dict[str, Any] = field(default_factory=dict)
    letter: str | None = None
    name: str | None = None
    old: tuple[str, ...] = ()


def _flag(section: str, help_text: str, **settings: Any) -> Shared:
    return Shared(section, help_text, {"is_flag": True}, **settings)


def _text(section: str, help_text: str, metavar: str, **settings: Any) -> Shared:
    return Shared(section, help_text, {"metavar": metavar, **settings})


def _choice(section: str, help_text: str, words: Sequence[str], **settings: Any) -> Shared:
    return Shared(section, help_text, {"type": click.Choice(words), **settings})


SHARED: dict[str, Shared] = {
    "pairs": _text(
        "Input",
        "Manifest (CSV or Parquet) with the columns synthesized and reference, optionally mask and others.",
        "FILE",
        type=FILE,
    ),
    "dataset": _text(
        "Input", "Dataset of a plugin, NAME:PATH,KEY=VALUE,...; see `iqa datasets list`.", "SPEC"
    ),
    "ratings": _text("Input", "Table of human ratings.", "FILE", type=FILE),
    "where": _text(
        "Input",
        "Keep only rows with these values, for example model=munit,unit or epoch=1:41. May be repeated.",
        "COLUMN=VALUES",
        multiple=True,
    ),
    "metric": Shared(
        "Metrics",
        "Metric, NAME or NAME:KEY=VALUE,...; see `iqa list`. May be repeated.",
        {
            "metavar": "NAME",
            "multiple": True,
            "shell_complete": complete.completer(complete.metric_names),
        },
        letter="-m",
    ),
    "components": _flag("Metrics", "Add the components of each score.", old=("--details",)),
    "axis": _choice(
        "Images",
        "Axis along which volumes are sliced.",
        ("axial", "coronal", "sagittal"),
        default="axial",
    ),
    "planes": _text(
        "Images",
        "Slice volumes along several axes, for example axial+coronal+sagittal, instead of --axis.",
        "AXIS+AXIS",
        type=PLANES,
    ),
    "slices": _text("Images", "Slices of volumes, as in Python (50:80).", "FIRST:LAST", type=SLICES),
    "layout": _choice(
        "Images",
        "What the axes of arrays in files are, such as XYZ for a volume and NHW for a stack of 2-D images.",
        ("XYZ", "ZYX", "NHW", "CHW", "HWC", "NCHW", "NHWC"),
    ),
    "resample": _choice("Images", "Resample synthesized volumes to the reference grid.", ("reference",)),
    "geometry": _choice(
        "Images",
        "Check the headers of two volumes, or ignore them and score the voxels as they are stored.",
        ("check", "ignore"),
        default="check",
    ),
    "nan": _choice(
        "Images",
        "Report an error for NaN in a region, or exclude these pixels from it.",
        ("error", "exclude"),
        default="error",
    ),
    "empty": _choice(
        "Images",
        "Skip slices that are empty in both images, or score them.",
        ("skip", "score"),
        default="skip",
    ),
    "resize": _flag("Images", "Resize synthesized 2-D images to the size of the reference."),
    "crop": _flag("Images", "Crop both 2-D images centrally to their common size."),
    "mask": _text(
        "Images",
        'Add a region: the inside of this mask (a file, a folder, or a template such as "masks/{case}.nii.gz").',
        "PATH",
        type=click.Path(path_type=Path),
    ),
    "labels": _text(
        "Images",
        "Label map (a file, a folder, or a template). By default the mask serves as one.",
        "PATH",
        type=click.Path(path_type=Path),
    ),
    "regions": _text(
        "Images",
        "Add a region: labels by the name that the dataset gives them (core), or NAME=LABEL,LABEL. May be repeated.",
        "NAME[=LABELS]",
        multiple=True,
    ),
    "label-names": _text(
        "Images",
        "Name labels for the metrics that use them, for example core=1,4. May be repeated.",
        "NAME=LABELS",
        multiple=True,
    ),
    "use-labels": _flag(
        "Images", "Give the label maps to the metrics that use labels, instead of what these find themselves."
    ),
    "foreground": _text(
        "Images",
        "Add a region: where the reference is above VALUE. By default above -500 if it has values below that (CT), and "
        "not 0 otherwise.",
        "[above=VALUE]",
        is_flag=False,
        flag_value="auto",
        takes=("above", "nonzero", "auto"),
        type=FOREGROUND,
    ),
    "dilate": Shared(
        "Images",
        "Let the mask and the regions grow by this distance in millimeters.",
        {"metavar": "MM", "type": click.FloatRange(min=0), "default": 0.0, "show_default": False},
    ),
    "intensity": _text(
        "Images",
        "Rule that maps stored values to [0, 1]: dtype, range=LO,HI, window=NAME (of CT: lung, bone, brain, "
        "soft-tissue, mediastinum, liver, stroke), reference-percentile=LO,HI, each-percentile=LO,HI or none. "
        "By default dtype for 8- and 16-bit 2-D images, and "
        "reference-percentile=0.5,99.5 for everything else.",
        "RULE",
        type=INTENSITY,
    ),
    "out-of-range": _choice(
        "Images",
        "Clip and count values outside the limits, or report an error.",
        ("clip", "error"),
        default="clip",
    ),
    "allow-scale-mismatch": _flag("Images", "Score pairs whose value ranges clearly disagree."),
    "group-by": Shared(
        "Statistics",
        "Columns that define groups; each group is reported separately.",
        {"metavar": "COLUMNS", "type": COLUMNS, "default": (), "show_default": False},
    ),
    "cluster": _text(
        "Statistics",
        "Column of images that the bootstrap draws together. By default subject, if there is one.",
        "COLUMN",
    ),
    "resamples": Shared(
        "Statistics",
        "Number of bootstrap samples; 0 gives no intervals.",
        {"metavar": "N", "type": click.IntRange(min=0), "default": 2000},
    ),
    "pool": _choice(
        "Statistics",
        "How several values become one.",
        ("trimmed-mean", "mean", "median"),
        default="trimmed-mean",
    ),
    "seed": Shared("Running", "Random seed.", {"metavar": "N", "type": click.IntRange(min=0), "default": 0}),
    "count": Shared("Input", "How many to make.", {"metavar": "N", "type": click.IntRange(min=1)}),
    "size": Shared("Images", "Rows and columns of a slice.", {"metavar": "PIXELS", "default": 256}),
    "source": _text("Input", "Modality that is translated.", "MODALITY", default="t1"),
    "target": _text("Input", "Modality that is scored.", "MODALITY", default="t2"),
    "segmenter": _text("Model", "Segmenter, NAME or NAME:KEY=VALUE,...; see `iqa segment list`.", "SPEC"),
    "weights": _text("Model", "Model file, or the name of weights that ship.", "NAME"),
    "start": _text("Model", "Model to start from.", "PATH", type=click.Path(path_type=Path)),
    "config": _text("Input", "TOML file of settings; options override it.", "FILE", type=FILE),
    "device": _text("Running", "Device: auto, cpu, cuda or cuda:N.", "DEVICE", type=DEVICE, default="auto"),
    "precision": _choice(
        "Running",
        "Numerical precision; bf16 for the parts that support it.",
        ("fp32", "bf16"),
        default="fp32",
    ),
    "batch-size": Shared(
        "Running", "Images per batch.", {"metavar": "N|auto", "type": BATCH_SIZE, "default": "auto"}
    ),
    "workers": Shared(
        "Running",
        "Threads that read images ahead; 0 reads in the main thread.",
        {"metavar": "N", "type": click.IntRange(min=0), "default": 2},
    ),
    "output": Shared("Output", "Folder for the results.", {"metavar": "FOLDER", "type": FOLDER}, letter="-o"),
    "table": _text("Output", "File for the table; its suffix gives the format.", "FILE", type=TableFile()),
    "fresh": _flag("Output", "Discard what the folder holds."),
    "force": _flag("Output", "Replace files that exist."),
    "plot": _flag("Output", "Draw figures into the folder (PNG and SVG)."),
    "json": _flag("Output", "Print as JSON.", name="as_json"),
    "csv": _flag("Output", "Print as CSV.", name="as_csv"),
}
"""The options that mean one thing everywhere, by name."""
