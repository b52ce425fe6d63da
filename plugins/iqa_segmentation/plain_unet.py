"""The U-Net of nnU-Net's plain 2-D plans, so that the model that ships needs no further package.

It computes what ``PlainConvUNet`` of dynamic-network-architectures computes, and its weights have the same names, so
that checkpoints go both ways. Plans that ask for more than it can are left to nnU-Net's own code.

O. Ronneberger, P. Fischer, T. Brox, "U-Net", MICCAI 2015, and F. Isensee et al., Nature Methods 18, 203-211, 2021.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

_NAME = "dynamic_network_architectures.architectures.unet.PlainConvUNet"
_PARTS = {
    "conv_op": ("conv.Conv2d", nn.Conv2d),
    "norm_op": ("instancenorm.InstanceNorm2d", nn.InstanceNorm2d),
    "nonlin": ("activation.LeakyReLU", nn.LeakyReLU),
}
_KEYS = {
    *(
        "n_stages",
        "features_per_stage",
        "kernel_sizes",
        "strides",
        "n_conv_per_stage",
        "n_conv_per_stage_decoder",
    ),
    *(
        "conv_op",
        "conv_bias",
        "norm_op",
        "norm_op_kwargs",
        "dropout_op",
        "dropout_op_kwargs",
        "nonlin",
        "nonlin_kwargs",
    ),
}
_MOST = 100
"""Stages of a network and convolutions of a stage."""
_SLOPE = 1e-2
"""Slope of the activation that the first weights are made for."""


def is_plain(architecture: Mapping[str, Any]) -> bool:
    """Whether the plans' entry ``architecture`` is one that :func:`build_unet` makes.

    Example:
        >>> is_plain({"network_class_name": "dynamic_network_architectures.architectures.unet.ResidualUNet"})
        False
    """
    arguments = architecture.get("arch_kwargs")
    if architecture.get("network_class_name") != _NAME or not isinstance(arguments, Mapping):
        return False
    return (
        set(arguments) <= _KEYS
        and arguments.get("dropout_op") is None
        and all(arguments.get(key) in _spellings(name) for key, (name, _) in _PARTS.items())
        and set(architecture.get("_kw_requires_import") or ()) <= {*_PARTS, "dropout_op"}
    )


def build_unet(arguments: Mapping[str, Any], classes: int) -> nn.Module:
    """The network, with new weights drawn from torch's random numbers in the order in which nnU-Net draws them.

    Args:
        arguments: ``arch_kwargs`` of an architecture that :func:`is_plain` admits.
        classes: channels that come out; one goes in.

    Returns:
        From ``(N, 1, H, W)`` to logits ``(N, classes, H, W)``.

    Example:
        >>> arguments = {"n_stages": 2, "features_per_stage": [4, 8], "kernel_sizes": 3, "strides": [1, 2]}
        >>> network = build_unet(arguments | {"n_conv_per_stage": 1, "n_conv_per_stage_decoder": 1}, 3)
        >>> tuple(network(torch.zeros(1, 1, 8, 8)).shape)
        (1, 3, 8, 8)
    """
    network = _UNet(arguments, classes)
    # Without memory there is nothing to draw, and torch would import its compiler for it.
    if not any(parameter.is_meta for parameter in network.parameters()):
        network.apply(_initialize)
    return network


def _spellings(name: str) -> tuple[str, ...]:
    short = name.rpartition(".")[2]
    return f"torch.nn.{short}", f"torch.nn.modules.{short}", f"torch.nn.modules.{name}"


def _initialize(module: nn.Module) -> None:
    if isinstance(module, nn.Conv2d | nn.ConvTranspose2d):
        nn.init.kaiming_normal_(module.weight, a=_SLOPE)
        if module.bias is not None:
            nn.init.zeros_(module.bias)


def _each(value: Any, count: int) -> list[Any]:
    _check_count(count)
    return list(value) if isinstance(value, Sequence) else [value] * count


def _check_count(count: int) -> None:
    """Reject what would build for ever."""
    if not 0 <= count <= _MOST:
        raise ValueError(f"{count} stages or convolutions, expected up to {_MOST}")


def _two(value: Any) -> tuple[int, int]:
    rows, columns = _each(value, 2)
    return rows, columns


class _Block(nn.Module):
    """Convolution, norm and activation; each has two names in a checkpoint, its own and its place in the sequence."""

    def __init__(
        self, arguments: Mapping[str, Any], inside: int, outside: int, kernel: Any, stride: Any
    ) -> None:
        super().__init__()
        rows, columns = _two(kernel)
        self.conv = nn.Conv2d(
            inside,
            outside,
            (rows, columns),
            _two(stride),
            ((rows - 1) // 2, (columns - 1) // 2),
            bias=arguments.get("conv_bias", False),
        )
        self.norm = nn.InstanceNorm2d(outside, **(arguments.get("norm_op_kwargs") or {}))
        self.nonlin = nn.LeakyReLU(**(arguments.get("nonlin_kwargs") or {}))
        self.all_modules = nn.Sequential(self.conv, self.norm, self.nonlin)

    def forward(self, images: Tensor) -> Tensor:
        result: Tensor = self.all_modules(images)
        return result


class _Blocks(nn.Module):
    def __init__(
        self, arguments: Mapping[str, Any], count: int, inside: int, outside: int, kernel: Any, stride: Any
    ) -> None:
        super().__init__()
        _check_count(count)
        first = _Block(arguments, inside, outside, kernel, stride)
        self.convs = nn.Sequential(
            first, *(_Block(arguments, outside, outside, kernel, 1) for _ in range(count - 1))
        )

    def forward(self, images: Tensor) -> Tensor:
        result: Tensor = self.convs(images)
        return result


class _Encoder(nn.Module):
    def __init__(self, arguments: Mapping[str, Any]) -> None:
        super().__init__()
        stages = arguments["n_stages"]
        names = ("features_per_stage", "kernel_sizes", "strides", "n_conv_per_stage")
        self.features, self.kernels, self.strides, counts = (_each(arguments[name], stages) for name in names)
        widths = zip([1, *self.features], self.features, counts, self.kernels, self.strides, strict=False)
        self.stages = nn.Sequential(
            *(
                nn.Sequential(_Blocks(arguments, count, inside, outside, kernel, stride))
                for inside, outside, count, kernel, stride in widths
            )
        )

    def forward(self, images: Tensor) -> list[Tensor]:
        found = []
        for stage in self.stages:
            images = stage(images)
            found.append(images)
        return found


class _Decoder(nn.Module):
    """From the coarsest stage up; checkpoints name the encoder a second time in here."""

    def __init__(self, encoder: _Encoder, arguments: Mapping[str, Any], classes: int) -> None:
        super().__init__()
        self.encoder = encoder
        above, stages, raised, heads = len(encoder.features) - 1, [], [], []
        counts = _each(arguments["n_conv_per_stage_decoder"], above)
        for level, count in zip(range(above, 0, -1), counts, strict=True):
            coarse, fine = encoder.features[level], encoder.features[level - 1]
            stride = _two(encoder.strides[level])
            raised.append(
                nn.ConvTranspose2d(coarse, fine, stride, stride, bias=arguments.get("conv_bias", False))
            )
            stages.append(_Blocks(arguments, count, 2 * fine, fine, encoder.kernels[level - 1], 1))
            heads.append(nn.Conv2d(fine, classes, 1))
        self.stages, self.transpconvs = nn.ModuleList(stages), nn.ModuleList(raised)
        self.seg_layers = nn.ModuleList(heads)

    def forward(self, found: list[Tensor]) -> Tensor:
        images = found[-1]
        for stage, raise_, skipped in zip(self.stages, self.transpconvs, found[-2::-1], strict=True):
            images = stage(torch.cat((raise_(images), skipped), dim=1))
        result: Tensor = self.seg_layers[-1](images)
        return result


class _UNet(nn.Module):
    def __init__(self, arguments: Mapping[str, Any], classes: int) -> None:
        super().__init__()
        self.encoder = _Encoder(arguments)
        self.decoder = _Decoder(self.encoder, arguments, classes)

    def forward(self, images: Tensor) -> Tensor:
        result: Tensor = self.decoder(self.encoder(images))
        return result
