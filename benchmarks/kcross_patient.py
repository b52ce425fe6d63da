"""How K-CROSS, PSNR and SSIM fall as errors grow in the images of a real patient; nothing is trained on them.

    python benchmarks/kcross_patient.py FOLDER [--weights kcross-t1-t2] [--flair-weights ...] [--slices 12:19]

FOLDER holds ``t1``, ``t2``, ``flair`` and ``brain_mask`` as ``.nii.gz`` on one grid. Slices are skull stripped, scaled
by the volume's 99.5th percentile and padded to 256 x 256. The lesion is what is bright on FLAIR. The errors are those
of the phantom; those of lesions are made from what the other hemisphere shows in the lesion's place. For each slice and
error the table has Spearman's correlation of severity (0 to 1 in tenths) and score: -1 is a steady fall.

The second table sets a removed lesion against errors of equal energy elsewhere in the brain: the very same pixel errors
scattered over other pixels, and a smooth error. All three have the same PSNR by construction.
"""

from __future__ import annotations

import argparse
import warnings
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import nibabel as nib
import numpy as np
import torch
from numpy.typing import NDArray
from scipy import ndimage
from scipy.stats import spearmanr
from tabulate import tabulate

from iqa_datasets.phantom import degradations
from iqa_registry.evaluation.features import select
from iqa_registry.metrics import FullReferenceMetric
from iqa_registry.registry import build_registry

Array = NDArray[np.float32]
Error = Callable[["Slice", float, np.random.Generator], Array]
SEVERITIES = np.linspace(0, 1, 11)
SIZE = 256
SMALLEST_LESION = 60
"""Pixels that a slice's lesion must have to be degraded."""


@dataclass(frozen=True)
class Slice:
    """One slice in all modalities, ``(256, 256)`` each, the one that is degraded first.

    Attributes:
        name: modality and number.
        image: the modality that is scored, in [0, 1].
        source: T1, in [0, 1].
        brain: where the brain is.
        lesion: a soft mask of the lesion, in [0, 1].
        healed: the image with the lesion replaced by what the other hemisphere shows.
    """

    name: str
    image: Array
    source: Array
    brain: NDArray[np.bool_]
    lesion: Array
    healed: Array

    @property
    def contrast(self) -> Array:
        """By how much the lesion differs from healthy tissue."""
        return self.image - self.healed


def lost(one: Slice, severity: float, rng: np.random.Generator) -> Array:
    return one.image - np.float32(severity) * one.contrast


def invented(one: Slice, severity: float, rng: np.random.Generator) -> Array:
    return one.image + np.float32(severity) * mirror(one.contrast, one.brain) * one.brain


def displaced(one: Slice, severity: float, rng: np.random.Generator) -> Array:
    """Towards the middle of the brain, by 26 mm at severity 1, as in the phantom."""
    place = np.array(ndimage.center_of_mass(one.lesion))
    direction = np.array(ndimage.center_of_mass(one.brain)) - place
    offset = severity * 29 * direction / np.linalg.norm(direction)
    return (one.healed + ndimage.shift(one.contrast, offset, order=1)).astype(np.float32)


def brightness(one: Slice, severity: float, rng: np.random.Generator) -> Array:
    return one.image + np.float32(severity * degradations.BRIGHTNESS) * one.contrast


def residual_source(one: Slice, severity: float, rng: np.random.Generator) -> Array:
    share = np.float32(severity * degradations.SOURCE_SHARE)
    return (1 - share) * one.image + share * one.source


def plain(apply: degradations.Degradation) -> Error:
    """An error of the phantom that needs nothing but the image."""
    return lambda one, severity, rng: apply(one.image, severity, None, rng)  # type: ignore[arg-type]


LESION_ERRORS: Mapping[str, Error] = {
    "lost-lesion": lost,
    "invented-lesion": invented,
    "displaced-lesion": displaced,
    "lesion-brightness": brightness,
}
OTHER_ERRORS: Mapping[str, Error] = {"residual-source": residual_source} | {
    name: plain(degradations.DEGRADATIONS[name])
    for name in ("warp", "blur", "kspace-shift", "missing-lines", "aliasing", "checkerboard", "noise")
}


