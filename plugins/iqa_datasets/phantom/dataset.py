"""The dataset ``phantom``: pairs with ratings, and subjects to train on, all simulated when they are read."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, Annotated, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from iqa_datasets.phantom.contrast import LESION_LABELS, MODALITIES
from iqa_datasets.phantom.degradations import DEGRADATIONS, NEEDS_LESION, Context, degrade
from iqa_datasets.phantom.fields import Grid
from iqa_datasets.phantom.scene import Scene, make_scene
from iqa_datasets.phantom.study import HEIGHTS, Study, as_row
from iqa_datasets.phantom.template import load_template
from iqa_registry.plugin import (
    Dataset,
    Group,
    Image,
    LazyImage,
    Pair,
    ParameterError,
    Subject,
    as_picture,
    as_volume,
    nearest,
    unstack,
)

if TYPE_CHECKING:
    import polars as pl

Array = NDArray[np.float32]
Modality = Literal["t1", "t2", "pd", "flair"]

VERSION = 1
"""Part of every image's key: raised whenever a seed gives other pixels."""
THICKNESS = 2.0
"""Distance of a volume's slices in mm."""
SPAN = (-56.0, 80.0)
"""Where a volume's slices lie, mm above the anterior commissure."""
FULL_SCALE = 1000
"""A volume's values are whole numbers from 0 to about this, as a scanner's are."""
_SCENES_HELD = {2: 6, 3: 1}


