"""The descriptor of a pair, against numpy, with and without gradients."""

import numpy as np
import pytest
import torch

from iqa_kcross.networks.descriptor import EPSILON, describe, difference, unit_length, unit_maps


@pytest.fixture
def maps():
    torch.manual_seed(0)
    return [torch.randn(3, 6, 8, 5), torch.randn(3, 4, 4, 3)]


@pytest.mark.parametrize("memory_format", [torch.contiguous_format, torch.channels_last])
def test_unit_length_is_numpys_with_zeros_kept(maps, memory_format):
    features = maps[0].to(memory_format=memory_format)
    features[0, :, 0, 0] = 0
    lengths = np.linalg.norm(features.numpy(), axis=1, keepdims=True)
    expected = features.numpy() / np.maximum(lengths, EPSILON)
    np.testing.assert_allclose(unit_length(features).numpy(), expected, atol=1e-6)
    assert unit_length(features)[0, :, 0, 0].abs().max() == 0


def test_unit_maps_overwrite_what_no_gradient_needs(maps):
    expected = [unit_length(item) for item in maps]
    out = unit_maps(maps)
    for item, given, wanted in zip(out, maps, expected, strict=True):
        assert item is given
        torch.testing.assert_close(item, wanted, atol=1e-6, rtol=0)


def test_unit_maps_leave_what_a_gradient_needs(maps):
    given = [(item * 2).requires_grad_() for item in maps]
    out = unit_maps(given)
    for item, before, original in zip(out, given, maps, strict=True):
        torch.testing.assert_close(before, original * 2)
        torch.testing.assert_close(item, unit_length(original), atol=1e-6, rtol=0)
    sum(item.sum() for item in out).backward()
    assert all(item.grad.abs().max() > 0 for item in given)


def test_unit_maps_of_half_precision_are_full(maps):
    (out,) = unit_maps([maps[0].bfloat16()])
    assert out.dtype == torch.float32
    torch.testing.assert_close(out, unit_length(maps[0]), atol=1e-2, rtol=0)


def test_gradient_where_all_features_are_zero_is_finite():
    features = torch.zeros(1, 3, 2, 2, requires_grad=True)
    unit_length(features).sum().backward()
    assert features.grad.isfinite().all()


def test_difference_is_numpys_and_flows_back(maps):
    first, second = maps[0].requires_grad_(), maps[0].detach().flip(0)
    result = difference(first, second)
    expected = np.abs(first.detach().numpy() - second.numpy()).mean(axis=(2, 3))
    np.testing.assert_allclose(result.detach().numpy(), expected, atol=1e-6)
    result.sum().backward()
    torch.testing.assert_close(first.grad, (first.detach() - second).sign() / 40)


@pytest.mark.parametrize("is_complex", [False, True])
def test_descriptor_is_symmetric_and_zero_for_equal_maps(maps, is_complex):
    others = [item.flip(0) for item in maps]
    assert describe(maps, maps, is_complex).abs().max() == 0
    assert torch.equal(describe(maps, others, is_complex), describe(others, maps, is_complex))
    assert describe(maps, others, is_complex).max() > 0.1


def test_real_parts_of_all_layers_come_before_imaginary_ones(maps):
    real, imaginary = ([item.chunk(2, dim=1)[part] for item in maps] for part in (0, 1))
    zeros = [torch.zeros_like(item) for item in maps]
    halves = [describe(part, [torch.zeros_like(item) for item in part]) for part in (real, imaginary)]
    assert torch.equal(describe(maps, zeros, is_complex=True), torch.cat(halves, dim=1))


def test_layers_that_do_not_match_are_refused(maps):
    with pytest.raises(ValueError, match="zip"):
        describe(maps, maps[:1])
