"""DICOM: a single file as a 2-D image, a folder or a multi-frame file as a volume.

pydicom reads headers and uncompressed or run-length coded pixels; the JPEG family is decoded by SimpleITK, which
brings all its codecs along.
"""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from iqa_registry.errors import ImageError
from iqa_registry.files import inflated, refuse_special, special_kind
from iqa_registry.images._dicom_geometry import Frame, describe_frames, lps_affine, sort_frames
from iqa_registry.images._dicom_padding import fill_padding, where_padded
from iqa_registry.images._guard import (
    PICTURE_LIMIT,
    check_size,
    picture,
    quiet,
    reading,
    size_limit,
    to_float32,
    too_large,
)
from iqa_registry.images._orientation import canonical, canonical_shape
from iqa_registry.images.image import Array, Image, ImageInfo

_SUFFIXES = (".dcm", ".dicom", ".ima")
_DEFLATED = "1.2.840.10008.1.2.1.99"
_DIRECTORY = "1.2.840.10008.1.3.10"
_MAGIC_AT, _MAGIC = 128, b"DICM"


def is_dicom(path: Path) -> bool:
    """Whether the file carries DICOM's magic bytes."""
    if special_kind(path):
        return False
    with path.open("rb") as stream:
        stream.seek(_MAGIC_AT)
        return stream.read(len(_MAGIC)) == _MAGIC


def is_series(folder: Path) -> bool:
    """Whether the folder itself holds two DICOM slices or more that have a position in space.

    Radiographs and other 2-D images without a position are single images however many share a folder.
    """
    files = _candidates(folder)
    if len(files) < 2:
        return False
    try:
        return "ImagePositionPatient" in _header(files[0])
    except ImageError:
        return True  # reading it as a series names the damaged file


def probe_file(path: Path) -> ImageInfo:
    """What the header of one DICOM file says."""
    header = _header(path)
    if _frame_count(header, str(path)) > 1:
        return _probe_frames(_described(header, path), str(path))
    shape = _shape(header, str(path))
    return ImageInfo(shape, False, str(path), check_size(str(path), shape))


def read_file(path: Path) -> Image:
    """Read one DICOM file: a 2-D image, or a volume where it has several frames.

    Its values are those after rescaling; a 2-D image's ``full_scale`` is ``None``, since the type of the stored
    values says nothing of their range, and it keeps no affine.
    """
    name = str(path)
    header = _header(path)
    if _frame_count(header, name) > 1:
        return _volume(_described(header, path), name)
    check_size(name, _shape(header, name))
    with reading(name, "DICOM"), quiet("pydicom"):
        values, notes = fill_padding(*_values(path), name)
        return replace(picture(values, name, None), notes=notes)


def probe_series(folder: Path) -> ImageInfo:
    """What the headers of a DICOM series say."""
    return _probe_frames(_series(folder), str(folder))


def read_series(folder: Path) -> Image:
    """Read a folder that holds one DICOM series as a RAS+ volume.

    Raises:
        ImageError: no DICOM files, two series, missing slices, uneven spacing, or a damaged file.
    """
    return _volume(_series(folder), str(folder))


def _candidates(folder: Path) -> list[Path]:
    """The DICOM files directly in ``folder``, by suffix or, where there is none, by content."""
    with reading(str(folder), "a DICOM folder"):
        named = sorted(item for item in folder.iterdir() if not item.name.startswith("."))
        for item in named:
            if item.suffix.lower() in _SUFFIXES:  # a slice would be missing without a word
                refuse_special(item, ImageError)
        files = [item for item in named if item.is_file()]
        return [
            item
            for item in files
            if item.name != "DICOMDIR"
            and (item.suffix.lower() in _SUFFIXES or (is_bare(item) and is_dicom(item)))
        ]


def is_bare(path: Path) -> bool:
    """Whether the name has no suffix; that of ``1.2.840.113619`` is part of a UID."""
    return not path.suffix or path.suffix[1:].isdigit()


def _header(path: Path) -> Any:
    """All elements but the pixels."""
    from pydicom import dcmread

    name = str(path)
    with reading(name, "DICOM"), quiet("pydicom"):
        _check_deflated(path, name)
        header = dcmread(path, stop_before_pixels=True)
        if header.file_meta.get("MediaStorageSOPClassUID") == _DIRECTORY:
            raise ImageError(f"{name}: is a DICOM directory, not an image; give the series folder.")
        if "Rows" not in header or "Columns" not in header:
            raise ImageError(f"{name}: this DICOM file holds no image; leave it out.")
        return header


def _check_deflated(path: Path, name: str) -> None:
    """Inflate a deflated data set piece by piece, keeping nothing, to see that it stays within the limit."""
    from pydicom.filereader import read_file_meta_info

    if read_file_meta_info(path).get("TransferSyntaxUID") != _DEFLATED:
        return
    with path.open("rb") as stream:
        stream.seek(_MAGIC_AT + len(_MAGIC))
        data = stream.read()
    group_length = int.from_bytes(data[8:12], "little")
    limit = size_limit(PICTURE_LIMIT)  # it is in memory several times while it is read
    total = 0
    for piece in inflated([data[12 + group_length :]], -zlib.MAX_WBITS):
        total += len(piece)
        if total > limit:
            raise too_large(name, "the deflated data set inflates further and further", limit)


