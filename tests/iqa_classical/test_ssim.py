"""SSIM: maps, masks, gradients and sizes, in two and three dimensions."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from skimage.metrics import structural_similarity

from iqa_classical.filters import average_pool, halving_factor
from iqa_classical.ssim import SSIM
from iqa_registry.errors import NotApplicableError, ParameterError
from iqa_registry.evaluation.features import select


def skimage_ssim(
    synthesized: torch.Tensor, reference: torch.Tensor, **options: object
) -> tuple[float, np.ndarray]:
    images = [np.moveaxis(images[0].double().numpy(), 0, -1) for images in (synthesized, reference)]
    return structural_similarity(
        *images, data_range=1, channel_axis=-1, gaussian_weights=True, use_sample_covariance=False, full=True
    )


@pytest.mark.parametrize("dimensions", [2, 3])
def test_map_is_skimages_inside_and_undefined_at_the_border(dimensions, camera_pair, volume_pair):
    images = camera_pair if dimensions == 2 else volume_pair
    metric = SSIM(dimensions=dimensions)
    values = metric.local_map(*(metric.encode(batch) for batch in images), tuple(images[0].shape[2:]))[
        0, 0
    ].numpy()
    _, expected = skimage_ssim(*images)
    inside = (slice(5, -5),) * dimensions
    np.testing.assert_allclose(values[inside], expected[..., 0][inside], atol=1e-4)
    assert np.isnan(values).sum() == values.size - values[inside].size


def test_map_of_a_shrunk_image_has_the_images_size():
    torch.manual_seed(0)
    reference, metric = torch.rand(1, 1, 385, 401), SSIM(downsample=True)
    features = metric.encode(reference), metric.encode(reference.flip(-1))
    values = metric.local_map(*features, (385, 401))
    assert values.shape == reference.shape
    assert torch.isnan(values[..., 384, :]).all()
    assert torch.equal(values[..., 10:374:2, 10], values[..., 11:374:2, 11])
    torch.testing.assert_close(values.nanmean(), metric.compare(*features)[0])


@pytest.mark.parametrize(("factor", "sides"), [(1, (200, 150)), (2, (400, 390))])
def test_masked_score_is_that_of_the_box_inside(factor, sides):
    torch.manual_seed(1)
    reference = torch.rand(2, 3, *sides)
    synthesized = (reference + 0.1 * torch.randn_like(reference)).clamp(0, 1)
    boxes = np.s_[40:140, 60:120], np.s_[10:80, 8:70]
    mask = torch.zeros(2, 1, *sides, dtype=torch.bool)
    expected = []
    for index, box in enumerate(boxes):
        mask[(index, 0, *box)] = True
        pair = (
            average_pool(images[(slice(index, index + 1), ..., *box)], factor)
            for images in (synthesized, reference)
        )
        expected.append(SSIM()(*pair))
    scores = SSIM(downsample=factor > 1)(synthesized, reference, mask)
    torch.testing.assert_close(scores, torch.cat(expected), atol=1e-6, rtol=0)


@pytest.mark.parametrize("dimensions", [2, 3])
def test_what_lies_outside_the_mask_has_no_influence_at_all(dimensions, camera_pair, volume_pair):
    synthesized, reference = camera_pair if dimensions == 2 else volume_pair
    metric, mask = SSIM(dimensions=dimensions), torch.zeros_like(reference, dtype=torch.bool)
    mask[(..., *(slice(2, 17),) * dimensions)] = True
    score = metric(synthesized, reference, mask)
    assert torch.isfinite(score).all()
    other = torch.rand_like(reference)
    assert torch.equal(metric(torch.where(mask, synthesized, other), reference, mask), score)
    assert torch.equal(metric(synthesized, torch.where(mask, reference, other), mask), score)


def test_mask_smaller_than_the_window_gives_nan_with_a_reason(camera_pair):
    metric, mask = SSIM(), torch.zeros_like(camera_pair[0], dtype=torch.bool)
    mask[..., :10, :] = True
    outcome = metric.compare_in_detail(*(metric.encode(images) for images in camera_pair), mask)
    assert torch.isnan(outcome.scores).all()
    assert outcome.reasons == {0: "no window of 11 pixels a side lies inside the mask"}


@settings(max_examples=30, deadline=None)
@given(dark=st.floats(0, 1), bright=st.floats(0, 1))
def test_constant_images_score_their_luminance_term(dark, bright):
    expected = (2 * dark * bright + 1e-4) / (dark**2 + bright**2 + 1e-4)
    score = SSIM()(torch.full((1, 1, 12, 12), dark), torch.full((1, 1, 12, 12), bright))
    assert score.item() == pytest.approx(expected, abs=2e-3)


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 1000), sides=st.tuples(st.integers(11, 90), st.integers(11, 90)))
def test_bounded_symmetric_and_one_at_equality(seed, sides):
    images = torch.rand(2, 2, 1, *sides, generator=torch.Generator().manual_seed(seed))
    scores = SSIM()(images[0], images[1])
    assert (scores.abs() <= 1).all()
    torch.testing.assert_close(SSIM()(images[1], images[0]), scores, atol=1e-6, rtol=0)
    torch.testing.assert_close(SSIM()(images[0], images[0]), torch.ones(2), atol=1e-6, rtol=0)


@pytest.mark.parametrize("dimensions", [2, 3])
def test_gradient_is_the_numerical_one(dimensions):
    torch.manual_seed(0)
    metric = SSIM(dimensions=dimensions, window=3, sigma=1.0)
    x, y = (torch.rand(1, 1, *(4,) * dimensions, dtype=torch.float64) for _ in range(2))
    assert torch.autograd.gradcheck(
        lambda x: metric.compare(metric.encode(x), metric.encode(y)), x.requires_grad_()
    )


def test_reference_encoded_once_can_be_expanded_over_candidates(camera_pair):
    metric = SSIM()
    candidates = torch.cat([camera_pair[0], camera_pair[1], camera_pair[0].flip(-1)])
    reference = metric.encode(camera_pair[1])
    expanded = select(reference, torch.zeros(3, dtype=torch.long))
    scores = metric.compare(metric.encode(candidates), expanded)
    one_by_one = [metric(candidate[None], camera_pair[1]) for candidate in candidates]
    torch.testing.assert_close(scores, torch.cat(one_by_one), atol=1e-6, rtol=0)


def test_even_window_is_refused():
    with pytest.raises(ParameterError, match="window must be odd, got 8; take 7 or 9"):
        SSIM(window=8)


def test_image_smaller_than_the_window_is_not_applicable():
    with pytest.raises(NotApplicableError, match="at least 15 pixels a side, got 14 x 40"):
        SSIM(window=15)(torch.rand(1, 1, 14, 40), torch.rand(1, 1, 14, 40))


@given(st.integers(1, 5000))
def test_shrinking_leaves_room_for_the_widest_window(side):
    factor = halving_factor((side, side))
    assert factor == max(1, math.floor(side / 256 + 0.5))
    assert factor == 1 or side // factor >= 191
