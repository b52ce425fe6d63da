"""File formats: reading weight files without ever running what is in them.

Three formats are read: safetensors; what ``torch.save`` writes, through ``torch.load(weights_only=True)``;
and pickled numpy arrays, through an unpickler that admits arrays and nothing else.
"""

from __future__ import annotations

import importlib
import pickle
import re
import threading
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, Literal

from iqa_registry.errors import WeightsError

if TYPE_CHECKING:
    from torch import Tensor

Container = Literal["tensors", "numpy-pickle"]
"""``tensors``: safetensors or a file of ``torch.save``, recognized by content."""

Convert = str | Callable[[Any], Any]
"""A function, or ``"package.module:function"``, that turns what a file holds into a dict of named tensors."""

_TORCH = threading.Lock()
"""The names that torch admits while it reads are global to the process."""


def read(
    file: IO[bytes], path: Path, container: Container = "tensors", trust: bool | None = None
) -> tuple[Any, dict[str, str]]:
    """Read what a file holds.

    Args:
        file: the file, open.
        path: its path.
        container: its format.
        trust: unpickle a file of ``torch.save`` that holds more than tensors, plain values and numbers of numpy;
            ``None`` where the user is not given that choice.

    Returns:
        What it holds, and the metadata of a safetensors file.

    Raises:
        WeightsError: it is damaged, or holds more than data.
    """
    if container == "numpy-pickle":
        return read_pickled_arrays(file, path), {}
    if path.suffix == ".safetensors" or file.read(9)[8:] == b"{":
        return _read_safetensors(path)
    file.seek(0)
    return _read_torch(file, path, trust), {}


def named_tensors(content: Any, convert: Convert | None, path: Path) -> dict[str, Tensor]:
    """``content`` after ``convert``, checked to be a dict of named tensors.

    Raises:
        WeightsError: it is not, or not what ``convert`` expects.
    """
    import torch

    try:
        tensors = _function(convert)(content) if convert else content
    except (KeyError, IndexError, TypeError, AttributeError, ValueError) as error:
        name = getattr(convert, "__name__", convert)
        raise WeightsError(
            f"{path}: does not hold what {name} expects ({error!r}). Give another file."
        ) from error
    if not isinstance(tensors, Mapping) or not all(
        isinstance(name, str) and isinstance(tensor, torch.Tensor) for name, tensor in tensors.items()
    ):
        raise WeightsError(
            f"{path}: expected named tensors, got {type(tensors).__name__}. Give another file."
        )
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
        return _multiarray()._reconstruct if name == "_reconstruct" else super().find_class(module, name)


def read_pickled_arrays(file: IO[bytes], path: Path) -> Any:
    """Read a pickle of numpy arrays in lists, tuples and dicts; nothing in it is executed.

    Raises:
        WeightsError: it holds anything else, or is damaged.
    """
    try:
        return _ArraysOnly(file).load()
    except pickle.UnpicklingError as error:
        raise WeightsError(f"{path}: rejected, a pickle of more than numpy arrays ({error}).") from error
    except (EOFError, ValueError, TypeError, AttributeError, IndexError, KeyError) as error:
        raise WeightsError(f"{path}: a damaged pickle ({error!r}). Copy it again.") from error


def _multiarray() -> Any:
    """The module that numpy 2 has renamed; the old name works there too, but warns."""
    import numpy as np

    renamed = np.lib.NumpyVersion(np.__version__) >= "2.0.0"
    return importlib.import_module(f"numpy.{'_core' if renamed else 'core'}.multiarray")


def _numbers() -> list[Any]:
    """What numbers of numpy are in a pickle: trainers keep their losses as such next to the weights."""
    import numpy as np

    kinds = (np.float16, np.float32, np.float64, np.int32, np.int64, np.bool_)
    scalar = _multiarray().scalar
    names = ("numpy.core.multiarray.scalar", "numpy._core.multiarray.scalar")
    return [*((scalar, name) for name in names), np.dtype, *(type(np.dtype(kind)) for kind in kinds)]


def _function(convert: Convert) -> Callable[[Any], Any]:
    if callable(convert):
        return convert
    module, _, function = convert.partition(":")
    found: Callable[[Any], Any] = getattr(importlib.import_module(module), function)
    return found


def _read_safetensors(path: Path) -> tuple[dict[str, Tensor], dict[str, str]]:
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, framework="pt") as file:
            return {name: file.get_tensor(name) for name in file.keys()}, file.metadata() or {}  # noqa: SIM118
    except SafetensorError as error:
        raise WeightsError(f"{path}: a damaged safetensors file ({error}). Copy it again.") from error


def _read_torch(file: IO[bytes], path: Path, trust: bool | None) -> Any:
    import torch

    try:
        with _TORCH, torch.serialization.safe_globals(_numbers()):
            return torch.load(file, map_location="cpu", weights_only=True)
    except Exception as error:  # bytes that are not a pickle can raise any error
        foreign = re.search(r"GLOBAL ([\w.]+)", str(error))
        if foreign is None:
            raise WeightsError(
                f"{path}: damaged, or not a weight file ({type(error).__name__}). Copy it again."
            ) from error
        if not trust:
            raise WeightsError(
                f"{path}: rejected, it holds more than weights and plain values ({foreign[1]}), and reading it could "
                + (
                    "run code. Save its state dict with torch.save, or as safetensors."
                    if trust is None
                    else "run any code. Add trust=true only if you trust the maker of the file."
                )
            ) from error
    file.seek(0)
    try:
        return torch.load(file, map_location="cpu", weights_only=False)
    except Exception as error:  # as above, and whatever its own code does
        raise WeightsError(f"{path}: cannot be unpickled: {error}") from error
