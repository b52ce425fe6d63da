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
name), ``--pool HOW`` (how several values become one:
raters' by ``mean``, scores of slices by ``volume``). ``--units`` is the unit of what is shown (``scaled`` or
``native``). Verbs:
``pairs``, ``stress``, ``fit``, ``plan``, ``evaluate-sets``, ``systems``, ``compare``, ``rank``, ``report``, ``worst``,
``study``, ``show``, ``rerun``, ``diff``, ``cite``, ``merge``.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import click

from iqa_registry.cli import complete
from iqa_registry.cli.command import Command, Group, OldArgument, Option, debug
from iqa_registry.cli.expanded import MoreImages
from iqa_registry.cli.shared import SHARED
from iqa_registry.cli.values import (
    CHANNELS,
    COLUMNS,
    FILE,
    FOLDER,
    LABELS,
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


def _more_images(function: F) -> F:
    function.__dict__.setdefault("__click_params__", []).append(MoreImages())
    return function


as_json: Any = option("json")
as_csv: Any = option("csv")
images = together(
    # The type makes shells complete file names; what is there is checked where the pairs are made.
    click.argument("synthesized", required=False, type=click.Path()),
    click.argument("reference", required=False, type=click.Path()),
    _more_images,
    option("pairs"),
    option("dataset"),
)
"""Where the pairs come from."""
grid = together(
    *[option(name) for name in ("axis", "slices", "layout", "resample", "geometry", "resize", "crop")]
)
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
