"""FSIM: every size and the gradient equal piq's; phase congruency, maps and masks."""

from __future__ import annotations

import numpy as np
import piq
import pytest
import scipy.ndimage
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from iqa_classical._phase_congruency import log_gabor_bank, lower_median, phase_congruency
from iqa_classical.filters import luminance
from iqa_classical.fsim import FSIM, scharr_magnitude


def piq_score(synthesized, reference, **parameters):
    return piq.fsim(synthesized, reference, chromatic=False, reduction="none", **parameters)


@pytest.mark.parametrize(
    "sides", [(2, 2), (2, 3), (3, 9), (16, 5), (64, 33), (383, 390), (384, 401), (640, 641)]
)
def test_every_size_equals_piq(sides):
    pair = torch.rand(2, 2, 1, *sides, generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(FSIM()(*pair), piq_score(*pair), atol=1e-5, rtol=0)


def test_gradient_equals_piqs(camera_pair):
    synthesized, reference = (images[..., :61, :80].double() for images in camera_pair)
    gradients = []
    for function, kind in ((FSIM(), torch.float32), (piq_score, torch.float64)):
        images = synthesized.to(kind).requires_grad_()
        function(images, reference.to(kind)).sum().backward()
        gradients.append(images.grad.float())
    torch.testing.assert_close(*gradients, atol=1e-3 * gradients[1].abs().max().item(), rtol=0)


def test_scharr_magnitude_is_scipys(camera_pair):
    image = camera_pair[0][0, 0].double().numpy()
    smooth, slope = np.array([3, 10, 3]) / 16, np.array([1, 0, -1])
    parts = [
        scipy.ndimage.convolve(image, np.outer(*taps), mode="constant")
        for taps in ((smooth, slope), (slope, smooth))
    ]
    np.testing.assert_allclose(scharr_magnitude(camera_pair[0])[0, 0].numpy(), np.hypot(*parts), atol=1e-6)


def test_phase_congruency_knows_neither_brightness_nor_contrast(camera_pair):
    image = 255 * camera_pair[1][..., :100, :117]
    expected = phase_congruency(image)
    torch.testing.assert_close(phase_congruency(0.3 * image + 50), expected, atol=1e-3, rtol=0)


def test_phase_congruency_is_one_without_structure():
    for value in (0.0, 77.7, 255.0):
        congruency = phase_congruency(torch.full((1, 1, 61, 48), value))
        torch.testing.assert_close(congruency, torch.ones(1, 1, 61, 48), atol=1e-3, rtol=0)


def test_phase_congruency_depends_on_no_other_image_of_the_batch():
    images = 255 * torch.rand(9, 1, 100, 90, generator=torch.Generator().manual_seed(0))
    single = torch.cat([phase_congruency(image[None]) for image in images])
    torch.testing.assert_close(phase_congruency(images), single, atol=1e-6, rtol=0)


@pytest.mark.parametrize("count", [1, 2, 5, 100])
def test_lower_median_and_its_gradient_are_torchs(count):
    values = torch.rand(3, count, generator=torch.Generator().manual_seed(count), requires_grad=True)
    expected = values.median(dim=1).values
    assert torch.equal(lower_median(values), expected)
    gradients = [torch.autograd.grad(result.sum(), values)[0] for result in (lower_median(values), expected)]
    assert torch.equal(*gradients)


def test_filters_made_in_inference_mode_serve_gradients():
    log_gabor_bank.cache_clear()
    with torch.inference_mode():
        FSIM()(*torch.rand(2, 1, 1, 30, 30))
    synthesized = torch.rand(1, 1, 30, 30, requires_grad=True)
    FSIM()(synthesized, torch.rand(1, 1, 30, 30)).sum().backward()
    assert synthesized.grad.abs().max() > 0


def test_kept_filters_are_bounded():
    for side in range(20, 30):
        FSIM()(*torch.rand(2, 1, 1, side, side))
    assert log_gabor_bank.cache_info().currsize == log_gabor_bank.cache_info().maxsize == 4


@pytest.mark.parametrize("sides", [(31, 46), (400, 451)])
def test_map_has_the_images_size(sides):
    metric = FSIM()
    features = metric.encode(torch.rand(2, 3, *sides))
    assert metric.local_map(features, features, sides).shape == (2, 1, *sides)
    torch.testing.assert_close(metric.local_map(features, features, sides), torch.ones(2, 1, *sides))


def test_map_of_a_large_image_repeats_blocks():
    metric = FSIM()
    features = [metric.encode(images) for images in torch.rand(2, 1, 1, 384, 385)]
    values = metric.local_map(*features, (384, 385))
    assert torch.equal(values[..., ::2, :384:2], values[..., 1::2, 1::2])
    assert torch.equal(values[..., 384], values[..., 383])


def test_score_is_the_mean_of_the_map_weighted_by_congruency(camera_pair, disc):
    metric = FSIM()
    features = [metric.encode(images) for images in camera_pair]
    values = metric.local_map(*features, (256, 256)).double()
    weights = torch.maximum(*(feature.congruency for feature in features)).double()
    for mask in (torch.ones_like(disc), disc):
        expected = ((values * weights)[mask].sum() / weights[mask].sum()).float()
        torch.testing.assert_close(metric(*camera_pair, mask)[0], expected)


def test_errors_outside_the_mask_count_little(camera_pair, disc):
    synthesized, reference = camera_pair
    outside = torch.where(disc, reference, synthesized)
    assert FSIM()(outside, reference, disc).item() > 0.9
    assert FSIM()(synthesized, reference, disc).item() < 0.7


def test_empty_mask_gives_nan_with_a_reason():
    metric, images = FSIM(), torch.rand(2, 1, 32, 32)
    mask = torch.zeros(2, 1, 32, 32, dtype=torch.bool)
    mask[1, 0, 3, 31] = True
    outcome = metric.compare_in_detail(metric.encode(images), metric.encode(images), mask)
    assert outcome.scores.isnan().tolist() == [True, False]
    assert outcome.reasons == {0: "the mask is empty"}


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 1000), sides=st.tuples(st.integers(2, 40), st.integers(2, 40)))
def test_bounded_symmetric_one_at_equality_and_by_luminance(seed, sides):
    x, y = torch.rand(2, 2, 3, *sides, generator=torch.Generator().manual_seed(seed))
    scores = FSIM()(x, y)
    assert ((scores > 0) & (scores <= 1)).all()
    torch.testing.assert_close(FSIM()(y, x), scores, atol=1e-6, rtol=0)
    torch.testing.assert_close(FSIM()(x, x), torch.ones(2), atol=1e-6, rtol=0)
    assert torch.equal(FSIM()(luminance(x), luminance(y)), scores)
