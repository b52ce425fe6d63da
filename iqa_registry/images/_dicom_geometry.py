"""The place of DICOM frames in space: sorting by position, even spacing, the affine.

Coordinates here are DICOM's own, LPS: x grows to the patient's left, y to posterior, z to superior.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from iqa_registry.errors import ImageError
from iqa_registry.images.image import Array

_SAME_DIRECTION = 1e-3
_SAME_SPACING = 1e-3
_UNEVEN = 0.05  # of the usual distance between slices; written positions are rounded


@dataclass(frozen=True, slots=True, eq=False)
class Frame:
    """One slice: where it is stored and where it lies.

    Attributes:
        path: the file.
        index: its number among the ``of`` frames of the file.
        of: the number of frames in the file.
        rows: height in pixels.
        columns: width in pixels.
        position: center of the first pixel in mm.
        directions: ``(2, 3)``, unit vectors along a row and along a column.
        spacing: mm between rows and between columns.
        thickness: mm, used only where a volume has a single slice.
        scale: slope and intercept that the file keeps for each frame by itself, if it does.
    """

    path: Path
    index: int
    of: int
    rows: int
    columns: int
    position: Array
    directions: Array
    spacing: tuple[float, float]
    thickness: float
    scale: tuple[float, float] | None

    @property
    def normal(self) -> Array:
        """Unit vector across the slice."""
        return np.cross(self.directions[0], self.directions[1])

    def rescale(self, values: Array) -> Array:
        """Apply the frame's own slope and intercept."""
        if self.scale is None:
            return values
        return values.astype(np.float64) * self.scale[0] + self.scale[1]


def describe_frames(header: Any, path: Path) -> list[Frame]:
    """The frames of one file, from its header.

    Raises:
        ImageError: color, or no position in space.
    """
    if (
        int(header.get("SamplesPerPixel") or 1) != 1
        or header.get("PhotometricInterpretation") == "PALETTE COLOR"
    ):
        raise ImageError(
            f"{path}: is a color image, which cannot be a slice of a volume; give it as a single file."
        )
    count = int(header.get("NumberOfFrames") or 1)
    return [_frame(header, path, index, count) for index in range(count)]


def _frame(header: Any, path: Path, index: int, count: int) -> Frame:
    position = _value(header, index, "PlanePositionSequence", "ImagePositionPatient")
    directions = _value(header, index, "PlaneOrientationSequence", "ImageOrientationPatient")
    spacing = _value(header, index, "PixelMeasuresSequence", "PixelSpacing")
    if position is None or directions is None or spacing is None or (count > 1 and _is_classic(header)):
        raise ImageError(
            f"{path}: has no position in space for its slices (ImagePositionPatient, ImageOrientationPatient, "
            "PixelSpacing); add them, or convert the volume to NIfTI."
        )
    return Frame(
        path=path,
        index=index,
        of=count,
        rows=int(header.Rows),
        columns=int(header.Columns),
        position=np.array(position, dtype=float),
        directions=np.array(directions, dtype=float).reshape(2, 3),
        spacing=(float(spacing[0]), float(spacing[1])),
        thickness=float(_value(header, index, "PixelMeasuresSequence", "SliceThickness") or 1.0),
        scale=_own_scale(header, index),
    )


def _is_classic(header: Any) -> bool:
    return "PerFrameFunctionalGroupsSequence" not in header


def _value(header: Any, index: int, group: str, keyword: str) -> Any:
    """An element of a frame: its own, the one shared by all frames, or the one of a classic file."""
    for item in _groups(header, index):
        if group in item and keyword in item[group][0]:
            return item[group][0][keyword].value
    return header.get(keyword)


def _groups(header: Any, index: int) -> list[Any]:
    if _is_classic(header):
        return []
    return [header.PerFrameFunctionalGroupsSequence[index], *header.get("SharedFunctionalGroupsSequence", [])]


def _own_scale(header: Any, index: int) -> tuple[float, float] | None:
    if _is_classic(header):
        return None
    slope = _value(header, index, "PixelValueTransformationSequence", "RescaleSlope")
    intercept = _value(header, index, "PixelValueTransformationSequence", "RescaleIntercept")
    if slope is None or "RescaleSlope" in header:
        return None
    return float(slope), float(intercept or 0.0)


def sort_frames(frames: Sequence[Frame], name: str) -> list[Frame]:
    """Sort by position along the slices' common normal.

    Raises:
        ImageError: sizes or directions that differ, several slices at one position, or missing slices.
    """
    first = frames[0]
    for frame in frames:
        _check_alike(first, frame, name)
    ordered = sorted(frames, key=lambda frame: float(frame.position @ first.normal))
    _check_even(ordered, name)
    return ordered


def _check_alike(first: Frame, frame: Frame, name: str) -> None:
    differing = {
        "size": (first.rows, first.columns) != (frame.rows, frame.columns),
        "direction": not np.allclose(first.directions, frame.directions, atol=_SAME_DIRECTION),
        "pixel spacing": not np.allclose(first.spacing, frame.spacing, rtol=_SAME_SPACING),
    }
    for what, differs in differing.items():
        if differs:
            raise ImageError(
                f"{name}: the {what} of {frame.path.name} is not that of {first.path.name}; they cannot be slices "
                "of one volume (a localizer, perhaps): take it out of the folder."
            )


def _check_even(ordered: Sequence[Frame], name: str) -> None:
    if len(ordered) < 2:
        return
    places = np.array([frame.position @ ordered[0].normal for frame in ordered])
    steps = np.diff(places)
    usual = float(np.median(steps))
    if float(steps.min()) < max(_UNEVEN * usual, 1e-4):
        at = int(steps.argmin())
        raise ImageError(
            f"{name}: {ordered[at].path.name} and {ordered[at + 1].path.name} lie at one position "
            f"({places[at]:.2f} mm); put each time point or echo in a folder of its own."
        )
    worst = int(np.abs(steps - usual).argmax())
    if abs(steps[worst] - usual) > _UNEVEN * usual:
        raise ImageError(
            f"{name}: slices lie {usual:.3g} mm apart, but {steps[worst]:.3g} mm between "
            f"{ordered[worst].path.name} and {ordered[worst + 1].path.name}; slices are missing or unevenly spaced: "
            "complete the series, or resample it to NIfTI."
        )


def lps_affine(frames: Sequence[Frame]) -> Array:
    """4x4 from ``(column, row, slice)`` to LPS millimeters, for frames in order."""
    first, last = frames[0], frames[-1]
    affine = np.eye(4)
    affine[:3, 0] = first.directions[0] * first.spacing[1]
    affine[:3, 1] = first.directions[1] * first.spacing[0]
    if len(frames) > 1:
        affine[:3, 2] = (last.position - first.position) / (len(frames) - 1)
    else:
        affine[:3, 2] = first.normal * first.thickness
    affine[:3, 3] = first.position
    return affine
