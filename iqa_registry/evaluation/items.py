"""What travels through a run: an item of the plan, and the same item with its images loaded.

This module is at the bottom of the package, so that the plan, the loader, the encoder and their consumers share the
types without importing each other.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

from iqa_registry.images.image import AXES
from iqa_registry.images.pair import Pair

if TYPE_CHECKING:
    from torch import Tensor

WHOLE_IMAGE = "image"
"""The region that is the whole image."""
BOTH_EMPTY = "both images are empty"
OUTSIDE = "the slice lies outside the synthesized volume's field of view"
"""Why a pair is not scored although nothing is wrong with it."""
VOLUME_BUDGET = 1 << 30
"""Bytes of decoded volumes that the loader may hold."""
PIXEL_BUDGET = 1 << 20
"""Pixels of one batch, where the batch size is chosen automatically."""


@dataclass(frozen=True, slots=True)
class Item:
    """One group of rows in the table: a pair of 2-D images, one slice of a volume pair, or a whole volume pair.

    Attributes:
        order: position in the final table.
        pair: where the images are.
        reference_key: identifies this reference (and slice) among all references of the run.
        axis: the axis along which the volume is sliced, ``None`` for 2-D images.
        slice: the index of the slice, ``None`` for 2-D images and whole volumes.
        whole: whether this item is a volume as such, for metrics that work in three dimensions.
        sections: the slices of the volume that the item stands for; empty for 2-D images, and where the range that was
            asked for holds no slice of this volume.
    """

    order: int
    pair: Pair
    reference_key: tuple[Any, ...]
    axis: int | None = None
    slice: int | None = None
    whole: bool = False
    sections: range = range(0)

    @property
    def pair_id(self) -> str:
        """The identifier of the row: that of the pair, with the slice where there is one."""
        if self.slice is None:
            return self.pair.pair_id
        return f"{self.pair.pair_id}/{self.plane}-{self.slice:03d}"

    @property
    def plane(self) -> str | None:
        """The name of the axis along which the volume was sliced; ``None`` for 2-D images and whole volumes."""
        if self.axis is None or self.whole:
            return None
        return next(name for name, axis in AXES.items() if axis == self.axis)

    @property
    def subject(self) -> str | None:
        """The subject that the row belongs to: the manifest's column, else the name of the volume."""
        given = self.pair.groups.get("subject")
        if given is not None:
            return str(given)
        return None if self.axis is None else self.pair.pair_id

    def suits(self, dimensions: int) -> bool:
        """Whether a metric of so many dimensions scores this item.

        Whole volumes go to metrics of three dimensions, their slices to all others, 2-D images to every metric.
        """
        return self.axis is None or self.whole == (dimensions == 3)


@dataclass(slots=True)
class Loaded:
    """An item with its images as tensors.

    Attributes:
        item: what was asked for.
        synthesized: ``(C, H, W)`` or ``(1, D, H, W)`` in [0, 1].
        reference: the same shape, or ``None`` where the pair has none.
        regions: boolean masks ``(1, H, W)`` or ``(1, D, H, W)`` by name; the whole image is ``None``, unless a part of
            it has no data.
        columns: what the table says about the pair: limits, clipped fraction.
        labels: boolean masks of named labels, for the metrics that look at labels; empty where none are given.
        shift: the shift in pixels that was undone, where this is the overlap of two aligned images.
        full: pixels of the image that such an overlap is a part of.
        reasons: for regions that cannot be scored whatever the metric: the status of their rows, and why.
    """

    item: Item
    synthesized: Tensor
    reference: Tensor | None
    regions: dict[str, Tensor | None]
    columns: dict[str, Any]
    labels: Mapping[str, Tensor] = field(default_factory=dict)
    reasons: Mapping[str, tuple[Literal["error", "not_applicable"], str]] = field(default_factory=dict)
    shift: tuple[int, int] | None = None
    full: int | None = None


@dataclass(frozen=True, slots=True)
class Failed:
    """An item that could not be loaded, and why."""

    item: Item
    message: str
