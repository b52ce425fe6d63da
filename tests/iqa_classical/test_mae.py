"""MAE against numpy (1e-6)."""

from __future__ import annotations

import numpy as np
import torch

from iqa_classical.mae import MAE


def test_equals_numpy(pair):
    synthesized, reference = (images.double().numpy() for images in pair)
    np.testing.assert_allclose(MAE()(*pair).numpy(), np.abs(synthesized - reference).mean(), rtol=1e-6)


def test_volume_equals_numpy(volume_pair):
    expected = np.abs(volume_pair[0].double().numpy() - volume_pair[1].double().numpy()).mean()
    np.testing.assert_allclose(MAE(dimensions=3)(*volume_pair).numpy(), expected, rtol=1e-6)


def test_map_averages_to_the_score(pair):
    metric = MAE()
    values = metric.local_map(*pair, tuple(pair[0].shape[2:]))
    assert values.shape == (1, 1, *pair[0].shape[2:])
    torch.testing.assert_close(values.mean(dim=(1, 2, 3)), metric(*pair))


def test_constant_images_score_their_difference():
    assert MAE()(torch.ones(1, 3, 4, 4), torch.zeros(1, 3, 4, 4)).tolist() == [1.0]
