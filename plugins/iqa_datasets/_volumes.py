"""From a subject's files to an image on the wanted grid: resampled, padded or cropped, skull stripped."""

from __future__ import annotations

import threading
from dataclasses import dataclass, replace
from functools import lru_cache, partial
from pathlib import Path
from typing import Any, Literal

import numpy as np

from iqa_registry.images.coverage import check_coverage, resample_covered
from iqa_registry.images.formats import take_section
from iqa_registry.images.geometry import check_affines, check_sizes, resample_to
from iqa_registry.plugin import Image, ImageError, LazyImage, probe_image, read_image, read_labels

Strip = Literal["none", "simple", "nonzero"]

_MAKING_MASK = threading.Lock()


@dataclass(frozen=True, slots=True)
class File:
    """A file as it is now; another size or time of change makes it another file."""

    path: str
    size: int
    changed: int

    @classmethod
    def of(cls, path: Path) -> File:
        """The file at a path.

        Raises:
            ImageError: it is not there, say a link to nowhere.
        """
        try:
            state = path.stat()
        except OSError as error:
            raise ImageError(f"{path}: cannot be read ({error.strerror}).") from error
        return cls(str(path), state.st_size, state.st_mtime_ns)

    def __str__(self) -> str:
        return f"{self.path} ({self.size} bytes of {self.changed})"


@dataclass(frozen=True, slots=True)
class Volume:
    """How one image of a subject is made; equal ones give equal images.

    Attributes:
        file: where it is read.
        target: the volume whose grid is wanted, and which the skull is stripped by.
        size: side in the axial plane after padding or cropping; 0 leaves it.
        resample: bring it onto the target's grid.
        strip: what outside the brain is: ``simple`` takes :mod:`iqa_datasets._strip` on the target, ``nonzero`` what
            is 0 in the target; ``none`` with ``mask`` takes that.
        mask: a brain mask of the user's.
        labels: it is a label map.
    """

    file: File
    target: File
    size: int = 0
    resample: bool = False
    strip: Strip = "none"
    mask: File | None = None
    labels: bool = False

    @property
    def is_stripped(self) -> bool:
        """Whether there is a brain mask."""
        return self.strip != "none" or self.mask is not None

    def __str__(self) -> str:
        parts = [str(self.file)]
        if self.size:
            parts.append(f"{self.size} x {self.size}")
        if self.strip != "none":
            parts.append(f"strip {self.strip}")
        if self.mask is not None:
            parts.append(f"mask {self.mask}")
        if self.resample or (self.strip != "none" and self.mask is None):
            parts.append(f"{'onto' if self.resample else 'by'} {self.target}")
        return ", ".join(parts)


def lazy_volume(volume: Volume) -> LazyImage:
    """The image, made when it is read."""
    source = volume.target if volume.resample else volume.file
    return LazyImage(str(volume), partial(make_volume, volume), _shape(source, volume.size), is_volume=True)


def lazy_mask(volume: Volume) -> LazyImage:
    """The brain mask of the volume's target, made when it is read."""
    shape = _shape(volume.target, volume.size)
    return LazyImage(f"brain mask: {volume}", partial(brain_mask, volume), shape, is_volume=True)


def lazy_section(volume: Volume, index: int) -> LazyImage:
    """One axial slice of the volume as a 2-D image."""
    return LazyImage(f"{volume}, slice {index}", partial(_make_section, volume, index))


def lazy_mask_section(volume: Volume, index: int) -> LazyImage:
    """One axial slice of the brain mask as a 2-D image."""
    return LazyImage(f"brain mask: {volume}, slice {index}", partial(_mask_section, volume, index))


def _shape(file: File, size: int) -> tuple[int, ...] | None:
    """The shape by the header; ``None`` where that is damaged, which shows when the image is read."""
    try:
        shape = probe_image(file.path).shape
    except ImageError:
        return None
    return (size, size, shape[2]) if size else shape


def make_volume(volume: Volume) -> Image:
    """Read an image and bring it to the form that is wanted.

    Raises:
        ImageError: a file that cannot be read, or a brain mask that has nothing inside.
        GeometryError: a volume without an affine that was to be resampled, or one that hardly reaches the target.
    """
    image = read_labels(volume.file.path) if volume.labels else read_image(volume.file.path)
    if not image.is_volume:
        raise ImageError(f"{image.name}: is a 2-D image, expected a volume.")
    if volume.resample:
        image = _onto_target(image, volume)
    image = fit_plane(image, volume.size)
    if volume.is_stripped and not volume.labels:
        image = strip_outside(image, brain_mask(volume))
    return image


def _onto_target(image: Image, volume: Volume) -> Image:
    grid = read_grid(volume.target.path)
    if on_one_grid(image, grid):
        return image
    if volume.labels:
        return resample_to(image, grid, order=0)
    # What the image does not reach has no data, so that it is not scored; padding comes after and is in both images.
    return check_coverage(resample_covered(image, grid), image, grid)


def on_one_grid(first: Image, second: Image) -> bool:
    """Whether two volumes have one size and one place."""
    try:
        check_sizes(first, second)
        check_affines(first, second)
    except ImageError:
        return False
    return True


