"""MetaImage and NRRD, and what else SimpleITK reads best (16 bit color PNG, compressed DICOM)."""

from __future__ import annotations

import gzip
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from iqa_registry.errors import ImageError
from iqa_registry.files import refuse_special
from iqa_registry.images import _metaimage
from iqa_registry.images._detached import data_files
from iqa_registry.images._guard import check_size, picture, reading, to_float32, too_large
from iqa_registry.images._orientation import canonical, canonical_shape
from iqa_registry.images.image import Array, Image, ImageInfo

_LONGEST_HEADER = 1 << 16
_LONGEST_LINE = 500
_LPS_TO_RAS = np.diag([-1.0, -1.0, 1.0, 1.0])


@contextmanager
def opened(path: Path) -> Iterator[Any]:
    """A SimpleITK reader that has read the header of ``path``.

    ITK writes what it finds odd about a file to stderr; that is held back meanwhile, since what matters is
    checked here and raised.
    """
    import SimpleITK

    for item in (path, *data_files(path, special=True)):
        refuse_special(item, ImageError)
    with path.open("rb") as stream:  # a missing or locked file is told apart from a damaged one
        _check_lines(stream.read(_LONGEST_HEADER), str(path))
    before = SimpleITK.ProcessObject.GetGlobalWarningDisplay()
    SimpleITK.ProcessObject.SetGlobalWarningDisplay(False)
    try:
        reader = SimpleITK.ImageFileReader()
        reader.SetFileName(str(path))
        reader.ReadImageInformation()
        yield reader
    finally:
        SimpleITK.ProcessObject.SetGlobalWarningDisplay(before)


def _check_lines(start: bytes, name: str) -> None:
    """Reject a NRRD header with a line that ITK cannot quote in its error: the process would end."""
    if not start.startswith(b"NRRD"):
        return
    header = start.replace(b"\r\n", b"\n").partition(b"\n\n")[0]
    for line in header.split(b"\n"):
        if len(line) > _LONGEST_LINE and not line.startswith((b"#", b"content:")) and b":=" not in line:
            raise ImageError(
                f"{name}: a line of the header has {len(line)} characters, expected up to {_LONGEST_LINE}; "
                "the file is damaged: copy or export it again."
            )


def values_of(reader: Any) -> Array:
    """The pixels behind an open reader, ``([D,] H, W[, samples])``."""
    import SimpleITK

    values: Array = SimpleITK.GetArrayFromImage(reader.Execute())
    return values


def read_array(path: Path) -> Array:
    """The pixels of any file that SimpleITK knows, ``([D,] H, W[, samples])``."""
    with opened(path) as reader:
        return values_of(reader)


def probe_itk(path: Path) -> ImageInfo:
    """What the header of a MetaImage or NRRD file says."""
    name = str(path)
    with reading(name, _form(path)):
        if _is_meta(path):
            _metaimage.read_layout(path, name)
        with opened(path) as reader:
            size, samples = _checked(reader, name)
            if len(size) == 2:
                shape: tuple[int, ...] = (3 if samples == 4 else samples, size[1], size[0])
            else:
                shape = canonical_shape(size, _affine(reader), name)
    return ImageInfo(shape, len(size) == 3, name, check_size(name, shape))


def read_itk(path: Path) -> Image:
    """Read a MetaImage or NRRD file: two dimensions give a 2-D image, three a volume in RAS+."""
    name = str(path)
    with reading(name, _form(path)):
        layout = _metaimage.read_layout(path, name) if _is_meta(path) else None
        with opened(path) as reader:
            size, samples = _checked(reader, name)
            if layout is None:
                _check_nrrd(path, name, check_size(name, (samples, *size)))
                values = values_of(reader)
            else:
                values = _metaimage.read_voxels(layout, name)
            if len(size) == 2:
                return picture(values.reshape(size[1], size[0], samples), name, None)
            volume = to_float32(values.reshape(size[::-1]), name).T
            return canonical(volume, _affine(reader), name)


def _check_nrrd(path: Path, name: str, nbytes: int) -> None:
    """Compare the checksum of gzipped voxels, which SimpleITK leaves out."""
    with path.open("rb") as raw:
        header, blank, _ = raw.read(_LONGEST_HEADER).replace(b"\r\n", b"\n").partition(b"\n\n")
        fields = dict(line.split(b":", 1) for line in header.lower().splitlines() if b":" in line)
        attached = not any(key in fields for key in (b"data file", b"datafile", b"line skip", b"byte skip"))
        if not blank or not attached or fields.get(b"encoding", b"").strip() not in (b"gzip", b"gz"):
            return
        raw.seek(0)
        while raw.readline().strip():
            pass
        with gzip.GzipFile(fileobj=raw) as stream:
            while stream.read(1 << 20):
                if stream.tell() > 2 * nbytes + (1 << 20):  # double precision at most
                    raise too_large(name, "the voxels inflate further and further")


def _is_meta(path: Path) -> bool:
    return path.suffix.lower() in (".mha", ".mhd")


def _form(path: Path) -> str:
    return "MetaImage" if _is_meta(path) else "NRRD"


def _checked(reader: Any, name: str) -> tuple[tuple[int, ...], int]:
    """Size without trailing axes of length one beyond the third, and samples a pixel, within the limit."""
    size, samples = tuple(reader.GetSize()), int(reader.GetNumberOfComponents())
    check_size(name, (samples, *size))
    while len(size) > 3 and size[-1] == 1:
        size = size[:-1]
    if len(size) not in (2, 3) or (samples != 1 and (len(size), samples) not in ((2, 3), (2, 4))):
        raise ImageError(
            f"{name}: {len(size)} dimensions of {samples} values a pixel, expected a volume of one value a voxel "
            "or a gray or RGB 2-D image; save one volume or channel of it."
        )
    return size, samples


def _affine(reader: Any) -> Array:
    affine = np.eye(4)
    direction = np.asarray(reader.GetDirection(), dtype=float)
    count = reader.GetDimension()
    affine[:3, :3] = (
        direction.reshape(count, count)[:3, :3] * np.asarray(reader.GetSpacing(), dtype=float)[:3]
    )
    affine[:3, 3] = np.asarray(reader.GetOrigin(), dtype=float)[:3]
    return np.asarray(_LPS_TO_RAS @ affine)
