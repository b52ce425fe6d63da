"""Hashes: of a file's bytes, and of named tensors, which are the same in every file format."""

from __future__ import annotations

import hashlib
import json
import mmap
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, cast

from iqa_registry.errors import WeightsError
from iqa_registry.files import refuse_special

if TYPE_CHECKING:
    from torch import Tensor

_CODES = {
    "float64": "F64",
    "float32": "F32",
    "float16": "F16",
    "bfloat16": "BF16",
    "int64": "I64",
    "int32": "I32",
    "int16": "I16",
    "int8": "I8",
    "uint8": "U8",
    "bool": "BOOL",
}


def fingerprint(tensors: Mapping[str, Tensor]) -> str:
    """Hash named tensors: SHA-256 over name, dtype, shape and bytes of each, sorted by name.

    Args:
        tensors: any device, any memory layout; neither enters the hash.

    Returns:
        64 hexadecimal digits.

    Raises:
        WeightsError: tensors of complex or quantized numbers.

    Example:
        >>> import torch
        >>> fingerprint({"weight": torch.arange(4.0)})[:16]
        '94361b92131812b5'
    """
    return _digest((name, *_raw(tensor)) for name, tensor in tensors.items())


def fingerprint_of_file(path: Path) -> str:
    """:func:`fingerprint` of a safetensors file, read without torch.

    Raises:
        ValueError: the file is not in the safetensors format.
    """
    refuse_special(path, WeightsError)
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
        return _digest(_entries(data))


def file_sha256(path: Path) -> str:
    """SHA-256 of a file's bytes, hexadecimal."""
    refuse_special(path, WeightsError)
    with path.open("rb") as file:
        return sha256_of(file)


def check_sha256(path: Path, expected: str, got: str = "") -> str:
    """The hash of ``path``, or ``got``; raises :class:`WeightsError` unless it begins with ``expected``."""
    got = got or file_sha256(path)
    if not got.startswith(expected):
        raise WeightsError(f"{path.name} has sha256 {got}, expected {expected}")
    return got


def sha256_of(file: IO[bytes]) -> str:
    """:func:`file_sha256` of an open file, which is back at its start afterwards."""
    digest = hashlib.file_digest(cast("Any", file), "sha256").hexdigest()
    file.seek(0)
    return digest


def _digest(arrays: Iterable[tuple[str, str, Sequence[int], Any]]) -> str:
    total = hashlib.sha256()
    for name, dtype, shape, data in sorted(arrays, key=lambda array: array[0]):
        total.update(json.dumps([name, dtype, list(shape)]).encode())
        total.update(data)
    return total.hexdigest()


def _raw(tensor: Tensor) -> tuple[str, Sequence[int], Any]:
    import torch

    kind = str(tensor.dtype).removeprefix("torch.")
    if kind not in _CODES:
        raise WeightsError(f"tensors of type {kind} have no hash. Save them as real numbers.")
    code = _CODES[kind]
    # Through bytes, because numpy has no bfloat16.
    data = tensor.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy()
    return code, tuple(tensor.shape), data


def _entries(data: mmap.mmap) -> Iterator[tuple[str, str, Sequence[int], bytes]]:
    start = 8 + int.from_bytes(data[:8], "little")
    if start > len(data):
        raise ValueError("the header is longer than the file")
    header = json.loads(data[8:start])
    if not isinstance(header, dict):
        raise ValueError("the header is not a table of tensors")
    for name, entry in header.items():
        if name != "__metadata__":
            try:
                first, last = entry["data_offsets"]
                yield name, entry["dtype"], entry["shape"], data[start + first : start + last]
            except (KeyError, TypeError) as error:
                raise ValueError(f"the header's entry {name!r} is malformed") from error
