"""From published containers to named tensors, for the weights that this plugin declares."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor

VGG16_CONVOLUTIONS = (0, 2, 5, 7, 10, 12, 14, 17, 19, 21, 24, 26, 28)
ALEXNET_CONVOLUTIONS = (0, 3, 6, 8, 10)


def torchvision_features(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The convolutions of a torchvision classifier, ``features.*``; its classifier is left out.

    Example:
        >>> sorted(torchvision_features({"features.0.bias": torch.ones(1), "classifier.bias": torch.ones(1)}))
        ['features.0.bias']
    """
    return {name: tensor for name, tensor in state.items() if name.startswith("features.")}


def flax_vgg16(payload: Mapping[str, Any]) -> dict[str, Tensor]:
    """VGG16's convolutions from the pickled parameters of the flax module ``VGG16_0``."""
    return _flax(payload["VGG16_0"], VGG16_CONVOLUTIONS)


def flax_alexnet(payload: Mapping[str, Any]) -> dict[str, Tensor]:
    """AlexNet's convolutions from the pickled parameters of the flax module ``AlexNet_0``."""
    return _flax(payload["AlexNet_0"], ALEXNET_CONVOLUTIONS)


def _flax(layers: Mapping[str, Any], numbers: tuple[int, ...]) -> dict[str, Tensor]:
    """Flax keeps kernels as height, width, input, output and numbers the convolutions alone."""
    tensors = {}
    for index, number in enumerate(numbers):
        layer = layers[f"Conv_{index}"]
        tensors[f"features.{number}.weight"] = _tensor(layer["kernel"].transpose(3, 2, 0, 1))
        tensors[f"features.{number}.bias"] = _tensor(layer["bias"])
    return tensors


def _tensor(array: np.ndarray) -> Tensor:
    return torch.from_numpy(np.array(array, dtype=np.float32, order="C"))


def lpips_heads(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The non-negative weight of each channel, one vector a layer, as ``heads.0``, ``heads.1`` ...

    Example:
        >>> heads = lpips_heads({"lin0.model.1.weight": torch.ones(1, 4, 1, 1)})
        >>> heads["heads.0"].sum().item()
        4.0
    """
    count = len(state)
    return {f"heads.{index}": state[f"lin{index}.model.1.weight"].flatten() for index in range(count)}


def dists_weights(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """DISTS's alpha and beta as vectors over all channels of all layers."""
    return {name: state[name].detach().flatten() for name in ("alpha", "beta")}


def published_parameters(payload: Mapping[str, Any]) -> dict[str, Tensor]:
    """A state dict as training frameworks wrap it: bare, or under ``params`` or ``state_dict``.

    Example:
        >>> published_parameters({"params": {"module.fc.bias": torch.ones(1)}})["fc.bias"].item()
        1.0
    """
    state = payload.get("params", payload.get("state_dict", payload))
    return {name.removeprefix("module."): tensor for name, tensor in state.items()}
