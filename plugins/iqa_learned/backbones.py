"""Convolutional backbones of ImageNet classifiers that return the feature layers which metrics compare.

AlexNet (Krizhevsky 2014, arXiv:1404.5997), VGG16 (Simonyan and Zisserman 2015, arXiv:1409.1556) and SqueezeNet
1.1 (Iandola 2016, arXiv:1602.07360), layers numbered as in torchvision, whose published weights are used.

The input scaling is folded into the first convolution. Scaling a channel to ``gain * x + offset`` and then
convolving is convolving ``x`` with the scaled kernel and a plane of ones with the kernel times the offset; because
the plane is padded with zeros like the image, the border comes out exactly as when scaled values are padded with
zeros. A gray image is treated as three equal channels, so its kernel is the sum over them: one plane instead of
three, with the same result.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from iqa_registry.plugin import WeightsError


@dataclass(frozen=True, slots=True)
class Design:
    """The layers of a backbone.

    Attributes:
        layers: makes them; the first is a convolution of three channels.
        taps: numbers of the feature layers; the layer after one must not overwrite its output.
        minimum_size: smallest side in pixels that leaves every feature map at least one pixel.
    """

    layers: Callable[[], list[nn.Module]]
    taps: tuple[int, ...]
    minimum_size: int


@dataclass(frozen=True, slots=True)
class Scaling:
    """What the first layer sees of an image ``x`` in [0, 1]: ``gain * x + offset``, channel by channel."""

    gain: tuple[float, float, float]
    offset: tuple[float, float, float]

    @classmethod
    def standardize(cls, mean: Iterable[float], std: Iterable[float]) -> Scaling:
        """The scaling to ``(x - mean) / std``.

        Example:
            >>> Scaling.standardize((0.5, 0.5, 0.5), (0.5, 0.25, 0.5)).offset
            (-1.0, -2.0, -1.0)
        """
        red, green, blue = zip(mean, std, strict=True)
        gain = (1 / red[1], 1 / green[1], 1 / blue[1])
        return cls(gain, (-red[0] * gain[0], -green[0] * gain[1], -blue[0] * gain[2]))


class Backbone(nn.Module):
    """A backbone with its input scaling.

    Args:
        layers: numbered as in the design.
        taps: see :class:`Design`.
        scaling: of the input.
    """

    gain: Tensor
    offset: Tensor

    def __init__(self, layers: Iterable[nn.Module], taps: Iterable[int], scaling: Scaling) -> None:
        super().__init__()
        self.features = nn.Sequential(*layers)
        self.taps = frozenset(taps)
        self.register_buffer("gain", torch.tensor(scaling.gain), persistent=False)
        self.register_buffer("offset", torch.tensor(scaling.offset), persistent=False)

    def forward(self, images: Tensor) -> list[Tensor]:
        """The feature maps, each ``(N, C, h, w)`` float32, of ``images`` ``(N, 1 or 3, H, W)``."""
        first, *rest = self.features
        x = scaled_convolution(images, first, self.gain, self.offset)
        maps = []
        for number, layer in enumerate(rest, start=1):
            x = layer(x)
            if number in self.taps:
                maps.append(x.float())
        return maps


def scaled_convolution(images: Tensor, layer: nn.Module, gain: Tensor, offset: Tensor) -> Tensor:
    """``layer`` applied to ``gain * images + offset``, without making the scaled images.

    Args:
        images: ``(N, 1, H, W)``, taken as three equal channels, or ``(N, 3, H, W)``.
        layer: a convolution of three channels that pads with zeros.
        gain: ``(3,)``.
        offset: ``(3,)``.

    Example:
        >>> layer = nn.Conv2d(3, 1, 3, padding=1, bias=False)
        >>> _ = nn.init.ones_(layer.weight)
        >>> gain, offset = torch.tensor([1.0, 2.0, 3.0]), torch.tensor([0.0, 0.0, 1.0])
        >>> scaled_convolution(torch.ones(1, 1, 2, 2), layer, gain, offset)[0, 0, 0].tolist()
        [28.0, 28.0]
    """
    if not isinstance(layer, nn.Conv2d):
        raise TypeError(f"expected a convolution first, got {type(layer).__name__}.")
    scaled = layer.weight * gain.view(1, 3, 1, 1)
    if images.shape[1] == 1:
        scaled = scaled.sum(1, keepdim=True)
    constant = (layer.weight * offset.view(1, 3, 1, 1)).sum(1, keepdim=True)
    planes = torch.cat([images, torch.ones_like(images[:, :1])], dim=1)
    return F.conv2d(
        planes.contiguous(memory_format=torch.channels_last),
        torch.cat([scaled, constant], dim=1).contiguous(memory_format=torch.channels_last),
        layer.bias,
        layer.stride,
        layer.padding,
    )


def load_backbone(design: Design, scaling: Scaling, state: Mapping[str, Tensor], name: str) -> Backbone:
    """Build a backbone around given weights; the random numbers that layers start with are never drawn.

    Args:
        design: the layers.
        scaling: of the input.
        state: ``features.0.weight`` and so on, exactly the tensors that the design has.
        name: of the weights, for the message.

    Raises:
        WeightsError: a tensor is missing, unknown, or has another shape.
    """
    with torch.device("meta"):
        layers = design.layers()
    backbone = Backbone(layers, design.taps, scaling)
    try:
        backbone.load_state_dict(dict(state), assign=True)
    except RuntimeError as error:
        raise WeightsError(f"weights {name!r} do not fit the network: {error}") from error
    return backbone.requires_grad_(False).eval().to(memory_format=torch.channels_last)


def vgg16_layers(pool: Callable[[], nn.Module] = lambda: nn.MaxPool2d(2, 2)) -> list[nn.Module]:
    """VGG16 up to the last ReLU before its fifth pooling.

    Args:
        pool: makes the layers that halve a map; maximum pooling by default.
    """
    layers: list[nn.Module] = []
    channels = 3
    for width, depth in ((64, 2), (128, 2), (256, 3), (512, 3), (512, 3)):
        if layers:
            layers.append(pool())
        for _ in range(depth):
            layers += [nn.Conv2d(channels, width, 3, padding=1), nn.ReLU(inplace=True)]
            channels = width
    return layers


def alexnet_layers() -> list[nn.Module]:
    """AlexNet up to its last convolution."""
    return [
        nn.Conv2d(3, 64, 11, stride=4, padding=2),
        nn.ReLU(inplace=True),
        nn.MaxPool2d(3, 2),
        nn.Conv2d(64, 192, 5, padding=2),
        nn.ReLU(inplace=True),
        nn.MaxPool2d(3, 2),
        nn.Conv2d(192, 384, 3, padding=1),
        nn.ReLU(inplace=True),
        nn.Conv2d(384, 256, 3, padding=1),
        nn.ReLU(inplace=True),
        nn.Conv2d(256, 256, 3, padding=1),
        nn.ReLU(inplace=True),
    ]


class Fire(nn.Module):
    """SqueezeNet's module: a narrow layer of 1x1 kernels, then 1x1 and 3x3 kernels side by side."""

    def __init__(self, channels: int, narrow: int, wide: int) -> None:
        super().__init__()
        self.squeeze = nn.Conv2d(channels, narrow, 1)
        self.expand1x1 = nn.Conv2d(narrow, wide, 1)
        self.expand3x3 = nn.Conv2d(narrow, wide, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        """``(N, channels, h, w)`` to ``(N, 2 wide, h, w)``."""
        x = F.relu(self.squeeze(x), inplace=True)
        return F.relu(torch.cat([self.expand1x1(x), self.expand3x3(x)], dim=1), inplace=True)


def squeezenet_layers() -> list[nn.Module]:
    """SqueezeNet 1.1 without its classifier."""

    def pool() -> nn.Module:
        return nn.MaxPool2d(3, 2, ceil_mode=True)

    return [
        nn.Conv2d(3, 64, 3, stride=2),
        nn.ReLU(inplace=True),
        pool(),
        Fire(64, 16, 64),
        Fire(128, 16, 64),
        pool(),
        Fire(128, 32, 128),
        Fire(256, 32, 128),
        pool(),
        Fire(256, 48, 192),
        Fire(384, 48, 192),
        Fire(384, 64, 256),
        Fire(512, 64, 256),
    ]
