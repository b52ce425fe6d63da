"""Seals on tensors that several metrics are given: whether one of them has changed what the next would score."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import torch
from torch import Tensor

ROW = 1024
"""Words that are summed up together, so that rows that change places are seen."""


class Seal:
    """What tensors hold at one moment.

    torch counts the operations that change a tensor; writing through ``.data`` or a view of numpy is not counted, so
    that the values are summed up too.

    Args:
        features: a tensor, or a tuple, list or dict of such.

    Example:
        >>> image = torch.zeros(4, 4)
        >>> seal = Seal(image)
        >>> before = seal.broken
        >>> image.numpy()[0, 0] = 1
        >>> before, seal.broken
        (False, True)
    """

    def __init__(self, features: Any) -> None:
        self._tensors = list(tensors_in(features))
        self._states = [_state(tensor) for tensor in self._tensors]
        self._sums = [checksum(tensor) for tensor in self._tensors]

    @property
    def broken(self) -> bool:
        """Whether a tensor has been changed since."""
        if any(_state(tensor) != state for tensor, state in zip(self._tensors, self._states, strict=True)):
            return True
        try:
            return any(
                checksum(tensor) != total for tensor, total in zip(self._tensors, self._sums, strict=True)
            )
        except RuntimeError:  # its memory was let go
            return True


def tensors_in(features: Any) -> Iterator[Tensor]:
    """Every tensor in a structure of tuples, lists and dicts."""
    if isinstance(features, Tensor):
        yield features
    elif isinstance(features, Mapping):
        for value in features.values():
            yield from tensors_in(value)
    elif isinstance(features, tuple | list):
        for value in features:
            yield from tensors_in(value)


def checksum(tensor: Tensor) -> int:
    """A sum over the bytes of a tensor that depends on their order.

    Example:
        >>> image = torch.arange(16.0)
        >>> checksum(image) == checksum(image.clone()), checksum(image) == checksum(image.flip(0))
        (True, False)
    """
    data = tensor.detach().reshape(-1).view(torch.uint8)
    count = data.numel() // 8
    if data.storage_offset() % 8:
        data = data.clone()
    words = data[: 8 * count].view(torch.int64)
    rows = words[: count // ROW * ROW].view(-1, ROW).sum(dim=1)
    rest = torch.cat([rows, words[len(rows) * ROW :], data[8 * count :].long()])
    # Odd, so that no bit of a sum is lost: sums are taken modulo 2 ** 64.
    places = 2 * torch.arange(len(rest), device=rest.device) + 1
    return int((rest * places).sum())


def _state(tensor: Tensor) -> tuple[object, ...]:
    """All but the values; tensors made in inference mode count no operations."""
    version = None if tensor.is_inference() else tensor._version
    return version, tensor.shape, tensor.dtype, tensor.requires_grad
