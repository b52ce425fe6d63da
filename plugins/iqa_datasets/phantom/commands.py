"""``iqa phantom make | subjects``: simulated brain MRI as files."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import click

from iqa_registry.cli.arguments import group, old_argument, option, together
from iqa_registry.cli.progress import progress_bar

if TYPE_CHECKING:
    from iqa_datasets.phantom.dataset import Phantom

DEGRADATIONS = (
    "lost-lesion",
    "invented-lesion",
    "displaced-lesion",
    "lesion-brightness",
    "residual-source",
    "warp",
    "blur",
    "kspace-shift",
    "missing-lines",
    "aliasing",
    "checkerboard",
    "noise",
)
"""Those of :mod:`iqa_datasets.phantom.degradations`, which imports numpy."""
_MODALITY = click.Choice(["t1", "t2", "pd", "flair"])
_FILES = together(
    old_argument("output"),
    option("output", required=True),
    option("force", note="The folder may then hold other files."),
)
_SUBJECTS = together(
    option("seed", default=1, note="The same seed makes the same files."),
    option("size", type=click.Choice(["128", "256"]), default="256"),
    option(
        "--lesion-share",
        "lesions",
        section="Images",
        type=click.FloatRange(0, 1),
        default=0.5,
        metavar="SHARE",
        old=("--lesions",),
        help="Share of the subjects that have lesions, 0–1.",
    ),
)
_RATERS = together(
    option(
        "--rater-count",
        "raters",
        section="Statistics",
        type=click.IntRange(2, 1000),
        default=10,
        metavar="N",
        old=("--raters",),
        help="Number of simulated raters.",
    ),
    option(
        "--rater-seed",
        "panel",
        section="Statistics",
        type=click.IntRange(min=0),
        default=0,
        metavar="N",
        old=("--panel",),
        help="Random seed for the raters.",
    ),
    option(
        "--icc",
        section="Statistics",
        type=click.FloatRange(0, 1, min_open=True, max_open=True),
        default=0.64,
        metavar="ICC",
        help="Agreement of the raters, ICC(2,1), between 0 and 1.",
    ),
)


@group()
def phantom() -> None:
    """Make simulated brain MRI with errors of known severity and simulated raters.

    Nobody was scanned for it, and no radiologist was asked. The dataset `phantom:pairs=200,seed=1` gives the same
    images without files; `iqa datasets info phantom` lists its parameters.
    """


@phantom.command(
    examples=(
        "iqa phantom make --count 8 --size 128 -o study",
        "iqa evaluate --pairs study/manifest.csv --metric psnr",
    )
)
@_FILES
@option("count", "pairs", default=200, note="The items are pairs of images.", old=("--pairs",))
@option(
    "--per-subject",
    section="Input",
    type=click.IntRange(min=1),
    default=8,
    metavar="N",
    help="Number of synthesized images of each subject.",
)
@option("source", type=_MODALITY, metavar=None)
@option("target", type=_MODALITY, metavar=None)
@_SUBJECTS
@option(
    "--degradation",
    section="Images",
    multiple=True,
    type=click.Choice(DEGRADATIONS),
    metavar="NAME",
    old=("-d",),
    help=f"Error that may occur: {', '.join(DEGRADATIONS)}. May be repeated. By default all of them.",
)
@_RATERS
@option(
    "--format",
    "form",
    section="Output",
    type=click.Choice(["png", "nifti"]),
    default="png",
    help="Write slices (png) or volumes (nifti).",
)
def make(output: Path, form: str, force: bool, **settings: Any) -> None:
    """Write pairs, label maps, a manifest, severities and ratings."""
    from iqa_datasets.phantom.writer import check_folder, write_study

    check_folder(output, force)
    settings["degradations"] = "+".join(settings.pop("degradation"))
    made = _open(settings | {"dimensions": 2 if form == "png" else 3})
    with progress_bar("simulating") as progress:
        size = write_study(made, output, _command("make", form), progress)
    click.echo(
        f"{made.count} pairs of {made.subject_count} simulated subjects, {size / 1e6:.1f} MB in {output}; "
        f"score them with: iqa evaluate --pairs {output / 'manifest.csv'}"
    )


@phantom.command(
    examples=(
        "iqa phantom subjects --count 2 --size 128 -o subjects",
        "iqa phantom subjects --count 3 --size 128 --lesion-share 1 --seed 7 -o ill",
    )
)
@_FILES
@option("count", default=20, note="The items are subjects.")
@_SUBJECTS
def subjects(output: Path, count: int, force: bool, **settings: Any) -> None:
    """Write subjects as NIfTI volumes with label maps, for training a segmenter.

    The layout is that of BraTS: NAME/NAME_t1.nii.gz, _t2, _pd, _flair, _labels (1 fluid, 2 gray matter, 3 white matter,
    4 core, 5 solid, 6 edema) and _seg (lesions by the labels of BraTS: 1 core, 4 solid, 2 edema).
    """
    from iqa_datasets.phantom.writer import check_folder, write_subjects

    check_folder(output, force)
    made = _open(settings | {"pairs": count, "per_subject": 1, "dimensions": 3})
    with progress_bar("simulating") as progress:
        written = write_subjects(made, output, progress)
    click.echo(f"{written} simulated subjects in {output}; read them with: --dataset brats:{output}")


def _open(settings: dict[str, Any]) -> Phantom:
    from iqa_registry.plugin import build_registry

    given = ",".join(f"{name}={value}" for name, value in settings.items() if value != "")
    return cast("Phantom", build_registry().dataset(f"phantom:{given}"))


def _command(name: str, form: str) -> str:
    """The command as it was given, without the folder, for the note next to the files."""
    context = click.get_current_context()
    left_out = {"output", "force", "form", "degradation"}
    named = {item.name: item.opts[0] for item in context.command.params if item.name not in left_out}
    given = context.params
    options = [f"{option} {given[key]}" for key, option in named.items() if key in given]
    errors = [f"--degradation {error}" for error in given["degradation"]]
    return " ".join([f"iqa phantom {name} -o FOLDER", *options, *errors, f"--format {form}"])
