"""Geometry: whether two images lie on one grid, how they are brought there, and how far apart they still are."""

from __future__ import annotations

import itertools
from dataclasses import replace
from typing import cast

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from iqa_registry.errors import GeometryError
from iqa_registry.images.image import Array, Image

IGNORE_REMEDY = "if both hold the same voxels, give --geometry ignore."
TOLERANCE = 0.01
"""How far a corner of the grid may be off, as a fraction of the smallest voxel side."""
CONFIDENCE = 0.25
"""Least height of the correlation peak, 1 for a pure shift, from which a shift is believed."""
CHANCE = 3.0
"""How far a peak must stand above ``sqrt(ln n / n)``; unrelated images stay below 2.7 (noise of any smoothness)."""
BANDWIDTH = 0.15
"""Standard deviation, in cycles per pixel, of the Gaussian that weighs the frequencies of phase correlation."""


def check_affines(first: Image, second: Image) -> None:
    """Reject two volumes whose affines put a corner of the grid at different places.

    Rounding is allowed for: a corner may be off by 1 % of the smallest voxel side.

    Raises:
        GeometryError: both affines, the largest distance in millimeters, and the remedy; or only one of the two has
            an affine, and its file does not keep the voxels in RAS+ order, so that the other may lie mirrored.
    """
    _check_orientation(first, second)
    if first.affine is None or second.affine is None or first.spatial != second.spatial:
        return
    corners = np.array(
        [(*corner, 1.0) for corner in itertools.product(*((0, side - 1) for side in first.spatial))]
    )
    distance = np.linalg.norm((corners @ (first.affine - second.affine).T)[:, :3], axis=1).max()
    voxel = np.linalg.norm(second.affine[:3, :3], axis=0).min()
    if distance > TOLERANCE * voxel:
        lost = lost_header(first, second)
        remedy = "Bring them to one grid, or give --resample reference."
        if lost is not None:
            remedy = f"{lost.name} seems to have lost its header; {IGNORE_REMEDY}"
        raise GeometryError(
            f"{first.name} and {second.name} lie up to {distance:.3g} mm apart: affines {_shown(first.affine)} "
            f"and {_shown(second.affine)}. {remedy}"
        )


def _check_orientation(first: Image, second: Image) -> None:
    bare, placed = (first, second) if first.affine is None else (second, first)
    if bare.is_volume and bare.affine is None and placed.orientation not in (None, "RAS"):
        raise GeometryError(
            f"{bare.name} has no affine and {placed.name} is stored as {placed.orientation}, so one may lie mirrored "
            "to the other; save it as NIfTI with its affine, give as_volume(array, affine) in Python, or, if both "
            "store their voxels in one order, --geometry ignore."
        )


def lost_header(first: Image, second: Image) -> Image | None:
    """The one of two volumes whose affine is what a program writes that has lost the header, if it is one only.

    Such an affine is the identity, or has the center of the volume at 0 as that of a NIfTI file without qform and
    sform.

    Example:
        >>> placed = np.array([[1.0, 0, 0, -90], [0, 1, 0, -126], [0, 0, 1, -72], [0, 0, 0, 1]])
        >>> pixels = np.zeros((4, 4, 4), np.float32)
        >>> first, second = (Image(pixels, affine, is_volume=True) for affine in (np.eye(4), placed))
        >>> lost_header(first, second) is first, lost_header(second, second)
        (True, None)
    """
    lost = [image for image in (first, second) if _is_default(image)]
    return lost[0] if len(lost) == 1 else None


def _is_default(image: Image) -> bool:
    affine = image.affine
    if affine is None or np.count_nonzero(affine[:3, :3]) != 3:
        return False
    last = np.array(image.spatial) - 1
    flipped = np.array([code in "LPI" for code in image.orientation or "RAS"])
    places = np.array([np.where(flipped, last, 0), last / 2])  # the first voxel as stored, and the center
    worlds = places @ affine[:3, :3].T + affine[:3, 3]
    at_zero = np.abs(worlds).max(axis=1) < 1e-4
    return bool((at_zero[0] and np.allclose(np.diag(affine), 1)) or at_zero[1])


def on_stored_grid(image: Image, like: Image) -> Image:
    """A volume as it lies on the voxel grid of another when both are taken as their files keep them.

    Its own affine is left aside: the voxel that is stored at (i, j, k) meets the one that the other stores there.

    Raises:
        GeometryError: sizes that differ.

    Example:
        >>> pixels = np.arange(2, dtype=np.float32).reshape(2, 1, 1)
        >>> mirrored = Image(pixels, np.eye(4), is_volume=True, orientation="LAS")
        >>> bare = Image(pixels, np.eye(4), is_volume=True, orientation="RAS")
        >>> on_stored_grid(bare, mirrored).pixels.ravel().tolist()
        [1.0, 0.0]
    """
    from nibabel.orientations import apply_orientation, axcodes2ornt, ornt_transform

    own, other = (axcodes2ornt(item.orientation or "RAS") for item in (image, like))
    undo = ornt_transform(axcodes2ornt("RAS"), own)

    def moved(array: Array | None) -> Array | None:
        return None if array is None else apply_orientation(apply_orientation(array, undo), other)

    pixels = cast(Array, moved(image.pixels))
    found = replace(
        image, pixels=pixels, valid=moved(image.valid), affine=like.affine, orientation=like.orientation
    )
    check_sizes(found, like)
    return found


