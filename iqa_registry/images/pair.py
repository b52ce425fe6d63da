"""A synthesized image, its reference, and what is known about the two."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from iqa_registry.images.image import Source

Group = str | int | float | bool | None


@dataclass(frozen=True, slots=True, eq=False)
class Pair:
    """A synthesized image, its reference, and what is known about the two.

    Attributes:
        pair_id: unique in a run.
        synthesized: path, array or tensor.
        reference: likewise; ``None`` for metrics that need none.
        mask: which pixels count: nonzero is inside. Where it is the label map too, and regions of that are asked for,
            it is not scored as a region of its own.
        groups: further columns of the table: subject, model, epoch ...
        slices: which slices of a volume are scored where the run does not say (``50:80``); all by default.
        labels: a label map of structures, 0 is background.
    """

    pair_id: str
    synthesized: Source
    reference: Source | None = None
    mask: Source | None = None
    groups: Mapping[str, Group] = field(default_factory=dict)
    slices: str | None = None
    labels: Source | None = None

    @property
    def sources(self) -> tuple[Source | None, ...]:
        """Every image that the pair names, in a fixed order."""
        return (self.synthesized, self.reference, self.mask, self.labels)


@dataclass(frozen=True, slots=True)
class Pairing:
    """Pairs, what was left over (each with the reason), and how many files of other kinds were passed over.

    ``remarks`` is what the user must know of how they were paired.
    """

    pairs: list[Pair]
    unmatched: list[str] = field(default_factory=list)
    ignored: int = 0
    remarks: list[str] = field(default_factory=list)
