"""Dataset interface: where image pairs, or subjects to train on, come from.

A dataset names many images and holds none: its sources are paths, or
:class:`~iqa_registry.images.formats.LazyImage` objects that make an image when it is read.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from iqa_registry.errors import UsageError
from iqa_registry.images.image import Source
from iqa_registry.images.pair import Group, Pair

if TYPE_CHECKING:
    import polars as pl

    from iqa_registry.specs import DatasetSpec


_IMAGES = ("synthesized", "reference", "mask", "labels")


@dataclass(frozen=True, slots=True, eq=False)
class Subject:
    """One person, examined or simulated: what a metric or a segmenter is trained on.

    Attributes:
        name: unique in the dataset.
        images: modality (``t1``, ``t2``, ``flair`` ...) to image, all on one grid.
        labels: label map on that grid; see :attr:`Dataset.label_names`.
        mask: brain mask on that grid.
        slices: the slices of a volume that are meant, as in Python (``50:80``); all by default.
        groups: what else is known: split, site, whether there are lesions ...
    """

    name: str
    images: Mapping[str, Source]
    labels: Source | None = None
    mask: Source | None = None
    slices: str | None = None
    groups: Mapping[str, Group] = field(default_factory=dict)


class Dataset(ABC):
    """Pairs to score, and where there are any, subjects to train on.

    Example:
        >>> import numpy as np
        >>> class Ramps(Dataset):
        ...     def pairs(self):
        ...         ramp = np.linspace(0, 1, 16).reshape(4, 4)
        ...         for power in (1, 2):
        ...             yield Pair(f"ramp-{power}", ramp**power, ramp, groups={"power": power})
        >>> Ramps().table()["power"].sum()
        3
    """

    spec: DatasetSpec | None = None
    """The declaration; set by the registry."""
    label_names: Mapping[str, tuple[int, ...]] = {}
    """What the labels of the label maps are called, name to labels; names may overlap."""
    other_label_names: Mapping[str, Mapping[str, tuple[int, ...]]] = {}
    """Names that replace them for other editions of the dataset, by edition; an open dataset has those of its files."""

    def __init__(self) -> None:
        self.left_out: list[str] = []
        """What was passed over and why, a line each; complete once the pairs or the subjects have been gone through."""

    @abstractmethod
    def pairs(self) -> Iterator[Pair]:
        """The pairs, one after the other, in an order that stays.

        Raises:
            UsageError: the dataset has none, or its files are not as they should be; the message names them.
        """

    def subjects(self) -> Iterator[Subject]:
        """The subjects, one after the other, in an order that stays.

        Raises:
            UsageError: the dataset has none.
        """
        name = self.spec.name if self.spec else type(self).__name__
        raise UsageError(f"dataset {name!r} has pairs but no subjects to train on.")

    def table(self) -> pl.DataFrame:
        """One row per pair: ``pair_id``, where the images are, and the group columns (ratings among them)."""
        import polars as pl

        from iqa_registry.tables.schema import group_types, make_table

        rows = [
            {
                "pair_id": pair.pair_id,
                **{name: _text(getattr(pair, name)) for name in _IMAGES},
                **pair.groups,
            }
            for pair in self.pairs()
        ]
        return make_table(rows, group_types(rows) | dict.fromkeys(_IMAGES, pl.String))


def _text(source: object) -> str | None:
    """Where an image is; an array in memory is nowhere."""
    return None if source is None or hasattr(source, "dtype") else str(source)
