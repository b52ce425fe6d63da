"""Notes: what a run says once about its images, beside the scores."""

from __future__ import annotations

from dataclasses import dataclass


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
