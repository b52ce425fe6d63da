"""Scores stay in the declared range, exactly: also where rounding is all that tells two images apart."""

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from iqa_classical.ms_ssim import MSSSIM
from iqa_classical.ssim import SSIM, local_statistics, similarity_terms
from iqa_registry.errors import WeightsError
from iqa_registry.registry import build_registry
from iqa_registry.testing.probes import head_images

REGISTRY = build_registry()
BOUNDED = [
    name
    for name, spec in REGISTRY.metrics.items()
    if spec.score_range != (-torch.inf, torch.inf) and spec.origin.plugin in ("iqa_classical", "iqa_learned")
    if not name.startswith("pyiqa/")
]
LEVELS = torch.tensor([0.0, 0.005, 0.1, 0.3, 0.6, 0.733, 0.9, 1.0])


@pytest.fixture(scope="module", params=BOUNDED)
def metric(request):
    try:
        return REGISTRY.metric(request.param)
    except WeightsError as error:
        pytest.skip(str(error))


def flat(levels, side):
    return levels.view(-1, 1, 1, 1).expand(-1, 1, side, side + 3).clone()


@settings(max_examples=4, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    offset=st.sampled_from([0.0, 1e-7, 2e-7, 1e-4]),
    noise=st.sampled_from([0.0, 1e-7, 1e-4]),
    factor=st.floats(0.99, 1.0),
    seed=st.integers(0, 1000),
)
def test_nearly_equal_images_stay_in_range(metric, offset, noise, factor, seed):
    side = max(32, metric.minimum_size)
    generator = torch.Generator().manual_seed(seed)
    for reference in (flat(LEVELS, side), head_images(2, (side, side + 3), seed)):
        added = offset + noise * torch.randn(reference.shape, generator=generator)
        scores = metric((factor * reference + added).clamp(0, 1), reference)
        low, high = metric.spec.score_range
        assert ((scores >= low) & (scores <= high)).all(), scores


def test_ssim_of_all_flat_pairs_stays_at_most_one():
    levels = torch.arange(201) / 200
    for step in (0.0, 1e-7, 2e-7, 1e-6):
        assert SSIM()(flat((levels + step).clamp(0, 1), 13), flat(levels, 13)).max() <= 1


@pytest.mark.parametrize(("first", "second"), [(0.6, 0.6), (0.6, 0.6000001), (0.2, 0.9), (0.95, 1.0)])
def test_ssim_of_flat_images_is_the_luminance_term(first, second):
    expected = (2 * first * second + 1e-4) / (first**2 + second**2 + 1e-4)
    score = SSIM()(torch.full((1, 1, 32, 32), first), torch.full((1, 1, 32, 32), second))
    assert score.item() == pytest.approx(expected, abs=1e-4)


def test_ms_ssim_of_flat_images_stays_at_most_one():
    levels = LEVELS[1:-1]
    assert MSSSIM()(flat(levels + 1e-7, 161), flat(levels, 161)).max() <= 1


def test_similarity_terms_are_those_of_the_definition():
    generator = torch.Generator().manual_seed(3)
    x, y = (torch.rand(2, 1, 20, 24, generator=generator, dtype=torch.float64) for _ in range(2))
    y = 0.3 * y + 0.7 * x
    taps = torch.tensor([0.25, 0.5, 0.25], dtype=torch.float64)
    window = torch.outer(taps, taps)[None, None]
    means = [torch.nn.functional.conv2d(image, window) for image in (x, y)]
    squares = [torch.nn.functional.conv2d(image, window) for image in (x * x, y * y, x * y)]
    variances = squares[0] - means[0] ** 2 + squares[1] - means[1] ** 2
    covariance = squares[2] - means[0] * means[1]
    luminance = (2 * means[0] * means[1] + 1e-4) / (means[0] ** 2 + means[1] ** 2 + 1e-4)
    structure = (2 * covariance + 9e-4) / (variances + 9e-4)
    terms = similarity_terms(*(local_statistics(image, taps) for image in (x, y)), taps, 0.01, 0.03)
    torch.testing.assert_close(terms[0], luminance)
    torch.testing.assert_close(terms[1], structure)


def test_anticorrelated_images_stay_above_minus_one_with_small_stabilizers():
    generator = torch.Generator().manual_seed(0)
    noise = 1e-4 * torch.randn(1, 1, 40, 40, generator=generator)
    for level in (0.0, 0.5, 0.95):
        images = [(level + sign * noise).clamp(0, 1) for sign in (1, -1)]
        score = SSIM(k1=1e-6, k2=1e-6)(*images)
        assert -1 <= score.item() <= 1
