"""Training slices: every modality of every subject is one, with the lesions as label."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from iqa_registry.evaluation.options import Options
from iqa_registry.images.formats import Source
from iqa_registry.images.geometry import center_fit
from iqa_registry.plugin import Dataset, Image, ImageError, Subject, UsageError, read_image, read_labels

Array = NDArray[Any]
Row = tuple[Array, Array, str, str]
"""Image, lesions, modality, subject."""
LESIONS = "lesions"
"""What a dataset calls the labels that a segmenter learns."""


@dataclass(frozen=True, slots=True)
class Samples:
    """Slices with labels, all of one size.

    Attributes:
        images: ``(N, S, S)``, uint8.
        lesions: ``(N, S, S)``, boolean.
        modalities: of each slice.
        subjects: name of each slice's subject.
    """

    images: Tensor
    lesions: Tensor
    modalities: tuple[str, ...]
    subjects: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.images)

    def take(self, chosen: list[int]) -> Samples:
        """The slices with these numbers."""
        return Samples(
            self.images[chosen],
            self.lesions[chosen],
            tuple(self.modalities[number] for number in chosen),
            tuple(self.subjects[number] for number in chosen),
        )

    def split(self, share: float) -> tuple[Samples, Samples]:
        """All slices of the first subjects, and those of the last: ``share`` of the subjects, at least one.

        Raises:
            UsageError: there are not two subjects.
        """
        names = list(dict.fromkeys(self.subjects))
        if len(names) < 2:
            raise UsageError(
                f"{len(names)} subject with a label map; training needs two, one of them held out."
            )
        held = set(names[-max(1, min(len(names) - 1, round(share * len(names)))) :])
        last = [number for number, name in enumerate(self.subjects) if name in held]
        first = [number for number, name in enumerate(self.subjects) if name not in held]
        return self.take(first), self.take(last)


def collect(dataset: Dataset, size: int, progress: Callable[[float, int], None] | None = None) -> Samples:
    """Read all subjects of a dataset that have a label map.

    Args:
        dataset: with subjects and lesion labels.
        size: side of the slices in pixels; others are cropped and padded around their center.
        progress: called with the number of slices read, twice, since nobody knows how many there are.

    Raises:
        UsageError: it has no subjects, no lesion labels or no label maps.
    """
    name = dataset.spec.name if dataset.spec else type(dataset).__name__
    lesions = dataset.label_names.get(LESIONS)
    if not lesions:
        raise UsageError(
            f"dataset {name!r} has no labels called {LESIONS}; it cannot teach or test a segmenter."
        )
    rows: list[Row] = []
    for subject in dataset.subjects():
        rows += _slices_of(subject, lesions, size)
        if progress is not None:
            progress(len(rows), len(rows))
    if not rows:
        raise UsageError(f"dataset {name!r} has no subject with a label map.")
    return _together(rows)


def collect_synthesized(dataset: Dataset, size: int) -> Samples:
    """Read the synthesized images of a dataset's pairs that have a label map; see :func:`collect`."""
    rows: list[Row] = []
    lesions = dataset.label_names.get(LESIONS)
    for pair in dataset.pairs():
        if pair.labels is None or not lesions:
            continue
        modality = f"synthesized {pair.groups.get('target', '')}".strip()
        name = str(pair.groups.get("subject", pair.pair_id))
        marked = _lesions(pair.labels, pair.slices, lesions)
        rows += _rows(grey_planes(pair.synthesized, pair.slices), marked, size, (modality, name))
    if not rows:
        raise UsageError("the dataset has no pair with a label map of lesions.")
    return _together(rows)


def _together(rows: list[Row]) -> Samples:
    images, lesions, modalities, subjects = zip(*rows, strict=True)
    return Samples(
        torch.from_numpy(np.stack(images)), torch.from_numpy(np.stack(lesions)), modalities, subjects
    )


def _slices_of(subject: Subject, labels: tuple[int, ...], size: int) -> Iterator[Row]:
    if subject.labels is None:
        return
    marked = _lesions(subject.labels, subject.slices, labels)
    for modality, source in subject.images.items():
        yield from _rows(grey_planes(source, subject.slices), marked, size, (modality, subject.name))


def _lesions(labels: Source, slices: str | None, lesion: Sequence[int]) -> list[Array]:
    return [np.isin(part, lesion) for part in planes(read_labels(labels), slices)]


def _rows(images: list[Array], lesions: list[Array], size: int, names: tuple[str, str]) -> list[Row]:
    given, marked = ((len(parts), *parts[0].shape) if parts else (0,) for parts in (images, lesions))
    if given != marked:
        raise ImageError(
            f"{names[1]}: the {names[0]} image has the shape {given}, its label map {marked} (slices, rows, columns); "
            "bring both onto one grid."
        )
    square = (size, size)
    return [
        (center_fit(plane, square), center_fit(lesion, square), *names)
        for plane, lesion in zip(images, lesions, strict=True)
    ]


def grey_planes(source: Source, slices: str | None) -> list[Array]:
    """The slices of an image in 8 bit; 255 is what the type holds at most, else the 99.5th percentile."""
    image = read_image(source)
    top = image.full_scale or float(np.percentile(image.pixels, 99.5)) or 1.0
    return [np.rint(255 * (part / top).clip(0, 1)).astype(np.uint8) for part in planes(image, slices)]


def planes(image: Image, slices: str | None) -> list[Array]:
    """The slices ``(H, W)`` of a 2-D image (one) or a volume (axial, those of ``slices``, as in Python)."""
    if not image.is_volume:
        return [image.pixels.mean(axis=0)]
    stack = image.stack()[0]
    return [stack[index] for index in Options().sections(len(stack), slices)]