def mirror(image: Array, brain: NDArray[np.bool_]) -> Array:
    """Left and right exchanged about the middle of the brain."""
    middle = ndimage.center_of_mass(brain)[1]
    return ndimage.shift(image[:, ::-1], (0, 2 * middle - (image.shape[1] - 1)), order=1).astype(np.float32)


def read(folder: Path, chosen: slice) -> Iterator[Slice]:
    """The slices of T2 and of FLAIR."""
    volumes = {name: load(folder / f"{name}.nii.gz") for name in ("t1", "t2", "flair", "brain_mask")}
    brain = volumes.pop("brain_mask") > 0
    scaled = {
        name: (volume * brain / np.percentile(volume[brain], 99.5)).clip(0, 1).astype(np.float32)
        for name, volume in volumes.items()
    }
    lesion = find_lesion(scaled["flair"], brain)
    for name in ("t2", "flair"):
        for number in range(brain.shape[2])[chosen]:
            image, source, inside, soft = (
                padded(item[..., number]) for item in (scaled[name], scaled["t1"], brain, lesion)
            )
            inside = inside > 0.5
            healed = (1 - soft) * image + soft * mirror(image, inside)
            yield Slice(f"{name}-{number}", image, source, inside, soft, healed.astype(np.float32))


def load(path: Path) -> Array:
    return np.asarray(nib.as_closest_canonical(nib.load(path)).get_fdata(), np.float32)  # type: ignore[attr-defined]


def find_lesion(flair: Array, brain: NDArray[np.bool_]) -> Array:
    """A soft mask of the largest bright part of FLAIR: above the brain's median by 45 %, opened, grown by a pixel."""
    bright = ndimage.gaussian_filter(flair, (1, 1, 0)) > 1.45 * np.median(flair[brain])
    bright &= ndimage.binary_erosion(brain, np.ones((3, 3, 1)), iterations=3)
    labels, count = ndimage.label(ndimage.binary_opening(bright, np.ones((3, 3, 1))))
    largest = 1 + int(np.argmax(ndimage.sum_labels(bright, labels, np.arange(1, count + 1))))
    grown = ndimage.binary_dilation(labels == largest, np.ones((3, 3, 1)), iterations=2)
    return ndimage.gaussian_filter(grown.astype(np.float32), (1, 1, 0))


