"""Loaded items as batch tensors: which of them can be scored together, each distinct reference once."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import torch
from torch import Tensor

from iqa_registry.evaluation.loader import Loaded
from iqa_registry.evaluation.options import BUDGET
from iqa_registry.images.formats import source_key
from iqa_registry.metrics import Features

Kind = Literal["all", "with lesions", "without lesions"]
"""Which items of a group a stack holds; see :func:`by_lesions`."""


@dataclass(slots=True)
class Stack:
    """Items of one shape on the device.

    Attributes:
        kind: which items of their group these are.
        loaded: the items.
        synthesized: their synthesized images.
        references: each distinct reference once, with lesions once for each mask; ``None`` where items have none.
        index: where the reference of each item is in ``references``.
        keys: what tells these references from all others of the run.
        lesions: masks of the items' lesions, in a stack with lesions.
        reference_lesions: masks of the references' lesions, likewise.
        features: encodings of ``synthesized``, by encoder, that several metrics share.
    """

    kind: Kind
    loaded: list[Loaded]
    synthesized: Tensor
    references: Tensor | None
    index: Tensor
    keys: tuple[Any, ...]
    lesions: Tensor | None
    reference_lesions: Tensor | None
    features: dict[Any, Features] = field(default_factory=dict)

    def halves(self) -> list[Stack]:
        """The two halves of a stack of at least two items."""
        middle = len(self.loaded) // 2
        device = self.synthesized.device
        return [make_stack(part, device, self.kind) for part in (self.loaded[:middle], self.loaded[middle:])]


def make_stack(group: list[Loaded], device: torch.device, kind: Kind = "all") -> Stack:
    """Put items of one shape on the device."""
    distinct: dict[Any, Loaded] = {}
    keys = []
    for item in group:
        if item.reference is not None:
            keys.append(_reference_key(item, kind))
            distinct.setdefault(keys[-1], item)
    place = {key: number for number, key in enumerate(distinct)}
    synthesized = torch.stack([item.synthesized for item in group]).to(device)
    references = _together([item.reference for item in distinct.values()], device)
    lesions = reference_lesions = None
    if kind == "with lesions":
        lesions = _together([item.lesions for item in group], device)
        reference_lesions = _together([item.lesions for item in distinct.values()], device)
    index = torch.tensor([place[key] for key in keys], device=device)
    return Stack(kind, group, synthesized, references, index, tuple(distinct), lesions, reference_lesions)


def by_lesions(whole: Stack) -> list[Stack]:
    """A stack in two, for metrics that look at lesions: the items that bring a mask of them, and the others."""
    device = whole.synthesized.device
    masked = [item for item in whole.loaded if item.lesions is not None]
    others = [item for item in whole.loaded if item.lesions is None]
    if not masked:
        return [whole]
    parts = [make_stack(masked, device, "with lesions")]
    return [*parts, make_stack(others, device, "without lesions")] if others else parts


def by_shape(loaded: Sequence[Loaded]) -> Iterator[list[Loaded]]:
    """Items that can be stacked, in groups that stay within the pixel budget whatever their size."""
    groups: dict[Any, list[Loaded]] = {}
    for item in loaded:
        kind = (tuple(item.synthesized.shape), item.reference is None, item.item.whole)
        groups.setdefault(kind, []).append(item)
    for (shape, _, _), group in groups.items():
        pixels = int(torch.Size(shape).numel())
        step = max(1, 4 * BUDGET // pixels)
        yield from (group[start : start + step] for start in range(0, len(group), step))


def _together(tensors: Sequence[Tensor | None], device: torch.device) -> Tensor | None:
    there = [tensor for tensor in tensors if tensor is not None]
    return torch.stack(there).to(device) if there else None


def _reference_key(item: Loaded, kind: Kind) -> tuple[Any, ...]:
    """What tells a reference from others: under another scaling, crop or mask of lesions, one image is another."""
    columns = item.columns
    limits = (columns["intensity"], columns["reference_low"], columns["reference_high"])
    masked = (source_key(item.item.pair.mask),) if kind == "with lesions" else ()
    return (item.item.reference_key, tuple(item.synthesized.shape), limits, *masked)
