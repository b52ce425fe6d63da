import numpy as np
import pytest
from PIL import Image

import toy_metrics
from iqa_registry.registry import build_registry


@pytest.fixture
def registry():
    return build_registry(extra=[toy_metrics.candidate()])


@pytest.fixture
def write_png(tmp_path):
    def write(name, pixels):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(np.asarray(pixels)).save(path)
        return path

    return write


@pytest.fixture
def grey():
    """A seeded random 8-bit image, smooth enough to be no noise."""

    def make(seed, size=(32, 40)):
        generator = np.random.default_rng(seed)
        coarse = generator.integers(20, 236, size=(size[0] // 4, size[1] // 4))
        return np.kron(coarse, np.ones((4, 4))).astype(np.uint8)

    return make
