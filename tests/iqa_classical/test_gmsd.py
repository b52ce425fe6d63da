"""GMSD: gradients, maps and masks."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.ndimage
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from iqa_classical.gmsd import GMSD, gradient_magnitude


def test_gradient_magnitude_is_scipys_prewitt(camera_pair):
    image = camera_pair[0][0, 0].double().numpy()
    parts = [scipy.ndimage.prewitt(image, axis, mode="constant") / 3 for axis in (0, 1)]
    np.testing.assert_allclose(gradient_magnitude(camera_pair[0])[0, 0].numpy(), np.hypot(*parts), atol=1e-6)


def test_map_deviates_by_the_score(camera_pair):
    metric = GMSD()
    features = [metric.encode(images) for images in camera_pair]
    values = metric.local_map(*features, (256, 256))
    assert values.shape == camera_pair[0].shape
    torch.testing.assert_close(values.std(correction=0)[None], metric.compare(*features))


def test_map_of_odd_sides_has_the_images_size():
    metric = GMSD()
    features = metric.encode(torch.rand(2, 3, 31, 46))
    assert metric.local_map(features, features, (31, 46)).shape == (2, 1, 31, 46)
    assert (metric.local_map(features, features, (31, 46)) == 1).all()


@pytest.mark.parametrize("sides", [(64, 64), (61, 64), (63, 71)])
def test_what_lies_outside_the_mask_has_no_influence_at_all(sides):
    torch.manual_seed(0)
    synthesized, reference, other = torch.rand(3, 2, 3, *sides)
    mask = torch.zeros(2, 1, *sides, dtype=torch.bool)
    mask[..., 20:, 9:47] = True
    score = GMSD()(synthesized, reference, mask)
    assert torch.isfinite(score).all()
    assert torch.equal(GMSD()(torch.where(mask, synthesized, other), reference, mask), score)
    assert torch.equal(GMSD()(synthesized, torch.where(mask, reference, other), mask), score)


def test_masked_score_is_the_deviation_of_the_map_inside(camera_pair, disc):
    metric = GMSD()
    features = [metric.encode(images) for images in camera_pair]
    values = metric.local_map(*features, (256, 256))[0, 0, ::2, ::2].double().numpy()
    halved = disc[0, 0].reshape(128, 2, 128, 2).numpy().all(axis=(1, 3))
    inside = scipy.ndimage.binary_erosion(halved, np.ones((3, 3)), border_value=1)
    np.testing.assert_allclose(metric.compare(*features, disc).numpy(), values[inside].std(), atol=1e-6)


def test_mask_without_a_window_gives_nan_with_a_reason():
    metric, images = GMSD(), torch.rand(1, 1, 32, 32)
    mask = torch.zeros(1, 1, 32, 32, dtype=torch.bool)
    mask[..., 10:15, 10:15] = True
    outcome = metric.compare_in_detail(metric.encode(images), metric.encode(images), mask)
    assert torch.isnan(outcome.scores).all()
    assert outcome.reasons == {0: "no window of 6 pixels a side lies inside the mask"}


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 1000), sides=st.tuples(st.integers(6, 40), st.integers(6, 40)))
def test_bounded_symmetric_and_zero_at_equality(seed, sides):
    x, y = torch.rand(2, 2, 1, *sides, generator=torch.Generator().manual_seed(seed))
    scores = GMSD()(x, y)
    assert ((scores >= 0) & (scores <= 0.5)).all()
    assert torch.equal(GMSD()(y, x), scores)
    assert GMSD()(x, x).tolist() == [0.0, 0.0]
