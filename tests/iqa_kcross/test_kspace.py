"""k-space against numpy.fft, companding and its inverse, channels of complex maps."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from iqa_kcross.networks.kspace import (
    as_channels,
    as_complex,
    compand,
    expand,
    from_kspace,
    full_scale,
    join_channels,
    kspace_channels,
    to_kspace,
)

SIDES = st.integers(2, 13)
SIZES = [(8, 8), (7, 7), (8, 5), (33, 64)]


def image(height, width, seed=0, count=2):
    return torch.rand(count, 1, height, width, generator=torch.Generator().manual_seed(seed))


@given(SIDES, SIDES)
def test_kspace_is_numpys_shifted_orthonormal_transform(height, width):
    images = image(height, width)
    expected = np.fft.fftshift(np.fft.fft2(images.double().numpy(), norm="ortho"), axes=(-2, -1))
    np.testing.assert_allclose(to_kspace(images).numpy(), expected, atol=1e-5)


@pytest.mark.parametrize("size", SIZES)
def test_zero_frequency_is_in_the_centre_for_even_and_odd_sides(size):
    kspace = to_kspace(torch.ones(1, 1, *size)).abs()[0, 0]
    assert kspace[size[0] // 2, size[1] // 2].item() == pytest.approx(math.sqrt(size[0] * size[1]), rel=1e-6)
    assert kspace.sum().item() == pytest.approx(kspace.max().item(), rel=1e-4)


@pytest.mark.parametrize("size", SIZES)
def test_one_wave_is_one_pair_of_points_beside_the_centre(size):
    rows = torch.arange(size[0]).view(1, 1, -1, 1).expand(1, 1, *size)
    kspace = to_kspace(torch.cos(2 * math.pi * rows / size[0])).abs()[0, 0]
    strong = (kspace > 0.1).nonzero().tolist()
    assert strong == [[size[0] // 2 - 1, size[1] // 2], [size[0] // 2 + 1, size[1] // 2]]


@given(SIDES, SIDES)
def test_from_kspace_is_the_inverse(height, width):
    images = image(height, width)
    torch.testing.assert_close(from_kspace(to_kspace(images)), images, atol=1e-6, rtol=0)


@given(st.floats(-4, 4), st.floats(-math.pi, math.pi))
def test_companding_follows_its_formula_and_keeps_the_phase(exponent, phase):
    amplitude = 10**exponent
    kspace = torch.polar(torch.full((1, 1, 16, 16), amplitude), torch.full((1, 1, 16, 16), phase))
    companded = compand(kspace)[0, 0, 0, 0]
    assert companded.abs().item() == pytest.approx(math.log1p(amplitude) / math.log(17), rel=1e-5)
    turned = companded * complex(math.cos(phase), -math.sin(phase))
    assert abs(turned.imag.item()) < 1e-5 * turned.abs().item()


@given(st.floats(-8, 3), st.floats(-math.pi, math.pi))
def test_expand_is_the_inverse_of_compand(exponent, phase):
    kspace = torch.polar(torch.full((1, 1, 16, 16), 10**exponent), torch.full((1, 1, 16, 16), phase))
    torch.testing.assert_close(expand(compand(kspace)), kspace, rtol=1e-4, atol=0)


@pytest.mark.parametrize("size", SIZES)
def test_no_image_in_the_unit_range_is_companded_beyond_one(size):
    assert full_scale(torch.zeros(1, 1, *size)) == pytest.approx(math.log(1 + math.sqrt(size[0] * size[1])))
    assert compand(to_kspace(torch.ones(1, 1, *size))).abs().max().item() == pytest.approx(1.0, abs=1e-5)
    assert compand(to_kspace(image(*size))).abs().max().item() < 1


def test_zero_amplitudes_stay_zero_with_the_finite_gradient_of_the_limit():
    kspace = torch.zeros(1, 1, 4, 4, dtype=torch.complex64, requires_grad=True)
    companded = compand(kspace)
    assert companded.abs().max().item() == 0
    companded.real.sum().backward()
    torch.testing.assert_close(kspace.grad.real, torch.full((1, 1, 4, 4), 1 / math.log(5)))


@pytest.mark.parametrize("value", [0.0, 1e-20, 0.5])
def test_gradients_of_flat_images_are_finite(value):
    images = torch.full((1, 1, 8, 8), value, requires_grad=True)
    kspace_channels(images).square().sum().backward()
    assert images.grad.isfinite().all()
    torch.testing.assert_close(images.grad, images.grad.mean().expand_as(images), atol=1e-6, rtol=1e-4)


def test_gradient_of_companded_kspace_is_that_of_finite_differences():
    images, direction = image(6, 6, count=1).requires_grad_(), image(6, 6, seed=1, count=1)
    kspace_channels(images).pow(3).sum().backward()
    step = 1e-2
    values = [kspace_channels(images.detach() + sign * step * direction).pow(3).sum() for sign in (1, -1)]
    slope = (values[0] - values[1]) / (2 * step)
    assert (images.grad * direction).sum().item() == pytest.approx(slope.item(), rel=1e-2)


def test_channels_have_real_parts_first_and_come_back():
    values = torch.randn(2, 3, 4, 5, dtype=torch.complex64, generator=torch.Generator().manual_seed(0))
    channels = as_channels(values)
    assert torch.equal(channels[:, :3], values.real)
    assert torch.equal(channels[:, 3:], values.imag)
    assert torch.equal(as_complex(channels), values)


def test_joined_complex_channels_are_the_joined_complex_maps():
    first, second = torch.randn(2, 2, 3, 4, 4, dtype=torch.complex64)
    joined = join_channels(as_channels(first), as_channels(second), is_complex=True)
    assert torch.equal(as_complex(joined), torch.cat([first, second], dim=1))


def test_kspace_stays_in_full_precision_under_autocast():
    images = image(16, 16)
    with torch.autocast("cpu", torch.bfloat16):
        assert torch.equal(kspace_channels(images), as_channels(compand(to_kspace(images))))
