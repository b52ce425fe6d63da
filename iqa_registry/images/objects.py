"""Images that other libraries hold in memory: tensors, nibabel, SimpleITK, MONAI and PIL images, lists of numbers.

An object is identified by the modules of its classes, so that no library is imported for it.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from iqa_registry.errors import ImageError, UsageError
from iqa_registry.images._arrays import as_volume, to_array
from iqa_registry.images._guard import full_scale_of, picture, to_float32
from iqa_registry.images._orientation import canonical
from iqa_registry.images.image import Array, Image, LazyImage, Source

ACCEPTED = "a path, a NumPy array, a tensor, nested lists, or an image of nibabel, SimpleITK, MONAI (MetaTensor) or PIL"
"""What can be an image, for messages."""
_LPS_TO_RAS = np.diag([-1.0, -1.0, 1.0, 1.0])


def is_absent(value: Any) -> bool:
    """Whether a cell of a table holds nothing: ``None``, NaN, ``NaT``, pandas' ``NA`` or blank text.

    Example:
        >>> is_absent(float("nan")), is_absent(" "), is_absent("mask.png")
        (True, True, False)
    """
    if value is None or (isinstance(value, str) and not value.strip()):
        return True
    if type(value).__name__ in ("NAType", "NaTType"):
        return True
    return isinstance(value, float) and value != value  # numpy's float64 is a float


def is_image(value: Any) -> bool:
    """Whether :func:`to_source` takes it for one image: a path or an object, but no tuple, dict or list.

    Example:
        >>> is_image("a.png"), is_image(np.zeros((2, 2))), is_image(("a.png", "b.png"))
        (True, True, False)
    """
    if isinstance(value, str | Path | np.ndarray | Image | LazyImage):
        return True
    return _reader_of(value) is not None or _is_array(value)


def to_source(value: Any, name: str = "array", labels: bool = False) -> Source | None:
    """An object of any library as an array or :class:`Image`; paths and images as they are, nothing as ``None``.

    Args:
        value: the object; tensors may be on a GPU, of any float type and part of a graph.
        name: for messages.
        labels: whether it is a mask or label map, of which a palette gives its indices.

    Raises:
        UsageError: an object that is not an image.
        ImageError: an image that cannot be scored: several volumes in one, or not a number for each pixel.

    Example:
        >>> to_source([[0, 1], [2, 3]]).shape
        (2, 2)
    """
    if is_absent(value):
        return None
    if isinstance(value, str | Path | Image | LazyImage | np.ndarray):
        return value
    reader = _reader_of(value)
    if reader is not None:
        return reader(value, name, labels)
    if isinstance(value, list | tuple) or _is_array(value):
        try:
            array = np.asarray(value)
        except ValueError:
            array = np.empty(0, object)
        if array.dtype.kind in "buif":
            return array
    raise UsageError(f"{name} is of type {type(value).__name__}, which is not an image. Give {ACCEPTED}.")


def _is_array(value: Any) -> bool:
    return hasattr(value, "__array__") and hasattr(value, "shape") and not hasattr(value, "columns")


def _reader_of(value: Any) -> Callable[[Any, str, bool], Source] | None:
    for kind in type(value).__mro__:
        reader = _READERS.get(f"{kind.__module__.split('.')[0]}.{kind.__name__}")
        if reader is not None:
            return reader
    return None


def _tensor(value: Any, name: str, labels: bool) -> Source:
    return to_array(value)


def _metatensor(value: Any, name: str, labels: bool) -> Source:
    """Channel first, the affine in RAS+ as MONAI keeps it."""
    affine = np.asarray(to_array(value.affine), dtype=float)
    values = to_array(value.as_tensor())
    if values.ndim == 4 and values.shape[0] == 1:
        return as_volume(values[0], affine, name)
    if values.ndim == 4:
        raise ImageError(f"{name}: has {values.shape[0]} channels, expected one; give one of them.")
    return values


def _nibabel(value: Any, name: str, labels: bool) -> Source:
    name = value.get_filename() or name
    return _volume(np.asanyarray(value.dataobj), value.affine, str(name))


def _volume(values: Array, affine: Array | None, name: str) -> Image:
    """``(X, Y[, Z])`` and further axes of length one."""
    while values.ndim > 3 and values.shape[-1] == 1:
        values = values[..., 0]
    if values.ndim == 2:
        values = values[..., None]
    if values.ndim != 3:
        shape = " x ".join(map(str, values.shape))
        raise ImageError(f"{name}: holds {shape} values, expected one volume; give one of its volumes.")
    return as_volume(values, affine, name)


def _simpleitk(value: Any, name: str, labels: bool) -> Source:
    import SimpleITK

    count, samples = value.GetDimension(), value.GetNumberOfComponentsPerPixel()
    values = SimpleITK.GetArrayFromImage(value)
    if count == 2:
        return picture(values, name, full_scale_of(values.dtype))
    if count != 3 or samples != 1:
        raise ImageError(
            f"{name}: {count} dimensions of {samples} values a pixel, expected a volume of one value a voxel or a "
            "2-D image; give one volume or channel of it."
        )
    affine = np.eye(4)
    affine[:3, :3] = np.reshape(value.GetDirection(), (3, 3)) * value.GetSpacing()
    affine[:3, 3] = value.GetOrigin()
    return canonical(to_float32(values, name).T, _LPS_TO_RAS @ affine, name)


def _pil(value: Any, name: str, labels: bool) -> Source:
    from PIL import ImageOps

    name = str(getattr(value, "filename", "") or name)
    value = ImageOps.exif_transpose(value)
    if value.mode == "P" and not labels:
        value = value.convert("RGBA" if "transparency" in value.info else "RGB")
    if value.mode not in ("1", "L", "LA", "P", "RGB", "RGBA", "F") and not value.mode.startswith("I"):
        raise ImageError(f"{name}: pixels of mode {value.mode}; convert the image to L or RGB.")
    values = np.asarray(value)
    return picture(values, name, full_scale_of(values.dtype))


_READERS: dict[str, Callable[[Any, str, bool], Source]] = {
    "torch.Tensor": _tensor,
    "monai.MetaTensor": _metatensor,
    "nibabel.SpatialImage": _nibabel,
    "SimpleITK.Image": _simpleitk,
    "PIL.Image": _pil,
}
"""By package and class of the object or of what it inherits from; the first that is met counts."""
