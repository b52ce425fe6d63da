"""Containers: reading weight files without ever running what is in them.

Three formats are read: safetensors; what ``torch.save`` writes, through ``torch.load(weights_only=True)``;
and pickled numpy arrays, through an unpickler that admits arrays and nothing else.
"""

from __future__ import annotations

import importlib
import pickle
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from iqa_registry.errors import WeightsError

if TYPE_CHECKING:
    from torch import Tensor

Container = Literal["tensors", "numpy-pickle"]
"""``tensors``: safetensors or a file of ``torch.save``, told apart by content."""


def read(path: Path, container: Container = "tensors", convert: str | None = None) -> dict[str, Tensor]:
    """Read named tensors from a file.

    Args:
        path: the file.
        container: its format.
        convert: ``"package.module:function"``; turns what the file holds into a dict of named tensors.

    Raises:
        WeightsError: the file cannot be read, holds more than arrays, or not what ``convert`` expects.
    """
    payload = read_pickled_arrays(path) if container == "numpy-pickle" else read_payload(path)
    return converted(payload, convert, path)


def read_payload(path: Path) -> Any:
    """What a safetensors file or a file of ``torch.save`` holds; see :func:`read` for the errors."""
    return _read_safetensors(path) if _is_safetensors(path) else _read_torch(path)


def converted(payload: Any, convert: str | None, path: Path) -> dict[str, Tensor]:
    """``payload`` through the function named ``convert``, checked to be named tensors."""
    import torch

    try:
        tensors = _function(convert)(payload) if convert else payload
    except (KeyError, IndexError, TypeError, AttributeError, ValueError) as error:
        raise WeightsError(f"{path}: does not hold what {convert} expects ({error!r}).") from error
    if not isinstance(tensors, Mapping) or not all(
        isinstance(name, str) and isinstance(tensor, torch.Tensor) for name, tensor in tensors.items()
    ):
        raise WeightsError(f"{path}: expected named tensors, got {type(tensors).__name__}.")
    return {name: tensor.detach().contiguous() for name, tensor in tensors.items()}


def write(tensors: Mapping[str, Tensor], path: Path) -> None:
    """Write named tensors as safetensors."""
    from safetensors.torch import save

    # Through bytes, so that the file gets the permissions that the user's other files get.
    path.write_bytes(save({name: tensor.clone() for name, tensor in tensors.items()}))


class _ArraysOnly(pickle.Unpickler):
    """Admits the three names that a pickled numpy array consists of."""

    _ADMITTED = frozenset(
        {
            ("numpy.core.multiarray", "_reconstruct"),
            ("numpy._core.multiarray", "_reconstruct"),
            ("numpy", "ndarray"),
            ("numpy", "dtype"),
        }
    )

    def find_class(self, module: str, name: str) -> Any:
        if (module, name) not in self._ADMITTED:
            raise pickle.UnpicklingError(f"{module}.{name}")
        if name == "_reconstruct":
            return _numpy_reconstruct()
        return super().find_class(module, name)


def read_pickled_arrays(path: Path) -> Any:
    """Read a pickle of numpy arrays in lists, tuples and dicts; nothing in it is executed.

    Raises:
        WeightsError: it holds anything else, or is damaged.
    """
    try:
        with path.open("rb") as file:
            return _ArraysOnly(file).load()
    except pickle.UnpicklingError as error:
        raise WeightsError(f"{path}: refused, a pickle of more than numpy arrays ({error}).") from error
    except (EOFError, ValueError, TypeError, AttributeError, IndexError, KeyError) as error:
        raise WeightsError(f"{path}: a damaged pickle ({error!r}).") from error


def _numpy_reconstruct() -> Any:
    """The module that numpy 2 has renamed; the old name works there too, but warns."""
    import numpy as np

    renamed = np.lib.NumpyVersion(np.__version__) >= "2.0.0"
    return importlib.import_module(f"numpy.{'_core' if renamed else 'core'}.multiarray")._reconstruct


def _function(name: str) -> Any:
    module, _, function = name.partition(":")
    return getattr(importlib.import_module(module), function)


def _is_safetensors(path: Path) -> bool:
    with path.open("rb") as file:
        return path.suffix == ".safetensors" or file.read(9)[8:] == b"{"


def _read_safetensors(path: Path) -> dict[str, Tensor]:
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    try:
        return load_file(str(path))
    except SafetensorError as error:
        raise WeightsError(f"{path}: a damaged safetensors file ({error}).") from error


def _read_torch(path: Path) -> Any:
    import torch

    try:
        return torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        raise WeightsError(
            f"{path}: refused, it is not a plain file of tensors; reading it could run code. "
            "Only safetensors files and state dicts saved with torch.save are read."
        ) from error
    except (RuntimeError, EOFError, ValueError, TypeError, KeyError, AttributeError, IndexError) as error:
        raise WeightsError(f"{path}: damaged, or not a weight file ({type(error).__name__}).") from error
