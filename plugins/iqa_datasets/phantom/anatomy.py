"""Anatomy: the template under a random deformation, as fractions of three tissues.

A simulated subject is the template turned, scaled and deformed at two scales. The template is an average of many
heads, hence blurred; its probabilities are sharpened by a softmax with a little smooth noise, which moves the
borders of the tissues by about a millimeter and makes the folding of the cortex differ between subjects.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from iqa_datasets.phantom.fields import HEAD_CENTRE, Grid, smooth_fields
from iqa_datasets.phantom.template import Template

Array = NDArray[np.float32]

TISSUES = ("csf", "grey", "white")
"""Order of the fractions: cerebrospinal fluid, gray matter, white matter."""
SCALES = ((45.0, 2.4), (16.0, 1.2))
"""Knot distance and standard deviation of each displacement along each axis, in mm."""
SIZE_SPREAD, TURN_SPREAD, SHIFT_SPREAD = 0.03, 3.0, 1.5
"""Standard deviations: of the scale along each axis, of the turn about each axis in degrees, of the shift in mm."""
SHARPNESS, FOLDING, FOLDING_KNOTS = 2.6, 0.55, 4.5
"""Exponent of the probabilities, standard deviation of the noise on their logarithm, distance of its knots in mm."""
FLUID_GAIN = 1.6
"""What the fluid's probability is multiplied by: averaging many heads has washed out the sulci."""
_FLOOR = 0.01


@dataclass(frozen=True, slots=True, eq=False)
class Anatomy:
    """A healthy simulated brain on a grid.

    Attributes:
        fractions: ``(3, *shape)``, the share of each of :data:`TISSUES`; their sum is 1 everywhere.
        brain: ``(*shape)`` in [0, 1], the share of brain and fluid in each pixel.
    """

    fractions: Array
    brain: Array


def make_anatomy(
    rng: np.random.Generator, grid: Grid, template: Template, push: Array | None = None
) -> Anatomy:
    """Draw a subject.

    Args:
        rng: source of the deformation.
        grid: where the anatomy is wanted.
        template: the tissue maps.
        push: ``(3, *shape)`` mm, by how much tissue is pushed aside at each place (by a lesion).

    Example:
        >>> from iqa_datasets.phantom.template import load_template
        >>> anatomy = make_anatomy(np.random.default_rng(0), Grid(128, (10.0,), False), load_template())
        >>> round(float(abs(anatomy.fractions.sum(axis=0) - 1).max()), 5)
        0.0
    """
    places = _template_points(rng, grid, template, push)
    grey, white, brain = (
        _sample(volume, places) for volume in (template.grey, template.white, template.brain)
    )
    fluid = FLUID_GAIN * (1 - grey - white).clip(0)
    noise = np.float32(FOLDING) * smooth_fields(rng, grid, FOLDING_KNOTS, 3)
    score = np.float32(SHARPNESS) * np.log(np.stack([fluid, grey, white]) + np.float32(_FLOOR)) + noise
    weight = np.exp(score - score.max(axis=0))
    return Anatomy((weight / weight.sum(axis=0)).astype(np.float32), brain)


def _template_points(rng: np.random.Generator, grid: Grid, template: Template, push: Array | None) -> Array:
    """For each pixel of the grid, the voxel of the template that it shows, ``(3, *shape)``."""
    points = grid.points()
    shift = sum(np.float32(spread) * smooth_fields(rng, grid, knots, 3) for knots, spread in SCALES)
    if push is not None:
        shift = shift - push
    centre = np.array(HEAD_CENTRE, np.float32).reshape(3, *[1] * len(grid.shape))
    matrix = _turn_and_scale(rng)
    moved = np.tensordot(matrix, points - centre, axes=1) + centre + shift
    offset = np.asarray(template.origin) + SHIFT_SPREAD * rng.standard_normal(3)
    return (moved + offset.reshape(centre.shape)).astype(np.float32)


def _turn_and_scale(rng: np.random.Generator) -> Array:
    angles = np.deg2rad(TURN_SPREAD * rng.standard_normal(3).clip(-2, 2))
    matrix = np.diag(np.exp(SIZE_SPREAD * rng.standard_normal(3).clip(-2, 2)))
    for axis, angle in enumerate(angles):
        first, second = [other for other in range(3) if other != axis]
        turn = np.eye(3)
        turn[first, first] = turn[second, second] = np.cos(angle)
        turn[first, second], turn[second, first] = -np.sin(angle), np.sin(angle)
        matrix = turn @ matrix
    return matrix.astype(np.float32)


def _sample(volume: Array, places: Array) -> Array:
    values = ndimage.map_coordinates(volume, places, order=1, mode="constant", cval=0.0)
    return np.asarray(values, np.float32)
