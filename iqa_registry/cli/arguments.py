"""Options that several commands share: one name, form, help and default, wherever they are.

The grammar of the command line, which commands of plugins follow too:

- ``iqa VERB [THINGS] [OPTIONS]``, or ``iqa NOUN VERB`` where a subject has several verbs (``iqa weights fetch``). The
  arguments are what the command reads, and options are everything else. A command that turns one file into another
  takes both as arguments (``iqa kcross export MODEL FILE``).
- Input: ``--pairs FILE`` is a manifest, ``--dataset SPEC`` is ``NAME:PATH,KEY=VALUE``, and ``--where COLUMN=VALUES``
  keeps some of it.
- Output: ``-o FOLDER`` is always a folder, which also keeps what is needed to resume. ``--table FILE`` is one file.
  ``--json`` and ``--csv`` print for programs. ``--force`` replaces what exists, and ``--fresh`` discards a run.
- ``--metric`` is given once per metric, as is every option whose value can contain a comma. Columns are a comma list
  (``--group-by task,fold``), and numbers are joined by ``+`` (``--channels 8+16``). A fixed set of words is a choice.
- Letters are short for three options only: ``-o``, ``-m`` and ``-h``.
- A number of things to make is ``--count``, a share is ``--...-share``, and a name that is written somewhere is
  ``--...-name``.
- An option that is renamed keeps its earlier names as hidden ones (``old=``) until version 1.0.

Names that are kept for commands to come, with the one meaning that each will have: ``--shard K/N`` (this part of the
work), ``--engine NAME`` (what runs it), ``--config FILE`` (TOML; options override it), ``--preset NAME`` (settings by
name), ``--units COLUMNS`` (what counts as one observation), ``--pool HOW`` (how several values become one). Verbs:
``pairs``, ``stress``, ``fit``, ``plan``, ``evaluate-sets``, ``systems``, ``compare``, ``rank``, ``report``, ``worst``,
``study``, ``show``, ``rerun``, ``diff``, ``cite``, ``merge``.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import click

from iqa_registry.cli import complete
from iqa_registry.cli.command import Command, Group, OldArgument, Option, debug
from iqa_registry.cli.values import (
    BATCH_SIZE,
    CHANNELS,
    COLUMNS,
    DEVICE,
    FILE,
    FOLDER,
    FOREGROUND,
    INTENSITY,
    LABELS,
    SLICES,
    Assignment,
    TableFile,
    Words,
)
from iqa_registry.errors import UsageError

# What commands, those of plugins too, need of the command line; they import it from here alone.
__all__ = (
    "CHANNELS",
    "COLUMNS",
    "FILE",
    "FOLDER",
    "LABELS",
    "OLD_LABEL",
    "PATH",
    "SHARED",
    "Assignment",
    "TableFile",
    "Words",
    "as_csv",
    "as_json",
    "check_output",
    "command",
    "debug",
    "device",
    "flag",
    "grid",
    "group",
    "images",
    "masks",
    "metrics",
    "old_argument",
    "option",
    "scale",
    "together",
    "workers",
)

F = TypeVar("F", bound=Callable[..., Any])

PATH = FILE
OLD_LABEL = "--lesions"
"""Earlier name of ``--label-names lesions=LABELS --use-labels``, until version 1.0."""

command = partial(click.command, cls=Command)
"""Like :func:`click.command`; takes ``examples`` too."""
group = partial(click.group, cls=Group)


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
    "slices": _text("Images", "Slices of volumes, as in Python (50:80).", "FIRST:LAST", type=SLICES),
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
    "resize": _flag("Images", "Resize synthesized 2-D images to the size of the reference."),
    "crop": _flag("Images", "Crop both 2-D images centrally to their common size."),
    "mask": _text(
        "Images",
        "Add a region: the inside of this mask (a file, or a folder matched by name).",
        "PATH",
        type=click.Path(path_type=Path),
    ),
    "labels": _text(
        "Images",
        "Label map (a file, or a folder matched by name). By default the mask serves as one.",
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
    "fresh": _flag("Output", "Discard what the folder holds and start over."),
    "force": _flag("Output", "Replace files that exist."),
    "plot": _flag("Output", "Draw figures into the folder (PNG and SVG)."),
    "json": _flag("Output", "Print as JSON.", name="as_json"),
    "csv": _flag("Output", "Print as CSV.", name="as_csv"),
}
"""The options that mean one thing everywhere, by name."""


def option(
    name: str,
    *more: str,
    note: str = "",
    help: str = "",  # noqa: A002 - click's word
    section: str = "",
    **changes: Any,
) -> Callable[[F], F]:
    """An option: ``option("seed")`` is a shared one, ``option("--epochs", help=...)`` is the command's own.

    Args:
        name: a key of :data:`SHARED`, or the name with its dashes.
        more: the option's other name and the parameter's.
        note: a sentence that follows the shared help.
        help: of an option of the command's own.
        section: of the help page, one of :data:`~iqa_registry.cli.command.SECTIONS`.
        changes: other settings of :class:`~iqa_registry.cli.command.Option`; ``required``, ``default`` and ``old`` for
            shared options.
    """
    names = [name, *more]
    if name in SHARED:
        shared = SHARED[name]
        names = [f"--{name}", *filter(None, (shared.letter, shared.name)), *more]
        help, section = f"{shared.help} {note}".strip(), section or shared.section  # noqa: A001
        changes = {**shared.settings, **changes, "old": (*shared.old, *changes.get("old", ()))}
    if changes.get("required"):
        changes.pop("default", None)
    changes.setdefault("show_default", changes.get("default") is not None and not changes.get("is_flag"))
    return click.option(*names, cls=Option, help=help, section=section or "Options", **changes)


def flag(name: str, help_text: str, section: str = "", **settings: Any) -> Callable[[F], F]:
    """A switch of the command's own that is off by default."""
    return option(name, help=help_text, section=section, is_flag=True, **settings)


