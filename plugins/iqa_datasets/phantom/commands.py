"""``iqa phantom make | subjects``: simulated brain MRI as files."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar, cast

import click

from iqa_registry.cli.arguments import PATH, debug, flag, together
from iqa_registry.cli.progress import progress_bar

if TYPE_CHECKING:
    from iqa_datasets.phantom.dataset import Phantom

F = TypeVar("F", bound=Callable[..., Any])


def _number(name: str, default: float, help_text: str) -> Callable[[F], F]:
    return click.option(name, default=default, show_default=True, help=help_text)


_force = flag("--force", "Write into a folder that holds something already.")
_lesions = _number("--lesions", 0.5, "Share of subjects with lesions, 0 to 1.")
_size = _number("--size", 256, "Rows and columns of a slice: 128 or 256.")
_study = together(
    _number("--pairs", 200, "How many pairs."),
    _number("--seed", 1, "Of subjects and errors; the same seed makes the same files."),
    _number("--per-subject", 8, "Synthesized images of each subject."),
    _size,
    click.option(
        "--source", default="t1", show_default=True, metavar="MODALITY", help="t1, t2, pd or flair."
    ),
    click.option(
        "--target", default="t2", show_default=True, metavar="MODALITY", help="t1, t2, pd or flair."
    ),
    _lesions,
    click.option(
        "--degradation", "-d", multiple=True, metavar="NAME", help="An error that may occur; repeatable. All."
    ),
    _number("--raters", 10, "How many simulated raters."),
    _number("--panel", 0, "Seed of the raters."),
    _number("--icc", 0.64, "How well the raters agree, ICC(2,1), between 0 and 1."),
)


@click.group()
def phantom() -> None:
    """Make simulated brain MRI with errors of known severity and simulated raters.

    Nobody was scanned for it and no radiologist was asked. The same data come without files by
    `--dataset phantom:pairs=200,seed=1`; `iqa datasets info phantom` lists the parameters.
    """


@phantom.command()
@click.argument("out", type=PATH)
@_study
@click.option(
    "--format",
    "form",
    type=click.Choice(["png", "nifti"]),
    default="png",
    show_default=True,
    help="png: slices; nifti: volumes.",
)
@_force
@debug
def make(out: Path, form: str, force: bool, **settings: Any) -> None:
    """Write pairs, label maps, a manifest, severities and ratings into the folder OUT.

    Score them with `iqa evaluate --pairs OUT/manifest.csv`.
    """
    from iqa_datasets.phantom.writer import check_folder, write_study

    check_folder(out, force)
    settings["degradations"] = "+".join(settings.pop("degradation"))
    made = _open(settings | {"dimensions": 2 if form == "png" else 3})
    with progress_bar("simulating") as progress:
        size = write_study(made, out, _command("make", form), progress)
    click.echo(
        f"{made.count} pairs of {made.subject_count} simulated subjects, {size / 1e6:.1f} MB in {out}; "
        f"score them with: iqa evaluate --pairs {out / 'manifest.csv'}"
    )


@phantom.command()
@click.argument("out", type=PATH)
@_number("--count", 20, "How many subjects.")
@_number("--seed", 1, "The same seed makes the same files.")
@_size
@_lesions
@_force
@debug
def subjects(out: Path, count: int, force: bool, **settings: Any) -> None:
    """Write subjects as NIfTI volumes with label maps, for training segmentation.

    The layout is that of BraTS: OUT/NAME/NAME_t1.nii.gz, _t2, _pd, _flair, _labels (1 fluid, 2 grey matter, 3 white
    matter, 4 core, 5 solid, 6 oedema) and _seg (lesions by the labels of BraTS: 1 core, 4 solid, 2 oedema).
    """
    from iqa_datasets.phantom.writer import check_folder, write_subjects

    check_folder(out, force)
    made = _open(settings | {"pairs": count, "per_subject": 1, "dimensions": 3})
    with progress_bar("simulating") as progress:
        written = write_subjects(made, out, progress)
    click.echo(f"{written} simulated subjects in {out}; read them with: --dataset brats:{out}")


def _open(settings: dict[str, Any]) -> Phantom:
    from iqa_registry.registry import build_registry

    given = ",".join(f"{name}={value}" for name, value in settings.items() if value != "")
    return cast("Phantom", build_registry().dataset(f"phantom:{given}"))


def _command(name: str, form: str) -> str:
    """The command as it was given, without the folder, for the note beside the files."""
    given = click.get_current_context().params
    names = ("pairs", "seed", "per_subject", "size", "source", "target", "lesions", "raters", "panel", "icc")
    options = [f"--{key.replace('_', '-')} {given[key]}" for key in names]
    errors = [f"--degradation {error}" for error in given["degradation"]]
    return " ".join([f"iqa phantom {name} OUT", *options, *errors, f"--format {form}"])
