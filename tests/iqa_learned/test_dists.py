"""DISTS with published weights against the authors' package and piq; its pooling and resizing."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F

from iqa_learned.dists import DISTS, shrink, smooth_pool
from iqa_registry.errors import WeightsError
from learned_references import (
    colour,
    image_pairs,
    mri_pairs,
    package_dists,
    piq_dists,
    random_backbone,
    random_dists,
)


@pytest.fixture(scope="module")
def tensors():
    return random_backbone("vgg"), random_dists()


@pytest.fixture(scope="module")
def metric(tensors) -> DISTS:
    return DISTS(backbone=tensors[0], weights=tensors[1])


@pytest.mark.network
def test_equals_the_references_with_published_weights(published):
    pytest.importorskip("DISTS_pytorch")
    backbone, weights = published.open("imagenet-vgg").tensors, published.open("dists").tensors
    ours = DISTS(backbone=backbone, weights=weights)
    models = package_dists(backbone, weights), piq_dists(backbone, weights)
    with torch.no_grad():
        for first, second in [*image_pairs(16), *mri_pairs(4)]:
            score = ours(first, second).item()
            for model in models:
                assert score == pytest.approx(model(colour(first), colour(second)).item(), abs=1e-4)


def test_pooling_is_the_hann_window():
    x = torch.rand(2, 3, 7, 10)
    window = torch.hann_window(5, periodic=False)[1:-1]
    kernel = torch.outer(window, window)
    kernel = (kernel / kernel.sum()).expand(3, 1, 3, 3)
    expected = (F.conv2d(x * x, kernel, stride=2, padding=1, groups=3) + 1e-12).sqrt()
    torch.testing.assert_close(smooth_pool(x), expected)


def test_resize_brings_the_shorter_side_to_256(tensors, metric):
    images = torch.rand(1, 1, 258, 344)
    assert shrink(images).shape == (1, 1, 256, 341)
    assert shrink(images[..., :200]).shape == (1, 1, 258, 200)
    resizing = DISTS(backbone=tensors[0], weights=tensors[1], resize=True)
    other = images.roll(5, 3)
    mask = torch.ones_like(images, dtype=torch.bool)
    expected = metric(shrink(images), shrink(other)).item()
    assert resizing(images, other).item() == pytest.approx(expected, abs=1e-6)
    assert resizing(images, other, mask).item() == pytest.approx(expected, abs=1e-4)


def test_weights_that_do_not_fit_are_refused(tensors):
    with pytest.raises(WeightsError, match=r"alpha and beta of 1475 numbers"):
        DISTS(backbone=tensors[0], weights={"alpha": torch.ones(3), "beta": torch.ones(3)})