def old_argument(name: str) -> Callable[[F], F]:
    """Accept the value of an option as an argument too, as earlier versions did."""

    def decorate(function: F) -> F:
        params = function.__dict__.setdefault("__click_params__", [])
        params.append(OldArgument(name))
        return function

    return decorate


def together(*decorators: Callable[[Any], Any]) -> Callable[[F], F]:
    """Several decorators as one, the first of them first on the help page."""

    def decorate(function: F) -> F:
        for decorator in reversed(decorators):
            function = decorator(function)
        return function

    return decorate


def metrics(help_text: str, names: Callable[[str], list[tuple[str, str]]]) -> Callable[[F], F]:
    """The option ``--metric`` with a help of its own."""
    return click.option(
        *("--metric", "-m"),
        cls=Option,
        section="Metrics",
        multiple=True,
        metavar="NAME",
        help=help_text,
        shell_complete=complete.completer(names),
    )


as_json: Any = option("json")
as_csv: Any = option("csv")
images = together(
    # The type makes shells complete file names; what is there is checked where the pairs are made.
    click.argument("synthesized", required=False, type=click.Path()),
    click.argument("reference", required=False, type=click.Path()),
    option("pairs"),
    option("dataset"),
)
"""Where the pairs come from."""
grid = together(*[option(name) for name in ("axis", "slices", "resample", "geometry", "resize", "crop")])
"""How the two images of a pair are brought to one grid."""
scale = together(*[option(name) for name in ("intensity", "out-of-range", "nan", "allow-scale-mismatch")])
"""How stored values are mapped to [0, 1]."""
masks = together(
    *[
        option(name)
        for name in ("mask", "labels", "regions", "label-names", "use-labels", "foreground", "dilate")
    ],
    option(OLD_LABEL, "old_labels", hidden=True),
)
"""Where in the images: which pixels count, and label maps."""
device: Any = option("device")
workers: Any = option("workers")


def check_output(as_json: bool, as_csv: bool, plot: bool = False, output: Path | None = None) -> None:
    """Reject two ways to print at once, and figures without a folder.

    Raises:
        UsageError: the options contradict each other.
    """
    if plot and output is None:
        raise UsageError("--plot draws into a folder. Name it with -o FOLDER.")
    if as_json and as_csv:
        raise UsageError("--json and --csv contradict each other. Choose one.")
