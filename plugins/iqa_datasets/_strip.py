"""Simple skull stripping by thresholds and shapes. It is no substitute for a tool made for it.

The head is separated from the air by Otsu's threshold (Otsu 1979, DOI 10.1109/TSMC.1979.4310076) on the smoothed
volume; erosion cuts the bridges between brain and scalp, across the dark skull; the largest piece is the brain; it is
dilated by as much, within the head, gaps are closed and holes filled. Eyes, dura and parts of the neck often stay, and
bright marrow can hold the scalp to the brain: on one examination with a brain mask (5.5 mm slices, a glioma) the Dice
overlap was 0.85 on T1, 0.77 with contrast agent, 0.86 on T2 and 0.85 on FLAIR. HD-BET (Isensee 2019) or SynthStrip
(Hoopes 2022) do this well: run one of them and give its masks.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from iqa_registry.plugin import Array, Image, ImageError

SMOOTHING = 1.5
"""Standard deviation in millimeters of the Gaussian before the threshold."""
COARSE = 2.0
"""Millimeters of the grid that shapes are found on; finer ones take ten times as long."""
OPENING = 8.0
"""Millimeters by which the head is eroded, so that what is connected through less falls apart."""
CLOSING = 4.0
"""Millimeters up to which gaps (sulci, ventricles near the surface) are closed."""


def strip_simply(image: Image) -> Array:
    """Where the brain may be, boolean ``(X, Y, Z)``.

    Args:
        image: a head on a dark background, RAS+; without an affine, voxels count as 1 mm.

    Raises:
        ImageError: nothing is left.

    Example:
        >>> grid = np.stack(np.meshgrid(*[np.arange(48.0)] * 3, indexing="ij")) - 23.5
        >>> radius = np.sqrt((grid**2).sum(axis=0))
        >>> head = np.where((radius < 15) | ((radius > 18) & (radius < 22)), 100, 0).astype(np.float32)
        >>> brain = strip_simply(Image(head, is_volume=True))
        >>> bool(brain[radius < 13].all()), bool(brain[radius > 18].any())
        (True, False)
    """
    import SimpleITK as sitk  # noqa: N813

    volume = sitk.GetImageFromArray(np.ascontiguousarray(image.pixels.T, dtype=np.float32))
    volume.SetSpacing(_spacing(image))
    smooth = sitk.DiscreteGaussian(volume, [SMOOTHING**2] * 3, useImageSpacing=True)
    coarse = sitk.Shrink(smooth, [max(1, round(COARSE / side)) for side in volume.GetSpacing()])
    head = sitk.OtsuThreshold(coarse, 0, 1)
    opening, closing = (
        [round(length / side) for side in coarse.GetSpacing()] for length in (OPENING, CLOSING)
    )
    pieces = sitk.RelabelComponent(
        sitk.ConnectedComponent(sitk.BinaryErode(head, opening)), sortByObjectSize=True
    )
    brain = sitk.BinaryDilate(pieces == 1, opening) & head
    brain = sitk.BinaryFillhole(sitk.BinaryMorphologicalClosing(brain, closing))
    brain = sitk.Resample(brain, volume, sitk.Transform(), sitk.sitkNearestNeighbor)
    inside = sitk.GetArrayFromImage(brain).T.astype(bool)
    if not inside.any():
        raise ImageError(
            f"{image.name}: strip=simple finds no brain; give masks=FOLDER with masks of a real tool."
        )
    return np.ascontiguousarray(inside)


def _spacing(image: Image) -> list[float]:
    if image.affine is None:
        return [1.0, 1.0, 1.0]
    sides: Any = np.linalg.norm(image.affine[:3, :3], axis=0)
    return [float(side) for side in sides]
