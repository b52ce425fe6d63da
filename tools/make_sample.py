"""Make the bundled sample (``iqa_registry/sample``): simulated MR-like slices, references and degraded copies.

The anatomy is the ICBM152 2009a template that the package nilearn carries, so nothing is downloaded. Everything
else is simulated: three "subjects" are three axial slices of the template under a smooth random deformation, with
T2-weighted contrast from the spin-echo equation

    S = PD (1 - exp(-TR / T1)) exp(-TE / T2)

and the tissue constants of BrainWeb at 1.5 T (R. K.-S. Kwan, A. C. Evans and G. B. Pike, "MRI simulation-based
evaluation of image-processing and classification methods", IEEE Transactions on Medical Imaging 18(11), 1999,
DOI 10.1109/42.816072), a smooth receive field and Rician noise. The degradations are errors that image-to-image
translation makes: see ``DEGRADATIONS``.

    python tools/make_sample.py           writes the sample
    python tools/make_sample.py --check   compares the pixels with those that are there, exit code 1 if they differ

Needs nilearn (``pip install nilearn``) and scipy. The seed is fixed: each run writes the same files.
"""

from __future__ import annotations

import argparse
import csv
import io
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image
from scipy import ndimage

Array = np.ndarray[Any, np.dtype[np.float64]]

SAMPLE = Path(__file__).resolve().parents[1] / "iqa_registry" / "sample"
SEED = 2009
SHAPE = (224, 192)
"""Rows and columns of a slice, one millimetre a pixel."""
SLICES = {"sim-01": 77, "sim-02": 88, "sim-03": 98}
"""Each simulated subject's axial slice of the template; 72 is the plane of the anterior commissure."""
TISSUES = {"csf": (1.0, 2569.0, 329.0), "gm": (0.86, 833.0, 83.0), "wm": (0.77, 500.0, 70.0)}
"""Proton density, T1 and T2 in milliseconds."""
T2_WEIGHTED = (4000.0, 100.0)
T1_WEIGHTED = (500.0, 12.0)
"""TR and TE in milliseconds."""
NOISE = 0.008
COLUMNS = ("synthesized", "reference", "mask", "subject", "slice", "model", "severity")


@dataclass(frozen=True)
class Subject:
    """One simulated slice: T2-weighted and T1-weighted image in [0, 1], without noise, and the brain mask."""

    t2: Array
    t1: Array
    mask: np.ndarray[Any, np.dtype[np.bool_]]


def load_template() -> dict[str, Array]:
    """T1 template and probabilities of grey and white matter at 1 mm, ``(197, 233, 189)`` in [0, 1]."""
    from nilearn import datasets

    loaders = {
        "t1": datasets.load_mni152_template,
        "gm": datasets.load_mni152_gm_template,
        "wm": datasets.load_mni152_wm_template,
    }
    return {
        name: np.asarray(load(resolution=1).get_fdata(), dtype=np.float64) for name, load in loaders.items()
    }


