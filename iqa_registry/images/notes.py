"""Notes: what a run says once about its images, beside the scores."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

EQUAL = "equal"
"""The kind of the notes about images that equal their references."""


BEYOND = " within the limits of the intensity rule, but not beyond them"
"""What such a note adds where only what the metrics see is equal."""


@dataclass(frozen=True, slots=True)
class Note:
    """Something about an image or a pair that a reader of the scores must know, which is not an error.

    Attributes:
        kind: one word or two; notes of one kind are reported together.
        message: names the file, and what to do about it.

    Example:
        >>> str(Note("clipped", "f.nii: 76 % of the voxels lie outside the limits."))
        'clipped: f.nii: 76 % of the voxels lie outside the limits.'
    """

    kind: str
    message: str

    def __str__(self) -> str:
        return f"{self.kind}: {self.message}"


def join_notes(notes: Iterable[Note]) -> str | None:
    """Notes as the score table keeps them, each once; ``None`` where there are none.

    Example:
        >>> join_notes([Note("mask", "m.nii covers the whole image."), Note("header", "f.nii is odd.")])
        'mask: m.nii covers the whole image.; header: f.nii is odd.'
    """
    return "; ".join(dict.fromkeys(map(str, notes))) or None


def split_notes(text: str) -> list[Note]:
    """Undo :func:`join_notes`.

    Example:
        >>> [note.kind for note in split_notes("mask: m.nii covers it; look.; header: f.nii is odd.")]
        ['mask', 'header']
    """
    found = (part.partition(": ") for part in re.split(r"(?<=\.); (?=[a-z ]+: )", text))
    return [Note(kind, message) for kind, _, message in found]
