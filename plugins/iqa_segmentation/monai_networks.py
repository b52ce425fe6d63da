"""Networks of MONAI by name, with the few numbers that say their shape."""

from __future__ import annotations

import io
import warnings
from collections.abc import Callable, Sequence
from contextlib import redirect_stdout
from dataclasses import dataclass
from typing import Any, Literal

from torch import nn

from iqa_registry.plugin import ParameterError

Architecture = Literal["AttentionUnet", "SwinUNETR", "UNETR", "DynUNet", "SegResNet"]


@dataclass(frozen=True, slots=True)
class Shape:
    """What a network is built from.

    Attributes:
        architecture: a key of :data:`ARCHITECTURES`.
        channels: what they mean depends on the architecture; see :data:`ARCHITECTURES`.
        classes: background included.
        dimensions: 2 or 3.
        patch: side of what the network sees at once, in pixels.
    """

    architecture: str
    channels: tuple[int, ...]
    classes: int = 2
    dimensions: int = 2
    patch: int = 256


@dataclass(frozen=True, slots=True)
class Kind:
    """An architecture.

    Attributes:
        build: makes a network of a shape.
        channels: the default, which also shows how many numbers are wanted where ``exact``.
        exact: whether the number of channels is fixed; else it is the number of stages.
        multiple: of what the patch must be a multiple, from the number of channels.
    """

    build: Callable[[Shape], nn.Module]
    channels: tuple[int, ...]
    exact: bool
    multiple: Callable[[int], int]


def _attention_unet(shape: Shape) -> nn.Module:
    from monai.networks.nets.attentionunet import AttentionUnet

    strides = (2,) * (len(shape.channels) - 1)
    return _module(AttentionUnet(shape.dimensions, 1, shape.classes, shape.channels, strides))


def _swin_unetr(shape: Shape) -> nn.Module:
    from monai.networks.nets.swin_unetr import SwinUNETR

    return _module(
        SwinUNETR(
            in_channels=1,
            out_channels=shape.classes,
            feature_size=shape.channels[0],
            spatial_dims=shape.dimensions,
        )
    )


def _unetr(shape: Shape) -> nn.Module:
    from monai.networks.nets.unetr import UNETR

    features, hidden = shape.channels
    return _module(
        UNETR(
            in_channels=1,
            out_channels=shape.classes,
            img_size=(shape.patch,) * shape.dimensions,
            feature_size=features,
            hidden_size=hidden,
            mlp_dim=4 * hidden,
            num_heads=hidden // 64,
            spatial_dims=shape.dimensions,
        )
    )


def _dyn_unet(shape: Shape) -> nn.Module:
    from monai.networks.nets.dynunet import DynUNet

    stages = len(shape.channels)
    return _module(
        DynUNet(
            spatial_dims=shape.dimensions,
            in_channels=1,
            out_channels=shape.classes,
            kernel_size=[3] * stages,
            strides=[1] + [2] * (stages - 1),
            upsample_kernel_size=[2] * (stages - 1),
            filters=list(shape.channels),
        )
    )


def _seg_res_net(shape: Shape) -> nn.Module:
    from monai.networks.nets.segresnet import SegResNet

    return _module(
        SegResNet(
            spatial_dims=shape.dimensions,
            init_filters=shape.channels[0],
            in_channels=1,
            out_channels=shape.classes,
        )
    )


def _module(made: Any) -> nn.Module:
    network: nn.Module = made
    return network


ARCHITECTURES: dict[str, Kind] = {
    # Channels of each stage.
    "AttentionUnet": Kind(_attention_unet, (8, 16, 32, 64, 64), False, lambda count: 2 ** (count - 1)),
    # The feature size, a multiple of 12.
    "SwinUNETR": Kind(_swin_unetr, (12,), True, lambda count: 32),
    # The feature size and the width of the transformer, a multiple of 64.
    "UNETR": Kind(_unetr, (16, 768), True, lambda count: 16),
    # Channels of each stage, at least three.
    "DynUNet": Kind(_dyn_unet, (8, 16, 32, 64, 64), False, lambda count: 2 ** (count - 1)),
    # Channels of the first stage, a multiple of 8.
    "SegResNet": Kind(_seg_res_net, (8,), True, lambda count: 8),
}


def make_shape(
    architecture: str, channels: Sequence[int] | None, classes: int, dimensions: int, patch: int
) -> Shape:
    """A checked shape; the architecture's own channels where none are given.

    Raises:
        ParameterError: no such architecture, or a number of channels or a patch that it cannot have.

    Example:
        >>> make_shape("SegResNet", None, 2, 2, 256).channels
        (8,)
    """
    if architecture not in ARCHITECTURES:
        raise ParameterError(
            f"monai: there is no architecture {architecture!r}, only {', '.join(ARCHITECTURES)}."
        )
    kind = ARCHITECTURES[architecture]
    chosen = tuple(channels) if channels else kind.channels
    count = len(kind.channels)
    if kind.exact and len(chosen) != count:
        raise ParameterError(
            f"monai: {architecture} takes {count} channels, as in {_joined(kind.channels)}, got {_joined(chosen)}."
        )
    if not kind.exact and len(chosen) < 3:
        raise ParameterError(
            f"monai: {architecture} takes the channels of at least 3 stages, as in {_joined(kind.channels)}."
        )
    if min(chosen) < 1:
        raise ParameterError(f"monai: {architecture} takes channels of at least 1, got {_joined(chosen)}.")
    unit = {"SwinUNETR": 12, "UNETR": 64, "SegResNet": 8}.get(architecture, 1)
    if chosen[-1] % unit:
        raise ParameterError(f"monai: {architecture} takes channels={unit} or a multiple, got {chosen[-1]}.")
    multiple = kind.multiple(len(chosen))
    if patch % multiple or patch == multiple:
        raise ParameterError(
            f"monai: {architecture} takes a patch of {2 * multiple} or another multiple of {multiple}, got {patch}."
        )
    return Shape(architecture, chosen, classes, dimensions, patch)


def build_network(shape: Shape) -> nn.Module:
    """The network of a shape, with random weights; what MONAI prints and warns of itself is dropped."""
    with redirect_stdout(io.StringIO()), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return ARCHITECTURES[shape.architecture].build(shape)


def _joined(channels: Sequence[int]) -> str:
    return "+".join(map(str, channels))
