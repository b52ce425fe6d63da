"""Each learned metric is a plain function too, and gives what the class gives, bit for bit."""

from __future__ import annotations

import pytest
import torch

import random_learned
from iqa_learned.deepiqa import deepiqa
from iqa_learned.dists import dists
from iqa_learned.lpips import lpips

X, Y = torch.rand(2, 2, 1, 70, 64, generator=torch.Generator().manual_seed(0))
LEFT = torch.arange(64).expand(2, 1, 70, 64) < 40


def with_lpips():
    metric = random_learned.lpips(net="squeeze")
    return metric, lpips, {"backbone": metric.backbone, "roots": metric.roots}


def with_dists():
    metric = random_learned.dists()
    return metric, dists, {"backbone": metric.backbone, "alpha": metric.alpha, "beta": metric.beta}


def with_deepiqa():
    metric = random_learned.deepiqa()
    return metric, deepiqa, {"features": metric.features, "quality": metric.fc_q, "weight": metric.fc_w}


@pytest.mark.parametrize("make", [with_lpips, with_dists, with_deepiqa])
def test_function_equals_the_class(make):
    metric, function, networks = make()
    with torch.no_grad():
        assert torch.equal(function(X, Y, **networks), metric(X, Y))
        assert torch.equal(function(X, Y, **networks, mask=LEFT), metric(X, Y, LEFT))
        assert not torch.equal(metric(X, Y, LEFT), metric(X, Y))
