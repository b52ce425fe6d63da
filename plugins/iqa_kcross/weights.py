"""Where a model's file is: shipped by name, or at a path that the user gives."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from iqa_registry.errors import WeightsError, nearest
from iqa_registry.weights.fingerprints import file_sha256

if TYPE_CHECKING:
    from iqa_registry.registry import Registry

PREFIX = "kcross-"


def find_weights(registry: Registry, weights: str) -> tuple[Path, str]:
    """The file of weights that are given by name or path, and its SHA-256.

    Raises:
        WeightsError: neither a name nor a file.
    """
    store = registry.weights
    if weights in store.specs and weights.startswith(PREFIX):
        path = store.fetch(weights)
        return path, file_sha256(path)
    path = Path(weights).expanduser()
    if path.is_file():
        return path, file_sha256(path)
    names = [name for name in store.specs if name.startswith(PREFIX)]
    raise WeightsError(
        f"kcross: weights={weights} is no file and no shipped model.{nearest(weights, names)} "
        f"Shipped: {', '.join(names) or 'none'}."
    )
