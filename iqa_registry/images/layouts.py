"""Layouts: what the axes of an array are, for arrays whose shape leaves it open."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from iqa_registry.errors import ImageError, UsageError
from iqa_registry.images._arrays import as_picture, as_stored, as_volume
from iqa_registry.images.formats import on_disk, probe_image, read_scan, suffix
from iqa_registry.images.image import Array, Image, LazyImage, Source
from iqa_registry.images.pair import Pair

OF_ARRAYS = (".npy", ".npz", ".h5", ".hdf5", ".mat")
"""Files that hold arrays, whose axes nothing names."""
_ROLES = ("synthesized", "reference", "mask", "labels")


def arranged(values: Array, layout: str, name: str) -> Image:
    """One image from an array of a layout without N.

    Raises:
        UsageError: another number of axes.

    Example:
        >>> arranged(np.zeros((4, 5, 3), np.float32), "HWC", "array").pixels.shape
        (1, 4, 5)
    """
    if values.ndim != len(layout):
        raise UsageError(f"{name}: an array of shape {values.shape} has not the axes of the layout {layout}.")
    if layout == "XYZ":
        return as_volume(values, name=name)
    if layout == "ZYX":
        return as_volume(values.T, name=name)
    return as_picture(np.moveaxis(values, 2, 0) if layout == "HWC" else values, name)


def check_layouts(pairs: Iterable[Pair], layout: str | None, dimensions: set[int]) -> None:
    """Reject arrays, in memory or in files, that can be read in more than one way.

    Args:
        pairs: what is to be scored.
        layout: what the user says.
        dimensions: the spatial dimensions of the metrics; where all work in three, an array of three axes is a volume.

    Raises:
        UsageError: an array whose layout must be given; the message offers the words.

    Example:
        >>> check_layouts([Pair("p", np.zeros((40, 8, 8)), np.zeros((40, 8, 8)))], None, {2})
        Traceback (most recent call last):
        ...
        iqa_registry.errors.UsageError: p: synthesized has the shape (40, 8, 8), which can be read ...
    """
    if layout is not None or dimensions == {3}:
        return
    for pair in pairs:
        for role in _ROLES[:2]:
            source: Source | None = getattr(pair, role)
            shape = _shape_in_doubt(source)
            if shape is not None:
                name = str(source) if isinstance(source, str | Path) else f"{pair.pair_id}: {role}"
                raise UsageError(
                    f"{name} has the shape {shape}, which can be read in more than one way. Say which with the option "
                    f"layout: {', '.join(_words(shape))}."
                )


def _shape_in_doubt(source: Source | None) -> tuple[int, ...] | None:
    try:
        shape = _shape(source)
        if shape is None or len(shape) != 3 or 1 in (shape[0], shape[2]):
            return None
        # An 8-bit array with its channels last is a color image.
        info = probe_image(source)  # type: ignore[arg-type]
    except ImageError:  # reading it will say why
        return None
    color = not info.is_volume and shape[0] != 3 and info.shape[1:] == shape[:2]
    return None if color else shape


def _words(shape: tuple[int, ...]) -> list[str]:
    words = ["XYZ or ZYX (a volume)", "NHW (a stack of 2-D images)"]
    channels = [f"{word} (a color image)" for word, axis in (("CHW", 0), ("HWC", 2)) if shape[axis] == 3]
    return words + channels


def lay_out(pairs: Sequence[Pair], layout: str) -> list[Pair]:
    """Pairs whose arrays, and files of arrays, are taken in a layout; a stack becomes a pair for each of its images.

    Args:
        pairs: with paths, arrays and images; what is neither an array nor a file of one stays as it is.
        layout: see :mod:`iqa_registry.images.axes`. A mask has no channels, and one of two axes serves the whole stack.

    Raises:
        UsageError: an array that does not fit the layout, or stacks of different length.

    Example:
        >>> stack = np.zeros((3, 8, 8), np.float32)
        >>> [pair.pair_id for pair in lay_out([Pair("p", stack, stack)], "NHW")]
        ['p-0', 'p-1', 'p-2']
    """
    return [made for pair in pairs for made in _laid_out(pair, layout)]


def _laid_out(pair: Pair, layout: str) -> Iterator[Pair]:
    parts = {role: _parts(pair, role, layout) for role in _ROLES}
    counts = {role: len(found) for role, found in parts.items() if isinstance(found, list)}
    if not counts:
        yield replace(pair, **parts)
        return
    if len(set(counts.values())) > 1:
        told = ", ".join(f"{role} {count}" for role, count in counts.items())
        raise UsageError(
            f"{pair.pair_id}: stacks of different length ({told}). Give the same images in both."
        )
    count = next(iter(counts.values()))
    for number in range(count):
        images = {role: found[number] if isinstance(found, list) else found for role, found in parts.items()}
        name = f"{pair.pair_id}-{number:0{len(str(count - 1))}d}"
        yield replace(pair, pair_id=name, groups={**pair.groups, "slice": number}, **images)


def _parts(pair: Pair, role: str, layout: str) -> Any:
    """The image of a role, or the images of its stack."""
    source: Source | None = getattr(pair, role)
    shape = _shape(source)
    if shape is None or source is None:
        return source
    name = str(source) if isinstance(source, str | Path) else f"{pair.pair_id}: {role}"
    if len(shape) == 2:
        if role in ("synthesized", "reference") and layout[0] == "N":
            raise UsageError(
                f"{name}: an array of shape {shape} is not a stack. Leave the layout {layout} out."
            )
        return source
    if role in ("mask", "labels") and len(shape) == len(layout) - ("C" in layout):
        layout = layout.replace("C", "")
    if len(shape) != len(layout):
        raise UsageError(f"{name}: an array of shape {shape} has not the axes of the layout {layout}.")
    if layout[0] != "N":
        return _image(source, layout, name)
    return [_image(source, layout[1:], name, number) for number in range(shape[0])]


def _shape(source: Source | None) -> tuple[int, ...] | None:
    if isinstance(source, np.ndarray):
        return source.shape
    if isinstance(source, str | Path) and suffix(source) in OF_ARRAYS:
        with as_stored():
            return probe_image(source).shape
    return None


def _image(source: Any, layout: str, name: str, number: int | None = None) -> Image | LazyImage | Array:
    if isinstance(source, np.ndarray):
        values = source if number is None else source[number]
        return values if layout == "HW" else arranged(values, layout, name)
    state = on_disk(source).stat()

    def make() -> Image:
        stored = _stored(str(source), state.st_mtime_ns)
        values = stored if number is None else stored[number]
        return as_picture(values, name) if layout == "HW" else arranged(values, layout, name)

    part = "" if number is None else f"[{number}]"
    key = f"{Path(source).resolve()}{part} as {layout}, {state.st_size} bytes of {state.st_mtime_ns}"
    return LazyImage(key, make, is_volume=layout in ("XYZ", "ZYX"))


@lru_cache(maxsize=4)
def _stored(path: str, changed: int) -> Array:
    """The array in a file, kept while the images of its stack are read."""
    with as_stored():
        return read_scan(path).pixels
