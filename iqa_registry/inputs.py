"""The one door in: images, a manifest, a dataset, Python objects or the bundled sample become :class:`Inputs`."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from iqa_registry.errors import UsageError
from iqa_registry.images.objects import to_source
from iqa_registry.images.pair import Pair, Pairing

if TYPE_CHECKING:
    from iqa_registry.datasets import Dataset
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


def open_inputs(
    synthesized: str | Path | None = None,
    reference: str | Path | None = None,
    *,
    mask: str | Path | None = None,
    labels: str | Path | None = None,
    pairs: str | Path | Iterable[Any] | None = None,
    dataset: str | Dataset | None = None,
    axis: str = "axial",
    registry: Registry | None = None,
) -> Inputs:
    """Open what is to be scored; with no argument at all, the bundled sample.

    Args:
        synthesized: an image, a folder of images, a DICOM series, or a template such as ``fake/{model}/{case}.png``.
        reference: likewise; ``None`` where the metrics need none.
        mask: a mask, or a folder of masks matched by name.
        labels: a label map, or a folder of label maps matched by name.
        pairs: a manifest (CSV or Parquet), or Python objects, see :func:`iqa_registry.images.pairs.make_pairs`.
        dataset: ``NAME:PATH`` or ``NAME:KEY=VALUE,...``, or an open dataset.
        axis: along which volumes are cut for 2-D images whose template has ``{slice}``.
        registry: where the dataset is looked up; by default a new one of the installed plugins.

    Raises:
        UsageError: arguments that contradict each other, or that nothing can be made of.

    Example:
        >>> sample = open_inputs()
        >>> len(sample.pairs), sample.pairs[0].groups["source"]
        (48, 't1')
    """
    from iqa_registry.images.pairs import make_pairs, pair_paths, read_manifest

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
    if dataset is not None:
        return _from_dataset(dataset, registry, arguments)
    if synthesized is not None:
        return _from_pairing(pair_paths(synthesized, reference, mask, labels, axis), arguments)
    if isinstance(pairs, str | Path):
        return _from_pairing(read_manifest(Path(pairs)), arguments)
    if pairs is not None:
        made = _with_sources(make_pairs(pairs))
        return Inputs(made, arguments=arguments | {"pairs": f"{len(made)} pairs"})
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


def _absolute(path: str | Path | None) -> str | None:
    """A path as the run record keeps it: the same from whatever folder the command is repeated."""
    return None if path is None else str(Path(path).resolve())
