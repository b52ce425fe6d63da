"""MAE: its map, and constant images."""

from __future__ import annotations

import torch

from iqa_classical.mae import MAE


def test_map_averages_to_the_score(pair):
    metric = MAE()
    values = metric.local_map(*pair, tuple(pair[0].shape[2:]))
    assert values.shape == (1, 1, *pair[0].shape[2:])
    torch.testing.assert_close(values.mean(dim=(1, 2, 3)), metric(*pair))


def test_constant_images_score_their_difference():
    assert MAE()(torch.ones(1, 3, 4, 4), torch.zeros(1, 3, 4, 4)).tolist() == [1.0]