def read_grid(path: str | Path) -> Image:
    """Size and place of a NIfTI volume by its header; the voxels are a view of a single zero.

    Raises:
        ImageError: the header cannot be read.
    """
    import nibabel
    from nibabel.orientations import aff2axcodes, inv_ornt_aff, io_orientation

    shape = probe_image(path).shape  # finds damaged headers, in words
    try:
        header: Any = nibabel.load(path)
    except (nibabel.filebasedimages.ImageFileError, OSError):  # say, gzipped without saying so
        return read_image(path)
    stored = (*header.shape, 1, 1)[:3]
    affine = header.affine @ inv_ornt_aff(io_orientation(header.affine), stored)
    pixels = np.broadcast_to(np.float32(0), shape)
    codes = "".join(aff2axcodes(header.affine))
    return Image(pixels, affine, name=str(path), is_volume=True, orientation=codes)


def fit_plane(image: Image, size: int) -> Image:
    """Pad with zeros or crop the axial plane of a volume centrally; the affine and what has no data go along.

    Args:
        image: a RAS+ volume.
        size: the side in voxels along x and y; 0 leaves the volume as it is.

    Example:
        >>> image = Image(np.ones((2, 5, 1), np.float32), np.eye(4), is_volume=True)
        >>> fitted = fit_plane(image, 4)
        >>> float(fitted.pixels.sum()), fitted.affine[:3, 3].tolist()
        (8.0, [-1.0, 0.0, 0.0])
    """
    if not size or image.spatial[:2] == (size, size):
        return image
    sides = image.spatial[:2]
    cuts = [max(side - size, 0) // 2 for side in sides]
    before = [max(size - side, 0) // 2 for side in sides]
    kept = tuple(slice(cut, cut + min(side, size)) for cut, side in zip(cuts, sides, strict=True))
    after = [max(size - side, 0) - first for first, side in zip(before, sides, strict=True)]
    widths = [*zip(before, after, strict=True), (0, 0)]
    affine = image.affine
    if affine is not None:
        affine = affine.copy()
        affine[:3, 3] += affine[:3, :3] @ [cuts[0] - before[0], cuts[1] - before[1], 0]
    valid = None if image.valid is None else np.pad(image.valid[kept], widths, constant_values=True)
    return replace(image, pixels=np.pad(image.pixels[kept], widths), affine=affine, valid=valid)


def brain_mask(volume: Volume) -> Image:
    """The brain mask on the target's grid, padded or cropped as its images are; 1 inside.

    The last few are kept, since every image of a subject needs the one mask.

    Raises:
        ImageError: a file that cannot be read, or a mask that has nothing inside the volume.
    """
    with _MAKING_MASK:  # the second thread that wants it waits for the first, instead of making it too
        return _make_mask(replace(volume, file=volume.target, resample=False, labels=False))


@lru_cache(maxsize=4)
def _make_mask(volume: Volume) -> Image:
    target = read_image(volume.target.path)
    if volume.mask is not None:
        mask = read_labels(volume.mask.path)
        inside = _nearest(mask, target).pixels != 0
        name = volume.mask.path
    elif volume.strip == "simple":
        from iqa_datasets._strip import strip_simply

        inside, name = strip_simply(target), f"brain mask of {volume.target.path}"
    else:
        inside, name = target.pixels != 0, f"brain mask of {volume.target.path}"
    if not inside.any():
        raise ImageError(f"{name}: has nothing inside {target.name}; give the masks of these subjects.")
    image = replace(target, pixels=inside.astype(np.float32), name=name)
    return fit_plane(image, volume.size)


def strip_outside(image: Image, mask: Image) -> Image:
    """Set what lies outside a brain mask to 0; a mask on another grid is brought onto the image's.

    Example:
        >>> image = Image(np.full((2, 2, 1), 7, np.float32), is_volume=True)
        >>> mask = Image(np.array([[[1], [0]], [[0], [0]]], np.float32), is_volume=True)
        >>> float(strip_outside(image, mask).pixels.sum())
        7.0
    """
    inside = _nearest(mask, image).pixels != 0
    return replace(image, pixels=np.where(inside, image.pixels, np.float32(0)))


def _nearest(mask: Image, image: Image) -> Image:
    if not mask.is_volume:
        raise ImageError(f"{mask.name}: is a 2-D image, expected a mask volume.")
    if mask.affine is None or image.affine is None:
        check_sizes(mask, image)
        return mask
    return resample_to(mask, image, order=0)


@lru_cache(maxsize=2)
def _held(volume: Volume) -> Image:
    """The last volumes that slices were taken from."""
    return make_volume(volume)


def _make_section(volume: Volume, index: int) -> Image:
    image = _held(volume)
    return replace(
        image,
        pixels=image.section(2, index),
        affine=None,
        name=f"{image.name}, slice {index}",
        is_volume=False,
        orientation=None,
        valid=None if image.valid is None else take_section(image.valid, 2, index),
    )


def _mask_section(volume: Volume, index: int) -> Image:
    mask = brain_mask(volume)
    return Image(mask.section(2, index), name=f"{mask.name}, slice {index}")
