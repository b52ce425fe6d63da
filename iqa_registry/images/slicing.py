"""A slice of a volume as an image of its own, for 2-D images that are compared with volumes."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path

from iqa_registry.images.formats import on_disk, read_image
from iqa_registry.images.image import AXES, Image, LazyImage

SLICES_AS = {
    "axial": "2-D images are compared with axial slices of {volumes}, counted from 0 at the lowest; their first row "
    "is anterior and their first column the patient's right, else rotate or flip them, or choose --axis.",
    "coronal": "2-D images are compared with coronal slices of {volumes}, counted from 0 at the back; their first row "
    "is superior and their first column the patient's right, else rotate or flip them, or choose --axis.",
    "sagittal": "2-D images are compared with sagittal slices of {volumes}, counted from 0 at the patient's left; "
    "their first row is superior and their first column anterior, else rotate or flip them, or choose --axis.",
}
"""What is reported once about the orientation, which a PNG file does not tell."""
_HELD = 2


def slice_of(path: Path, axis: str, index: int) -> LazyImage:
    """Slice ``index`` of a volume in RAS+ along ``axis``, as :meth:`~iqa_registry.images.image.Image.section`.

    The key has the whole path and the time of the file's last change, so that a run that is resumed does not take
    another file for it, from whatever folder the command is repeated.
    """
    state = on_disk(path).stat().st_mtime_ns
    name = f"{path} ({axis} slice {index})"

    def make() -> Image:
        volume = _volume(str(path), state)
        return Image(volume.section(AXES[axis], index), name=name)

    return LazyImage(f"{path.resolve()} ({axis} slice {index}, {state})", make, name=name)


@lru_cache(maxsize=_HELD)
def _volume(path: str, state: int) -> Image:
    # The slices of a volume follow each other: it is read once for all of them.
    return read_image(path)
