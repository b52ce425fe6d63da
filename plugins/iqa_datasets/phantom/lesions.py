"""Lesions: glioma-like, with a necrotic core, a rim of solid tumor and edema that follows white matter.

A lesion is a ball with a rough border (a smooth random field is added to the distance from its center). Sizes are
assumptions, chosen so that slices show what gliomas show: solid parts of 14 to 36 mm across, edema that reaches 4 to
14 mm further. Tissue around is pushed aside, most at the border of the solid part.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from iqa_datasets.phantom.fields import Grid, smooth_fields

Array = NDArray[np.float32]

PARTS = ("core", "solid", "oedema")
"""Order of a lesion's fractions."""
RADIUS = (7.0, 18.0)
"""Least and largest radius of the solid part, mm."""
OEDEMA = (4.0, 14.0)
"""By how much the edema reaches further, mm."""
CORE = (0.35, 0.75)
"""Radius of the core as a share of that of the solid part."""
ROUGHNESS, ROUGHNESS_KNOTS = 0.16, 9.0
"""Standard deviation of the border's displacement as a share of the radius, and its knots' distance in mm."""
EDGE = 0.7
"""Width of the border between two parts, mm."""
PUSH = 0.25
"""Largest displacement of the tissue around, as a share of the solid part's radius."""
REGION = ((-42.0, 42.0), (-70.0, 38.0))
"""Range of the centers, mm: x to the right, y to anterior; |x| is at least :data:`FROM_MIDLINE`."""
FROM_MIDLINE = 14.0


@dataclass(frozen=True, slots=True)
class LesionPlan:
    """Where a lesion is and how large, before it is drawn.

    Attributes:
        center: x, y, z in mm.
        radius: of the solid part, mm.
        core: radius of the core, mm.
        edema: how far the edema reaches beyond the solid part, mm.
    """

    centre: tuple[float, float, float]
    radius: float
    core: float
    oedema: float


def plan_lesion(rng: np.random.Generator, height: float) -> LesionPlan:
    """Draw place and size of a lesion that cuts the plane at ``height`` mm, or lies about it in a volume.

    Example:
        >>> plan = plan_lesion(np.random.default_rng(0), 10.0)
        >>> round(plan.radius, 1)
        14.0
    """
    radius = float(rng.uniform(*RADIUS))
    side = rng.choice([-1.0, 1.0])
    x = side * rng.uniform(FROM_MIDLINE, REGION[0][1])
    # Farther from the midline there is less brain in front and behind.
    low, high = np.asarray(REGION[1]) * np.sqrt(1 - (x / 62) ** 2)
    centre = (float(x), float(rng.uniform(low, high)), float(height + rng.uniform(-0.4, 0.4) * radius))
    return LesionPlan(centre, radius, float(rng.uniform(*CORE)) * radius, float(rng.uniform(*OEDEMA)))


def draw_lesion(rng: np.random.Generator, grid: Grid, plan: LesionPlan, white: Array) -> Array:
    """Fractions of a lesion's parts.

    Args:
        rng: source of the borders' roughness.
        grid: where it is wanted.
        plan: place and size.
        white: ``(*shape)``, fraction of white matter: edema spreads where it is high.

    Returns:
        ``(3, *shape)`` in the order of :data:`PARTS`; their sum is at most 1.
    """
    _, distance = _from_centre(grid, plan)
    rough, fringe = ROUGHNESS * plan.radius * smooth_fields(rng, grid, ROUGHNESS_KNOTS, 2)
    solid = _inside(plan.radius - distance + rough)
    core = _inside(plan.core - distance + 0.6 * rough) * solid
    reach = plan.oedema * (0.35 + 0.65 * white)
    oedema = _inside(plan.radius + reach - distance + rough + 2 * fringe, 2 * EDGE) * (1 - solid)
    return np.stack([core, solid - core, oedema]).astype(np.float32)


def push_tissue(grid: Grid, plan: LesionPlan) -> Array:
    """By how much a lesion pushes the tissue at each pixel away from its center, ``(3, *shape)`` mm."""
    offset, distance = _from_centre(grid, plan)
    relative = distance / np.float32(plan.radius)
    size = PUSH * plan.radius * relative * np.exp((1 - relative**2) / 2)
    return (offset / (distance + np.float32(1e-3)) * size).astype(np.float32)


def compose(healthy: Array, lesions: Array) -> Array:
    """Fractions of all classes ``(6, *shape)``: lesions take the place of gray and white matter, never of fluid.

    Args:
        healthy: ``(3, *shape)``, see :mod:`iqa_datasets.phantom.anatomy`.
        lesions: ``(3, *shape)`` in the order of :data:`PARTS`.
    """
    tissue = healthy[1] + healthy[2]
    taken = lesions * tissue
    kept = healthy[1:] * (1 - lesions.sum(axis=0))
    return np.concatenate([healthy[:1], kept, taken]).astype(np.float32)


def unite(lesions: list[Array], shape: tuple[int, ...]) -> Array:
    """Several lesions as one: where they overlap, the more central part of either."""
    total = np.zeros((3, *shape), np.float32)
    for lesion in lesions:
        core = np.maximum(total[0], lesion[0])
        solid = np.minimum(np.maximum(total[1], lesion[1]), 1 - core)
        oedema = np.minimum(np.maximum(total[2], lesion[2]), 1 - core - solid)
        total = np.stack([core, solid, oedema])
    return total


def _from_centre(grid: Grid, plan: LesionPlan) -> tuple[Array, Array]:
    centre = np.asarray(plan.centre, np.float32).reshape(3, *[1] * len(grid.shape))
    offset = grid.points() - centre
    return offset, np.sqrt((offset**2).sum(axis=0))


def _inside(depth: Array, edge: float = EDGE) -> Array:
    """1 well inside, 0 well outside, a half on the border."""
    return np.asarray(1 / (1 + np.exp((-depth / edge).clip(-30, 30))), np.float32)
