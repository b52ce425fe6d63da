import numpy as np
import pytest
import torch

from iqa_registry.registry import build_registry


@pytest.mark.parametrize("name", ["labels", "none"])
def test_they_find_nothing(name):
    segmenter = build_registry().segmenter(name)
    masks = segmenter.mask(torch.ones(2, 1, 5, 6))
    assert masks.shape == (2, 1, 5, 6)
    assert masks.dtype == torch.bool
    assert not masks.any()
    labels = segmenter(np.ones((3, 5, 6)))
    assert labels.dtype == np.uint8
    np.testing.assert_array_equal(labels, np.zeros((3, 5, 6)))
