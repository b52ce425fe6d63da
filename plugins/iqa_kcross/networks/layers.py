r"""Complex layers on real tensors, the real parts first (Eqs. 5 to 10 of K-CROSS, arXiv:2307.04296).

.. math:: (A + iB) * (x + iy) = (A * x - B * y) + i (B * x + A * y)

is one real convolution with the kernel ``[[A, -B], [B, A]]``. Complex leaky ReLU, ReLU, tanh, batch norm and upsampling
work on the real and the imaginary part each by itself, and so are the ordinary real layers on 2C channels.
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn


def assemble(real: Tensor, imaginary: Tensor) -> Tensor:
    """The real kernel ``[[A, -B], [B, A]]`` of a complex one, rows over outputs and columns over inputs.

    Args:
        real: ``(out, in, ...)``, A.
        imaginary: the same shape, B.

    Returns:
        ``(2 out, 2 in, ...)``.

    Example:
        >>> assemble(torch.tensor([[1.0]]), torch.tensor([[2.0]])).tolist()
        [[1.0, -2.0], [2.0, 1.0]]
    """
    return torch.cat([torch.cat([real, -imaginary], dim=1), torch.cat([imaginary, real], dim=1)], dim=0)


class _ComplexWeight(nn.Module):
    """A complex weight and bias; each part drawn as torch draws real layers, at half the variance."""

    def __init__(self, shape: tuple[int, ...], fan_in: int, outputs: int, bias: bool) -> None:
        super().__init__()
        self.real = nn.Parameter(torch.empty(shape))
        self.imaginary = nn.Parameter(torch.empty(shape))
        self.bias = nn.Parameter(torch.empty(2 * outputs)) if bias else None
        bound = 1 / math.sqrt(2 * fan_in)
        for parameter in self.parameters():
            nn.init.uniform_(parameter, -bound, bound)


def _laid_out(kernel: Tensor, images: Tensor) -> Tensor:
    """The kernel in the memory format of the images, without which torch would change theirs at each layer."""
    if images.is_contiguous(memory_format=torch.channels_last):
        return kernel.contiguous(memory_format=torch.channels_last)
    return kernel


class ComplexConv2d(_ComplexWeight):
    """Complex convolution: ``(N, 2 in, H, W)`` to ``(N, 2 out, h, w)``.

    Args:
        inputs: complex channels in.
        outputs: complex channels out.
        kernel: side of the kernel in pixels.
        stride: in pixels.
        padding: in pixels, with zeros.
        bias: whether a complex number is added to each channel.

    Example:
        >>> layer = ComplexConv2d(1, 1, kernel=1, bias=False)
        >>> _ = nn.init.constant_(layer.real, 0.0), nn.init.constant_(layer.imaginary, 1.0)
        >>> layer(torch.tensor([1.0, 2.0]).view(1, 2, 1, 1)).flatten().tolist()  # i (1 + 2i) = -2 + i
        [-2.0, 1.0]
    """

    def __init__(
        self, inputs: int, outputs: int, kernel: int = 3, stride: int = 1, padding: int = 0, bias: bool = True
    ) -> None:
        super().__init__((outputs, inputs, kernel, kernel), inputs * kernel**2, outputs, bias)
        self.stride, self.padding = stride, padding

    def forward(self, channels: Tensor) -> Tensor:
        """Convolve."""
        kernel = _laid_out(assemble(self.real, self.imaginary), channels)
        return F.conv2d(channels, kernel, self.bias, self.stride, self.padding)


class ComplexConvTranspose2d(_ComplexWeight):
    """Complex transposed convolution: ``(N, 2 in, h, w)`` to ``(N, 2 out, H, W)``; arguments as in torch.

    Example:
        >>> layer = ComplexConvTranspose2d(1, 1, kernel=1, stride=1, padding=0, bias=False)
        >>> _ = nn.init.constant_(layer.real, 1.0), nn.init.constant_(layer.imaginary, 1.0)
        >>> layer(torch.tensor([1.0, 2.0]).view(1, 2, 1, 1)).flatten().tolist()  # (1 + i)(1 + 2i) = -1 + 3i
        [-1.0, 3.0]
    """

    def __init__(
        self, inputs: int, outputs: int, kernel: int = 4, stride: int = 2, padding: int = 1, bias: bool = True
    ) -> None:
        super().__init__((inputs, outputs, kernel, kernel), inputs * kernel**2 // stride**2, outputs, bias)
        self.stride, self.padding = stride, padding

    def forward(self, channels: Tensor) -> Tensor:
        """Convolve, transposed."""
        # A transposed kernel has its inputs in the rows, which turns the sign of the block to the other corner.
        kernel = _laid_out(assemble(self.real, -self.imaginary), channels)
        return F.conv_transpose2d(channels, kernel, self.bias, self.stride, self.padding)


class ComplexLinear(_ComplexWeight):
    """Complex linear layer: ``(N, 2 in)`` to ``(N, 2 out)``.

    Example:
        >>> layer = ComplexLinear(1, 1)
        >>> _ = nn.init.zeros_(layer.bias), nn.init.ones_(layer.real), nn.init.zeros_(layer.imaginary)
        >>> layer(torch.tensor([[1.0, 2.0]])).tolist()
        [[1.0, 2.0]]
    """

    def __init__(self, inputs: int, outputs: int, bias: bool = True) -> None:
        super().__init__((outputs, inputs), inputs, outputs, bias)

    def forward(self, values: Tensor) -> Tensor:
        """Multiply and add."""
        return F.linear(values, assemble(self.real, self.imaginary), self.bias)
