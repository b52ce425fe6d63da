"""A phantom study as files: PNG slices or NIfTI volumes, a manifest, severities, ratings, and a note of what it is."""

from __future__ import annotations

import csv
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from iqa_datasets.phantom.contrast import MODALITIES
from iqa_datasets.phantom.dataset import FULL_SCALE, VERSION, Phantom
from iqa_datasets.phantom.degradations import DEGRADATIONS
from iqa_registry.plugin import LazyImage, UsageError

PALETTE = (
    (0, 0, 0),
    (60, 100, 200),
    (140, 140, 140),
    (225, 225, 225),
    (120, 20, 20),
    (240, 120, 30),
    (250, 220, 90),
)
"""Colors of the labels 0 to 6 in a PNG label map, whose pixels are the labels themselves."""
BRATS_LABELS = {4: 1, 5: 4, 6: 2}
"""Label of a lesion's part to that of BraTS: core 1, solid 4 ("enhancing" there), edema 2."""
Progress = Callable[[int, int], None]

NOTE = """# Simulated brain MRI with simulated raters

Everything here is **simulated**: nobody was scanned, no network made the "synthesized" images and no radiologist rated
them. Scores show how metrics react to known errors, and say nothing about patients, networks or radiologists.

Made by `{command}` (iqa-registry, phantom version {version}).

- `manifest.csv`: pairs; `mask` is a label map (1 fluid, 2 gray matter, 3 white matter, and of lesions 4 core, 5 solid,
  6 edema), `severity` the largest of the image's errors, `rating` the simulated raters' trimmed mean.
- `severities.csv`: the severity of each error in each image, 0 (absent) to 1.
- `ratings.csv`: the simulated individual raters' scores, 0, 0.1 ... 0.9, larger is better.
- `reference`, `synthesized`, `labels`, `source`: {images}.

## Licence

The simulation is part of iqa-registry (Apache-2.0). The anatomy derives from the ICBM152 template, whose notice is:

> Copyright (C) 1993-2009 Louis Collins, McConnell Brain Imaging Centre, Montreal Neurological Institute, McGill
> University. Permission to use, copy, modify, and distribute this software and its documentation for any purpose and
> without fee is hereby granted, provided that the above copyright notice appear in all copies. The authors and McGill
> University make no representations about the suitability of this software for any purpose. It is provided "as is"
> without express or implied warranty. The authors are not responsible for any data loss, equipment damage, property
> loss, or injury to subjects or patients resulting from the use or misuse of this software package.

V. S. Fonov, A. C. Evans, K. Botteron, C. R. Almli, R. C. McKinstry, D. L. Collins and the Brain Development Cooperative
Group (2011), "Unbiased average age-appropriate atlases for pediatric studies", NeuroImage 54(1), 313-327,
DOI 10.1016/j.neuroimage.2010.07.033.

V. S. Fonov, A. C. Evans, R. C. McKinstry, C. R. Almli and D. L. Collins (2009), "Unbiased nonlinear average
age-appropriate brain templates from birth to adulthood", NeuroImage 47, S102.
"""


def write_study(phantom: Phantom, folder: Path, command: str, progress: Progress) -> int:
    """Write pairs, manifest, severities, ratings and a note into ``folder``.

    Args:
        phantom: the study.
        folder: where; made if it is not there.
        command: what the note says it was made by.
        progress: called with the pairs written and in all.

    Returns:
        The bytes written.
    """
    ending = "png" if phantom.dimensions == 2 else "nii.gz"
    for number in range(phantom.count):
        for path, image in _images(phantom, number, ending).items():
            if path.parent.name == "synthesized" or number % phantom.study.per_subject == 0:
                write_image(image, folder / path)
        progress(number + 1, phantom.count)
    _write_rows(folder / "manifest.csv", _manifest(phantom, ending))
    _write_rows(folder / "severities.csv", _severities(phantom))
    _write_rows(folder / "ratings.csv", _ratings(phantom))
    images = {
        2: "8-bit PNG, the full scale is 1",
        3: f"NIfTI, whole numbers, {FULL_SCALE} is 1",
    }[phantom.dimensions]
    text = NOTE.format(command=command, version=VERSION, images=images)
    (folder / "README.md").write_text(text, encoding="utf-8")
    return sum(path.stat().st_size for path in folder.rglob("*.*") if path.suffix != ".py")


