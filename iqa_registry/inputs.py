"""The one door in: images, a manifest, a dataset, Python objects or the bundled sample become :class:`Inputs`."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypedDict

import numpy as np

from iqa_registry.datasets import Dataset
from iqa_registry.errors import ImageError, UsageError
from iqa_registry.images._arrays import as_volume
from iqa_registry.images.formats import probe_image
from iqa_registry.images.given import as_items, is_pair
from iqa_registry.images.image import Source
from iqa_registry.images.layouts import lay_out
from iqa_registry.images.objects import to_source
from iqa_registry.images.pair import Pair, Pairing, check_names

if TYPE_CHECKING:
    from typing_extensions import Unpack

    from iqa_registry.registry import Registry


@dataclass(frozen=True, slots=True)
class Inputs:
    """What a run is made on.

    Attributes:
        pairs: the image pairs.
        left_out: what was passed over and why, a line each.
        dataset: the dataset that the pairs come from, if it is one.
        arguments: where the pairs come from, as the run record keeps it.
        notice: what to tell the user about them.
    """

    pairs: Sequence[Pair]
    left_out: Sequence[str] = ()
    dataset: Dataset | None = None
    arguments: Mapping[str, Any] = field(default_factory=dict)
    notice: str | None = None

    @property
    def label_names(self) -> Mapping[str, tuple[int, ...]]:
        """What the labels of the label maps are called, as far as the dataset says."""
        return {} if self.dataset is None else self.dataset.label_names


class ReadingFields(TypedDict, total=False):
    """How images are read.

    Attributes:
        axis: along which volumes are cut for 2-D images whose template has ``{slice}``; axial by default.
        layout: what the axes of arrays are, and of files that hold arrays, see :mod:`iqa_registry.images.axes`.
    """

    axis: str
    layout: str | None


def open_inputs(
    synthesized: Any = None,
    reference: Any = None,
    *,
    mask: Any = None,
    labels: Any = None,
    pairs: str | Path | Dataset | Iterable[Any] | None = None,
    dataset: str | Dataset | None = None,
    registry: Registry | None = None,
    **reading: Unpack[ReadingFields],
) -> Inputs:
    """Open what is to be scored; with no argument at all, the bundled sample.

    Args:
        synthesized: an image (a path, or an object such as an array), a folder of images, a DICOM series, or a template
            such as ``fake/{model}/{case}.png``.
        reference: likewise; ``None`` where the metrics need none.
        mask: a mask, or a folder of masks matched by name.
        labels: a label map, or a folder of label maps matched by name.
        pairs: a manifest (CSV or Parquet), or Python objects, see :func:`iqa_registry.images.pairs.make_pairs`.
        dataset: ``NAME:PATH`` or ``NAME:KEY=VALUE,...``, or an open dataset.
        registry: where the dataset is looked up; by default a new one of the installed plugins.
        **reading: ``axis`` and ``layout``, see :class:`ReadingFields`.

    Raises:
        UsageError: arguments that contradict each other, or that nothing can be made of.

    Example:
        >>> sample = open_inputs()
        >>> len(sample.pairs), sample.pairs[0].groups["source"]
        (48, 't1')
    """
    if isinstance(pairs, Dataset) or (isinstance(pairs, str) and _names_dataset(pairs, registry)):
        pairs, dataset = None, pairs
    given = {"images": synthesized, "--pairs": pairs, "--dataset": dataset}
    named = [name for name, value in given.items() if value is not None]
    if len(named) > 1:
        raise UsageError(f"{' and '.join(named)} contradict each other; choose one.")
    for name, path in (("mask", mask), ("labels", labels)):
        if path is not None and synthesized is None:
            raise UsageError(f"--{name} goes with two images or folders; a manifest has a column for it.")
    arguments = {
        "synthesized": _absolute(synthesized),
        "reference": _absolute(reference),
        "pairs": _absolute(pairs) if isinstance(pairs, str | Path) else None,
        "mask": _absolute(mask),
        "labels": _absolute(labels),
        "dataset": dataset if isinstance(dataset, str) else None,
    }
    opened = _open(
        arguments,
        (synthesized, reference, mask, labels),
        pairs,
        dataset,
        reading.get("axis", "axial"),
        registry,
    )
    check_names(opened.pairs)
    return replace(opened, pairs=_arranged(_with_sources(opened.pairs), reading.get("layout")))


def _open(
    arguments: Mapping[str, Any],
    images: tuple[Any, ...],
    pairs: Any,
    dataset: Any,
    axis: str,
    registry: Registry | None,
) -> Inputs:
    from iqa_registry.images.pairs import make_pairs, pair_paths, read_manifest

    if dataset is not None:
        return _from_dataset(dataset, registry, arguments)
    if images[0] is not None and all(image is None or isinstance(image, str | Path) for image in images):
        return _from_pairing(pair_paths(images[0], images[1], images[2], images[3], axis), arguments)
    if images[0] is not None:
        roles = ("synthesized", "reference", "mask", "labels")
        given = {role: image for role, image in zip(roles, images, strict=True) if image is not None}
        return Inputs(make_pairs([given]), arguments=arguments)
    if isinstance(pairs, str | Path):
        return _from_pairing(read_manifest(Path(pairs)), arguments)
    if is_pair(pairs) and all(isinstance(item, str | Path) for item in pairs):
        first, second, mask = (*pairs, None)[:3]
        return _from_pairing(pair_paths(first, second, mask, axis=axis), arguments)
    if pairs is not None:
        made = make_pairs(as_items(pairs))
        return Inputs(made, arguments={**arguments, "pairs": f"{len(made)} pairs"})
    from iqa_registry.sample import MANIFEST, NOTICE

    return _from_pairing(read_manifest(MANIFEST), arguments, NOTICE)


def _from_pairing(found: Pairing, arguments: Mapping[str, Any], notice: str | None = None) -> Inputs:
    said = "\n".join(filter(None, (notice, *(f"note: {remark}" for remark in found.remarks))))
    return Inputs(list(found.pairs), list(found.unmatched), None, arguments, said or None)


def _from_dataset(dataset: str | Dataset, registry: Registry | None, arguments: Mapping[str, Any]) -> Inputs:
    if isinstance(dataset, str):
        from iqa_registry.registry import build_registry

        dataset = (registry or build_registry()).dataset(dataset)
    pairs = list(dataset.pairs())
    return Inputs(pairs, list(dataset.left_out), dataset, arguments)


def _names_dataset(text: str, registry: Registry | None) -> bool:
    """Whether a text is not a file and begins with the name of a dataset, as ``NAME:PATH`` does."""
    name, colon, _ = text.partition(":")
    if not colon or Path(text).exists():
        return False
    from iqa_registry.registry import build_registry

    return name in (registry or build_registry()).datasets


def _with_sources(pairs: Sequence[Pair]) -> list[Pair]:
    """Pairs whose images of other libraries are read; an object that several pairs share is read once."""
    read: dict[tuple[int, bool], Any] = {}

    def take(pair: Pair, role: str) -> Any:
        value = getattr(pair, role)
        labels = role in ("mask", "labels")
        key = (id(value), labels)
        if key not in read:
            read[key] = to_source(value, f"{pair.pair_id}: {role}", labels)
        return read[key]

    roles = ("synthesized", "reference", "mask", "labels")
    return [replace(pair, **{role: take(pair, role) for role in roles}) for pair in pairs]


def _arranged(pairs: Sequence[Pair], layout: str | None) -> list[Pair]:
    """Pairs whose arrays are taken by the layout, or by the image beside them."""
    return [_beside(pair) for pair in pairs] if layout is None else lay_out(pairs, layout)


def _beside(pair: Pair) -> Pair:
    """Where one of the images is a volume, an array of three axes is one too."""
    images = {"synthesized": pair.synthesized, "reference": pair.reference}
    arrays = {role: image for role, image in images.items() if isinstance(image, np.ndarray)}
    deep = {role: image for role, image in arrays.items() if image.ndim == 3}
    others = [image for role, image in images.items() if role not in arrays and image is not None]
    if deep and any(_is_volume(other) for other in others):
        found: dict[str, Any] = {role: as_volume(image) for role, image in deep.items()}
        return replace(pair, **found)
    return pair


def _is_volume(source: Source) -> bool:
    try:
        return probe_image(source).is_volume
    except ImageError:  # reading it will say why
        return False


def _absolute(path: Any) -> str | None:
    """A path as the run record keeps it: the same from whatever folder the command is repeated."""
    if path is None:
        return None
    return str(Path(path).resolve()) if isinstance(path, str | Path) else type(path).__name__
