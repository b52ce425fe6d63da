"""Losses of stage one against closed forms, double loops and scipy (Eqs. 11 to 17)."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy import ndimage

from iqa_kcross.losses import (
    BANDWIDTHS,
    focal_weight,
    frequency_loss,
    laplacian_loss,
    laplacian_pyramid,
    mmd_loss,
    squared_distance,
)

PHASES = st.floats(-math.pi, math.pi)
AMPLITUDES = st.floats(0, 10)
KSPACES = arrays(np.float32, (1, 2, 3, 4), elements=st.floats(-1, 1, width=32))


def channels(value):
    return torch.tensor([value.real, value.imag]).view(1, 2, 1, 1)


@given(AMPLITUDES, AMPLITUDES, PHASES, PHASES)
def test_distance_is_the_law_of_cosines_of_amplitudes_and_phases(first, second, phase, other):
    expected = first**2 + second**2 - 2 * first * second * math.cos(phase - other)
    z, other_z = (a * complex(math.cos(p), math.sin(p)) for a, p in ((first, phase), (second, other)))
    assert squared_distance(channels(z), channels(other_z)).item() == pytest.approx(expected, abs=1e-4)


@given(KSPACES, KSPACES, st.sampled_from([0.0, 1.0]))
def test_frequency_loss_is_zero_for_equal_kspaces_and_only_for_them(first, second, focal):
    first, second = torch.from_numpy(first), torch.from_numpy(second)
    assert frequency_loss(first, first.clone(), focal=focal).item() == 0
    different = bool(((first - second).square() > 0).any())
    assert (frequency_loss(first, second, focal=focal).item() > 0) == different


def test_frequency_loss_is_the_mean_distance_and_one_for_each_layer():
    torch.manual_seed(0)
    pairs = [torch.randn(2, 2, 2 * count, 4, 5) for count in (1, 3, 6)]
    as_numbers = [torch.complex(*pair.chunk(2, dim=2)) for pair in pairs]
    expected = sum((first - second).abs().square().mean() for first, second in as_numbers)
    kspaces, *maps = pairs
    loss = frequency_loss(*kspaces, [first for first, _ in maps], [second for _, second in maps])
    torch.testing.assert_close(loss, expected)


def test_a_layer_without_partner_is_refused():
    zeros = torch.zeros(1, 2, 4, 4)
    with pytest.raises(ValueError, match="zip"):
        frequency_loss(zeros, zeros, [zeros], [])


@pytest.mark.parametrize("alpha", [0.5, 1.0, 2.0])
def test_focal_weight_is_the_distance_to_a_power_over_its_maximum(alpha):
    torch.manual_seed(0)
    first, second = torch.randn(2, 3, 2, 5, 6, requires_grad=True)
    distance = squared_distance(first, second)
    weight = focal_weight(distance, alpha)
    differences = torch.complex(*(first - second).chunk(2, dim=1)).abs().detach()
    for number in range(3):
        powers = differences[number] ** alpha
        torch.testing.assert_close(weight[number], powers / powers.max())
    assert not weight.requires_grad
    torch.testing.assert_close(frequency_loss(first, second, focal=alpha), (weight * distance).mean())


def double_loop(source, target, bandwidths):
    def kernel(a, b):
        squares = float(((a - b) ** 2).sum())
        return sum(math.exp(-squares / (2 * width * len(a))) for width in bandwidths) / len(bandwidths)

    def mean(first, second):
        return sum(kernel(a, b) for a in first for b in second) / (len(first) * len(second))

    return mean(source, source) + mean(target, target) - 2 * mean(source, target)


@pytest.mark.parametrize("bandwidths", [BANDWIDTHS, (0.1,), (1.0, 3.0)])
@pytest.mark.parametrize("counts", [(5, 7), (4, 4), (1, 6)])
def test_mmd_is_the_double_sum_over_kernels(bandwidths, counts):
    generator = np.random.default_rng(0)
    source, target = (
        generator.normal(size=(count, 6)) + shift for count, shift in zip(counts, (0, 1), strict=True)
    )
    loss = mmd_loss(torch.from_numpy(source), torch.from_numpy(target), bandwidths).item()
    assert loss == pytest.approx(double_loop(source, target, bandwidths), abs=1e-5)


def test_mmd_is_zero_for_equal_sets_in_any_order_and_its_gradient_finite():
    torch.manual_seed(0)
    source = torch.randn(6, 4, requires_grad=True)
    loss = mmd_loss(source, source.detach()[torch.randperm(6)])
    loss.backward()
    assert abs(loss.item()) < 1e-6
    assert source.grad.abs().max() < 1e-6


def test_mmd_grows_with_the_shift():
    torch.manual_seed(0)
    source = torch.randn(30, 4)
    losses = [mmd_loss(source, source + shift).item() for shift in (0.0, 0.2, 0.5, 1.0, 2.0)]
    assert losses == sorted(losses)
    assert losses[-1] > 0.3


def scipy_pyramid(image, levels):
    """Burt and Adelson's pyramid by scipy: blur, every second pixel, and back by linear interpolation."""
    taps = np.array([1, 4, 6, 4, 1]) / 16
    bands = []
    for _ in range(levels - 1):
        blurred = ndimage.correlate1d(
            ndimage.correlate1d(image, taps, axis=0, mode="nearest"), taps, axis=1, mode="nearest"
        )
        smaller = blurred[::2, ::2]
        places = [(np.arange(n) + 0.5) * m / n - 0.5 for n, m in zip(image.shape, smaller.shape, strict=True)]
        grid = np.meshgrid(*places, indexing="ij")
        bands.append(image - ndimage.map_coordinates(smaller, grid, order=1, mode="nearest"))
        image = smaller
    return [*bands, image]


