r"""The k-space of an image, and complex feature maps held in real tensors.

.. math:: F(x)(u, v) = \frac{1}{\sqrt{HW}} \sum_{m,n} x(m, n) e^{-2\pi i (um/H + vn/W)}

with the zero frequency in the center, as MRI has it (Eqs. 1 to 4 of K-CROSS, arXiv:2307.04296). The amplitudes of an
image in [0, 1] reach the root of HW, while the networks end in a tanh. So amplitudes are companded and phases kept:

.. math:: c(z) = \frac{z}{|z|} \frac{\log(1 + |z|)}{\log(1 + \sqrt{HW})}

A feature map of C complex channels is a real tensor of 2C channels, the real parts first. That keeps bf16, channels
last and compilation open.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor


def to_kspace(images: Tensor) -> Tensor:
    """The centerd, orthonormal k-space of images.

    Args:
        images: ``(N, C, H, W)``, real.

    Returns:
        ``(N, C, H, W)``, complex; the zero frequency at ``(H // 2, W // 2)``.

    Example:
        >>> to_kspace(torch.ones(1, 1, 4, 4))[0, 0, 2, 2].item()
        (4+0j)
    """
    return torch.fft.fftshift(torch.fft.fft2(images.float(), norm="ortho"), dim=(-2, -1))


def from_kspace(kspace: Tensor) -> Tensor:
    """The real part of the image whose k-space is given: the inverse of :func:`to_kspace`.

    Example:
        >>> ramp = torch.arange(6.0).view(1, 1, 2, 3)
        >>> [round(value) for value in from_kspace(to_kspace(ramp)).flatten().tolist()]
        [0, 1, 2, 3, 4, 5]
    """
    return torch.fft.ifft2(torch.fft.ifftshift(kspace, dim=(-2, -1)), norm="ortho").real


def compand(kspace: Tensor) -> Tensor:
    """Bring the amplitudes of an image in [0, 1] into [0, 1] by a logarithm; the phases stay.

    Args:
        kspace: ``(N, C, H, W)``, complex, from :func:`to_kspace`.

    Returns:
        The same shape, complex, amplitudes in [0, 1].

    Example:
        >>> compand(torch.tensor([[[[0j, 8j], [3 + 0j, 0j]]]])).abs().max().item() > 1  # an image beyond [0, 1]
        True
        >>> round(compand(to_kspace(torch.ones(1, 1, 8, 8))).abs().max().item(), 4)
        1.0
    """
    amplitude = kspace.abs()
    # The limit of log(1 + a) / a at zero is 1; the clamp also keeps the gradient finite there.
    factor = torch.log1p(amplitude) / amplitude.clamp_min(1e-12)
    factor = torch.where(amplitude < 1e-6, torch.ones_like(factor), factor)
    return kspace * (factor / full_scale(kspace))


def expand(companded: Tensor) -> Tensor:
    """The inverse of :func:`compand`.

    Example:
        >>> kspace = to_kspace(torch.linspace(0, 1, 16).view(1, 1, 4, 4))
        >>> bool(torch.allclose(expand(compand(kspace)), kspace, atol=1e-6))
        True
    """
    amplitude = companded.abs()
    scale = full_scale(companded)
    factor = torch.expm1(amplitude * scale) / amplitude.clamp_min(1e-12)
    return companded * torch.where(amplitude < 1e-9, torch.full_like(factor, scale), factor)


def full_scale(kspace: Tensor) -> float:
    """The logarithm that brings the largest possible amplitude to 1: ``log(1 + sqrt(HW))``."""
    return math.log1p(math.sqrt(kspace.shape[-2] * kspace.shape[-1]))


def as_channels(values: Tensor) -> Tensor:
    """Complex ``(N, C, H, W)`` as real ``(N, 2C, H, W)``, the real parts first.

    Example:
        >>> as_channels(torch.tensor([1 + 2j, 3 + 4j]).view(1, 2, 1, 1)).flatten().tolist()
        [1.0, 3.0, 2.0, 4.0]
    """
    return torch.cat([values.real, values.imag], dim=1)


def as_complex(channels: Tensor) -> Tensor:
    """The inverse of :func:`as_channels`.

    Example:
        >>> as_complex(torch.tensor([1.0, 3.0, 2.0, 4.0]).view(1, 4, 1, 1)).flatten().tolist()
        [(1+2j), (3+4j)]
    """
    real, imaginary = channels.float().chunk(2, dim=1)
    return torch.complex(real.contiguous(), imaginary.contiguous())


def kspace_channels(images: Tensor) -> Tensor:
    """Images ``(N, 1, H, W)`` in [0, 1] as companded k-space, ``(N, 2, H, W)``.

    Example:
        >>> kspace_channels(torch.ones(1, 1, 8, 8))[0, :, 4, 4].tolist()
        [1.0, 0.0]
    """
    # k-space is computed in full precision whatever autocast says: its amplitudes span four decades.
    with torch.autocast(images.device.type, enabled=False):
        channels = as_channels(compand(to_kspace(images)))
    return channels.contiguous(memory_format=torch.channels_last)


def join_channels(first: Tensor, second: Tensor, is_complex: bool) -> Tensor:
    """Put the channels of two feature maps behind each other; of complex ones, the parts by themselves.

    Example:
        >>> a, b = torch.tensor([1.0, 2.0]).view(1, 2, 1, 1), torch.tensor([3.0, 4.0]).view(1, 2, 1, 1)
        >>> join_channels(a, b, is_complex=True).flatten().tolist()
        [1.0, 3.0, 2.0, 4.0]
    """
    if not is_complex:
        return torch.cat([first, second], dim=1)
    real, imaginary = first.chunk(2, dim=1)
    other_real, other_imaginary = second.chunk(2, dim=1)
    return torch.cat([real, other_real, imaginary, other_imaginary], dim=1)
