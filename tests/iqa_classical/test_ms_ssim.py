"""MS-SSIM: clamped terms, masks and sizes."""

from __future__ import annotations

import piq
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from iqa_classical.ms_ssim import MSSSIM, WEIGHTS, combine, make_even
from iqa_registry.errors import NotApplicableError, ParameterError
from ms_ssim_reference import of_volumes


def negative_terms(x: Tensor, y: Tensor) -> int:
    """How many of the five mean terms piq finds below zero, for sides that can be halved four times."""
    pyramids = (
        [F.avg_pool2d(x, 2**scale) for scale in range(5)],
        [F.avg_pool2d(y, 2**scale) for scale in range(5)],
    )
    found = [piq.ssim(*pair, downsample=False, full=True) for pair in zip(*pyramids, strict=True)]
    count = sum(bool(term < 0) for _, term in found[:4]) + bool(found[4][0] < 0)
    assert count > 0
    return count


@pytest.mark.parametrize("sides", [(66, 72, 68), (65, 70, 67)])
def test_volume_equals_plain_convolutions(sides):
    torch.manual_seed(0)
    reference = F.avg_pool3d(torch.rand(2, 1, *(side + 4 for side in sides)), 5, stride=1)
    synthesized = (reference + 0.02 * torch.randn_like(reference)).clamp(0, 1)
    pairs = zip(synthesized.double().numpy(), reference.double().numpy(), strict=True)
    expected = [of_volumes(x[0], y[0], 5, 1.0) for x, y in pairs]
    got = MSSSIM(dimensions=3, window=5, sigma=1.0)(synthesized, reference)
    assert got.tolist() == pytest.approx(expected, abs=1e-5)


def test_anti_correlated_images_score_zero_and_tell_so(camera_pair):
    metric, reference = MSSSIM(), camera_pair[1]
    outcome = metric.compare_in_detail(metric.encode(1 - reference), metric.encode(reference))
    assert outcome.scores.tolist() == [0.0]
    assert outcome.components["clamped_scales"].tolist() == [negative_terms(1 - reference, reference)]
    assert metric.compare_in_detail(*(metric.encode(i) for i in camera_pair)).components[
        "clamped_scales"
    ].tolist() == [0.0]


def test_gradient_is_finite_where_a_term_is_clamped(camera_pair):
    reference = camera_pair[1]
    for start in (1 - reference, reference.clone(), torch.zeros_like(reference)):
        synthesized = start.requires_grad_()
        MSSSIM()(synthesized, reference).sum().backward()
        assert torch.isfinite(synthesized.grad).all()


def test_combine_has_the_numerical_gradient_and_passes_nan_on():
    terms = torch.tensor([[[0.5, 0.9]], [[0.2, -0.3]]], dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(lambda t: combine(t, torch.tensor([0.4, 0.6])), terms)
    terms = torch.tensor([[[torch.nan]], [[-0.5]]])
    assert torch.isnan(combine(terms, torch.tensor([0.4, 0.6]))).all()


def test_mask_is_exact_and_full_mask_is_no_mask():
    torch.manual_seed(2)
    reference = torch.rand(1, 1, 221, 230)
    synthesized = (reference + 0.2 * torch.randn_like(reference)).clamp(0, 1)
    metric, mask = MSSSIM(), torch.zeros_like(reference, dtype=torch.bool)
    mask[..., 10:205, 12:220] = True
    score, other = metric(synthesized, reference, mask), torch.rand_like(reference)
    assert torch.isfinite(score).all()
    assert torch.equal(metric(torch.where(mask, synthesized, other), reference, mask), score)
    assert torch.equal(metric(synthesized, torch.where(mask, reference, other), mask), score)
    torch.testing.assert_close(
        metric(synthesized, reference, torch.ones_like(mask)), metric(synthesized, reference)
    )


def test_masked_score_is_that_of_the_masked_square_where_the_grids_agree():
    torch.manual_seed(3)
    reference = torch.rand(1, 3, 256, 256)
    synthesized = (reference + 0.2 * torch.randn_like(reference)).clamp(0, 1)
    mask = torch.zeros(1, 1, 256, 256, dtype=torch.bool)
    mask[..., 16:208, 32:224] = True
    square = (..., slice(16, 208), slice(32, 224))
    expected = MSSSIM()(synthesized[square], reference[square])
    torch.testing.assert_close(MSSSIM()(synthesized, reference, mask), expected, atol=1e-6, rtol=0)


def test_mask_without_a_coarse_window_gives_nan_with_a_reason(camera_pair, disc):
    metric = MSSSIM()
    outcome = metric.compare_in_detail(*(metric.encode(images) for images in camera_pair), disc)
    assert torch.isnan(outcome.scores).all()
    assert outcome.reasons[0].startswith(
        "no window of 11 pixels a side lies inside the mask at the coarsest scale"
    )


def test_constant_images_score_the_coarsest_luminance_term():
    dark, bright = torch.full((1, 1, 161, 161), 0.2), torch.full((1, 1, 161, 161), 0.6)
    expected = ((2 * 0.12 + 1e-4) / (0.04 + 0.36 + 1e-4)) ** WEIGHTS[-1]
    assert MSSSIM()(dark, bright).item() == pytest.approx(expected, abs=2e-4)
    black = torch.zeros(1, 1, 161, 161)
    assert MSSSIM()(black, black).tolist() == [1.0]


@pytest.mark.parametrize("dtype", [torch.float32, torch.bool])
def test_make_even_repeats_the_border_of_all_sides(dtype):
    images = torch.arange(24).reshape(1, 1, 2, 3, 4) % 5
    padded = make_even(images.to(dtype))
    expected = F.pad(images.float(), (1, 0, 1, 0, 1, 0), mode="replicate")
    assert torch.equal(padded, expected.to(dtype))


def test_least_size_follows_the_window():
    assert (MSSSIM().minimum_size, MSSSIM(window=5).minimum_size) == (161, 65)
    with pytest.raises(NotApplicableError, match="at least 161 pixels a side, got 160 x 200"):
        MSSSIM()(torch.rand(1, 1, 160, 200), torch.rand(1, 1, 160, 200))
    with pytest.raises(ParameterError, match="window must be odd"):
        MSSSIM(window=10)