@pytest.mark.parametrize("size", [(32, 32), (21, 40)])
def test_laplacian_pyramid_is_scipys(size):
    image = np.random.default_rng(0).random(size)
    bands = laplacian_pyramid(torch.from_numpy(image)[None, None], levels=4)
    for band, expected in zip(bands, scipy_pyramid(image, 4), strict=True):
        np.testing.assert_allclose(band[0, 0].numpy(), expected, atol=1e-6)


def test_laplacian_loss_weighs_levels_by_four_to_the_level_over_all_pixels():
    first, second = np.random.default_rng(0).random((2, 64, 64))
    levels = zip(scipy_pyramid(first, 5), scipy_pyramid(second, 5), strict=True)
    expected = sum(4**level * np.abs(a - b).sum() for level, (a, b) in enumerate(levels)) / first.size
    pair = (torch.from_numpy(item)[None, None] for item in (first, second))
    assert laplacian_loss(*pair).item() == pytest.approx(expected, abs=1e-6)


@given(st.floats(-1, 1), st.integers(1, 5))
def test_a_constant_difference_is_seen_by_the_coarsest_level_alone(shift, levels):
    images = torch.rand(1, 1, 32, 32, generator=torch.Generator().manual_seed(0))
    assert laplacian_loss(images, images + shift, levels).item() == pytest.approx(abs(shift), abs=1e-5)


def test_laplacian_loss_is_zero_for_equal_images_and_symmetric():
    first, second = torch.rand(2, 1, 1, 32, 32, generator=torch.Generator().manual_seed(0))
    assert laplacian_loss(first, first).item() == 0
    assert laplacian_loss(first, second).item() == pytest.approx(laplacian_loss(second, first).item())
    assert laplacian_loss(first, second).item() > 0.1


def test_distances_of_half_precision_maps_are_taken_in_full():
    first = torch.full((1, 2, 2, 2), 1.0, dtype=torch.bfloat16)
    second = torch.full((1, 2, 2, 2), 1.0 - 2**-8, dtype=torch.bfloat16)
    assert squared_distance(first, second)[0, 0, 0, 0].item() == 2 * 2**-16
