"""Grids in space, and smooth random fields on them: what deforms anatomy, shades images and roughens lesions."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float32]

FIELD_OF_VIEW = 216.0
"""Side of every slice in millimeters; a head is about 180 mm long and 145 mm wide."""
HEAD_CENTRE = (0.0, -18.0, 10.0)
"""The head's middle, mm from the anterior commissure: x, y, z. It lies in the middle of every slice."""
_SPLINE_VARIANCE = 151 / 315
"""Sum of squared cubic B-spline weights, averaged over phases: what one axis leaves of the variance of white noise."""


@dataclass(frozen=True, slots=True)
class Grid:
    """Where the pixels lie, as a viewer shows axial slices.

    Rows run from anterior to posterior, columns from the patient's right to left; slices, if there are several, from
    inferior to superior.

    Attributes:
        size: rows and columns of a slice.
        heights: millimeters above the anterior commissure, one for each slice.
        volume: whether arrays on the grid are ``(D, H, W)``; else ``(H, W)``, and there is one height.

    Example:
        >>> grid = Grid(256, (10.0,), volume=False)
        >>> grid.shape, round(grid.spacing, 3)
        ((256, 256), 0.844)
    """

    size: int
    heights: tuple[float, ...]
    volume: bool

    @property
    def spacing(self) -> float:
        """Millimeters between rows, and between columns."""
        return FIELD_OF_VIEW / self.size

    @property
    def shape(self) -> tuple[int, ...]:
        """``(H, W)`` or ``(D, H, W)``."""
        return (len(self.heights), self.size, self.size) if self.volume else (self.size, self.size)

    def axes(self) -> list[Array]:
        """Coordinates in mm along each axis of an array on the grid: (z,) y, x; y to anterior, x to the right."""
        along = (FIELD_OF_VIEW - self.spacing) / 2 - self.spacing * np.arange(self.size, dtype=np.float32)
        plane = [(along + np.float32(HEAD_CENTRE[1])).astype(np.float32), along.astype(np.float32)]
        return [np.asarray(self.heights, np.float32), *plane] if self.volume else plane

    def points(self) -> Array:
        """Coordinates in mm of every pixel, ``(3, *shape)``: x to the right, y to anterior, z to superior."""
        axes = self.axes() if self.volume else [np.asarray(self.heights, np.float32), *self.axes()]
        z, y, x = np.meshgrid(*axes, indexing="ij")
        return np.stack([x, y, z]).reshape(3, *self.shape).astype(np.float32)


def smooth_fields(rng: np.random.Generator, grid: Grid, spacing: float, count: int = 1) -> Array:
    """Random fields of mean 0 and variance 1, cubic B-splines on knots ``spacing`` mm apart.

    The knots lie in space, not on pixels, so that a seed gives the same fields at every resolution.

    Args:
        rng: source of the knots' values.
        grid: where the fields are wanted.
        spacing: distance of the knots in mm; a field changes over about twice that.
        count: how many fields.

    Returns:
        ``(count, *grid.shape)``.

    Example:
        >>> fields = smooth_fields(np.random.default_rng(0), Grid(128, (0.0,), volume=False), 10.0, 200)
        >>> round(float(fields.std()), 2)
        1.0
    """
    weights = [_spline_weights(axis, spacing) for axis in grid.axes()]
    knots = rng.standard_normal((count, *(matrix.shape[1] for matrix in weights)), dtype=np.float32)
    return _interpolate(knots, weights) / np.float32(_SPLINE_VARIANCE ** (len(weights) / 2))


def _interpolate(knots: Array, weights: Sequence[Array]) -> Array:
    values = knots
    for matrix in weights:
        # The first spatial axis is contracted and comes back as the last, so that they end in order.
        values = np.tensordot(values, matrix, axes=(1, 1))
    return np.ascontiguousarray(values)


def _spline_weights(positions: Array, spacing: float) -> Array:
    """Weights ``(n, knots)`` of the cubic B-splines at ``positions`` mm; the knots cover any place within 160 mm."""
    knots = np.arange(-int(160 / spacing) - 2, int(160 / spacing) + 3, dtype=np.float32)
    distance = np.abs(positions[:, None] / np.float32(spacing) - knots)
    near = 2 / 3 - distance**2 + distance**3 / 2
    far = (2 - distance).clip(0) ** 3 / 6
    return np.where(distance < 1, near, far).astype(np.float32)
