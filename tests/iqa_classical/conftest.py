"""Fixtures: the pairs of images, volumes and a mask."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.ndimage
import torch
from torch import Tensor

from image_pairs import NAMES, Image, load_pair, noise


@pytest.fixture(params=NAMES)
def pair(request: pytest.FixtureRequest) -> tuple[Tensor, Tensor]:
    """One of the pairs: synthesized, reference."""
    return load_pair(request.param)


@pytest.fixture
def camera_pair() -> tuple[Tensor, Tensor]:
    """A single gray pair (1, 1, 256, 256), where running over all of them would tell no more."""
    return load_pair("camera-noise")


@pytest.fixture
def volume_pair() -> tuple[Tensor, Tensor]:
    """Two volumes (1, 1, 19, 23, 27): smooth structure and a noisy copy."""
    rng = np.random.default_rng(7)
    volume = scipy.ndimage.gaussian_filter(rng.random((19, 23, 27)), 2).astype(np.float32)
    volume = (volume - volume.min()) / (volume.max() - volume.min())
    return to_volume(noise(volume, rng)), to_volume(volume)


def to_volume(volume: Image) -> Tensor:
    return torch.from_numpy(volume)[None, None]


@pytest.fixture
def disc() -> Tensor:
    """A boolean mask (1, 1, 256, 256): a disc of radius 100 around the center."""
    rows, columns = torch.meshgrid(torch.arange(256) - 128, torch.arange(256) - 128, indexing="ij")
    return (rows**2 + columns**2 < 100**2)[None, None]
