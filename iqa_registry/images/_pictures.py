"""PNG and JPEG.

The size is read from the header before anything is decoded. Pillow's own classes are opened directly instead of
through ``PIL.Image.open``, whose limit on pixels is a global of the process and far from what a CT scan or a
microscope gives.
"""

from __future__ import annotations

import io
import struct
import zlib
from pathlib import Path
from typing import IO, TYPE_CHECKING

import numpy as np

from iqa_registry.errors import ImageError
from iqa_registry.images._guard import (
    DEFLATE_RATIO,
    PICTURE_LIMIT,
    check_promise,
    check_rows,
    check_size,
    full_scale_of,
    human,
    picture,
    reading,
    size_limit,
    too_large,
    transparency,
)
from iqa_registry.images._upright import of_exif, upright, upright_shape
from iqa_registry.images.image import Array, Image, ImageInfo

if TYPE_CHECKING:
    from PIL.ImageFile import ImageFile

PNG_MAGIC = b"\x89PNG\r\n\x1a\n"
JPEG_MAGIC = b"\xff\xd8\xff"

# color type of a PNG -> channels without alpha
_PNG_CHANNELS = {0: 1, 2: 3, 3: 3, 4: 1, 6: 3}
_GREY_ALPHA = 4


def probe_png(path: Path) -> ImageInfo:
    """What the header of a PNG says."""
    name = str(path)
    with reading(name, "PNG"), path.open("rb") as stream:
        shape, depth, _ = _png_header(stream, name)
        _check_cost(name, shape, depth, path.stat().st_size)
        shape = upright_shape(shape, _png_orientation(stream))
    return ImageInfo(shape, False, name, check_size(name, shape))


def read_png(path: Path, labels: bool = False) -> Image:
    """Read a PNG of 1 to 16 bits; ``labels`` gives the indices of a palette instead of its colors."""
    name = str(path)
    with reading(name, "PNG"), path.open("rb") as file:
        shape, depth, kind = _png_header(file, name)
        held = path.stat().st_size
        _check_cost(name, shape, depth, held)
        if held > size_limit(PICTURE_LIMIT):
            raise too_large(name, f"the file takes {human(held)}", size_limit(PICTURE_LIMIT))
        data = file.read()
        _check_chunks(memoryview(data), name)
        wide = depth == 16 and kind != 0
        values = _colour16(path, name, kind) if wide else _png_values(io.BytesIO(data), name, depth, labels)
        turned = _png_orientation(io.BytesIO(data))
        return upright(picture(values, name, full_scale_of(values.dtype)), turned)


def _check_cost(name: str, shape: tuple[int, int, int], depth: int, held: int) -> None:
    """Reject a header that promises too much, or more than the file can hold."""
    # A byte before each row says how it is coded; a palette has three channels and one sample.
    check_promise(name, shape[1] * (1 + -(-shape[2] * depth // 8)), DEFLATE_RATIO * held)
    check_size(name, shape)
    check_rows(name, shape[1])


def _png_orientation(stream: IO[bytes]) -> int:
    """The orientation in the chunk eXIf, which is found without reading the others."""
    stream.seek(len(PNG_MAGIC))
    while len(head := stream.read(8)) == 8:
        length = int.from_bytes(head[:4], "big")
        if head[4:] == b"eXIf":
            return of_exif(b"Exif\x00\x00" + stream.read(min(length, size_limit())))
        stream.seek(length + 4, io.SEEK_CUR)
    return 1


def _png_header(stream: IO[bytes], name: str) -> tuple[tuple[int, int, int], int, int]:
    header = stream.read(26)
    stream.seek(0)
    if len(header) < 26 or not header.startswith(PNG_MAGIC) or header[12:16] != b"IHDR":
        raise ImageError(f"{name}: is not a PNG file, or is cut off in its header; copy or export it again.")
    width, height, depth, kind = struct.unpack(">IIBB", header[16:26])
    if kind not in _PNG_CHANNELS:
        raise ImageError(
            f"{name}: the PNG header names color type {kind}, which does not exist; export it again."
        )
    return (_PNG_CHANNELS[kind], height, width), depth, kind


def _check_chunks(data: memoryview, name: str) -> None:
    """Compare every chunk with its checksum up to the last one; Pillow leaves that out for the pixels."""
    at = len(PNG_MAGIC)
    while at + 12 <= len(data):
        end = at + 12 + int.from_bytes(data[at : at + 4], "big")
        if end > len(data) or zlib.crc32(data[at + 4 : end - 4]) != int.from_bytes(
            data[end - 4 : end], "big"
        ):
            break
        if data[at + 4 : at + 8] == b"IEND":
            return
        at = end
    raise ImageError(f"{name}: the PNG is damaged or cut off; copy or export it again.")


def _png_values(stream: IO[bytes], name: str, depth: int, labels: bool) -> Array:
    from PIL.PngImagePlugin import PngImageFile

    with PngImageFile(stream) as opened:
        opened.load()
        clear = opened.info.get("transparency")
        if depth == 16:  # older releases of Pillow give int32 here, newer ones uint16
            values = np.asarray(opened).astype(np.uint16, copy=False)
            if clear is not None and (values == clear).any():
                raise transparency(name, int((values == clear).sum()))
            return values
        if opened.mode == "P" and labels:
            return np.asarray(opened)
        if clear is not None:
            return np.asarray(opened.convert("RGBA"))
        return np.asarray(opened.convert("RGB") if opened.mode == "P" else opened)


def _colour16(path: Path, name: str, kind: int) -> Array:
    """16 bit color, with or without alpha, which Pillow would cut to 8 bits."""
    from iqa_registry.images._itk import read_array

    if kind == _GREY_ALPHA:  # neither library reads it whole
        raise ImageError(f"{name}: is a 16 bit gray PNG with alpha; save it without alpha.")
    return read_array(path)


def probe_jpeg(path: Path) -> ImageInfo:
    """What the header of a JPEG says."""
    name = str(path)
    with reading(name, "JPEG"), path.open("rb") as stream, _open_jpeg(stream, name) as opened:
        shape = (len(opened.getbands()), opened.height, opened.width)
        shape = upright_shape(shape, of_exif(opened.info.get("exif")))
    return ImageInfo(shape, False, name, check_size(name, shape))


def read_jpeg(path: Path, labels: bool = False) -> Image:
    """Read a gray or RGB JPEG.

    Raises:
        ImageError: damaged, CMYK, too large, or asked for as a label map.
    """
    name = str(path)
    if labels:
        raise ImageError(f"{name}: JPEG changes label values; save the mask as PNG or NIfTI.")
    with reading(name, "JPEG"), path.open("rb") as stream, _open_jpeg(stream, name) as opened:
        check_size(name, (len(opened.getbands()), opened.height, opened.width))
        check_rows(name, opened.height)
        values = np.asarray(opened)
        turned = of_exif(opened.info.get("exif"))
        return upright(picture(values, name, full_scale_of(values.dtype)), turned)


def _open_jpeg(stream: IO[bytes], name: str) -> ImageFile:
    from PIL.JpegImagePlugin import JpegImageFile

    opened = JpegImageFile(stream)
    if opened.mode not in ("L", "RGB"):
        raise ImageError(f"{name}: is a {opened.mode} JPEG, expected gray or RGB; convert it.")
    return opened
