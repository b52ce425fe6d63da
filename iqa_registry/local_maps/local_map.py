"""A map of one image or slice, as the engine makes it and the writers take it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from iqa_registry.evaluation.items import Item
from iqa_registry.images.image import Source
from iqa_registry.images.pair import Pair
from iqa_registry.local_maps.scale import Scale

Plane = np.ndarray[Any, np.dtype[np.float32]]
Mask = np.ndarray[Any, np.dtype[np.bool_]]


@dataclass(frozen=True, slots=True, eq=False)
class LocalMap:
    """One map of one 2-D image, or of one slice of a volume.

    Attributes:
        metric: the text that it was asked for by.
        values: ``(H, W)`` float32, NaN where the map is not defined.
        scale: the values that its colors stand for.
        pair: where the images came from.
        axis: the axis along which the volume is sliced, ``None`` for a 2-D image.
        slice: the index of the slice, ``None`` for a 2-D image.
        synthesized: ``(C, H, W)`` in [0, 1].
        reference: the same shape.
        regions: boolean ``(H, W)`` by name, without the whole image.
    """

    metric: str
    values: Plane
    scale: Scale
    pair: Pair
    axis: int | None
    slice: int | None
    synthesized: Plane
    reference: Plane
    regions: Mapping[str, Mask]

    @property
    def pair_id(self) -> str:
        """The identifier of the row that an evaluation would give this image or slice."""
        return Item(0, self.pair, (), self.axis, self.slice).pair_id

    def mean(self, region: str | None = None) -> float | None:
        """Mean over the pixels where the map is defined (of a region); ``None`` if there are none.

        It is the mean of what the map shows, not the metric's score: GMSD, for example, is a standard deviation.
        """
        values = self.values if region is None else self.values[self.regions[region]]
        defined = values[~np.isnan(values)]
        return float(defined.mean(dtype=np.float64)) if defined.size else None


@dataclass(frozen=True, slots=True)
class FailedMap:
    """What could not be mapped, and why."""

    pair_id: str
    message: str


def grid_source(pair: Pair) -> Source:
    """The image on whose grid the maps lie."""
    return pair.synthesized if pair.reference is None else pair.reference
