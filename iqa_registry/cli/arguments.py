"""Arguments and options that several commands share, so that they read the same everywhere."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click

from iqa_registry.cli import complete
from iqa_registry.errors import UsageError

F = TypeVar("F", bound=Callable[..., Any])
Decorator = Callable[[F], F]

PATH = click.Path(path_type=Path)


def together(*decorators: Callable[[Any], Any]) -> Callable[[F], F]:
    """Several decorators as one, the first of them first on the help page."""

    def decorate(function: F) -> F:
        for decorator in reversed(decorators):
            function = decorator(function)
        return function

    return decorate


def _debug(ctx: click.Context, _: click.Parameter, wanted: bool) -> None:
    if wanted:
        os.environ["IQA_DEBUG"] = "1"


def flag(name: str, help_text: str) -> Callable[[F], F]:
    """A switch that is off by default."""
    return click.option(name, is_flag=True, help=help_text)


def metrics(help_text: str, names: Callable[[str], list[tuple[str, str]]]) -> Callable[[F], F]:
    """The option ``--metric``, given once per metric."""
    completer = complete.completer(names)
    return click.option(
        "--metric", "-m", multiple=True, metavar="NAME", help=help_text, shell_complete=completer
    )


as_json = click.option("--json", "as_json", is_flag=True, help="Print as JSON.")
as_csv = flag("--csv", "Print as CSV.")
debug = click.option(
    "--debug",
    is_flag=True,
    expose_value=False,
    is_eager=True,
    callback=_debug,
    help="Show the traceback of errors.",
)

images = together(
    # The type makes shells complete file names; what is there is checked where the pairs are made.
    click.argument("synthesized", required=False, type=click.Path()),
    click.argument("reference", required=False, type=click.Path()),
    click.option(
        "--pairs",
        type=PATH,
        help="A manifest (CSV or Parquet): synthesized, reference, optional mask, further columns.",
    ),
    click.option(
        "--dataset",
        metavar="SPEC",
        help="A dataset of a plugin, NAME:PATH,KEY=VALUE; see `iqa datasets list`.",
    ),
)
"""Where the pairs come from."""

grid = together(
    click.option(
        "--axis",
        default="axial",
        show_default=True,
        metavar="AXIS",
        help="Axis along which volumes are cut: axial, coronal, sagittal.",
    ),
    click.option("--slices", metavar="FIRST:LAST", help="Slices of a volume, as in Python (50:80)."),
    click.option(
        "--resample",
        metavar="reference",
        help="`reference` brings synthesized volumes onto the reference's grid.",
    ),
    flag("--resize", "Resize pictures to the reference's size."),
    flag("--crop", "Crop both pictures centrally to their common size."),
)
"""How the two images of a pair are brought to one grid."""

scale = together(
    click.option(
        "--intensity",
        metavar="RULE",
        help="dtype | range=LO,HI | reference-percentile=LO,HI | each-percentile=LO,HI | none. "
        "By default dtype for 8 and 16 bit pictures, reference-percentile=0.5,99.5 for everything else.",
    ),
    click.option(
        "--out-of-range",
        default="clip",
        show_default=True,
        metavar="HOW",
        help="Values outside the limits: clip (and count) or error.",
    ),
    flag("--allow-scale-mismatch", "Score pairs whose value ranges plainly disagree."),
)
"""How stored numbers become [0, 1]."""

masks = together(
    click.option(
        "--mask", type=PATH, help="A mask, or a folder of masks matched by name: which pixels count."
    ),
    click.option("--labels", type=PATH, help="A label map, or a folder of label maps matched by name."),
    click.option(
        "--regions",
        multiple=True,
        metavar="NAME[=LABELS]",
        help="Add a region of the label map: a name that the dataset gives (core), or NAME=LABEL,LABEL; "
        "may be repeated.",
    ),
    click.option(
        "--label-names",
        multiple=True,
        metavar="NAME=LABELS",
        help="Name labels for the metrics that look at them, such as lesions=1,4; may be repeated.",
    ),
    flag(
        "--use-labels",
        "Hand the label maps to the metrics that look at labels, in place of what they find themselves.",
    ),
    flag("--foreground", "Add the nonzero region of the reference as a region."),
    click.option("--lesions", hidden=True),
)
"""Where in the images: which pixels count, and label maps."""

components = click.option(
    "--components", "--details", is_flag=True, help="Add the components of a score as rows of their own."
)
device = click.option(
    "--device", default="auto", show_default=True, metavar="DEVICE", help="auto, cpu, cuda or cuda:N."
)
workers = click.option(
    "--workers", default=2, show_default=True, help="Threads that read images ahead; 0 reads in turn."
)


def check_output(as_json: bool, csv: bool, plot: bool = False, output: Path | None = None) -> None:
    """Refuse two ways to print at once, and figures without a folder.

    Raises:
        UsageError: the options contradict each other.
    """
    if plot and output is None:
        raise UsageError("--plot draws into a folder; name it with -o FOLDER.")
    if as_json and csv:
        raise UsageError("--json and --csv are two ways to print; choose one.")