def _shown(affine: Array) -> str:
    return "[" + "; ".join(" ".join(f"{value:.4g}" for value in row) for row in affine[:3]) + "]"


def check_sizes(synthesized: Image, reference: Image) -> None:
    """Reject two images of different sizes.

    Raises:
        GeometryError: both sizes and the remedies.
    """
    if synthesized.spatial != reference.spatial:
        remedy = "--resample reference" if reference.is_volume else "--resize or --crop"
        sizes = [" x ".join(map(str, image.spatial)) for image in (synthesized, reference)]
        raise GeometryError(
            f"{synthesized.name} is {sizes[0]}, {reference.name} is {sizes[1]}; give {remedy}, "
            "or bring them to one size."
        )


def resample_to(moving: Image, reference: Image, order: int = 1) -> Image:
    """Resample a volume onto a grid that reaches beyond it, as the padded grid of a dataset does.

    What lies outside its field of view takes its least value (air, in Hounsfield units), and 0 in a label map. To
    score a pair, :func:`iqa_registry.images.coverage.resample_covered` says what lies outside instead.

    Args:
        moving: the volume to resample.
        reference: the volume whose grid is wanted.
        order: 1 for images (linear), 0 for labels (nearest).

    Raises:
        GeometryError: one of the two has no affine.
    """
    import nibabel
    from nibabel.processing import resample_from_to

    if moving.affine is None or reference.affine is None:
        nameless = moving if moving.affine is None else reference
        raise GeometryError(f"{nameless.name} has no affine, so nothing can be resampled by it.")
    if moving.spatial == reference.spatial and np.allclose(moving.affine, reference.affine, atol=1e-6):
        return moving
    source = nibabel.Nifti1Image(moving.pixels, moving.affine)
    outside = float(moving.pixels.min()) if order else 0.0
    grid = (reference.spatial, reference.affine)
    resampled = resample_from_to(source, grid, order=order, mode="constant", cval=outside)
    pixels = np.ascontiguousarray(resampled.dataobj, dtype=moving.pixels.dtype)
    return replace(moving, pixels=pixels, affine=reference.affine, orientation=reference.orientation)


def resize_to(pixels: Array, size: tuple[int, ...], nearest: bool = False) -> Array:
    """Resize a 2-D image ``(C, H, W)`` to ``(H, W)``: bilinear, antialiased when shrinking; nearest for labels.

    Example:
        >>> resize_to(np.array([[[0.0, 2.0], [4.0, 6.0]]], np.float32), (1, 1)).tolist()
        [[[3.0]]]
    """
    batch = torch.from_numpy(np.ascontiguousarray(pixels, dtype=np.float32))[None]
    if nearest:
        resized = F.interpolate(batch, size=size, mode="nearest-exact")
    else:
        resized = F.interpolate(batch, size=size, mode="bilinear", antialias=True, align_corners=False)
    return cast(Array, resized[0].numpy().astype(pixels.dtype))


def crop_common(first: Array, second: Array) -> tuple[Array, Array]:
    """Cut two 2-D images ``(C, H, W)`` centrally to their common height and width.

    Example:
        >>> a, b = crop_common(np.zeros((1, 4, 9)), np.zeros((1, 6, 5)))
        >>> a.shape, b.shape
        ((1, 4, 5), (1, 4, 5))
    """
    height, width = (min(pair) for pair in zip(first.shape[-2:], second.shape[-2:], strict=True))
    return center_crop(first, (height, width)), center_crop(second, (height, width))


