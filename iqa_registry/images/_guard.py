"""What every reader shares: the limit on an image's size, errors that name the file, and library chatter."""

from __future__ import annotations

import math
import threading
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import replace
from typing import IO, Any, cast

import numpy as np

from iqa_registry.errors import ImageError, IQAError
from iqa_registry.files import byte_limit
from iqa_registry.images.image import Array, Image

VARIABLE = "IQA_MAX_IMAGE_BYTES"
DEFAULT_LIMIT = 1 << 30
"""The most bytes of a volume, in the larger of its stored type and float32."""
PICTURE_LIMIT = 256 << 20
"""The same for a 2-D image."""
DEFLATE_RATIO = 1032
"""Deflate shrinks no run of bytes further than this."""
_FEW = 4
_ROW_BYTES = 48
_PIECE = 4 << 20

_QUIET = threading.RLock()


def size_limit(default: int = DEFAULT_LIMIT) -> int:
    """The largest image in bytes: ``default`` unless the environment variable ``IQA_MAX_IMAGE_BYTES`` is set."""
    return byte_limit(VARIABLE, default, DEFAULT_LIMIT)


def check_size(name: str, shape: Sequence[int], itemsize: int = 4) -> int:
    """Reject an image whose header claims no pixels or too many; return its size as float32 in bytes.

    A shape with at most two sides longer than 4 is held to the limit of 2-D images.

    Args:
        name: the file, for messages.
        shape: its sides, channels among them.
        itemsize: bytes of a value while it is decoded.

    Raises:
        ImageError: empty, or larger than :func:`size_limit`.
    """
    sides = " x ".join(str(side) for side in shape)
    if not shape or min(shape) < 1:
        raise ImageError(f"{name}: the header says {sides or 'no'} pixels; the image is empty or damaged.")
    count = math.prod(int(side) for side in shape)
    limit = size_limit(DEFAULT_LIMIT if sum(side > _FEW for side in shape) > 2 else PICTURE_LIMIT)
    nbytes = count * max(4, itemsize)
    if nbytes > limit:
        raise too_large(name, f"{sides} pixels would take {human(nbytes)}", limit)
    return 4 * count


def check_rows(name: str, rows: int) -> None:
    """Reject a 2-D image whose rows cost the decoder too much however short they are."""
    limit = size_limit(PICTURE_LIMIT)
    if rows * _ROW_BYTES > limit:
        raise too_large(name, f"a table of {rows} rows would take {human(rows * _ROW_BYTES)}", limit)


def check_promise(name: str, promised: int, held: int) -> None:
    """Reject a file of ``held`` bytes that cannot hold the ``promised`` ones, before reading it.

    Raises:
        ImageError: it is too short.
    """
    if promised > held:
        raise ImageError(
            f"{name}: the header declares {human(promised)}, which a file of this size cannot hold; "
            "it is cut off or damaged: copy or export it again."
        )


def read_bounded(stream: IO[bytes], length: int) -> bytearray:
    """Up to ``length`` bytes, with no more memory than the stream gives."""
    data = bytearray()
    while len(data) < length:
        piece = stream.read(min(_PIECE, length - len(data)))
        if not piece:
            break
        data += piece
    return data


def too_large(name: str, what: str, limit: int | None = None) -> ImageError:
    """The error for an image beyond ``limit``, by default :func:`size_limit`."""
    return ImageError(
        f"{name}: {what}, more than the limit of {human(size_limit() if limit is None else limit)}; "
        f"if the image is sound, set {VARIABLE} to a larger number of bytes."
    )


def human(nbytes: int) -> str:
    """Bytes as text.

    Example:
        >>> human(2 << 30)
        '2.0 GiB'
    """
    value = float(nbytes)
    for unit in ("bytes", "KiB", "MiB", "GiB"):
        if value < 1024 or unit == "GiB":
            break
        value /= 1024
    return f"{value:.0f} {unit}" if unit == "bytes" else f"{value:.1f} {unit}"


@contextmanager
def reading(name: str, form: str) -> Iterator[None]:
    """Turn whatever a library raises while reading ``name`` as ``form`` into an :class:`ImageError`.

    Readers meet files that nobody foresaw, and the libraries raise anything from ``struct.error`` to
    ``RecursionError``, so every exception counts as a fault of the file; it stays attached as the cause.
    """
    try:
        yield
    except IQAError:
        raise
    except FileNotFoundError as error:
        missing = (
            f" (it points to {error.filename})" if error.filename and str(error.filename) != name else ""
        )
        raise ImageError(f"{name}: no such file{missing}; check the path.") from error
    except PermissionError as error:
        raise ImageError(f"{name}: permission denied; make it readable for this user.") from error
    except Exception as error:
        raise ImageError(
            f"{name}: cannot be read as {form} ({_first_line(error)}); the file is damaged, incomplete or of "
            "another format: copy or export it again."
        ) from error


