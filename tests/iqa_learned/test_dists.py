"""DISTS against the authors' package and piq, with random and with published weights."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F

from iqa_learned.dists import DISTS, shrink, smooth_pool
from iqa_registry.errors import NotApplicableError, WeightsError
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


@pytest.mark.parametrize("reference", [package_dists, piq_dists])
def test_equals_the_references_with_random_weights(metric, tensors, reference):
    pytest.importorskip("DISTS_pytorch" if reference is package_dists else "piq")
    model = reference(*tensors)
    with torch.no_grad():
        for first, second in image_pairs(4):
            expected = model(colour(first), colour(second)).item()
            assert metric(first, second).item() == pytest.approx(expected, abs=1e-5)


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


def test_equal_images_score_zero_and_order_does_not_matter(metric):
    first, second = next(iter(image_pairs(1)))
    assert metric(first, first).item() == 0
    assert metric(first, second).item() == pytest.approx(metric(second, first).item(), abs=1e-6)
    for value in (0.0, 0.5, 1.0):
        assert metric(torch.full_like(first, value), torch.full_like(first, value)).item() == 0


def test_grey_is_three_equal_channels(metric):
    for first, second in image_pairs(3):
        torch.testing.assert_close(
            metric(first, second), metric(colour(first), colour(second)), rtol=1e-5, atol=1e-6
        )


def test_score_does_not_depend_on_the_batch(metric):
    first, second = torch.rand(3, 1, 32, 40), torch.rand(3, 1, 32, 40)
    parts = torch.cat([metric(first[:1], second[:1]), metric(first[1:], second[1:])])
    torch.testing.assert_close(metric(first, second), parts, rtol=1e-5, atol=1e-6)


def test_mask(metric):
    first = torch.rand(2, 1, 96, 96)
    second = first.clone()
    second[..., 48:] = 0.5
    left = torch.zeros(2, 1, 96, 96, dtype=torch.bool)
    left[..., :16] = True
    everything = torch.ones_like(left)
    torch.testing.assert_close(metric(first, second, everything), metric(first, second), rtol=1e-4, atol=1e-5)
    assert (metric(first, second, left) < 0.7 * metric(first, second, ~left)).all()
    assert metric(first, second, torch.zeros_like(left)).isnan().all()
    assert metric(first, first, left).abs().max() == 0


def test_gradient_reaches_the_image(metric):
    image = torch.rand(1, 1, 32, 32, requires_grad=True)
    metric(image, torch.rand(1, 1, 32, 32)).sum().backward()
    assert image.grad is not None
    assert image.grad.isfinite().all()
    assert image.grad.abs().sum() > 0


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


def test_small_images_are_refused(metric):
    small = torch.rand(1, 1, 15, 40)
    with pytest.raises(NotApplicableError, match=r"at least 16 pixels a side, got 15 x 40"):
        metric(small, small)
    assert metric(torch.rand(1, 1, 16, 16), torch.rand(1, 1, 16, 16)).isfinite().all()


def test_weights_that_do_not_fit_are_refused(tensors):
    with pytest.raises(WeightsError, match=r"alpha and beta of 1475 numbers"):
        DISTS(backbone=tensors[0], weights={"alpha": torch.ones(3), "beta": torch.ones(3)})


def test_bfloat16_is_close(metric):
    first, second = next(iter(image_pairs(1)))
    exact = metric(first, second).item()
    with torch.autocast("cpu", torch.bfloat16), torch.no_grad():
        score = metric(first, second)
    assert score.dtype == torch.float32
    assert score.item() == pytest.approx(exact, rel=0.05)
