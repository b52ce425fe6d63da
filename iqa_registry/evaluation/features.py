"""The encode-once cache: a reference's features, however many candidates are compared with it.

Features are what ``encode`` gives: a tensor, or a tuple, list or dict of such, the batch as first dimension.
The plan (see :mod:`iqa_registry.evaluation.plan`) sees to it that a reference is needed in one batch, or in
consecutive batches that hold no other; so keeping the last single reference is all the cache has to do, and its
size does not depend on the number of pairs.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from iqa_registry.errors import MetricError
from iqa_registry.evaluation.seals import Seal, tensors_in
from iqa_registry.metrics import Features


def map_features(features: Features, change: Callable[[Tensor], Tensor]) -> Features:
    """Apply ``change`` to every tensor in ``features``, keeping the structure.

    Raises:
        TypeError: something in it is neither a tensor nor a tuple, list or dict of tensors.

    Example:
        >>> map_features({"mean": torch.ones(2)}, lambda tensor: tensor * 3)["mean"].tolist()
        [3.0, 3.0]
    """
    if features is None:
        return None
    if isinstance(features, Tensor):
        return change(features)
    if isinstance(features, dict):
        return {key: map_features(value, change) for key, value in features.items()}
    if isinstance(features, tuple) and hasattr(features, "_fields"):
        return type(features)(*(map_features(value, change) for value in features))
    if isinstance(features, tuple | list):
        return type(features)(map_features(value, change) for value in features)
    raise TypeError(
        f"encode must give tensors, or tuples, lists or dicts of them, got {type(features).__name__}."
    )


def select(features: Features, index: Tensor) -> Features:
    """The features of the images ``index`` ``(n,)``; a single image is expanded without a copy.

    Example:
        >>> select(torch.tensor([[1.0], [2.0]]), torch.tensor([1, 0, 1])).flatten().tolist()
        [2.0, 1.0, 2.0]
    """

    def pick(tensor: Tensor) -> Tensor:
        if tensor.shape[0] == 1:
            return tensor.expand(len(index), *tensor.shape[1:])
        if tensor.shape[0] == len(index) and torch.equal(
            index, torch.arange(len(index), device=index.device)
        ):
            return tensor
        return tensor.index_select(0, index.to(tensor.device))

    return map_features(features, pick)


def check_count(features: Features, count: int, name: str) -> None:
    """Check that features are those of ``count`` images.

    Raises:
        MetricError: the first dimension of a tensor is not the batch.

    Example:
        >>> check_count((torch.zeros(3, 8), torch.zeros(1)), 3, "mymetric")
        Traceback (most recent call last):
        ...
        iqa_registry.errors.MetricError: mymetric: encode gave a tensor of shape (1,) for 3 images, expected (3, ...).
    """
    for tensor in tensors_in(features):
        if tensor.ndim == 0 or tensor.shape[0] != count:
            raise MetricError(
                f"{name}: encode gave a tensor of shape {tuple(tensor.shape)} for {count} images, "
                f"expected ({count}, ...)."
            )


class ReferenceFeatures:
    """Features of the last references that each encoder was asked for."""

    def __init__(self) -> None:
        self._kept: dict[Any, tuple[tuple[Any, ...], Features, Seal]] = {}
        self.encoded = 0
        """How many references have been encoded so far, counted once per encoder."""

    def get(
        self,
        references: tuple[Any, ...],
        encoder: Any,
        encode: Callable[[], Features],
        shared: bool = False,
    ) -> Features:
        """The features of ``references`` (their keys, in order) by ``encoder``, made by ``encode`` if necessary.

        Args:
            references: the keys.
            encoder: what encodes them.
            encode: is called where their features are not kept.
            shared: whether several metrics use this encoder; only then are the features of several references kept,
                since no other metric and no later batch would ask for them.

        Example:
            >>> cache = ReferenceFeatures()
            >>> [float(cache.get(("a",), "e", lambda: torch.tensor([n]))) for n in (1, 2)], cache.encoded
            ([1.0, 1.0], 1)
        """
        kept = self._kept.get(encoder)
        if kept is not None and kept[0] == references:
            return kept[1]
        # Their memory is free before the next are made.
        del kept
        self._kept.pop(encoder, None)
        features = encode()
        self.encoded += len(references)
        if len(references) == 1 or shared:
            self._kept[encoder] = (references, features, Seal(features))
        return features

    def spoiled(self, metric_encoder: Any) -> bool:
        """Whether the features that are kept for an encoder (with whatever labels) have been changed since."""
        return any(
            key[0] == metric_encoder and seal.broken
            for key, (_, _, seal) in self._kept.items()
            if isinstance(key, tuple)
        )

    def forget(self) -> None:
        """Drop everything that is kept, to make room."""
        self._kept.clear()