def _first_line(error: Exception) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    text = lines[-1] if lines else type(error).__name__
    return (text if len(text) <= 160 else text[:157] + "...").rstrip(".")


@contextmanager
def quiet(library: str) -> Iterator[None]:
    """Hold back the warnings that ``library`` raises from its own modules while it reads.

    The list of warning filters belongs to the whole process. So one thread at a time adds a single entry and takes
    out that entry again, instead of saving and restoring the list under the feet of other threads.
    """
    filters = cast("list[Any]", warnings.filters)
    with _QUIET:
        warnings.filterwarnings("ignore", module=rf"{library}(\.|$)")
        added = filters[0]
        try:
            yield
        finally:
            with suppress(ValueError):
                filters.remove(added)


def to_float32(values: Array, name: str) -> Array:
    """Return ``values`` as writable float32; NaN and infinite ones stay, see :func:`set_aside_gaps`.

    Raises:
        ImageError: a type that holds no plain numbers.
    """
    if values.dtype.kind not in "buif":
        raise ImageError(
            f"{name}: pixels are of type {values.dtype}, expected integers or floats; "
            "of complex data take the magnitude first."
        )
    with np.errstate(over="ignore"):
        pixels = np.asarray(values, dtype=np.float32)
    if not pixels.flags.writeable:  # torch warns of tensors made from such arrays
        pixels = pixels.copy(order="K")
    return pixels


def check_finite(image: Image) -> Image:
    """The image, if all of its pixels are finite.

    Raises:
        ImageError: NaN or infinite values.
    """
    finite = np.isfinite(image.pixels)
    if not finite.all():
        raise ImageError(
            f"{image.name}: {int((~finite).sum())} of {finite.size} pixels are NaN or infinite; "
            "replace them before scoring."
        )
    return image


def set_aside_gaps(image: Image) -> Image:
    """The image with 0 for pixels that are NaN or infinite, and ``valid`` telling where they were.

    Example:
        >>> image = set_aside_gaps(Image(np.array([[[np.nan, 2.0]]], np.float32)))
        >>> image.pixels.tolist(), image.valid.tolist()
        ([[[0.0, 2.0]]], [[False, True]])
    """
    finite = np.isfinite(image.pixels)
    if finite.all():
        return image
    valid = np.asarray(finite if image.is_volume else finite.all(axis=0))
    if image.valid is not None:
        valid = valid & image.valid
    return replace(image, pixels=np.where(valid, image.pixels, np.float32(0)), valid=valid, gaps="broken")


def picture(values: Array, name: str, full_scale: float | None) -> Image:
    """Make a 2-D image of ``(H, W)`` or ``(H, W, samples)``: opaque alpha is dropped, equal channels become one.

    Raises:
        ImageError: transparent pixels, or a number of channels other than 1 to 4.
    """
    if values.ndim == 2:
        values = values[..., None]
    if values.ndim != 3 or values.shape[2] not in (1, 2, 3, 4):
        raise ImageError(f"{name}: expected a gray or RGB 2-D image, got pixels of shape {values.shape}.")
    if values.shape[2] in (2, 4):
        values = _without_alpha(values, name)
    if values.shape[2] == 3 and _is_grey(values):
        values = values[..., :1]
    pixels = np.ascontiguousarray(np.moveaxis(to_float32(values, name), 2, 0))
    return Image(pixels, None, full_scale, name)


def _is_grey(values: Array) -> bool:
    first = values[..., 0]
    return np.array_equal(first, values[..., 1]) and np.array_equal(first, values[..., 2])


def _without_alpha(values: Array, name: str) -> Array:
    opaque = 1 if values.dtype.kind in "bf" else np.iinfo(values.dtype).max
    transparent = int((values[..., -1] != opaque).sum())
    if transparent:
        raise transparency(name, transparent)
    return values[..., :-1]


def transparency(name: str, count: int) -> ImageError:
    """The error for a 2-D image whose colors depend on what lies behind it."""
    return ImageError(f"{name}: {count} pixels are transparent; flatten the image onto a background first.")


def full_scale_of(dtype: np.dtype[Any]) -> float | None:
    """255, 65535 or 1 for 8 bit, 16 bit and boolean 2-D images; ``None`` for all other types."""
    return {"u1": 255.0, "u2": 65535.0, "b1": 1.0}.get(f"{dtype.kind}{dtype.itemsize}")
