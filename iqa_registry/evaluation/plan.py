"""The plan of a run: which image pairs and slices are scored, in which order and in which batches.

The order serves the encode-once rule. Items that share a reference stand next to each other, and a batch either
holds whole groups of one reference or a piece of a single group. So a reference's features are needed in one
batch, or in consecutive batches that hold nothing else, and what a batch computes never depends on the batches
before it: a resumed run encodes exactly as an uninterrupted one.
"""

from __future__ import annotations

import itertools
import math
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from iqa_registry.errors import ImageError
from iqa_registry.evaluation.items import VOLUME_BUDGET, Item
from iqa_registry.evaluation.options import Options
from iqa_registry.images.formats import AXES, probe_image, source_key
from iqa_registry.images.pair import Pair

IMAGE_SUFFIXES = {".png", ".jpg", ".jpeg", ".tif", ".tiff", ".bmp"}


def plan_items(pairs: Sequence[Pair], options: Options, dimensions: set[int]) -> list[Item]:
    """Expand pairs into items: 2-D images as they are, volumes into slices and, if asked for, whole volumes.

    Args:
        pairs: what to score.
        options: which axis and slices.
        dimensions: the spatial dimensions in which the run's metrics work (2, 3 or both).

    Returns:
        The items in table order. A volume whose header cannot be read is one item, which fails when it is read.
    """
    counter = itertools.count()
    items: list[Item] = []
    candidates = Counter(_reference_key(pair) for pair in pairs)
    for number, pair in enumerate(pairs):
        key = _reference_key(pair)
        shape = _volume_shape(pair)
        if shape is not None and 4 * math.prod(shape) * (candidates[key] + 1) > VOLUME_BUDGET:
            # Too many candidates to hold beside each other: go through them one by one, whatever is encoded twice.
            key = (*key, number)
        if shape is None:
            items.append(Item(next(counter), pair, key))
            continue
        for axis in [AXES[name] for name in options.axes] if 2 in dimensions else []:
            chosen = options.sections(shape[axis], pair.slices)
            items += [
                Item(next(counter), pair, (*key, axis, index), axis, index, sections=range(index, index + 1))
                for index in chosen
            ]
            if not chosen:
                # A range that holds no slice of this volume must not make the pair vanish from the table.
                items.append(Item(next(counter), pair, (*key, axis, None), axis, shape[axis]))
        if 3 in dimensions:
            axis = AXES[options.axis]
            chosen = options.sections(shape[axis], pair.slices)
            items.append(Item(next(counter), pair, key, axis, None, whole=True, sections=chosen))
    return items


def _reference_key(pair: Pair) -> tuple[Any, ...]:
    return (source_key(pair.reference if pair.reference is not None else pair.synthesized),)


def _volume_shape(pair: Pair) -> tuple[int, ...] | None:
    source = pair.reference if pair.reference is not None else pair.synthesized
    if isinstance(source, str | Path) and Path(source).suffix.lower() in IMAGE_SUFFIXES:
        return None
    try:
        info = probe_image(source)
    except ImageError:
        return None
    return info.shape if info.is_volume else None


def make_batches(items: Sequence[Item], size: int) -> list[list[Item]]:
    """Group items into batches of at most ``size`` by the rule in the module's docstring.

    Example:
        >>> pairs = [Pair(f"p{n}", "s", "r", None, {}) for n in range(5)]
        >>> items = [Item(n, pair, ("r", n // 3)) for n, pair in enumerate(pairs)]
        >>> [[item.order for item in batch] for batch in make_batches(items, 2)]
        [[0, 1], [2], [3, 4]]
    """
    batches: list[list[Item]] = []
    open_batch: list[Item] = []
    for group in _reference_groups(items):
        if len(open_batch) + len(group) > size and open_batch:
            batches.append(open_batch)
            open_batch = []
        if len(group) > size or group[0].whole:
            step = 1 if group[0].whole else size
            batches += [group[start : start + step] for start in range(0, len(group), step)]
        else:
            open_batch = open_batch + group
    return [*batches, open_batch] if open_batch else batches


def _reference_groups(items: Sequence[Item]) -> Iterator[list[Item]]:
    groups: dict[tuple[Any, ...], list[Item]] = {}
    for item in items:
        groups.setdefault((item.whole, *item.reference_key), []).append(item)
    yield from groups.values()