def write_subjects(phantom: Phantom, folder: Path, progress: Progress) -> int:
    """Write subjects in the layout of BraTS, ``NAME/NAME_t1.nii.gz`` and so on, for training segmentation.

    Beside the four modalities there are ``_labels`` (all six classes) and ``_seg`` (lesions by the labels of BraTS).

    Returns:
        How many subjects were written.
    """
    for number in range(phantom.subject_count):
        name = phantom.study.subject(number).name
        images = {modality: phantom.image(number, modality) for modality in MODALITIES}
        images["labels"] = phantom.labels(number)
        for kind, image in images.items():
            write_image(image, folder / name / f"{name}_{kind}.nii.gz")
        made = images["labels"].make()
        lesions = np.zeros_like(made.pixels)
        for ours, theirs in BRATS_LABELS.items():
            lesions[made.pixels == ours] = theirs
        _write_nifti(lesions, made.affine, folder / name / f"{name}_seg.nii.gz")
        progress(number + 1, phantom.subject_count)
    return phantom.subject_count


def check_folder(folder: Path, force: bool) -> None:
    """Reject a folder that holds something already.

    Raises:
        UsageError: it does, and ``force`` is not set; or it is a file.
    """
    if folder.is_file():
        raise UsageError(f"{folder} is a file; name a folder.")
    if not force and folder.is_dir() and any(folder.iterdir()):
        raise UsageError(f"{folder} is not empty; name another folder, or give --force to write into it.")


def write_image(image: LazyImage, path: Path) -> None:
    """Write a slice as 8-bit PNG, or a volume as NIfTI of whole numbers; label maps get a palette."""
    from PIL import Image as Picture

    made = image.make()
    path.parent.mkdir(parents=True, exist_ok=True)
    if made.is_volume:
        _write_nifti(made.pixels, made.affine, path)
        return
    picture = Picture.fromarray(made.pixels[0].astype(np.uint8))
    if image.key.endswith("/labels"):
        picture.putpalette([value for colour in PALETTE for value in colour])
    picture.save(path, optimize=True)


def _write_nifti(pixels: np.ndarray[Any, Any], affine: Any, path: Path) -> None:
    import nibabel

    nibabel.save(nibabel.Nifti1Image(pixels.astype(np.uint16), affine), path)


def _images(phantom: Phantom, number: int, ending: str) -> dict[Path, LazyImage]:
    subject = number // phantom.study.per_subject
    name = phantom.study.subject(subject).name
    return {
        Path("synthesized", f"{phantom.pair_id(number)}.{ending}"): phantom.synthesized(number),
        Path("reference", f"{name}.{ending}"): phantom.image(subject, phantom.target),
        Path("labels", f"{name}.{ending}"): phantom.labels(subject),
        Path("source", f"{name}.{ending}"): phantom.image(subject, phantom.source),
    }


def _manifest(phantom: Phantom, ending: str) -> Iterator[Mapping[str, Any]]:
    for number, pair in enumerate(phantom.pairs()):
        paths = [path.as_posix() for path in _images(phantom, number, ending)]
        columns = dict(zip(("synthesized", "reference", "mask"), paths, strict=False))
        yield {"pair_id": pair.pair_id, **columns, **pair.groups}


def _severities(phantom: Phantom) -> Iterator[Mapping[str, Any]]:
    for number in range(phantom.count):
        found = phantom.study.severities(number)
        yield {"pair_id": phantom.pair_id(number)} | {name: found.get(name, 0.0) for name in DEGRADATIONS}


def _ratings(phantom: Phantom) -> Iterator[Mapping[str, Any]]:
    for number in range(phantom.count):
        for rater, rating in enumerate(phantom.study.ratings(number), start=1):
            yield {"pair_id": phantom.pair_id(number), "rater": f"sim-rater-{rater:02d}", "rating": rating}


def _write_rows(path: Path, rows: Iterator[Mapping[str, Any]] | Sequence[Mapping[str, Any]]) -> None:
    rows = list(rows)
    with path.open("w", newline="", encoding="utf-8") as stream:
        writer = csv.DictWriter(stream, list(rows[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
