"""The bridge scores pair by pair, and has a finite score where piq has none."""

from __future__ import annotations

import warnings

import piq
import pytest
import torch

from iqa_classical.ms_ssim import MSSSIM
from iqa_classical.piq_bridge import TABLE, PiqMetric
from iqa_classical.plugin import METRICS

SPECS = {spec.name: spec for spec in METRICS}


def from_piq(name: str, synthesized: torch.Tensor, reference: torch.Tensor) -> torch.Tensor:
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="The original (MDSI|VSI) supports only RGB")
        return getattr(piq, TABLE[name].function)(synthesized, reference, reduction="none")


@pytest.mark.parametrize("name", TABLE)
def test_pair_by_pair_whatever_else_is_in_the_batch(name, camera_pair):
    metric, (synthesized, reference) = PiqMetric(TABLE[name]), camera_pair
    alone = metric(synthesized, reference)
    black = torch.zeros_like(reference)
    batch = metric(torch.cat([black, synthesized]), torch.cat([black, reference]))
    assert torch.equal(batch[1:], alone)


@pytest.mark.parametrize("name", TABLE)
def test_an_image_against_itself_scores_the_declared_value(name, camera_pair):
    images = torch.cat(
        [camera_pair[1], torch.zeros_like(camera_pair[1]), torch.full_like(camera_pair[1], 0.5)]
    )
    expected = torch.full((3,), float(SPECS[name].identity_score))
    torch.testing.assert_close(PiqMetric(TABLE[name])(images, images), expected, atol=1e-5, rtol=0)


@pytest.mark.parametrize("name", TABLE)
@pytest.mark.parametrize("channels", [1, 3])
def test_degenerate_images_score_within_the_declared_range(name, channels):
    black, grey, white = (torch.full((1, channels, 165, 163), value) for value in (0.0, 0.5, 1.0))
    ramp = torch.linspace(0, 1, 163).expand(1, channels, 165, 163)
    random = torch.rand(1, channels, 165, 163, generator=torch.Generator().manual_seed(0))
    synthesized = torch.cat([black, grey, random, black, random, grey])
    reference = torch.cat([white, black, black, random, ramp, ramp])
    scores, (low, high) = PiqMetric(TABLE[name])(synthesized, reference), SPECS[name].score_range
    assert ((scores >= low) & (scores <= high)).all()


@pytest.mark.parametrize("name", [name for name in TABLE if SPECS[name].supports_gradient])
def test_gradient_is_finite_where_declared(name):
    torch.manual_seed(0)
    noise = torch.rand(1, 1, 170, 170)
    half = noise.clone()
    half[..., :80] = 0
    black, grey = torch.zeros_like(noise), torch.full_like(noise, 0.5)
    for start, reference in (
        (noise, half),
        (half, half),
        (black, black),
        (grey, grey),
        (half, grey),
        (black, half),
    ):
        synthesized = start.clone().requires_grad_()
        PiqMetric(TABLE[name])(synthesized, reference).sum().backward()
        assert torch.isfinite(synthesized.grad).all()


@pytest.mark.parametrize("name", TABLE)
def test_declared_least_size_is_where_piq_begins_to_give_numbers(name):
    least = TABLE[name].minimum_size
    assert least == SPECS[name].minimum_size
    small, smaller = (torch.rand(2, 1, 1, side, side) for side in (least, least - 1))
    assert torch.isfinite(PiqMetric(TABLE[name])(*small)).all()
    if least > 1:
        try:
            score = from_piq(name, *smaller)
        except ValueError:
            return
        assert torch.isnan(score).all()


def test_iw_ssim_of_a_reference_without_content_is_ms_ssim():
    torch.manual_seed(0)
    synthesized, reference = torch.rand(1, 1, 176, 176), torch.full((1, 1, 176, 176), 0.4)
    with pytest.raises(torch.linalg.LinAlgError):
        from_piq("iw_ssim", synthesized, reference)
    assert torch.equal(PiqMetric(TABLE["iw_ssim"])(synthesized, reference), MSSSIM()(synthesized, reference))


def test_values_just_outside_the_range_are_cut():
    reference = torch.rand(1, 1, 64, 64)
    beyond = torch.where(reference > 0.5, 1.0005, -0.0005)
    metric = PiqMetric(TABLE["haarpsi"])
    assert torch.equal(metric(beyond, reference), metric(beyond.clamp(0, 1), reference))
