"""TIFF with one page: 1, 8 and 16 bit, integers and floats, gray, RGB or palette.

tifffile reads the header, and the pixels where they are stored plainly or deflated. The other compressions go to
libtiff by way of Pillow, for the types that Pillow holds without loss; the rest is rejected.
"""

from __future__ import annotations

import logging
import math
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from iqa_registry.errors import ImageError
from iqa_registry.images._guard import (
    check_rows,
    check_size,
    full_scale_of,
    picture,
    quiet,
    reading,
    too_large,
)
from iqa_registry.images._upright import TAG, as_stored, upright, upright_shape
from iqa_registry.images.image import Array, Image, ImageInfo

MAGICS = (b"II*\x00", b"MM\x00*", b"II+\x00", b"MM\x00+")

_PLAIN, _DEFLATE = 1, (8, 32946)
_WHITE, _BLACK, _RGB, _PALETTE, _YCBCR, _JPEG = 0, 1, 2, 3, 6, 7

# type of the samples -> modes in which Pillow holds them whole
_PILLOW_MODES = {
    "bool": ("1",),
    "uint8": ("L", "P", "LA", "RGB", "RGBA"),
    "uint16": ("I;16", "I;16B", "I;16L"),
    "int32": ("I",),
    "float32": ("F",),
}


def probe_tiff(path: Path) -> ImageInfo:
    """What the header of a TIFF says."""
    name = str(path)
    with _opened(path, name) as page:
        shape = upright_shape(_shape(page, name), _orientation(page))
    return ImageInfo(shape, False, name, check_size(name, shape))


def read_tiff(path: Path, labels: bool = False) -> Image:
    """Read a TIFF; ``labels`` gives the indices of a palette instead of its colors.

    Raises:
        ImageError: damaged, too large, several pages, or of a kind that cannot be read without loss.
    """
    name = str(path)
    with _opened(path, name) as page:
        check_size(name, _shape(page, name))
        _check_segments(page, name)
        values = _values(page, path, name)
        if page.photometric == _PALETTE and not labels:
            values = np.moveaxis(page.colormap[:, values], 0, -1)
        return upright(picture(values, name, full_scale_of(values.dtype)), _orientation(page))


def _orientation(page: Any) -> int:
    tag = page.tags.get(TAG)
    return tag.value if tag is not None and isinstance(tag.value, int) else 1


@contextmanager
def _opened(path: Path, name: str) -> Iterator[Any]:
    import tifffile

    # tifffile reports oddities of files through logging; without any handler they would land on stderr
    logger = logging.getLogger("tifffile")
    if not logger.handlers:
        logger.addHandler(logging.NullHandler())
    with reading(name, "TIFF"), path.open("rb") as stream, tifffile.TiffFile(stream) as opened:
        if len(opened.pages) != 1:
            raise ImageError(
                f"{name}: the TIFF has {len(opened.pages)} pages, expected one; "
                "save the pages as single files, or the stack as NIfTI."
            )
        yield opened.pages.first


def _shape(page: Any, name: str) -> tuple[int, int, int]:
    samples = int(page.samplesperpixel)
    known = page.photometric in (_WHITE, _BLACK, _RGB, _PALETTE) or (
        page.photometric == _YCBCR and page.compression == _JPEG
    )
    if page.dtype is None or not known or int(page.imagedepth) != 1:
        raise ImageError(
            f"{name}: a TIFF of {page.bitspersample} bits a sample and photometric "
            f"{page.photometric!s}; expected 1, 8, 16 or 32 bits, gray, RGB or palette."
        )
    return (
        3 if samples >= 3 or page.photometric == _PALETTE else 1,
        int(page.imagelength),
        int(page.imagewidth),
    )


def _check_segments(page: Any, name: str) -> None:
    """Reject strips and tiles that lie beyond the end of the file, are missing, or hold more than they should."""
    size = page.parent.filehandle.size
    if not page.dataoffsets or min(page.databytecounts, default=0) < 1:
        raise ImageError(f"{name}: the TIFF leaves out part of its pixels; export it again.")
    if any(start + count > size for start, count in zip(page.dataoffsets, page.databytecounts, strict=True)):
        raise ImageError(f"{name}: the TIFF is cut off; copy or export it again.")
    expected = math.prod(page.chunks) * page.dtype.itemsize
    check_size(name, _shape(page, name), page.dtype.itemsize)
    check_size(name, page.chunks, page.dtype.itemsize)
    check_rows(name, max(int(page.imagelength), len(page.dataoffsets)))
    if page.compression in _DEFLATE:
        for start, count in zip(page.dataoffsets, page.databytecounts, strict=True):
            _check_inflated(page.parent.filehandle, start, count, expected, name)


def _check_inflated(stream: Any, start: int, count: int, expected: int, name: str) -> None:
    stream.seek(start)
    inflated = zlib.decompressobj().decompress(stream.read(count), expected + 1)
    if len(inflated) > expected:
        raise too_large(
            name, f"a strip of the TIFF inflates beyond the {expected} bytes that its header declares"
        )


def _values(page: Any, path: Path, name: str) -> Array:
    plain = page.compression == _PLAIN or page.compression in _DEFLATE
    if plain and page.predictor in (1, 2):
        values = np.asarray(page.asarray())
        values = np.moveaxis(values, 0, -1) if page.planarconfig == 2 and values.ndim == 3 else values
        inverted = page.photometric == _WHITE
    else:
        values = _by_libtiff(page, path, name)
        inverted = (
            page.photometric == _WHITE and values.dtype.itemsize > 1
        )  # Pillow fixes 1 and 8 bits itself
    if not inverted or values.dtype.kind not in "bu":
        return values
    return ~values


def _by_libtiff(page: Any, path: Path, name: str) -> Array:
    from PIL.TiffImagePlugin import TiffImageFile

    with quiet("PIL"), path.open("rb") as stream, TiffImageFile(stream) as opened:
        if opened.mode not in _PILLOW_MODES.get(page.dtype.name, ()):
            raise ImageError(
                f"{name}: a TIFF of {page.samplesperpixel} x {page.dtype} with compression "
                f"{page.compression!s} cannot be read without loss; save it uncompressed or deflated."
            )
        before = opened.getexif().get(TAG)
        values = np.asarray(opened)
        # Recent releases of Pillow turn the image while they load it.
        return values if opened.getexif().get(TAG) == before else as_stored(values, _orientation(page))