def padded(image: NDArray[np.generic]) -> Array:
    """Rows from the top, padded with zeros to 256 x 256."""
    turned = np.rot90(image).astype(np.float32)
    amounts = [((SIZE - side) // 2, SIZE - side - (SIZE - side) // 2) for side in turned.shape]
    return np.pad(turned, amounts)


def score(metric: FullReferenceMetric, images: list[Array], reference: Array) -> NDArray[np.float64]:
    """Scores of several images against one reference, larger is better."""
    stacked = torch.from_numpy(np.stack(images).clip(0, 1))[:, None]
    with torch.inference_mode():
        encoded = metric.encode(torch.from_numpy(reference)[None, None])
        every = select(encoded, torch.zeros(len(images), dtype=torch.long))
        found = metric.compare(metric.encode(stacked), every)
    return found.double().numpy()


def falls(
    slices: list[Slice], metrics: Mapping[str, Callable[[Slice], FullReferenceMetric]]
) -> list[list[object]]:
    """For each error and modality the mean and the worst Spearman correlation over the slices, for each metric."""
    rows: list[list[object]] = []
    for modality in ("t2", "flair"):
        for name, error in (LESION_ERRORS | OTHER_ERRORS).items():
            used = [
                one
                for one in slices
                if one.name.startswith(modality)
                and (name not in LESION_ERRORS or (one.lesion > 0.5).sum() >= SMALLEST_LESION)
            ]
            cells: list[object] = []
            for choose in metrics.values():
                found = [fall(one, error, choose(one)) for one in used]
                cells += [np.mean(found), np.max(found)]
            rows.append([modality, name, len(used), *cells])
    return rows


def fall(one: Slice, error: Error, metric: FullReferenceMetric) -> float:
    """Spearman's correlation of severity and score."""
    images = [error(one, float(s), np.random.default_rng(7)) if s else one.image for s in SEVERITIES]
    return float(spearmanr(SEVERITIES, score(metric, images, one.image))[0])


def removed(
    slices: list[Slice], metrics: Mapping[str, Callable[[Slice], FullReferenceMetric]]
) -> list[list[object]]:
    """Scores of a removed lesion and of errors of equal energy elsewhere in the brain."""
    rows: list[list[object]] = []
    for one in slices:
        if (one.lesion > 0.5).sum() < SMALLEST_LESION:
            continue
        cells: list[object] = []
        images = [one.healed, scattered(one), smooth(one)]
        for choose in metrics.values():
            cells += list(score(choose(one), images, one.image))
        rows.append([one.name, *cells])
    return rows


def elsewhere(one: Slice) -> NDArray[np.bool_]:
    """The brain outside the lesion."""
    return one.brain & (one.lesion < 0.01)


def scattered(one: Slice) -> Array:
    """The errors of the removed lesion, pixel by pixel, at random other pixels of the brain where they fit."""
    rng = np.random.default_rng(3)
    error = (one.healed - one.image)[one.lesion >= 0.01]
    error = error[np.argsort(-np.abs(error))]
    image, free = one.image.copy(), elsewhere(one).ravel().nonzero()[0]
    rng.shuffle(free)
    values, taken = image.reshape(-1), np.zeros(len(free), bool)
    for step in error:
        fits = (~taken) & (values[free] + step >= 0) & (values[free] + step <= 1)
        place = int(np.argmax(fits))
        taken[place] = True
        values[free[place]] += step
    return image


def smooth(one: Slice) -> Array:
    """A smooth error outside the lesion with the same sum of squares."""
    rng = np.random.default_rng(4)
    field = ndimage.gaussian_filter(rng.standard_normal(one.image.shape), 8) * elsewhere(one)
    wanted = float(np.square(one.healed - one.image).sum())
    low, high = 0.0, 1e4
    for _ in range(60):  # clipping makes the energy a monotone, not a quadratic function of the factor
        factor = (low + high) / 2
        energy = float(np.square((one.image + factor * field).clip(0, 1) - one.image).sum())
        low, high = (factor, high) if energy < wanted else (low, factor)
    return (one.image + low * field).clip(0, 1).astype(np.float32)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("folder", type=Path)
    parser.add_argument(
        "--weights", default="kcross-t1-t2", help="for T2, and for FLAIR unless others are given"
    )
    parser.add_argument("--flair-weights", default="")
    parser.add_argument("--slices", default="12:19", help="as in Python")
    given = parser.parse_args()
    first, last = map(int, given.slices.split(":"))
    warnings.filterwarnings("ignore", message="An input array is constant")
    registry = build_registry()
    by_modality = {"t2": given.weights, "flair": given.flair_weights or given.weights}
    learned = {name: registry.metric(f"kcross:weights={weights}") for name, weights in by_modality.items()}
    fixed = {name: registry.metric(name) for name in ("psnr", "ssim")}
    metrics: dict[str, Callable[[Slice], FullReferenceMetric]] = {
        "kcross": lambda one: learned[one.name.split("-")[0]],  # type: ignore[dict-item, return-value]
        **{name: (lambda one, metric=metric: metric) for name, metric in fixed.items()},
    }
    slices = list(read(given.folder, slice(first, last)))
    print(
        f"K-CROSS: {by_modality}; pixels of lesion by slice: "
        + ", ".join(f"{one.name} {int((one.lesion > 0.5).sum())}" for one in slices[: len(slices) // 2])
    )
    heads = [f"{name} {what}" for name in metrics for what in ("mean", "worst")]
    print(tabulate(falls(slices, metrics), ["", "error", "slices", *heads], floatfmt=".3f"))
    print()
    heads = [f"{name} {what}" for name in metrics for what in ("removed", "scattered", "smooth")]
    print(tabulate(removed(slices, metrics), ["", *heads], floatfmt=".3f"))


if __name__ == "__main__":
    main()
