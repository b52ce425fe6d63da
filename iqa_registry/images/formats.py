"""Reading: a path, an array or a tensor becomes an :class:`Image`.

Before anything is decoded, the size that the header declares is compared with the limit in the environment variable
``IQA_MAX_IMAGE_BYTES`` (unless set 1 GiB for a volume and 256 MiB for a 2-D image, as float32), and streams are read no
further than the header says, so that a small file cannot fill the memory. Every fault is an
:class:`~iqa_registry.errors.ImageError` that names the file.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Any

from iqa_registry.errors import ImageError
from iqa_registry.files import refuse_special
from iqa_registry.images import _arrays
from iqa_registry.images._arrays import as_picture, as_volume
from iqa_registry.images._guard import check_finite, reading, set_aside_gaps
from iqa_registry.images.image import (
    AXES,
    Array,
    Image,
    ImageInfo,
    LazyImage,
    Source,
    restore_sections,
    source_key,
    stack_sections,
    take_section,
    unsection,
    unstack,
)

__all__ = [
    "AXES",
    "SUFFIXES",
    "Array",
    "Image",
    "ImageInfo",
    "LazyImage",
    "Source",
    "as_picture",
    "as_volume",
    "files_of",
    "is_bare_dicom",
    "is_series",
    "on_disk",
    "probe_image",
    "read_image",
    "read_labels",
    "read_scan",
    "restore_sections",
    "source_key",
    "split_member",
    "stack_sections",
    "stem",
    "suffix",
    "take_section",
    "unsection",
    "unstack",
]

_PICTURES = (".png", ".jpg", ".jpeg", ".tif", ".tiff")
_DICOM = (".dcm", ".dicom", ".ima")

_READERS = {
    ".nii.gz": ("_nifti", "nifti"),
    ".nii": ("_nifti", "nifti"),
    ".npy": ("_arrays", "npy"),
    ".npz": ("_arrays", "npz"),
    **dict.fromkeys((".mha", ".mhd", ".nrrd", ".nhdr"), ("_itk", "itk")),
    **dict.fromkeys(_DICOM, ("_dicom", "file")),
    **dict.fromkeys((".mgz", ".mgh"), ("_mgh", "mgh")),
    ".mnc": ("_by_nibabel", "minc"),
    ".img": ("_by_nibabel", "analyze"),
    **dict.fromkeys((".h5", ".hdf5"), ("_containers", "hdf5")),
    ".mat": ("_containers", "matlab"),
}
"""The module that reads a format, and the end of the names of its functions ``probe_...`` and ``read_...``."""
_PICTURE_READERS = {"PNG": ("_pictures", "png"), "JPEG": ("_pictures", "jpeg"), "TIFF": ("_tiff", "tiff")}

_CONTAINERS = (".npz", ".h5", ".hdf5", ".mat")
"""Formats that hold several arrays by name."""
_MEMBER = re.compile(r"(?P<file>.+\.(npz|h5|hdf5|mat)):(?P<member>[^:]+)", re.IGNORECASE)

SUFFIXES = (*_PICTURES, *_READERS)
"""The suffixes of all formats that can be read."""


def read_image(source: Source) -> Image:
    """Read a 2-D image or volume.

    An array or tensor is a 2-D image where it is ``(H, W)``, ``(1, H, W)``, ``(3, H, W)``, ``(H, W, 1)`` or, in uint8,
    ``(H, W, 3)``; any other array of three axes is a volume ``(X, Y, Z)`` in RAS+. A volume whose first side is 1 or
    3 is given as ``as_volume(array)``. A folder is read as one DICOM series, a single DICOM file as a 2-D image.

    Raises:
        ImageError: unknown, unreadable, damaged, too large, transparent, several volumes, or not finite; the
            message names the file and the remedy.

    Example:
        >>> import numpy as np
        >>> image = read_image(np.array([[0, 51], [102, 204]], dtype=np.uint8))
        >>> image.pixels.shape, float(image.pixels.sum()) / image.full_scale
        ((1, 2, 2), 1.4)
    """
    return check_finite(_read(source))


def read_scan(source: Source) -> Image:
    """Read as :func:`read_image`, but accept pixels that are NaN or infinite: ``valid`` tells where there are none.

    Example:
        >>> import numpy as np
        >>> read_scan(np.array([[np.nan, 0.5]])).valid.tolist()
        [[False, True]]
    """
    return set_aside_gaps(_read(source))


def _read(source: Source) -> Image:
    if isinstance(source, Image):
        return source
    if isinstance(source, LazyImage):
        return source.make()
    if not isinstance(source, (str, Path)):
        return _arrays.from_values(source)
    path = Path(source)
    if path.is_dir():
        return _of("_dicom", "read_series")(path)
    refuse_special(on_disk(path), ImageError)
    ending = _known_suffix(path)
    if ending in _PICTURES:
        return _function("read", *_PICTURE_READERS[_picture_kind(path)])(path, False)
    if ending in _CONTAINERS:
        return _function("read", *_READERS[ending])(*split_member(path))
    return _function("read", *_READERS[ending])(path)


def read_labels(source: Source) -> Image:
    """Read a label map: as :func:`read_image`, but a palette gives its indices, and JPEG is rejected."""
    if isinstance(source, (str, Path)) and suffix(source) in _PICTURES and not Path(source).is_dir():
        path = Path(source)
        refuse_special(path, ImageError)
        return check_finite(_function("read", *_PICTURE_READERS[_picture_kind(path)])(path, True))
    return read_image(source)


def probe_image(source: Source) -> ImageInfo:
    """What an image's header says, without reading its pixels; a volume's shape is that in RAS+.

    Raises:
        ImageError: as :func:`read_image`, as far as the header shows it.
    """
    if isinstance(source, Image):
        return ImageInfo(source.pixels.shape, source.is_volume, source.name, source.pixels.nbytes)
    if isinstance(source, LazyImage):
        return source.info()
    if not isinstance(source, (str, Path)):
        return _arrays.probe_values(source)
    path = Path(source)
    if path.is_dir():
        return _of("_dicom", "probe_series")(path)
    refuse_special(on_disk(path), ImageError)
    ending = _known_suffix(path)
    if ending in _PICTURES:
        return _function("probe", *_PICTURE_READERS[_picture_kind(path)])(path)
    if ending in _CONTAINERS:
        return _function("probe", *_READERS[ending])(*split_member(path))
    return _function("probe", *_READERS[ending])(path)


def _function(verb: str, module: str, name: str) -> Callable[..., Any]:
    return _of(module, f"{verb}_{name}")


def _of(module: str, name: str) -> Callable[..., Any]:
    """A function of a reader, whose libraries are imported when a file of its format is met."""
    function: Callable[..., Any] = getattr(import_module(f"iqa_registry.images.{module}"), name)
    return function


def suffix(path: str | Path) -> str:
    """The suffix in lower case if it is one of :data:`SUFFIXES`, else an empty string.

    Example:
        >>> suffix("a.b/T1.NII.GZ"), suffix("notes.txt")
        ('.nii.gz', '')
    """
    name = on_disk(path).name.lower()
    return next((ending for ending in SUFFIXES if name.endswith(ending)), "")


def split_member(path: str | Path) -> tuple[Path, str | None]:
    """A file, and the array in it that ``FILE:NAME`` chooses.

    Example:
        >>> split_member("runs/both.npz:fake")[1], split_member("a:b.png")[1]
        ('fake', None)
    """
    match = _MEMBER.fullmatch(str(path))
    return (Path(match["file"]), match["member"]) if match else (Path(path), None)


def on_disk(path: str | Path) -> Path:
    """The file itself, whatever array in it is chosen."""
    return split_member(path)[0]


def stem(path: str | Path) -> str:
    """The file's name without a suffix of :data:`SUFFIXES`.

    Example:
        >>> stem("a/t1.5T.nii.gz"), stem("series.1/IM0001")
        ('t1.5T', 'IM0001')
    """
    file, member = split_member(path)
    name = file.name[: len(file.name) - len(suffix(file))]
    return name if member is None else f"{name}-{member.replace('/', '-')}"


def is_series(folder: Path) -> bool:
    """Whether ``folder`` holds the slices of a volume as DICOM files, and so counts as one image."""
    return bool(_of("_dicom", "is_series")(folder))


def files_of(source: str | Path) -> list[Path]:
    """All files that make an image count: the slices of a series, voxels kept beside their header.

    Example:
        >>> files_of("scans/t1.nii.gz")
        [PosixPath('scans/t1.nii.gz')]
    """
    path = on_disk(source)
    if path.is_dir():
        # Every file: a slice that is added changes the volume.
        return [path, *sorted(item for item in path.iterdir() if not item.name.startswith("."))]
    ending = path.suffix.lower()
    if ending in (".mhd", ".nhdr", ".mha", ".nrrd"):
        return [path, *_of("_detached", "data_files")(path)]
    if ending in (".img", ".hdr"):
        return [path, path.with_suffix(".hdr" if ending == ".img" else ".img")]
    return [path]


def is_bare_dicom(path: Path) -> bool:
    """Whether a file without suffix is a DICOM file by its content."""
    try:
        return bool(_of("_dicom", "is_bare")(path) and _of("_dicom", "is_dicom")(path))
    except OSError:  # reading it will say why
        return False


def _known_suffix(path: Path) -> str:
    ending = suffix(path)
    if ending:
        return ending
    if path.suffix.lower() == ".hdr":  # its .img is what folders list
        return ".img"
    name = str(path)
    with reading(name, "an image"):
        if _of("_dicom", "is_dicom")(path):
            return ".dcm"
    raise ImageError(
        f"{name}: unknown format; expected a DICOM file or one of {' '.join(SUFFIXES)}. "
        "Convert it to .nii.gz, .npy or .png."
    )


def _picture_kind(path: Path) -> str:
    """PNG, JPEG or TIFF by the first bytes, since the suffixes of 2-D images are often wrong."""
    from iqa_registry.images import _pictures, _tiff

    name = str(path)
    with reading(name, "a 2-D image"), path.open("rb") as stream:
        head = stream.read(8)
    if head == _pictures.PNG_MAGIC:
        return "PNG"
    if head.startswith(_pictures.JPEG_MAGIC):
        return "JPEG"
    if head.startswith(_tiff.MAGICS):
        return "TIFF"
    raise ImageError(
        f"{name}: is not a PNG, JPEG or TIFF file whatever its name{' (it is empty)' if not head else ''}; "
        "copy or export it again."
    )
