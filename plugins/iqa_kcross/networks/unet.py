"""The U-Nets of K-CROSS: one encoder and one decoder, real or complex.

Encoder: five blocks (convolution 3 x 3, stride 2, padding 1; batch norm; leaky ReLU 0.2) with w, 2w, 4w, 8w and 8w
channels. Decoder: four blocks (transposed convolution; batch norm; ReLU) with skip connections; last an upsampling by
two, a convolution and a tanh. The paper's w is 64. Source: Fig. 3 and section III-B of arXiv:2307.04296.
"""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from iqa_kcross.networks.kspace import join_channels
from iqa_kcross.networks.layers import ComplexConv2d, ComplexConvTranspose2d, assemble

STEPS = 5
MULTIPLE = 2**STEPS
"""A decoder needs sides that are multiples of this; an encoder takes any."""
SLOPE = 0.2


def widths(width: int) -> tuple[int, ...]:
    """Channels of the five feature maps.

    Example:
        >>> widths(64)
        (64, 128, 256, 512, 512)
    """
    return (width, 2 * width, 4 * width, 8 * width, 8 * width)


class Encoder(nn.Module):
    """Five feature maps of an image (or of a k-space, in the complex case).

    Args:
        width: channels of the first map.
        is_complex: whether channels are complex; the input then is ``(N, 2, H, W)``.

    Example:
        >>> _ = torch.manual_seed(0)
        >>> maps = Encoder(width=4).eval()(torch.ones(1, 1, 64, 64))
        >>> [tuple(item.shape[1:]) for item in maps], round(maps[-1].abs().mean().item(), 4)
        ([(4, 32, 32), (8, 16, 16), (16, 8, 8), (32, 4, 4), (32, 2, 2)], 0.0013)
    """

    def __init__(self, width: int, is_complex: bool = False) -> None:
        super().__init__()
        channels = (1, *widths(width))
        self.is_complex = is_complex
        self.blocks = nn.ModuleList(_down(before, after, is_complex) for before, after in pairwise(channels))

    def forward(self, images: Tensor) -> tuple[Tensor, ...]:
        """The outputs of the five blocks, the largest first."""
        maps = []
        for block in self.blocks:
            images = block(images)
            maps.append(images)
        return tuple(maps)


class Decoder(nn.Module):
    """An image (or k-space) from the five feature maps of an :class:`Encoder` of the same width.

    Example:
        >>> _ = torch.manual_seed(0)
        >>> image = torch.rand(1, 1, 64, 64)
        >>> tuple(Decoder(width=4).eval()(Encoder(width=4).eval()(image)).shape)
        (1, 1, 64, 64)
    """

    def __init__(self, width: int, is_complex: bool = False) -> None:
        super().__init__()
        down = widths(width)
        self.is_complex = is_complex
        # What comes up from below meets the encoder's map of the same size.
        below = (down[4], 2 * down[3], 2 * down[2], 2 * down[1])
        above = (down[3], down[2], down[1], down[0])
        self.blocks = nn.ModuleList(
            _up(before, after, is_complex) for before, after in zip(below, above, strict=True)
        )
        last = ComplexConv2d(2 * down[0], 1, 3, 1, 1) if is_complex else nn.Conv2d(2 * down[0], 1, 3, 1, 1)
        self.last = nn.Sequential(nn.Upsample(scale_factor=2, mode="nearest"), last, nn.Tanh())

    def forward(self, maps: tuple[Tensor, ...]) -> Tensor:
        """The reconstruction, ``(N, 1, H, W)`` or ``(N, 2, H, W)``, in [-1, 1]."""
        current = maps[-1]
        for block, skip in zip(self.blocks, reversed(maps[:-1]), strict=True):
            current = join_channels(block(current), skip, self.is_complex)
        out: Tensor = self.last(current)
        return out


def _down(before: int, after: int, is_complex: bool) -> nn.Sequential:
    if is_complex:
        convolution: nn.Module = ComplexConv2d(before, after, 3, stride=2, padding=1, bias=False)
        return nn.Sequential(convolution, nn.BatchNorm2d(2 * after), nn.LeakyReLU(SLOPE, inplace=True))
    convolution = nn.Conv2d(before, after, 3, stride=2, padding=1, bias=False)
    return nn.Sequential(convolution, nn.BatchNorm2d(after), nn.LeakyReLU(SLOPE, inplace=True))


def _up(before: int, after: int, is_complex: bool) -> nn.Sequential:
    if is_complex:
        convolution: nn.Module = ComplexConvTranspose2d(before, after, bias=False)
        return nn.Sequential(convolution, nn.BatchNorm2d(2 * after), nn.ReLU(inplace=True))
    convolution = nn.ConvTranspose2d(before, after, 4, stride=2, padding=1, bias=False)
    return nn.Sequential(convolution, nn.BatchNorm2d(after), nn.ReLU(inplace=True))


def fuse_for_scoring(encoder: Encoder) -> None:
    """Assemble the complex kernels and fold the batch norms in, once instead of at each call; scores stay as they are.

    The encoder must be in evaluation mode, and cannot be trained afterwards.

    Example:
        >>> _ = torch.manual_seed(0)
        >>> encoder, image = Encoder(width=4, is_complex=True).eval(), torch.rand(1, 2, 32, 32)
        >>> before = encoder(image)[-1]
        >>> fuse_for_scoring(encoder)
        >>> round((encoder(image)[-1] - before).abs().max().item(), 5), len(encoder.blocks[0])
        (0.0, 2)
    """
    for block in encoder.blocks:
        if isinstance(block, nn.Sequential) and len(block) == 3:
            convolution = _plain(block[0])
            norm: Any = block[1]
            block[0] = fuse_conv_bn_eval(convolution, norm)
            del block[1]
    # Convolutions are faster with channels last, and so are the lengths of feature vectors.
    encoder.to(memory_format=torch.channels_last)


@torch.no_grad()
def _plain(convolution: nn.Module) -> nn.Conv2d:
    """An ordinary convolution that does what a complex one does."""
    if isinstance(convolution, nn.Conv2d):
        return convolution
    if not isinstance(convolution, ComplexConv2d):
        raise TypeError(f"{type(convolution).__name__} is not a convolution of an encoder.")
    kernel = assemble(convolution.real, convolution.imaginary)
    plain = nn.Conv2d(
        kernel.shape[1], kernel.shape[0], 3, convolution.stride, convolution.padding, bias=False
    )
    plain.weight.copy_(kernel)
    return plain.to(kernel.device).train(convolution.training)
