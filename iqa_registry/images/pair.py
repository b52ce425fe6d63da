"""A synthesized image, its reference, and what is known about the two."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from iqa_registry.errors import UsageError
from iqa_registry.images.image import Source

Group = str | int | float | bool | None
LONGEST_NAME = 1000
"""Characters of a ``pair_id``."""
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]")
_UNREADABLE = re.compile(r"[\x00\ud800-\udfff]")


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


def check_names(pairs: Iterable[Pair]) -> None:
    """Check what pairs and their files are called, which tables and messages show.

    Raises:
        UsageError: a ``pair_id`` with a line break or another control character, or of more than
            :data:`LONGEST_NAME` characters; a path or group that is not text.

    Example:
        >>> check_names([Pair("a" * 2000, "a.png")])
        Traceback (most recent call last):
        ...
        iqa_registry.errors.UsageError: the pair_id 'aaaaaaaaaaaaaaaaaaaa…' has 2000 characters. Give it at most 1000.
    """
    for pair in pairs:
        name = str(pair.pair_id)
        problem = name_problem(name)
        if problem:
            raise UsageError(f"the pair_id {_shortened(name)} {problem}")
        for source in (*pair.sources, *pair.groups.values()):
            if isinstance(source, str | Path) and _UNREADABLE.search(str(source)):
                raise UsageError(
                    f"{_shortened(str(source))} (pair {name}) holds characters that are not text. Rename it."
                )


def name_problem(name: str) -> str | None:
    """What is wrong with a name that tables and messages show, if anything.

    Example:
        >>> name_problem("a" * 2000)
        'has 2000 characters. Give it at most 1000.'
    """
    if _CONTROL.search(name):
        return "holds a line break or another control character. Rename it."
    if _UNREADABLE.search(name):
        return "holds characters that are not text. Rename it."
    if len(name) > LONGEST_NAME:
        return f"has {len(name)} characters. Give it at most {LONGEST_NAME}."
    return None


def _shortened(name: str) -> str:
    return repr(name if len(name) <= 60 else f"{name[:20]}…")
