"""The regions of a pair that are scored, and the labels that metrics look at."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from iqa_registry.evaluation.options import Options
from iqa_registry.images.image import Array, Image, Source, source_key
from iqa_registry.images.masks import dilate, foreground, inside, read_mask
from iqa_registry.images.notes import Note
from iqa_registry.images.pair import Pair


def read_regions(
    pair: Pair, like: Image, images: Sequence[Image], options: Options, looked_at: Sequence[str]
) -> tuple[dict[str, Array], dict[str, Array], tuple[Note, ...]]:
    """Read the masks of a pair.

    Args:
        pair: names the mask and the label map.
        like: the image on whose grid they are brought.
        images: the images of the pair as they were read.
        options: which regions there are.
        looked_at: names of the labels that metrics look at.

    Returns:
        The regions that are scored, by name; the labels that metrics look at; and what must be known about them.
    """
    wanted = {*options.regions, *looked_at}
    labels = mask = None
    notes: tuple[Note, ...] = ()

    def read(source: Source, as_labels: bool) -> Array:
        return read_mask(source, like, options.resample, options.geometry, images, as_labels)

    if wanted and pair.labels is not None:
        labels = read(pair.labels, True)
    if labels is not None and source_key(pair.mask) == source_key(pair.labels):
        mask = None if options.regions else labels
    elif pair.mask is not None:
        mask = read(pair.mask, False)
    regions: dict[str, Array] = {}
    if mask is not None:
        regions["mask"], notes = inside(mask, _name(pair.mask))
    named: dict[str, Array] = {}
    if labels is not None:
        named = {name: np.isin(labels, list(options.label_names[name])) for name in wanted}
        regions |= {name: named[name] for name in options.regions}
    if options.dilate:
        regions = {name: dilate(region, options.dilate, like) for name, region in regions.items()}
    if options.foreground:
        regions["foreground"], more = foreground(like, options.foreground)
        notes += more
    return regions, {name: named[name] for name in looked_at if name in named}, notes


def region_names(pair: Pair, options: Options) -> list[str]:
    """The regions of a pair beside the whole image, in the order of :func:`read_regions`; nothing is read.

    Example:
        >>> region_names(Pair("p", "s", "r", "mask.png"), Options(foreground=True))
        ['mask', 'foreground']
    """
    names = []
    both = pair.labels is not None and source_key(pair.mask) == source_key(pair.labels)
    if pair.mask is not None and not (both and options.regions):
        names.append("mask")
    if pair.labels is not None:
        names += options.regions
    return [*names, "foreground"] if options.foreground else names


def _name(source: Source | None) -> str:
    return (
        str(source_key(source))
        if isinstance(source_key(source), str)
        else getattr(source, "name", "the mask")
    )
