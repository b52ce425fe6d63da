"""Complex layers on real tensors against torch's arithmetic of complex numbers (Eqs. 5 to 10)."""

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from iqa_kcross.networks.kspace import as_channels, as_complex
from iqa_kcross.networks.layers import ComplexConv2d, ComplexConvTranspose2d, ComplexLinear, assemble
from iqa_kcross.networks.unet import SLOPE, Decoder, Encoder

TOLERANCE = {"atol": 1e-5, "rtol": 0}


@pytest.fixture(autouse=True)
def seeded():
    torch.manual_seed(0)


def complex_values(*shape):
    return torch.randn(shape, dtype=torch.complex64)


def complex_weight(layer):
    return torch.complex(layer.real, layer.imaginary)


def complex_bias(layer):
    return torch.complex(*layer.bias.chunk(2)) if layer.bias is not None else None


def with_bias(values, bias):
    return values if bias is None else values + bias.view(-1, 1, 1)


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize(("kernel", "stride", "padding"), [(3, 2, 1), (3, 1, 1), (5, 1, 0), (4, 3, 2)])
@pytest.mark.parametrize("size", [(16, 16), (9, 14)])
def test_convolution_is_torchs_complex_convolution(kernel, stride, padding, bias, size):
    layer, values = ComplexConv2d(3, 4, kernel, stride, padding, bias), complex_values(2, 3, *size)
    expected = F.conv2d(values, complex_weight(layer), complex_bias(layer), stride, padding)
    torch.testing.assert_close(as_complex(layer(as_channels(values))), expected, **TOLERANCE)


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize(("kernel", "stride", "padding"), [(4, 2, 1), (3, 1, 1), (5, 3, 0)])
@pytest.mark.parametrize("size", [(6, 6), (5, 8)])
def test_transposed_convolution_is_torchs_complex_one(kernel, stride, padding, bias, size):
    layer = ComplexConvTranspose2d(3, 4, kernel, stride, padding, bias)
    values = complex_values(2, 3, *size)
    expected = F.conv_transpose2d(values, complex_weight(layer), None, stride, padding)
    result = as_complex(layer(as_channels(values)))
    torch.testing.assert_close(result, with_bias(expected, complex_bias(layer)), **TOLERANCE)


@pytest.mark.parametrize("bias", [True, False])
def test_linear_layer_is_torchs_complex_linear(bias):
    layer, values = ComplexLinear(7, 5, bias), complex_values(3, 7)
    expected = F.linear(values, complex_weight(layer), complex_bias(layer))
    real, imaginary = layer(torch.cat([values.real, values.imag], dim=1)).chunk(2, dim=1)
    torch.testing.assert_close(torch.complex(real, imaginary), expected, **TOLERANCE)


def test_gradients_are_those_of_complex_arithmetic():
    layer, values = ComplexConv2d(2, 3, 3, bias=False), complex_values(2, 2, 6, 6)
    layer(as_channels(values)).square().sum().backward()
    weight = complex_weight(layer).detach().requires_grad_()
    F.conv2d(values, weight).abs().square().sum().backward()
    expected = weight.grad
    torch.testing.assert_close(
        torch.complex(layer.real.grad, layer.imaginary.grad), expected, atol=1e-4, rtol=1e-4
    )


@pytest.mark.parametrize("size", [(1, 1), (3, 2)])
def test_assembled_kernel_multiplies_as_complex_matrices_do(size):
    first, second = complex_values(*size), complex_values(*size[::-1])
    product = assemble(first.real, first.imag) @ assemble(second.real, second.imag)
    expected = first @ second
    torch.testing.assert_close(product, assemble(expected.real, expected.imag), **TOLERANCE)


def per_part(function, values):
    return torch.complex(function(values.real.contiguous()), function(values.imag.contiguous()))


def test_a_block_of_the_encoder_is_complex_convolution_then_norm_and_activation_per_part():
    convolution, norm, activation = Encoder(width=3, is_complex=True).blocks[0]
    nn.init.normal_(norm.weight)
    nn.init.normal_(norm.bias)
    values = complex_values(4, 1, 12, 12)
    parts = [nn.BatchNorm2d(3), nn.BatchNorm2d(3)]
    for part, weight, bias in zip(parts, norm.weight.chunk(2), norm.bias.chunk(2), strict=True):
        part.load_state_dict({"weight": weight, "bias": bias}, strict=False)
    convolved = F.conv2d(values, complex_weight(convolution), None, 2, 1)
    normed = torch.complex(parts[0](convolved.real.contiguous()), parts[1](convolved.imag.contiguous()))
    expected = per_part(lambda part: F.leaky_relu(part, SLOPE), normed)
    result = as_complex(activation(norm(convolution(as_channels(values)))))
    torch.testing.assert_close(result, expected, **TOLERANCE)
    running = torch.cat([part.running_var for part in parts])
    torch.testing.assert_close(norm.running_var, running, **TOLERANCE)


def test_the_end_of_the_decoder_is_upsampling_and_tanh_per_part():
    up, convolution, tanh = Decoder(width=2, is_complex=True).last
    values = complex_values(2, 4, 5, 6)
    larger = per_part(lambda part: F.interpolate(part, scale_factor=2, mode="nearest"), values)
    convolved = F.conv2d(larger, complex_weight(convolution), complex_bias(convolution), 1, 1)
    result = as_complex(tanh(convolution(up(as_channels(values)))))
    torch.testing.assert_close(result, per_part(torch.tanh, convolved), **TOLERANCE)


@pytest.mark.parametrize(
    "layer", [ComplexConv2d(40, 40), ComplexConvTranspose2d(40, 40), ComplexLinear(900, 40)]
)
def test_layers_begin_with_the_variance_of_torchs_real_ones(layer):
    plain = {
        ComplexConv2d: lambda: nn.Conv2d(40, 40, 3),
        ComplexConvTranspose2d: lambda: nn.ConvTranspose2d(40, 10, 4, 2),
        ComplexLinear: lambda: nn.Linear(900, 40),
    }[type(layer)]()
    assert complex_weight(layer).abs().square().mean().item() == pytest.approx(
        plain.weight.square().mean().item(), rel=0.1
    )