def axial(volume: Array, index: int) -> Array:
    """Slice ``index`` as a viewer shows it: anterior on top, the patient's right on the left; cut to ``SHAPE``."""
    plane = volume[::-1, ::-1, index].T
    top, left = ((have - want) // 2 for have, want in zip(plane.shape, SHAPE, strict=True))
    return np.ascontiguousarray(plane[top : top + SHAPE[0], left : left + SHAPE[1]])


def smooth_field(rng: np.random.Generator, width: float) -> Array:
    """A smooth random field over a slice, mean 0 and largest magnitude 1."""
    field = ndimage.gaussian_filter(rng.standard_normal(SHAPE), width, mode="reflect")
    field -= field.mean()
    return field / np.abs(field).max()


def displacement(rng: np.random.Generator, width: float, pixels: float) -> Array:
    """A smooth random displacement ``(2, H, W)``, at most ``pixels`` along each axis."""
    return pixels * np.stack([smooth_field(rng, width), smooth_field(rng, width)])


def warp(image: Array, shift: Array) -> Array:
    """Pull ``image`` back along ``shift``."""
    grid = np.indices(SHAPE, dtype=np.float64)
    return np.asarray(ndimage.map_coordinates(image, grid + shift, order=3, mode="nearest").clip(0, 1))


def tissue_fractions(t1: Array, gm: Array, wm: Array) -> tuple[dict[str, Array], Array]:
    """Fractions of the three tissues, and the brain as a fraction, from one slice of the template.

    The template is an average of many heads, so its probabilities are blurred: they are sharpened, and what is too
    dark for grey matter in the T1 template is taken for cerebrospinal fluid.
    """
    brain = ndimage.binary_fill_holes(t1 > 0.2)
    dark = np.clip((0.66 - t1) / 0.26, 0, 1)
    csf = np.maximum(np.clip(1 - gm - wm, 0, 1), dark)
    sharp = np.stack([csf, gm * (1 - dark), wm]) ** 2.0
    total = np.maximum(sharp.sum(axis=0), 1e-9)
    return dict(zip(TISSUES, sharp / total, strict=True)), brain.astype(np.float64)


def signal(fractions: dict[str, Array], sequence: tuple[float, float]) -> Array:
    """Spin-echo signal of a mixture of tissues."""
    repetition, echo = sequence
    parts = [
        fractions[name] * density * (1 - np.exp(-repetition / t1)) * np.exp(-echo / t2)
        for name, (density, t1, t2) in TISSUES.items()
    ]
    return np.sum(parts, axis=0)


def make_subject(template: dict[str, Array], index: int, rng: np.random.Generator) -> Subject:
    """Deform a slice of the template, give it contrast, and scale both images to [0, 1]."""
    shift = displacement(rng, 22, 9)
    field = 1 + 0.08 * smooth_field(rng, 50)
    maps = {name: warp(axial(volume, index), shift) for name, volume in template.items()}
    fractions, brain = tissue_fractions(maps["t1"], maps["gm"], maps["wm"])
    edge = ndimage.gaussian_filter(brain, 0.7)
    t2, t1 = (scale(signal(fractions, sequence) * field * edge) for sequence in (T2_WEIGHTED, T1_WEIGHTED))
    return Subject(t2, t1, brain > 0)


def scale(image: Array) -> Array:
    """Bring the 99.5th percentile to 0.9."""
    return np.asarray((0.9 * image / np.percentile(image, 99.5)).clip(0, 1))


def rician(image: Array, sigma: float, rng: np.random.Generator) -> Array:
    """Magnitude of the image plus complex Gaussian noise."""
    real, imaginary = sigma * rng.standard_normal((2, *SHAPE))
    return np.hypot(image + real, imaginary).clip(0, 1)


def misplace(image: Array, subject: Subject, rng: np.random.Generator, pixels: float) -> Array:
    """Deform a slice without moving the brain as a whole, at most ``pixels`` along each axis."""
    shift = displacement(rng, 12, 1.0)
    shift -= shift[:, subject.mask].mean(axis=1)[:, None, None]
    return warp(image, pixels * shift / np.abs(shift).max())


Degradation = Callable[[Array, Subject, np.random.Generator], Array]

DEGRADATIONS: dict[tuple[str, int], Degradation] = {
    ("blur", 1): lambda image, subject, rng: ndimage.gaussian_filter(image, 0.8),
    ("blur", 2): lambda image, subject, rng: ndimage.gaussian_filter(image, 2.0),
    ("noise", 1): lambda image, subject, rng: rician(image, 0.02, rng),
    ("noise", 2): lambda image, subject, rng: rician(image, 0.07, rng),
    ("residual-t1", 1): lambda image, subject, rng: 0.88 * image + 0.12 * subject.t1,
    ("residual-t1", 2): lambda image, subject, rng: 0.7 * image + 0.3 * subject.t1,
    ("warp", 1): lambda image, subject, rng: misplace(image, subject, rng, 2.0),
    ("warp", 2): lambda image, subject, rng: misplace(image, subject, rng, 5.0),
}
"""Model (the kind of error) and severity: Gaussian blur of 0.8 and 2 pixels, Rician noise of 0.02 and 0.07, a share
of 0.12 and 0.3 of the T1-weighted source left in the image, a smooth deformation of at most 2 and 5 pixels along each
axis."""


def make_sample() -> tuple[dict[str, np.ndarray[Any, np.dtype[np.uint8]]], list[dict[str, str]]]:
    """All pictures by their path in the sample's folder, and the rows of the manifest."""
    template = load_template()
    pictures: dict[str, np.ndarray[Any, np.dtype[np.uint8]]] = {}
    rows: list[dict[str, str]] = []
    for number, (name, index) in enumerate(SLICES.items()):
        rng = np.random.default_rng([SEED, number])
        subject = make_subject(template, index, rng)
        reference = rician(subject.t2, NOISE, rng)
        paths = {"reference": f"reference/{name}.png", "mask": f"mask/{name}.png"}
        pictures[paths["reference"]] = eight_bit(reference)
        pictures[paths["mask"]] = subject.mask.astype(np.uint8) * 255
        for (model, severity), degrade in DEGRADATIONS.items():
            path = f"synthesized/{name}-{model}-{severity}.png"
            pictures[path] = eight_bit(degrade(reference, subject, rng))
            facts = {"subject": name, "slice": str(index), "model": model, "severity": str(severity)}
            rows.append({"synthesized": path, **paths, **facts})
    return pictures, rows


def eight_bit(image: Array) -> np.ndarray[Any, np.dtype[np.uint8]]:
    """[0, 1] to 0 ... 255."""
    return np.asarray(np.rint(image.clip(0, 1) * 255), dtype=np.uint8)


def manifest_text(rows: list[dict[str, str]]) -> str:
    """The manifest as CSV."""
    buffer = io.StringIO()
    writer = csv.DictWriter(buffer, COLUMNS, lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return buffer.getvalue()


def write(folder: Path) -> int:
    """Write the sample under ``folder``; returns the bytes written."""
    pictures, rows = make_sample()
    for path, pixels in pictures.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(pixels).save(folder / path, optimize=True)
    (folder / "manifest.csv").write_text(manifest_text(rows), encoding="utf-8")
    return sum((folder / path).stat().st_size for path in [*pictures, "manifest.csv"])


def differences(folder: Path) -> list[str]:
    """What in ``folder`` differs from what would be written: a line each."""
    pictures, rows = make_sample()
    found = []
    for path, pixels in pictures.items():
        if not (folder / path).is_file():
            found.append(f"{path} is missing")
        elif not np.array_equal(np.asarray(Image.open(folder / path)), pixels):
            found.append(f"{path} has other pixels")
    if (folder / "manifest.csv").read_text(encoding="utf-8") != manifest_text(rows):
        found.append("manifest.csv differs")
    return found


def main() -> int:
    """Write or check; returns the exit code."""
    parser = argparse.ArgumentParser(description="Make the bundled sample.")
    parser.add_argument("--check", action="store_true", help="compare instead of writing")
    parser.add_argument("--folder", type=Path, default=SAMPLE)
    given = parser.parse_args()
    if not given.check:
        print(f"{write(given.folder) / 1000:.0f} kB in {given.folder}")
        return 0
    found = differences(given.folder)
    print("\n".join(found) or "the sample is up to date")
    return 1 if found else 0


if __name__ == "__main__":
    raise SystemExit(main())
