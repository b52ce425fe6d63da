"""The image type that every reader gives, and the convention by which a volume is cut into slices."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

import numpy as np

from iqa_registry.errors import UsageError
from iqa_registry.images.notes import Note

if TYPE_CHECKING:
    from torch import Tensor

Array = np.ndarray[Any, np.dtype[Any]]

AXES = {"sagittal": 0, "coronal": 1, "axial": 2}
"""The axis of a RAS+ volume that each direction of slicing runs along."""


@dataclass(frozen=True, slots=True, eq=False)
class Image:
    """One 2-D image or volume.

    Attributes:
        pixels: float32; ``(C, H, W)`` with C = 1 or 3 for a 2-D image, ``(X, Y, Z)`` in RAS+ for a volume (x grows
            towards the patient's right, y towards anterior, z towards superior).
        affine: 4x4, voxel index to millimeters in RAS+; ``None`` for 2-D images and volumes without a position.
        full_scale: what the pixel type holds at most (255 or 65535) where the image is an 8- or 16-bit 2-D image;
            ``None`` for everything whose type says nothing of its range.
        name: the path, for messages.
        is_volume: whether ``pixels`` is ``(X, Y, Z)``.
        orientation: where the voxel axes run as the file keeps them, say ``LAS``; ``None`` without an affine.
        valid: boolean, ``(H, W)`` or ``(X, Y, Z)``: where there is data; the other pixels hold 0 and are never scored.
            ``None`` where there is data everywhere.
        gaps: why there is none elsewhere: ``broken`` values (NaN, infinite), or ``outside`` the field of view of a
            volume that was resampled.
        notes: what a reader of its scores must know.
    """

    pixels: Array
    affine: Array | None = None
    full_scale: float | None = None
    name: str = "array"
    is_volume: bool = False
    orientation: str | None = None
    valid: Array | None = None
    gaps: Literal["broken", "outside"] = "broken"
    notes: tuple[Note, ...] = ()

    @property
    def spatial(self) -> tuple[int, ...]:
        """``(H, W)`` or ``(X, Y, Z)``."""
        return self.pixels.shape if self.is_volume else self.pixels.shape[1:]

    def section(self, axis: int, index: int) -> Array:
        """Cut slice ``index`` of a volume, ``(1, H, W)``, as a DICOM viewer shows it.

        Axial rows run from anterior to posterior and columns from the patient's right to left; coronal rows from
        superior to inferior, columns from right to left; sagittal rows from superior to inferior, columns from
        anterior to posterior.

        Args:
            axis: 0, 1 or 2; see :data:`AXES`.
            index: voxel index along that axis of the RAS+ volume.

        Raises:
            UsageError: the image is a 2-D image, or has no such slice.

        Example:
            >>> volume = Image(np.arange(24, dtype=np.float32).reshape(2, 3, 4), is_volume=True)
            >>> volume.section(AXES["axial"], 0)[0].tolist()
            [[20.0, 8.0], [16.0, 4.0], [12.0, 0.0]]
        """
        if not self.is_volume:
            raise UsageError(f"{self.name} is a 2-D image and has no slices.")
        if not 0 <= index < self.pixels.shape[axis]:
            raise UsageError(
                f"{self.name} has slices 0 to {self.pixels.shape[axis] - 1} along axis {axis}, not {index}."
            )
        return take_section(self.pixels, axis, index)[None]

    def stack(self) -> Array:
        """The whole volume as its axial sections in order, ``(1, D, H, W)``.

        Raises:
            UsageError: the image is a 2-D image.
        """
        if not self.is_volume:
            raise UsageError(f"{self.name} is a 2-D image and has no slices.")
        return stack_sections(self.pixels)[None]


@dataclass(frozen=True, slots=True)
class ImageInfo:
    """What an image's header says.

    Attributes:
        shape: ``(C, H, W)`` of a 2-D image as stored (three equal channels still count as three), ``(X, Y, Z)`` in
            RAS+ of a volume.
        is_volume: whether it is a volume.
        name: the path, for messages.
        nbytes: bytes that it takes as float32.
    """

    shape: tuple[int, ...]
    is_volume: bool
    name: str
    nbytes: int


@dataclass(frozen=True, slots=True)
class LazyImage:
    """An image that is made when it is read, so that a dataset can name many without holding any.

    Two are equal where their keys are: readers keep what they have read by it, and a run that goes on takes equal
    keys for equal images. So the key says everything that the image depends on.

    Attributes:
        key: tells the image from all others, in this process and the next.
        make: gives the image; called by several threads, at any time, any number of times.
        shape: ``(C, H, W)`` of a 2-D image, ``(X, Y, Z)`` in RAS+ of a volume; ``None`` where only ``make`` knows.
        is_volume: whether it is a volume.
        name: its name in messages; the key by default.

    Example:
        >>> ramp = LazyImage("ramp", lambda: Image(np.ones((1, 2, 2), np.float32)), (1, 2, 2))
        >>> float(ramp.make().pixels.sum()), str(ramp)
        (4.0, 'ramp')
    """

    key: str
    make: Callable[[], Image] = field(compare=False, repr=False)
    shape: tuple[int, ...] | None = None
    is_volume: bool = False
    name: str | None = field(default=None, compare=False)

    def __str__(self) -> str:
        return self.name or self.key

    def info(self) -> ImageInfo:
        """What a header would say."""
        if self.shape is None:
            made = self.make()
            return ImageInfo(made.pixels.shape, made.is_volume, str(self), made.pixels.nbytes)
        return ImageInfo(self.shape, self.is_volume, str(self), 4 * math.prod(self.shape))


def take_section(volume: Array, axis: int, index: int) -> Array:
    """Slice ``(H, W)`` of a RAS+ array ``(X, Y, Z)`` in the convention of :meth:`Image.section`."""
    plane = volume[(slice(None),) * axis + (index,)]
    return np.array(plane[::-1, ::-1].T, order="C")


def unsection(section: Array, axis: int) -> Array:
    """Undo :meth:`Image.section`: give the plane as it lies in the RAS+ volume across ``axis``.

    Args:
        section: ``(1, H, W)`` or ``(H, W)``.
        axis: the axis that it was cut along; the three directions share one rule, so any is right.

    Raises:
        UsageError: not one slice.

    Example:
        >>> volume = Image(np.arange(24, dtype=np.float32).reshape(2, 3, 4), is_volume=True)
        >>> float(abs(unsection(volume.section(1, 2), 1) - volume.pixels[:, 2, :]).max())
        0.0
    """
    plane = section[0] if section.ndim == 3 and section.shape[0] == 1 else section
    if plane.ndim != 2 or axis not in (0, 1, 2):
        raise UsageError(
            f"expected one slice (1, H, W) and an axis 0, 1 or 2, got {section.shape} and {axis}."
        )
    return np.array(plane.T[::-1, ::-1], order="C")


def restore_sections(sections: Sequence[Array], axis: int) -> Array:
    """Put all slices along ``axis``, in order of their index, back into a RAS+ array ``(X, Y, Z)``.

    Example:
        >>> volume = Image(np.arange(24, dtype=np.float32).reshape(2, 3, 4), is_volume=True)
        >>> sections = [volume.section(0, index) for index in range(2)]
        >>> float(abs(restore_sections(sections, 0) - volume.pixels).max())
        0.0
    """
    return np.stack([unsection(section, axis) for section in sections], axis=axis)


def stack_sections(volume: Array) -> Array:
    """All axial sections of a RAS+ array ``(X, Y, Z)`` in order, ``(D, H, W)``."""
    return np.array(volume[::-1, ::-1, :].T, order="C")


def unstack(stack: Array) -> Array:
    """Undo :meth:`Image.stack`: ``(1, D, H, W)`` or ``(D, H, W)`` back to ``(X, Y, Z)``."""
    sections = stack[0] if stack.ndim == 4 else stack
    return np.array(sections.T[::-1, ::-1, :], order="C")


Source: TypeAlias = "str | Path | Array | Tensor | Image | LazyImage"
"""What can be read: a path, an array, a tensor, what :func:`as_picture` and :func:`as_volume` give, or an image that
is made when it is read."""


def source_key(source: Source | None) -> str | int:
    """What tells an image from all others of a run: its path, a lazy image's key, or the identity of an array.

    Example:
        >>> source_key(Path("a/b.png"))
        'a/b.png'
    """
    # Arrays are told apart by identity: the caller who passes one array twice gets it read once.
    return str(source) if isinstance(source, str | Path | LazyImage) else id(source)
