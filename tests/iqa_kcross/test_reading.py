"""What training reads: each modality on its own scale, pairs and ratings of a dataset or a manifest."""

import numpy as np
import pytest

from iqa_kcross.training.config import read_config
from iqa_kcross.training.images import read_subjects
from iqa_registry.datasets import Subject
from iqa_registry.errors import UsageError


class Ramps:
    """Two subjects whose source modality is ten times brighter than the target."""

    def __init__(self, kind, count=2):
        self.kind, self.count = kind, count

    def subjects(self):
        ramp = np.linspace(0, 20, 64 * 64).reshape(64, 64)
        for number in range(self.count):
            images = {"t1": (10 * ramp).astype(self.kind), "t2": ramp.astype(self.kind)}
            yield Subject(name=f"s{number}", images=images)


def test_each_modality_is_on_its_own_scale_where_the_type_says_none():
    images = read_subjects(Ramps(np.float32), read_config(None, {"data.size": 64}).data, None)
    assert float(images.source.float().mean()) == pytest.approx(0.5, abs=0.01)
    assert float(images.target.float().mean()) == pytest.approx(0.5, abs=0.01)


def test_eight_bit_pictures_keep_their_scale():
    images = read_subjects(Ramps(np.uint8), read_config(None, {"data.size": 64}).data, None)
    assert float(images.source.max()) == pytest.approx(200 / 255, abs=1e-3)
    assert float(images.target.max()) == pytest.approx(20 / 255, abs=1e-3)


def test_no_subjects_are_refused():
    with pytest.raises(UsageError, match="no subjects to train on"):
        read_subjects(Ramps(np.uint8, 0), read_config(None, {"data.data": "empty"}).data, None)
