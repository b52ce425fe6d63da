"""MSE against scikit-image (1e-6)."""

from __future__ import annotations

import numpy as np
import torch
from skimage.metrics import mean_squared_error

from iqa_classical.mse import MSE


def test_equals_skimage(pair):
    expected = mean_squared_error(pair[1].double().numpy(), pair[0].double().numpy())
    np.testing.assert_allclose(MSE()(*pair).numpy(), expected, rtol=1e-6)


def test_volume_equals_skimage(volume_pair):
    expected = mean_squared_error(volume_pair[1].double().numpy(), volume_pair[0].double().numpy())
    np.testing.assert_allclose(MSE(dimensions=3)(*volume_pair).numpy(), expected, rtol=1e-6)


def test_constant_images_score_the_square_of_their_difference():
    assert MSE()(torch.full((1, 1, 4, 4), 0.5), torch.zeros(1, 1, 4, 4)).tolist() == [0.25]