def _shape(header: Any, name: str) -> tuple[int, int, int]:
    with reading(name, "DICOM"):
        colour = header.get("PhotometricInterpretation", "") == "PALETTE COLOR"
        samples = 3 if colour else int(header.get("SamplesPerPixel") or 1)
        if samples not in (1, 3):
            raise ImageError(f"{name}: has {samples} samples a pixel, expected 1 or 3; leave it out.")
        return samples, int(header.Rows), int(header.Columns)


def _series(folder: Path) -> list[Frame]:
    """The frames of the one series in ``folder``, from headers alone."""
    files = _candidates(folder)
    if not files:
        raise ImageError(
            f"{folder}: the folder holds no DICOM files; give a file, or a folder of a DICOM series."
        )
    headers = [(path, _header(path)) for path in files]
    _check_one_series([header for _, header in headers], folder)
    return [frame for path, header in headers for frame in _described(header, path)]


def _described(header: Any, path: Path) -> list[Frame]:
    with reading(str(path), "DICOM"):
        size = (int(header.Columns), int(header.Rows), _frame_count(header, str(path)))
        check_size(str(path), size, 8 if size[2] > 1 else 4)  # all frames of a file are rescaled at once
        return describe_frames(header, path)


def _frame_count(header: Any, name: str) -> int:
    with reading(name, "DICOM"):
        return int(header.get("NumberOfFrames") or 1)


def _check_one_series(headers: Sequence[Any], folder: Path) -> None:
    found: dict[str, list[Any]] = {}
    for header in headers:
        found.setdefault(str(header.get("SeriesInstanceUID", "")), []).append(header)
    if len(found) > 1:
        shown = "; ".join(
            f"{group[0].get('SeriesDescription') or 'no description'} "
            f"(number {group[0].get('SeriesNumber')}, {len(group)} files)"
            for group in found.values()
        )
        raise ImageError(
            f"{folder}: holds {len(found)} series, expected one: {shown}. Put each in a folder of its own."
        )


def _probe_frames(frames: list[Frame], name: str) -> ImageInfo:
    frames = sort_frames(frames, name)
    size = (frames[0].columns, frames[0].rows, len(frames))
    nbytes = check_size(name, size)
    return ImageInfo(canonical_shape(size, lps_affine(frames), name), True, name, nbytes)


def _volume(frames: list[Frame], name: str) -> Image:
    frames = sort_frames(frames, name)
    size = (frames[0].columns, frames[0].rows, len(frames))
    check_size(name, size)
    voxels = np.empty(size[::-1], dtype=np.float32)
    padded = np.zeros(size[::-1], dtype=bool)
    read: dict[Path, tuple[Array, Array | None]] = {}
    for index, frame in enumerate(frames):
        with reading(str(frame.path), "DICOM"), quiet("pydicom"):
            if frame.path not in read:
                read = {frame.path: _values(frame.path)}
            values, padding = read[frame.path]
            which = frame.index if frame.of > 1 else ...
            voxels[index] = to_float32(frame.rescale(values[which]), str(frame.path))
            padded[index] = False if padding is None else padding[which]
    voxels, notes = fill_padding(voxels, padded, name)
    ras = np.diag([-1.0, -1.0, 1.0, 1.0]) @ lps_affine(frames)
    return replace(canonical(voxels.T, ras, name), notes=notes)


def _values(path: Path) -> tuple[Array, Array | None]:
    """The values of all frames as they are meant: rescaled, black as the least value, palettes as color.

    The second array says where there is padding.
    """
    from pydicom import dcmread
    from pydicom.pixels import apply_color_lut, apply_modality_lut, pixel_array
    from pydicom.uid import RLELossless

    dataset = dcmread(path)
    syntax = dataset.file_meta.TransferSyntaxUID
    if syntax.is_encapsulated and syntax != RLELossless:
        values, scaled = _by_itk(path, dataset), "ModalityLUTSequence" not in dataset
    else:
        values, scaled = pixel_array(dataset), False
    if dataset.PhotometricInterpretation == "PALETTE COLOR" and values.ndim == 2:
        return np.asarray(apply_color_lut(values, dataset)), None
    padded = where_padded(values, dataset, scaled)
    if not scaled:
        values = apply_modality_lut(values, dataset)
    if dataset.PhotometricInterpretation == "MONOCHROME1":
        values = _inverted(values, dataset)
    return np.asarray(values), padded


def _by_itk(path: Path, dataset: Any) -> Array:
    from iqa_registry.images._itk import read_array

    # SimpleITK would take the scaling of all frames from the first one
    if "PerFrameFunctionalGroupsSequence" in dataset:
        raise ImageError(
            f"{path}: is a compressed multi-frame file; decompress it (dcmdjpeg, gdcmconv --raw) "
            "or convert it to NIfTI."
        )
    values = read_array(path)
    return values[0]


def _inverted(values: Array, dataset: Any) -> Array:
    """Turn round what is stored with white as the least value, within the range of the stored bits."""
    from pydicom.pixels import apply_modality_lut

    bits, signed = int(dataset.BitsStored), bool(dataset.PixelRepresentation)
    ends = np.array([-(1 << bits - 1), (1 << bits - 1) - 1] if signed else [0, (1 << bits) - 1])
    if "ModalityLUTSequence" not in dataset:
        ends = apply_modality_lut(ends, dataset)
        return np.asarray(ends.sum() - values.astype(np.float64))
    return np.asarray(values.max() + values.min() - values.astype(np.float64))
