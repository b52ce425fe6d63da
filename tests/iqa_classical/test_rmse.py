"""RMSE against NumPy, also under a mask."""

import numpy as np
import pytest
import torch

from iqa_classical.rmse import RMSE


@pytest.mark.parametrize("dimensions", [2, 3])
def test_it_is_numpys(dimensions):
    rng = np.random.default_rng(1)
    shape = (3, 1, *(7, 6, 5)[:dimensions])
    first, second = rng.random(shape, dtype=np.float32), rng.random(shape, dtype=np.float32)
    mask = rng.random(shape) < 0.5
    metric = RMSE(dimensions=dimensions)
    squared = (first.astype(float) - second) ** 2
    whole = metric(torch.from_numpy(first), torch.from_numpy(second))
    np.testing.assert_allclose(whole, [np.sqrt(item.mean()) for item in squared], rtol=1e-5)
    inside = metric(torch.from_numpy(first), torch.from_numpy(second), torch.from_numpy(mask))
    expected = [np.sqrt(item[where].mean()) for item, where in zip(squared, mask, strict=True)]
    np.testing.assert_allclose(inside, expected, rtol=1e-5)
