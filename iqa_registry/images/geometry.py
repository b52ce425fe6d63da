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
from iqa_registry.images.formats import Array, Image

TOLERANCE = 0.01
"""How far a corner of the grid may be off, as a fraction of the smallest voxel side."""
CONFIDENCE = 0.08
"""Least height of the correlation peak, 1 for a pure shift, from which a shift is believed."""


def check_affines(first: Image, second: Image) -> None:
    """Refuse two volumes whose affines put a corner of the grid at different places.

    Rounding is allowed for: a corner may be off by 1 % of the smallest voxel side.

    Raises:
        GeometryError: both affines, the largest distance in millimetres, and the remedy.
    """
    if first.affine is None or second.affine is None or first.spatial != second.spatial:
        return
    corners = np.array(
        [(*corner, 1.0) for corner in itertools.product(*((0, side - 1) for side in first.spatial))]
    )
    distance = np.linalg.norm((corners @ (first.affine - second.affine).T)[:, :3], axis=1).max()
    voxel = np.linalg.norm(second.affine[:3, :3], axis=0).min()
    if distance > TOLERANCE * voxel:
        raise GeometryError(
            f"{first.name} and {second.name} lie up to {distance:.3g} mm apart: affines {_shown(first.affine)} "
            f"and {_shown(second.affine)}. Bring them to one grid, or give --resample reference."
        )


def _shown(affine: Array) -> str:
    return "[" + "; ".join(" ".join(f"{value:.4g}" for value in row) for row in affine[:3]) + "]"


def check_sizes(synthesized: Image, reference: Image) -> None:
    """Refuse two images of different sizes.

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
    """Resample a volume onto the grid of another by their affines; outside its field of view it is 0.

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
    resampled = resample_from_to(
        source, (reference.spatial, reference.affine), order=order, mode="constant", cval=0.0
    )
    pixels = np.ascontiguousarray(resampled.dataobj, dtype=moving.pixels.dtype)
    return replace(moving, pixels=pixels, affine=reference.affine)


def resize_to(pixels: Array, size: tuple[int, ...], nearest: bool = False) -> Array:
    """Resize a picture ``(C, H, W)`` to ``(H, W)``: bilinear, antialiased when shrinking; nearest for labels.

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
    """Cut two pictures ``(C, H, W)`` centrally to their common height and width.

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


def shift_spectrum(images: Tensor) -> Tensor:
    """What phase correlation needs of one image: the spectrum of its windowed first channel.

    The mean is taken off and the edges are faded by a Hann window, since the jump at an image's border would
    otherwise correlate with the other image's border at no shift.

    Args:
        images: ``(N, C, H, W)``.

    Returns:
        ``(N, H, W // 2 + 1)`` complex; an odd width is filled up by a column of zeros, so that the width can be
        told from the spectrum.
    """
    grey = images[:, 0].float()
    height, width = grey.shape[-2:]
    rows = torch.hann_window(height, periodic=False, device=grey.device)
    columns = torch.hann_window(width, periodic=False, device=grey.device)
    window = rows[:, None] * columns
    mean = (grey * window).sum(dim=(1, 2), keepdim=True) / window.sum().clamp_min(1e-12)
    return torch.fft.rfft2(F.pad((grey - mean) * window, (0, width % 2)))


def shift_between(synthesized: Tensor, reference: Tensor) -> Tensor:
    """The shift of each synthesized image against its reference by phase correlation.

    Kuglin and Hines (1975): the inverse transform of the cross spectrum's phases peaks at the shift. The phases are
    weighted by the square root of the amplitude, which keeps frequencies that hold nothing but noise from drowning
    the peak; a parabola through its neighbours gives the fraction of a pixel.

    Args:
        synthesized: spectra of :func:`shift_spectrum`.
        reference: likewise.

    Returns:
        ``(N, 2)`` shift in pixels along rows and columns; NaN where there is no peak to be trusted.
    """
    cross = synthesized * reference.conj()
    root = cross.abs().clamp_min(1e-20).sqrt()
    height = cross.shape[-2]
    width = 2 * (cross.shape[-1] - 1)
    surface = torch.fft.irfft2(cross / root, s=(height, width))
    # What the peak would be if all phases agreed; half of the spectrum is stored, its first and last column once.
    total = (2 * root.sum(dim=(1, 2)) - root[..., 0].sum(dim=1) - root[..., -1].sum(dim=1)) / (height * width)
    peak, place = surface.flatten(1).max(dim=1)
    row, column = place // width, place % width
    fraction = torch.stack([_vertex(surface, row, column, axis) for axis in (0, 1)], dim=1)
    whole = torch.stack([_signed(row, height), _signed(column, width)], dim=1)
    doubtful = (peak < CONFIDENCE * total) | (total <= 1e-9)
    return torch.where(doubtful[:, None], torch.nan, whole + fraction)


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
    """Where the parabola through the peak and its two neighbours along ``axis`` has its vertex, in (-0.5, 0.5)."""
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