def center_crop(pixels: Array, size: tuple[int, int]) -> Array:
    """The central part ``size`` of the last two axes."""
    top, left = ((have - want) // 2 for have, want in zip(pixels.shape[-2:], size, strict=True))
    return pixels[..., top : top + size[0], left : left + size[1]]


def center_fit(pixels: Array, size: tuple[int, int]) -> Array:
    """The last two axes cropped around their center, or padded with zeros around it, to ``size``.

    Of an odd margin the smaller half is at the top and left.

    Example:
        >>> center_fit(np.ones((1, 2, 7)), (4, 4)).tolist()
        [[[0.0, 0.0, 0.0, 0.0], [1.0, 1.0, 1.0, 1.0], [1.0, 1.0, 1.0, 1.0], [0.0, 0.0, 0.0, 0.0]]]
    """
    height, width = (min(have, want) for have, want in zip(pixels.shape[-2:], size, strict=True))
    margins = [(want - have) // 2 for have, want in zip((height, width), size, strict=True)]
    fitted = np.zeros((*pixels.shape[:-2], *size), pixels.dtype)
    fitted[..., margins[0] : margins[0] + height, margins[1] : margins[1] + width] = center_crop(
        pixels, (height, width)
    )
    return fitted


def shift_spectrum(images: Tensor) -> Tensor:
    """What phase correlation needs of one image: the spectrum of its windowed mean over the channels.

    The mean is taken off and the edges are faded by a Hann window, since the jump at an image's border would
    otherwise correlate with the other image's border at no shift. Each frequency keeps the root of its amplitude
    and high ones are damped, so that frequencies that hold nothing but noise do not drown the peak.

    Args:
        images: ``(N, C, H, W)``.

    Returns:
        ``(N, H, W // 2 + 1)`` complex; an odd width is filled up by a column of zeros, so that the width can be
        told from the spectrum.
    """
    grey = images.float().mean(dim=1)
    height, width = grey.shape[-2:]
    rows = torch.hann_window(height, periodic=False, device=grey.device)
    columns = torch.hann_window(width, periodic=False, device=grey.device)
    window = rows[:, None] * columns
    mean = (grey * window).sum(dim=(1, 2), keepdim=True) / window.sum().clamp_min(1e-12)
    spectrum = torch.fft.rfft2(F.pad((grey - mean) * window, (0, width % 2)))
    along_rows = torch.fft.fftfreq(height, device=grey.device)[:, None]
    along_columns = torch.fft.rfftfreq(width + width % 2, device=grey.device)
    # The product of two spectra carries the Gaussian once.
    damping = torch.exp(-(along_rows**2 + along_columns**2) / (4 * BANDWIDTH**2))
    return spectrum * (damping / spectrum.abs().clamp_min(1e-20).sqrt())


def shift_between(synthesized: Tensor, reference: Tensor) -> Tensor:
    """The shift of each synthesized image against its reference by phase correlation.

    Kuglin and Hines (1975): the inverse transform of the cross spectrum's phases peaks at the shift; a parabola
    through its neighbors gives the fraction of a pixel. The peak's height, 1 where one image is the other shifted,
    says whether to believe it. Among frequencies of which ``n`` count, unrelated images reach a height of about
    ``sqrt(2 ln n / n)``, so a peak must stand well above that.

    Args:
        synthesized: spectra of :func:`shift_spectrum`.
        reference: likewise.

    Returns:
        ``(N, 2)`` shift in pixels along rows and columns, rounded to 0.001; NaN where there is no peak to be
        trusted (constant, unrelated or very small images, or a shift beyond a quarter of the side).
    """
    cross = synthesized * reference.conj()
    height, width = cross.shape[-2], 2 * (cross.shape[-1] - 1)
    if min(height, width) < 4:
        return cross.real.new_full((len(cross), 2), torch.nan)
    surface = torch.fft.irfft2(cross, s=(height, width))
    weights = cross.abs()
    total = _both_halves(weights)
    count = (total**2 / _both_halves(weights**2).clamp_min(1e-30)).clamp_min(1.0)
    peak, place = surface.flatten(1).max(dim=1)
    row, column = place // width, place % width
    fraction = torch.stack([_vertex(surface, row, column, axis) for axis in (0, 1)], dim=1)
    whole = torch.stack([_signed(row, height), _signed(column, width)], dim=1)
    needed = (CHANCE * (count.log() / count).sqrt()).clamp_min(CONFIDENCE)
    far = (whole.abs() > whole.new_tensor([height, width]) / 4).any(dim=1)
    doubtful = far | (total <= 1e-6) | (peak * (height * width) < needed * total)
    return torch.where(doubtful[:, None], torch.nan, (whole + fraction).round(decimals=3))


def _both_halves(values: Tensor) -> Tensor:
    """Sum over the whole spectrum of which ``rfft2`` keeps one half; its first and last column stand once."""
    return 2 * values.sum(dim=(1, 2)) - values[..., 0].sum(dim=1) - values[..., -1].sum(dim=1)


def residual_shift(synthesized: Tensor, reference: Tensor) -> Tensor:
    """The shift of each synthesized image against its reference, ``(N, 2)`` pixels; see :func:`shift_between`.

    Example:
        >>> image = torch.rand(1, 1, 32, 32, generator=torch.Generator().manual_seed(0))
        >>> residual_shift(image.roll((2, -3), dims=(2, 3)), image).round().tolist()
        [[2.0, -3.0]]
    """
    return shift_between(shift_spectrum(synthesized), shift_spectrum(reference))


def _signed(index: Tensor, length: int) -> Tensor:
    return torch.where(index > length // 2, index - length, index).float()


def _vertex(surface: Tensor, row: Tensor, column: Tensor, axis: int) -> Tensor:
    """Where the parabola through the peak and its two neighbors along ``axis`` has its vertex, in (-0.5, 0.5)."""
    height, width = surface.shape[-2:]
    batch = torch.arange(len(surface), device=surface.device)
    step = (1, 0) if axis == 0 else (0, 1)
    before, middle, after = (
        surface[batch, (row + sign * step[0]) % height, (column + sign * step[1]) % width]
        for sign in (-1, 0, 1)
    )
    curvature = before - 2 * middle + after
    offset = 0.5 * (before - after) / torch.where(curvature == 0, 1, curvature)
    return torch.where(curvature < 0, offset.clamp(-0.5, 0.5), 0.0)
