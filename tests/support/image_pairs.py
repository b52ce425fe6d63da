"""Image pairs on which metrics are compared with their references: real and random, gray and color, odd sizes.

Each is two float32 tensors (1, C, H, W) in [0, 1] with sides of at least 161.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from pathlib import Path

import numpy as np
import pytest
import scipy.ndimage
import skimage.data
import torch
from numpy.typing import NDArray
from torch import Tensor

Image = NDArray[np.float32]
TCGA = Path(__file__).parents[3] / "shared" / "data" / "tcga-fg-6692"


def noise(image: Image, rng: np.random.Generator) -> Image:
    return np.clip(image + 0.1 * rng.standard_normal(image.shape, dtype=np.float32), 0, 1)


def blur(image: Image, rng: np.random.Generator) -> Image:
    return scipy.ndimage.gaussian_filter(image, (1.5, 1.5) + (0,) * (image.ndim - 2))


def invert(image: Image, rng: np.random.Generator) -> Image:
    return 1 - image


def gamma(image: Image, rng: np.random.Generator) -> Image:
    return image**0.7


def shift(image: Image, rng: np.random.Generator) -> Image:
    return np.roll(image, (2, 3), axis=(0, 1))


def quantize(image: Image, rng: np.random.Generator) -> Image:
    return np.round(image * 7) / 7


def replace(image: Image, rng: np.random.Generator) -> Image:
    return rng.random(image.shape, dtype=np.float32)


Distortion = Callable[[Image, np.random.Generator], Image]

REAL: dict[str, tuple[str, tuple[slice, slice], Distortion]] = {
    "camera-noise": ("camera", np.s_[:256, :256], noise),
    "camera-blur-odd": ("camera", np.s_[100:317, 150:331], blur),
    "camera-invert": ("camera", np.s_[200:400, 200:400], invert),
    "coins-gamma-odd": ("coins", np.s_[:255, :256], gamma),
    "coins-quantize": ("coins", np.s_[40:240, 100:340], quantize),
    "moon-noise": ("moon", np.s_[:, :], noise),
    "moon-shift-odd": ("moon", np.s_[:163, :161], shift),
    "page-blur": ("page", np.s_[:, :320], blur),
    "text-noise-odd": ("text", np.s_[:, 10:303], noise),
    "brick-replace": ("brick", np.s_[:192, :224], replace),
    "grass-quantize-odd": ("grass", np.s_[:201, :301], quantize),
    "astronaut-noise": ("astronaut", np.s_[:256, :256], noise),
    "astronaut-blur-odd": ("astronaut", np.s_[3:204, 101:350], blur),
    "chelsea-gamma": ("chelsea", np.s_[:300, :450], gamma),
    "chelsea-invert-odd": ("chelsea", np.s_[:299, :331], invert),
    "coffee-quantize": ("coffee", np.s_[:400, :384], quantize),
    "coffee-shift": ("coffee", np.s_[:162, :200], shift),
    "rocket-replace-odd": ("rocket", np.s_[:171, :223], replace),
}
RANDOM: dict[str, tuple[tuple[int, ...], Distortion]] = {
    "random-noise": ((192, 192), noise),
    "random-replace": ((256, 176), replace),
    "random-blur-odd": ((185, 231), blur),
    "random-color-noise-odd": ((161, 177, 3), noise),
    "random-color-replace": ((200, 180, 3), replace),
}
MRI: dict[str, tuple[str, str, int]] = {
    "mri-t1c-t1": ("t1c", "t1", 12),
    "mri-t1-t2": ("t1", "t2", 14),
    "mri-flair-t2": ("flair", "t2", 16),
    "mri-t1c-flair": ("t1c", "flair", 8),
}
NAMES = [*REAL, *RANDOM, *MRI]
AT_HAND = [name for name in NAMES if name not in MRI or TCGA.is_dir()]


def _mri_slice(modality: str, index: int) -> Image:
    if not TCGA.is_dir():
        pytest.skip("the TCGA volumes are not on this machine")
    import nibabel

    volume = np.asarray(nibabel.load(TCGA / f"{modality}.nii.gz").dataobj, dtype=np.float32)
    low, high = np.percentile(volume, (0.5, 99.5))
    return np.clip((volume[..., index] - low) / (high - low), 0, 1)


def to_tensor(image: Image) -> Tensor:
    channels = image[None] if image.ndim == 2 else np.moveaxis(image, -1, 0)
    return torch.from_numpy(np.ascontiguousarray(channels, dtype=np.float32))[None]


@cache
def load_pair(name: str) -> tuple[Tensor, Tensor]:
    """The synthesized and the reference image of that name; the same numbers in every run."""
    if name in MRI:
        synthesized, reference, index = MRI[name]
        return to_tensor(_mri_slice(synthesized, index)), to_tensor(_mri_slice(reference, index))
    rng = np.random.default_rng(NAMES.index(name))
    if name in REAL:
        source, region, distort = REAL[name]
        image = getattr(skimage.data, source)()[region].astype(np.float32) / 255
    else:
        shape, distort = RANDOM[name]
        image = rng.random(shape, dtype=np.float32)
    return to_tensor(distort(image, rng)), to_tensor(image)


def array_pairs() -> dict[str, tuple[Image, Image]]:
    """The pairs that are on this machine, as the conformance kit takes them: arrays (H, W) or (H, W, 3)."""
    return {
        name: tuple(np.moveaxis(image[0].numpy(), 0, -1).squeeze() for image in load_pair(name))
        for name in AT_HAND
    }
