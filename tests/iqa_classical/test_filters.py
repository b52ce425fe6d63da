"""Filters against scipy and plain loops."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.ndimage
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st

from iqa_classical import filters


def correlate_valid(images: torch.Tensor, taps: torch.Tensor) -> np.ndarray:
    """scipy's correlation along every spatial axis, cut to the positions whose window lies inside."""
    values, half = images.double().numpy(), len(taps) // 2
    for axis in range(2, values.ndim):
        values = scipy.ndimage.correlate1d(values, taps.double().numpy(), axis=axis)
        values = values.take(range(half, values.shape[axis] - half), axis=axis)
    return values


@pytest.mark.parametrize("shape", [(2, 3, 11, 11), (1, 1, 74, 75), (2, 1, 200, 137), (1, 1, 11, 70, 23)])
@pytest.mark.parametrize("along", [filters._blur_by_matrix, filters._blur_by_shifts])
def test_blur_is_a_correlation_with_the_window_inside(shape, along, monkeypatch):
    monkeypatch.setattr(filters, "_blur_by_matrix", along)
    torch.manual_seed(0)
    images, taps = torch.rand(shape), filters.gaussian_taps(11, 1.5)
    np.testing.assert_allclose(filters.blur(images, taps).numpy(), correlate_valid(images, taps), atol=3e-7)


def test_blur_in_double_precision_has_the_right_gradient():
    images = torch.rand(1, 1, 4, 5, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(lambda x: filters.blur(x, filters.gaussian_taps(3, 1.0)), images)


def test_blur_ignores_autocast():
    images, taps = torch.rand(1, 1, 40, 40), filters.gaussian_taps(11, 1.5)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        blurred = filters.blur(images, taps)
    assert torch.equal(blurred, filters.blur(images, taps))


@pytest.mark.parametrize(("window", "sigma"), [(3, 0.5), (11, 1.5), (11, 30.0), (51, 8.0)])
def test_taps_are_gaussian_and_sum_to_one_to_a_part_in_ten_to_the_eighth(window, sigma):
    taps = filters.gaussian_taps(window, sigma).double()
    offsets = torch.arange(window, dtype=torch.float64) - window // 2
    expected = torch.exp(-(offsets**2) / (2 * sigma**2))
    torch.testing.assert_close(taps, expected / expected.sum(), atol=2e-8, rtol=0)
    assert abs(taps.sum().item() - 1) < 1e-8


@settings(max_examples=30, deadline=None)
@given(
    sides=st.lists(st.integers(1, 9), min_size=2, max_size=3),
    factor=st.integers(1, 4),
    seed=st.integers(0, 99),
)
def test_average_pool_is_torchs(sides, factor, seed):
    sides = [side + factor for side in sides]
    images = torch.rand(2, 3, *sides, generator=torch.Generator().manual_seed(seed))
    pool = F.avg_pool2d if len(sides) == 2 else F.avg_pool3d
    torch.testing.assert_close(filters.average_pool(images, factor), pool(images, factor))


@settings(max_examples=30, deadline=None)
@given(sides=st.lists(st.integers(3, 9), min_size=2, max_size=3), seed=st.integers(0, 99))
def test_all_pool_keeps_blocks_that_average_to_one(sides, seed):
    mask = torch.rand(2, 1, *sides, generator=torch.Generator().manual_seed(seed)) < 0.8
    expected = filters.average_pool(mask.float(), 2) == 1
    assert torch.equal(filters.all_pool(mask, 2), expected)


@settings(max_examples=30, deadline=None)
@given(
    sides=st.lists(st.integers(11, 16), min_size=2, max_size=3),
    window=st.integers(1, 11),
    seed=st.integers(0, 99),
)
def test_erode_keeps_windows_without_a_hole(sides, window, seed):
    mask = torch.rand(1, 1, *sides, generator=torch.Generator().manual_seed(seed)) < 0.97
    pool = F.max_pool2d if len(sides) == 2 else F.max_pool3d
    assert torch.equal(filters.erode(mask, window), pool((~mask).float(), window, stride=1) == 0)


def test_luminance_is_the_y_of_yiq():
    images = torch.rand(2, 3, 4, 5, generator=torch.Generator().manual_seed(0))
    expected = np.einsum("nchw,c->nhw", images.numpy(), [0.299, 0.587, 0.114])
    np.testing.assert_allclose(filters.luminance(images)[:, 0].numpy(), expected, rtol=1e-6)
    assert filters.luminance(images[:, :1]) is not images
    assert torch.equal(filters.luminance(images[:, :1]), images[:, :1])


def test_safe_sqrt_keeps_nan_and_has_finite_gradient():
    values = torch.tensor([0.0, -1e-9, 2.25, torch.nan], requires_grad=True)
    for roots in (filters.safe_sqrt(values), filters.safe_sqrt(values.detach())):
        assert roots[:3].tolist() == [0.0, 0.0, 1.5]
        assert torch.isnan(roots[3])
    filters.safe_sqrt(values)[:3].sum().backward()
    assert values.grad[:3].tolist() == pytest.approx([0.0, 0.0, 1 / 3])
