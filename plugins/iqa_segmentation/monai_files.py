"""Weight files of MONAI networks: safetensors with the shape beside the tensors, or files of ``torch.save``."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from iqa_registry.plugin import WeightFile, WeightsError, write_atomically
from iqa_segmentation.monai_networks import ARCHITECTURES, Shape

_PREFIXES = ("", "module.", "_orig_mod.", "network.", "model.")


def save_network(network: nn.Module, shape: Shape, normalization: str, path: Path) -> None:
    """Write weights as safetensors, the shape and the normalization as its metadata."""
    from safetensors.torch import save

    described = {
        "architecture": shape.architecture,
        "channels": "+".join(map(str, shape.channels)),
        "classes": str(shape.classes),
        "dimensions": str(shape.dimensions),
        "patch": str(shape.patch),
        "normalization": normalization,
    }
    # Copies, since DynUNet has some of its tensors under two names.
    tensors = {name: tensor.clone().contiguous() for name, tensor in network.state_dict().items()}
    write_atomically(path, save(tensors, described))


def read_description(file: WeightFile) -> dict[str, Any]:
    """The metadata that :func:`save_network` wrote; empty where the file is of another origin.

    Raises:
        WeightsError: damaged metadata.
    """
    found = file.metadata
    if found.get("architecture") not in ARCHITECTURES:
        return {}
    try:
        numbers: dict[str, Any] = {
            key: int(found[key]) for key in ("classes", "dimensions", "patch") if key in found
        }
        numbers["channels"] = [int(part) for part in found["channels"].split("+")]
    except (KeyError, ValueError) as error:
        raise WeightsError(
            f"{file.path}: its metadata are damaged ({error}). Train or save it again."
        ) from error
    return {"architecture": found["architecture"], "normalization": found.get("normalization"), **numbers}


def load_network(network: nn.Module, file: WeightFile, shape: Shape) -> None:
    """Load the tensors of a weight file into a network.

    Raises:
        WeightsError: names or sizes are not the network's; the first are listed.
    """
    wanted = network.state_dict()
    given = _renamed(file.tensors, wanted)
    wrong = [
        *(f"{name} is missing" for name in wanted if name not in given),
        *(f"{name} is not in the network" for name in given if name not in wanted),
        *(
            f"{name} is {_size(given[name])}, not {_size(wanted[name])}"
            for name in wanted
            if name in given and given[name].shape != wanted[name].shape
        ),
    ]
    if wrong:
        rest = f" and {len(wrong) - 3} more" if len(wrong) > 3 else ""
        channels = "+".join(map(str, shape.channels))
        raise WeightsError(
            f"{file.path}: does not fit {shape.architecture} with channels={channels}, classes={shape.classes}, "
            f"dimensions={shape.dimensions}, patch={shape.patch}: {'; '.join(wrong[:3])}{rest}."
        )
    network.load_state_dict(given)


def named_tensors(content: Mapping[str, Any]) -> dict[str, Tensor]:
    """The tensors of a state dict, also of one inside a training checkpoint."""
    for key in ("state_dict", "model_state_dict", "network_weights"):
        if isinstance(content.get(key), Mapping):
            content = content[key]
    return {name: value for name, value in content.items() if isinstance(value, torch.Tensor)}


def _renamed(given: Mapping[str, Tensor], wanted: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Without the prefix that a wrapper left before the names, whichever makes most of them the network's."""
    choices = [{name.removeprefix(prefix): value for name, value in given.items()} for prefix in _PREFIXES]
    return max(choices, key=lambda names: len(names.keys() & wanted.keys()))


def _size(tensor: Tensor) -> str:
    return "x".join(map(str, tensor.shape)) or "one number"
