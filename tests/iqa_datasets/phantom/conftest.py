"""Simulated subjects, each drawn once."""

import numpy as np
import pytest

from iqa_datasets.phantom.fields import Grid
from iqa_datasets.phantom.scene import make_scene
from iqa_datasets.phantom.template import load_template


@pytest.fixture(scope="session")
def draw():
    pytest.importorskip("nilearn")
    kept = {}

    def scene(seed=0, lesion=True, size=128, heights=(10.0,), volume=False):
        key = (seed, lesion, size, heights, volume)
        if key not in kept:
            rng = np.random.default_rng(seed)
            kept[key] = make_scene(rng, Grid(size, heights, volume), load_template(), lesion)
        return kept[key]

    return scene
