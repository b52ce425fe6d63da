"""A scene: one simulated subject, from which images of any modality are rendered, with and without its lesions."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from iqa_datasets.phantom.anatomy import Anatomy, make_anatomy
from iqa_datasets.phantom.contrast import LESION_LABELS, MODALITIES, Tissue, draw_tissues, signals
from iqa_datasets.phantom.fields import Grid, smooth_fields
from iqa_datasets.phantom.lesions import compose, draw_lesion, plan_lesion, push_tissue, unite
from iqa_datasets.phantom.template import Template

Array = NDArray[np.float32]

SHADE, SHADE_KNOTS = 0.05, 70.0
"""Standard deviation of the receive field's logarithm and the distance of its knots in mm."""
TEXTURE, TEXTURE_KNOTS = 0.012, 3.0
"""Unevenness of tissue itself, common to all modalities: standard deviation of its logarithm, knots' distance in mm."""
NOISE = (0.008, 0.016)
"""Range of the noise's standard deviation in each of the two channels of the receiver, on the scale of [0, 1]."""
SECOND_LESION = 0.3
"""How often a subject with a lesion has two."""


@dataclass(frozen=True, eq=False)
class Scene:
    """One simulated subject; what is rendered once is kept, since every synthesized image of the subject needs it.

    Attributes:
        grid: where its pixels lie.
        anatomy: healthy tissue.
        lesions: ``(3, *shape)``, see :func:`iqa_datasets.phantom.lesions.compose`; zero in a healthy subject.
        spare: a lesion that the subject has not, for errors that invent one: of three that are drawn the most visible.
        tissues: relaxation times and densities.
        shade: receive field times texture times brain, ``(*shape)``.
        noise: modality to the two channels' noise, ``(2, *shape)``.
    """

    grid: Grid
    anatomy: Anatomy
    lesions: Array
    spare: Array
    tissues: Mapping[str, Tissue]
    shade: Array
    noise: Mapping[str, Array]
    _images: dict[str, Array] = field(default_factory=dict, init=False, repr=False)

    @cached_property
    def fractions(self) -> Array:
        """Fractions of all classes ``(6, *shape)``."""
        return compose(self.anatomy.fractions, self.lesions)

    @property
    def has_lesion(self) -> bool:
        """Whether any pixel of the label map is lesion."""
        return bool(self.lesion_mask.any())

    @property
    def lesion_mask(self) -> NDArray[np.bool_]:
        """Where the label map is lesion."""
        return np.isin(self.labels(), LESION_LABELS)

    def labels(self) -> NDArray[np.uint8]:
        """Label map: the class with the largest fraction, 1 to 6, and 0 where brain is less than half."""
        found = self.fractions.argmax(axis=0) + 1
        return np.where(self.anatomy.brain >= 0.5, found, 0).astype(np.uint8)

    def clean(self, modality: str, lesions: Array | None = None) -> Array:
        """The image without noise, with other lesions where they are given (zeros for none).

        Returns:
            ``(*shape)``, not clipped.
        """
        fractions = self.fractions if lesions is None else compose(self.anatomy.fractions, lesions)
        return np.tensordot(signals(self.tissues, modality), fractions, axes=1) * self.shade

    def image(self, modality: str) -> Array:
        """The image as a scanner would give it, skull stripped: magnitude with Rician noise, 0 outside the brain."""
        if modality not in self._images:
            first, second = self.noise[modality]
            magnitude = np.hypot(self.clean(modality) + first, second).clip(0, 1)
            self._images[modality] = np.where(self.anatomy.brain > 0, magnitude, 0).astype(np.float32)
        return self._images[modality]


def make_scene(rng: np.random.Generator, grid: Grid, template: Template, lesion: bool) -> Scene:
    """Draw a subject.

    Args:
        rng: all randomness comes from it.
        grid: where the images are wanted.
        template: the tissue maps.
        lesion: whether the subject has lesions.

    Example:
        >>> from iqa_datasets.phantom.template import load_template
        >>> scene = make_scene(np.random.default_rng(0), Grid(128, (10.0,), False), load_template(), lesion=True)
        >>> scene.has_lesion, round(float(scene.image("t2").mean()), 3)
        (True, 0.181)
    """
    # One stream a purpose: what is drawn for one never moves what is drawn for another.
    for_plan, for_anatomy, for_lesion, for_spare, for_tissue, for_shade, for_noise = rng.spawn(7)
    middle = float(np.mean(grid.heights))
    plans = [plan_lesion(for_plan, middle) for _ in range(2)][: 1 + (for_plan.random() < SECOND_LESION)]
    plans = plans if lesion else []
    push = sum((push_tissue(grid, plan) for plan in plans), np.zeros((3, *grid.shape), np.float32))
    anatomy = make_anatomy(for_anatomy, grid, template, push)
    drawn = [draw_lesion(for_lesion, grid, plan, anatomy.fractions[2]) for plan in plans]
    lesions = unite(drawn, grid.shape)
    spares = [
        draw_lesion(for_spare, grid, plan_lesion(for_spare, middle), anatomy.fractions[2]) for _ in range(3)
    ]
    room = anatomy.brain * (1 - anatomy.fractions[0]) * (1 - lesions.sum(axis=0))
    shade = SHADE * smooth_fields(for_shade, grid, SHADE_KNOTS)[0]
    texture = TEXTURE * smooth_fields(for_shade, grid, TEXTURE_KNOTS)[0]
    sigma = for_noise.uniform(*NOISE)
    return Scene(
        grid=grid,
        anatomy=anatomy,
        lesions=lesions,
        spare=max(spares, key=lambda spare: float((spare * room).sum())),
        tissues=draw_tissues(for_tissue),
        shade=(np.exp(shade + texture) * anatomy.brain).astype(np.float32),
        noise={
            name: np.float32(sigma) * for_noise.standard_normal((2, *grid.shape), dtype=np.float32)
            for name in MODALITIES
        },
    )
