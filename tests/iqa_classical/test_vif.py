"""VIF: the smallest images and the gradient equal piq's; moments, flat images and masks."""

from __future__ import annotations

import piq
import pytest
import scipy.ndimage
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from iqa_classical.filters import luminance
from iqa_classical.vif import VIF, WINDOWS, pyramid, window_masks


def piq_score(synthesized, reference, noise=2.0):
    return piq.vif_p(synthesized.double(), reference.double(), sigma_n_sq=noise, reduction="none").float()


@pytest.mark.parametrize("sides", [(41, 41), (42, 47), (44, 41), (43, 100)])
def test_the_smallest_images_equal_piq(sides):
    pair = torch.rand(2, 3, 3, *sides, generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(VIF()(*pair), piq_score(*pair), atol=1e-5, rtol=0)


def test_gradient_equals_piqs(camera_pair):
    synthesized, reference = (images[..., :90, :75].double() for images in camera_pair)
    metric, gradients = VIF(), []
    for function in (lambda x, y: metric.compare(metric.encode(x), metric.encode(y)), piq_score):
        images = synthesized.clone().requires_grad_()
        function(images, reference).sum().backward()
        gradients.append(images.grad)
    torch.testing.assert_close(*gradients, atol=1e-6 * gradients[1].abs().max().item(), rtol=0)


def test_moments_are_those_under_a_gaussian_window(camera_pair):
    image = camera_pair[1][0, 0].double().numpy() * 255
    scale = pyramid(camera_pair[1]).scales[0]
    mean = scipy.ndimage.gaussian_filter(image, 17 / 5, radius=8)[8:-8, 8:-8]
    square = scipy.ndimage.gaussian_filter(image**2, 17 / 5, radius=8)[8:-8, 8:-8]
    torch.testing.assert_close(scale.mean[0, 0].double() + 127.5, torch.from_numpy(mean), atol=1e-3, rtol=0)
    expected = torch.from_numpy(square - mean**2)
    torch.testing.assert_close(scale.variance[0, 0].double(), expected, atol=2e-2, rtol=1e-4)


def test_more_contrast_than_the_reference_scores_above_one(camera_pair):
    reference = camera_pair[1] * 0.5
    assert VIF()(reference * 1.5, reference).item() > 1.1


@pytest.mark.parametrize("value", [0.0, 0.2, 0.5, 0.7, 1.0])
def test_reference_without_structure_scores_one(value):
    reference = torch.full((3, 1, 64, 61), value)
    synthesized = torch.stack([reference[0], torch.rand(1, 64, 61), torch.zeros(1, 64, 61)])
    torch.testing.assert_close(VIF()(synthesized, reference), torch.ones(3))


def test_constant_image_against_a_structured_reference_scores_nothing(camera_pair):
    for value in (0.0, 0.3, 1.0):
        assert VIF()(torch.full_like(camera_pair[1], value), camera_pair[1]).item() < 1e-6


@pytest.mark.parametrize("sides", [(64, 64), (71, 100)])
def test_what_lies_outside_the_mask_has_no_influence_at_all(sides):
    torch.manual_seed(0)
    synthesized, reference, other = torch.rand(3, 2, 3, *sides)
    mask = torch.zeros(2, 1, *sides, dtype=torch.bool)
    mask[0, :, 5:, 9:62] = True
    mask[1, :, 20:40, 9:47] = True
    score = VIF()(synthesized, reference, mask)
    assert torch.isfinite(score).all()
    assert torch.equal(VIF()(torch.where(mask, synthesized, other), reference, mask), score)
    assert torch.equal(VIF()(synthesized, torch.where(mask, reference, other), mask), score)


def test_mask_of_a_box_is_the_score_of_the_box(camera_pair):
    # The box starts at a multiple of 8, so that its decimated pixels are those of the whole image.
    box = (..., slice(16, 144), slice(40, 205))
    mask = torch.zeros(1, 1, 256, 256, dtype=torch.bool)
    mask[box] = True
    expected = piq_score(*(images[box] for images in camera_pair))
    torch.testing.assert_close(VIF()(*camera_pair, mask), expected, atol=1e-4, rtol=0)


def test_windows_inside_the_mask_see_nothing_outside(disc):
    images = torch.rand(1, 1, 256, 256, requires_grad=True)
    for scale, windows in zip(pyramid(images).scales, window_masks(disc), strict=True):
        (gradient,) = torch.autograd.grad(scale.mean[windows].sum(), images, retain_graph=True)
        assert windows.shape == scale.mean.shape
        assert (gradient[~disc] == 0).all()
        assert (gradient[disc] != 0).sum() > 0.9 * disc.sum()


def test_mask_without_a_window_gives_nan_with_a_reason():
    metric, images = VIF(), torch.rand(2, 1, 64, 64)
    mask = torch.zeros(2, 1, 64, 64, dtype=torch.bool)
    mask[0, :, 10 : 10 + WINDOWS[0] - 1, :] = True
    mask[1, :, 10 : 10 + WINDOWS[0], 10 : 10 + WINDOWS[0]] = True
    outcome = metric.compare_in_detail(metric.encode(images), metric.encode(images), mask)
    assert outcome.scores.isnan().tolist() == [True, False]
    assert outcome.reasons == {0: "no window of 17 pixels a side lies inside the mask"}


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 1000), sides=st.tuples(st.integers(41, 70), st.integers(41, 70)))
def test_one_at_equality_not_negative_and_by_luminance(seed, sides):
    x, y = torch.rand(2, 2, 3, *sides, generator=torch.Generator().manual_seed(seed))
    scores = VIF()(x, y)
    assert (scores >= 0).all()
    torch.testing.assert_close(VIF()(x, x), torch.ones(2), atol=1e-6, rtol=0)
    assert torch.equal(VIF()(luminance(x), luminance(y)), scores)