class Phantom(Dataset):
    """Simulated brain MRI with known errors and simulated raters.

    A seed determines everything; with more pairs, the first ones stay as they are. Nobody was scanned, no network was
    trained and no radiologist was asked. Each synthesized image has one to three errors of these: lost-lesion,
    invented-lesion, displaced-lesion, lesion-brightness, residual-source, warp, blur, kspace-shift, missing-lines,
    aliasing, checkerboard, noise.

    Raises:
        ParameterError: an unknown error, errors that no image can have, or one modality as source and target.
        MissingExtraError: nilearn is not installed.

    Example:
        >>> phantom = Phantom(pairs=2, seed=7, size=128)
        >>> [(pair.pair_id, pair.groups["degradation"], pair.groups["rating"]) for pair in phantom.pairs()]
        [('sim-0001-01', 'residual-source', 0.8), ('sim-0001-02', 'residual-source+aliasing', 0.325)]
    """

    label_names: Mapping[str, tuple[int, ...]] = {
        "fluid": (1,),
        "gray": (2,),
        "white": (3,),
        "core": (4,),
        "solid": (5,),
        "edema": (6,),
        "lesions": LESION_LABELS,
    }

    def __init__(
        self,
        pairs: Annotated[int, Field(ge=1, description="how many pairs")] = 200,
        seed: Annotated[int, Field(ge=0, description="of subjects and errors")] = 1,
        size: Annotated[Literal[128, 256], Field(description="rows and columns of a slice in pixels")] = 256,
        source: Annotated[Modality, Field(description="modality that was 'translated'")] = "t1",
        target: Annotated[Modality, Field(description="modality of both images of a pair")] = "t2",
        lesions: Annotated[float, Field(ge=0, le=1, description="share of subjects with lesions")] = 0.5,
        per_subject: Annotated[int, Field(ge=1, description="synthesized images of each subject")] = 8,
        degradations: Annotated[
            list[str] | None, Field(description="errors that may occur, joined by +; all by default")
        ] = None,
        dimensions: Annotated[Literal[2, 3], Field(description="2: slices, 3: volumes")] = 2,
        raters: Annotated[int, Field(ge=2, le=1000, description="how many simulated raters")] = 10,
        panel: Annotated[int, Field(ge=0, description="seed of the raters")] = 0,
        icc: Annotated[float, Field(gt=0, lt=1, description="how well raters agree, ICC(2,1)")] = 0.64,
    ) -> None:
        super().__init__()
        chosen = tuple(DEGRADATIONS) if degradations is None else tuple(degradations)
        _check_errors(chosen, lesions)
        if source == target:
            raise ParameterError(f"phantom: source and target are both {source!r}; choose two modalities.")
        self.study = Study(seed, lesions, per_subject, chosen, raters, panel, icc)
        self.count, self.size, self.source, self.target = pairs, size, source, target
        self.dimensions = dimensions
        self._template = load_template()
        self._scenes: OrderedDict[int, Scene] = OrderedDict()
        self._lock = threading.Lock()

    def pairs(self) -> Iterator[Pair]:
        """The pairs; groups are subject, lesion, source, target, degradation, severity (the largest) and rating."""
        for number in range(self.count):
            subject = self.study.subject(number // self.study.per_subject)
            yield Pair(
                self.pair_id(number),
                self.synthesized(number),
                self.image(subject.number, self.target),
                self.labels(subject.number),
                self._groups(number),
                self._slices(),
                self.labels(subject.number),
            )

    def subjects(self) -> Iterator[Subject]:
        """The subjects that the pairs are about, in all modalities, with label maps."""
        for number in range(self.subject_count):
            subject = self.study.subject(number)
            yield Subject(
                subject.name,
                {modality: self.image(number, modality) for modality in MODALITIES},
                self.labels(number),
                self.labels(number),
                self._slices(),
                {"lesion": subject.lesion},
            )

    def table(self) -> pl.DataFrame:
        """The pairs with a column of severities for each error, and the individual raters' scores."""
        import polars as pl

        numbers = range(self.count)
        severities = np.stack([as_row(self.study.severities(number)) for number in numbers])
        ratings = np.stack([self.study.ratings(number) for number in numbers])
        errors = pl.DataFrame(severities, schema=[f"severity_{name}" for name in DEGRADATIONS])
        raters = pl.DataFrame(
            ratings, schema=[f"rater_{number + 1:02d}" for number in range(ratings.shape[1])]
        )
        return pl.concat([super().table(), errors, raters], how="horizontal")

    @property
    def subject_count(self) -> int:
        """How many subjects the pairs are about."""
        return -(-self.count // self.study.per_subject)

    def pair_id(self, number: int) -> str:
        """Subject and the image's number among that subject's."""
        subject, image = divmod(number, self.study.per_subject)
        return f"{self.study.subject(subject).name}-{image + 1:02d}"

    def _groups(self, number: int) -> dict[str, Group]:
        subject = self.study.subject(number // self.study.per_subject)
        severities = self.study.severities(number)
        return {
            "subject": subject.name,
            "lesion": subject.lesion,
            "source": self.source,
            "target": self.target,
            "degradation": "+".join(severities),
            "severity": max(severities.values(), default=0.0),
            "rating": self.study.rating(number),
        }

    def image(self, subject: int, modality: str) -> LazyImage:
        """A subject's image in a modality."""
        return self._lazy(f"{self._place(subject)}/{modality}", lambda: self._pixels(subject, modality))

    def labels(self, subject: int) -> LazyImage:
        """A subject's label map, see :attr:`label_names`; 0 is outside the brain."""
        return self._lazy(f"{self._place(subject)}/labels", lambda: self.scene(subject).labels())

    def synthesized(self, number: int) -> LazyImage:
        """The synthesized image of pair ``number``."""
        subject, image = divmod(number, self.study.per_subject)
        errors = ",".join(f"{name}={value}" for name, value in self.study.severities(number).items())
        key = f"{self._place(subject)}/{self.source}-{self.target}-{image + 1:02d}[{errors}]"
        return self._lazy(key, lambda: self._degraded(number))

    def _degraded(self, number: int) -> NDArray[np.generic]:
        scene = self.scene(number // self.study.per_subject)
        context = Context(scene, self.target, self.source)
        severities, stream = self.study.severities(number), self.study.pair_stream(number)
        return self._quantize(degrade(scene.image(self.target), severities, context, stream))

    def _pixels(self, subject: int, modality: str) -> NDArray[np.generic]:
        return self._quantize(self.scene(subject).image(modality))

    def _quantize(self, image: Array) -> NDArray[np.generic]:
        """8 bit for slices, whole numbers for volumes: what a file would hold, so that a file gives the same scores."""
        if self.dimensions == 2:
            return np.rint(image * 255).astype(np.uint8)
        return np.rint(image * FULL_SCALE).astype(np.uint16)

    def _lazy(self, key: str, draw: Callable[[], NDArray[np.generic]]) -> LazyImage:
        if self.dimensions == 2:
            return LazyImage(key, lambda: as_picture(draw(), key), (1, self.size, self.size))
        shape = (self.size, self.size, len(self._heights(0.0)))
        return LazyImage(key, lambda: self._as_volume(draw(), key), shape, is_volume=True)

    def _as_volume(self, sections: NDArray[np.generic], key: str) -> Image:
        """Axial sections ``(D, H, W)`` as a volume in RAS+."""
        grid = Grid(self.size, self._heights(0.0), volume=True)
        z, y, x = (float(axis.min()) for axis in grid.axes())
        affine = np.diag([grid.spacing, grid.spacing, THICKNESS, 1.0])
        affine[:3, 3] = x, y, z
        return as_volume(unstack(sections), affine, key)

    def _place(self, subject: int) -> str:
        study = self.study
        drawn = f"v{VERSION}-seed{study.seed}-{self.size}-{self.dimensions}d-lesions{study.lesions:g}"
        return f"phantom/{drawn}/{study.subject(subject).name}"

    def _heights(self, height: float) -> tuple[float, ...]:
        if self.dimensions == 2:
            return (height,)
        return tuple(np.arange(*SPAN, THICKNESS).tolist())

    def _slices(self) -> str | None:
        """Of a volume, the slices that a single slice would be drawn from."""
        if self.dimensions == 2:
            return None
        first, last = (int((height - SPAN[0]) / THICKNESS) for height in HEIGHTS)
        return f"{first}:{last}"

    def scene(self, subject: int) -> Scene:
        """A subject, drawn or from the few that are kept."""
        with self._lock:
            if subject not in self._scenes:
                plan = self.study.subject(subject)
                grid = Grid(self.size, self._heights(plan.height), volume=self.dimensions == 3)
                stream = self.study.scene_stream(subject)
                self._scenes[subject] = make_scene(stream, grid, self._template, plan.lesion)
                while len(self._scenes) > _SCENES_HELD[self.dimensions]:
                    self._scenes.popitem(last=False)
            self._scenes.move_to_end(subject)
            return self._scenes[subject]


def _check_errors(chosen: tuple[str, ...], lesions: float) -> None:
    for name in chosen:
        if name not in DEGRADATIONS:
            known = ", ".join(DEGRADATIONS)
            raise ParameterError(
                f"phantom has no degradation {name!r}.{nearest(name, DEGRADATIONS)} It has {known}."
            )
    if lesions < 1 and set(chosen) <= NEEDS_LESION:
        raise ParameterError(
            f"phantom: {', '.join(chosen)} need a lesion, and not every subject has one; "
            "add a degradation or set lesions=1."
        )
