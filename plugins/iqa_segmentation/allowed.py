"""What the ``plans.json`` of a nnU-Net folder may name.

nnU-Net imports and calls whatever Python object its plans name, so that plans from a stranger could run any program.
Only the networks, operations and activations that nnU-Net itself uses are accepted; everything else is rejected by name
before anything is imported.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from iqa_registry.plugin import WeightsError

_NETWORKS = {
    f"dynamic_network_architectures.architectures.unet.{name}"
    for name in ("PlainConvUNet", "ResidualEncoderUNet", "ResidualUNet", "UNet")
}
_BLOCKS = {
    f"dynamic_network_architectures.building_blocks.{module}.{name}"
    for module, name in (
        ("residual", "BasicBlockD"),
        ("residual", "BottleneckD"),
        ("simple_conv_blocks", "ConvDropoutNormReLU"),
        ("simple_conv_blocks", "StackedConvBlocks"),
    )
}
_LAYERS = {
    "conv": [f"Conv{n}d" for n in (1, 2, 3)] + [f"ConvTranspose{n}d" for n in (1, 2, 3)],
    "instancenorm": [f"InstanceNorm{n}d" for n in (1, 2, 3)],
    "batchnorm": [f"BatchNorm{n}d" for n in (1, 2, 3)],
    "normalization": ["GroupNorm", "LayerNorm"],
    "dropout": ["Dropout", "Dropout1d", "Dropout2d", "Dropout3d", "AlphaDropout"],
    "pooling": [f"{kind}Pool{n}d" for kind in ("Avg", "Max") for n in (1, 2, 3)],
    "activation": [
        *("LeakyReLU", "ReLU", "ReLU6", "PReLU", "RReLU", "ELU", "CELU", "SELU", "GELU", "SiLU", "Mish"),
        *("Hardswish", "Sigmoid", "Tanh", "Softplus", "LogSigmoid"),
    ],
}
OBJECTS = frozenset(
    _NETWORKS
    | _BLOCKS
    | {
        name
        for module, names in _LAYERS.items()
        for layer in names
        for name in (f"torch.nn.{layer}", f"torch.nn.modules.{layer}", f"torch.nn.modules.{module}.{layer}")
    }
)
"""Full names of the Python objects that plans may name."""
_PLAIN_NAME = re.compile(r"[A-Za-z_]\w*")
_BY_CLASS = ("image_reader_writer", "label_manager", "experiment_planner_used")
_BY_FUNCTION = (
    "preprocessor_name", "resampling_fn_data", "resampling_fn_seg", "resampling_fn_probabilities",
)  # fmt: skip
_OLD_NETWORKS = ("PlainConvUNet", "ResidualEncoderUNet")


def check_plans(plans: Mapping[str, Any], file: Path) -> None:
    """Reject plans that name anything but the parts of a network.

    Args:
        plans: the content of ``plans.json``.
        file: where it is, for the message.

    Raises:
        WeightsError: a name that is not among :data:`OBJECTS`; the message shows it and the remedy.

    Example:
        >>> settings = {"network_class_name": "subprocess.Popen", "arch_kwargs": {}, "_kw_requires_import": []}
        >>> check_plans({"configurations": {"2d": {"architecture": settings}}}, Path("plans.json"))
        Traceback (most recent call last):
        ...
        iqa_registry.errors.WeightsError: plans.json names 'subprocess.Popen', which is not a part of a network ...
    """
    for name in _named(plans):
        if name not in OBJECTS:
            raise WeightsError(
                f"{file} names {name!r}, which is not a part of a network that nnU-Net uses; using it could run any "
                "code. Add trust=true only if you trust the maker of the folder as you would trust a program of theirs."
            )


def _named(plans: Mapping[str, Any]) -> Iterator[str]:
    """Every Python object that nnU-Net would import for these plans; plain names of its own classes are left out."""
    yield from _qualified(plans, _BY_CLASS)
    for settings in _tables(plans.get("configurations")):
        yield from _qualified(settings, _BY_FUNCTION)
        schemes = settings.get("normalization_schemes")
        yield from _qualified(dict(enumerate(schemes if isinstance(schemes, list) else [])))
        if settings.get("UNet_class_name", _OLD_NETWORKS[0]) not in _OLD_NETWORKS:
            yield str(settings["UNet_class_name"])
        architecture = settings.get("architecture")
        if isinstance(architecture, Mapping):
            yield str(architecture.get("network_class_name"))
            arguments = architecture.get("arch_kwargs")
            for key in architecture.get("_kw_requires_import") or ():
                value = arguments.get(key) if isinstance(arguments, Mapping) else None
                if value is not None:
                    yield str(value)


def _tables(value: Any) -> Iterator[Mapping[str, Any]]:
    if isinstance(value, Mapping):
        yield from (item for item in value.values() if isinstance(item, Mapping))


def _qualified(table: Mapping[Any, Any], keys: tuple[str, ...] | None = None) -> Iterator[str]:
    """Values that are more than the plain name of a class, which nnU-Net looks up among its own."""
    for key in table if keys is None else keys:
        value = table.get(key)
        if value is not None and not (isinstance(value, str) and _PLAIN_NAME.fullmatch(value)):
            yield str(value)
