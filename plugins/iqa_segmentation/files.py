"""Segmenting a file: the label map lies on the grid of the file that it was made from."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from iqa_registry.plugin import (
    Image,
    Segmenter,
    UsageError,
    probe_image,
    read_image,
    suffix,
    unstack,
    write_atomically,
)

_VOLUMES = (".nii", ".nii.gz")


def check_output(image: Path, out: Path) -> None:
    """Reject a suffix that cannot hold the label map, before anything is computed.

    Raises:
        UsageError: not NIfTI for a volume, or not PNG for a 2-D image.
        ImageError: the image's header cannot be read.
    """
    volume = probe_image(image).is_volume
    if suffix(out) not in (_VOLUMES if volume else (".png",)):
        kind, wanted = ("volume", "*.nii.gz") if volume else ("2-D image", "*.png")
        raise UsageError(f"{out}: the label map of a {kind} is written as {wanted}.")


def segment_file(segmenter: Segmenter, image: Path, out: Path) -> NDArray[np.uint8]:
    """Segment a 2-D image or volume, write the label map, and return it as it was computed.

    A volume is given to the segmenter as its axial sections in order, rows from anterior to posterior and columns from
    right to left: the array that nnU-Net reads from a file in the orientation of DICOM. The label map has the
    orientation and the affine of the volume's file.
    """
    source = read_image(image)
    if not source.is_volume:
        labels = segmenter(source.pixels.mean(axis=0) / (source.full_scale or 1.0), source.affine)
        write_atomically(out, _png(labels))
        return labels
    labels = segmenter(source.stack()[0], section_affine(source))
    write_atomically(out, _nifti(unstack(labels), source, out))
    return labels


def section_affine(image: Image) -> NDArray[Any] | None:
    """The affine of a volume's stacked axial sections ``(D, H, W)``, columns in the order of their axes.

    Example:
        >>> volume = Image(np.zeros((2, 3, 4), np.float32), np.diag([0.5, 1, 2, 1.0]), is_volume=True)
        >>> np.abs(section_affine(volume)[:3, :3]).sum(axis=0).tolist()
        [2.0, 1.0, 0.5]
    """
    if image.affine is None:
        return None
    across, along, up = image.affine[:, :3].T
    corner = image.affine @ np.array([image.pixels.shape[0] - 1, image.pixels.shape[1] - 1, 0, 1])
    return np.stack([up, -along, -across, corner], axis=1)


def _png(labels: NDArray[np.uint8]) -> bytes:
    from PIL import Image as Picture

    content = io.BytesIO()
    Picture.fromarray(labels).save(content, format="PNG")
    return content.getvalue()


def _nifti(labels: NDArray[np.uint8], source: Image, out: Path) -> bytes:
    import gzip

    import nibabel
    from nibabel.orientations import axcodes2ornt, ornt_transform

    affine = np.eye(4) if source.affine is None else source.affine
    made = nibabel.Nifti1Image(labels, affine)
    if source.orientation is not None:
        made = made.as_reoriented(ornt_transform(axcodes2ornt("RAS"), axcodes2ornt(source.orientation)))
    content: bytes = made.to_bytes()
    return gzip.compress(content, mtime=0) if suffix(out) == ".nii.gz" else content
