"""Opened weight files, and the record of which files were opened while something is built."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from iqa_registry.errors import WeightsError
from iqa_registry.files import refuse_special
from iqa_registry.weights.formats import Container, Convert, named_tensors, read
from iqa_registry.weights.hashing import check_sha256, fingerprint, sha256_of

if TYPE_CHECKING:
    from torch import Tensor

Hashed = Literal["file", "tensors"]

_recorders: ContextVar[tuple[dict[str, str], ...]] = ContextVar("recorders", default=())


@dataclass(frozen=True, eq=False)
class WeightFile:
    """A weight file that was read and hashed.

    Attributes:
        name: what it was asked for by: a declared name, or the path that the user gave.
        path: where it is.
        sha256: hash of the file, or of its tensors where these are what is declared; 64 hexadecimal digits.
        content: what it holds; a checkpoint may hold other values next to its tensors.
        metadata: of a safetensors file.
    """

    name: str
    path: Path
    sha256: str
    content: Any = field(repr=False)
    metadata: Mapping[str, str] = field(default_factory=dict, repr=False)

    @cached_property
    def tensors(self) -> dict[str, Tensor]:
        """Tensors by name, on the CPU; raises :class:`WeightsError` if the file holds anything else."""
        return named_tensors(self.content, None, self.path)


@contextmanager
def recording() -> Iterator[dict[str, str]]:
    """Record the weight files that are opened inside the block, by this thread: name to SHA-256.

    Blocks may be nested; the outer one records what the inner one does.

    Example:
        >>> import tempfile, torch
        >>> path = Path(tempfile.mkdtemp(), "net.pth")
        >>> torch.save({"weight": torch.ones(2)}, path)
        >>> with recording() as used:
        ...     file = open_file(path, "net")
        >>> used == {"net": file.sha256}, file.tensors["weight"].sum().item()
        (True, 2.0)
    """
    used: dict[str, str] = {}
    token = _recorders.set((*_recorders.get(), used))
    try:
        yield used
    finally:
        _recorders.reset(token)


def record(file: WeightFile) -> WeightFile:
    """Note ``file`` in each enclosing block of :func:`recording`; under its path if another has its name."""
    for used in _recorders.get():
        name = file.name if used.get(file.name, file.sha256) == file.sha256 else str(file.path)
        used[name] = file.sha256
    return file


def open_file(
    path: Path, name: str = "", convert: Convert | None = None, trust: bool | None = None
) -> WeightFile:
    """Open a weight file that is not declared, such as one that a user names, and record it.

    Args:
        path: the file: safetensors, or written by ``torch.save``.
        name: what it is recorded as; its path by default.
        convert: turns what the file holds into a dict of named tensors.
        trust: see :func:`iqa_registry.weights.formats.read`.

    Raises:
        WeightsError: it is missing or damaged, or holds more than data.
    """
    return record(read_file(path, name or str(path), convert=convert, trust=trust))


def read_file(
    path: Path,
    name: str,
    container: Container = "tensors",
    convert: Convert | None = None,
    trust: bool | None = None,
    hashed: Hashed = "file",
    expected: str = "",
) -> WeightFile:
    """Read and hash a weight file without recording it; see :func:`open_file`.

    Args:
        path: the file.
        name: what it is called.
        container: its format.
        convert: turns what it holds into a dict of named tensors.
        trust: see :func:`iqa_registry.weights.formats.read`.
        hashed: whether the file or its tensors are hashed.
        expected: the hash that it must have, or its first digits; a file with another one is not read.

    Raises:
        WeightsError: it is missing or damaged, has another hash, or holds more than data.
    """
    refuse_special(path, WeightsError)
    try:
        with path.open("rb") as file:
            digest = check_sha256(path, expected, sha256_of(file)) if hashed == "file" else ""
            content, metadata = read(file, path, container, trust)
            # Only safetensors are read by path; all else comes from the file that was hashed.
            if not os.path.samestat(os.fstat(file.fileno()), path.stat()):
                raise WeightsError(f"{path}: was replaced while it was read. Rerun the command.")
    except OSError as error:
        reason = "no such file" if isinstance(error, FileNotFoundError) else error.strerror
        raise WeightsError(f"{path}: {reason}. Give the path of a weight file.") from error
    if convert is not None or hashed == "tensors":
        content = named_tensors(content, convert, path)
    digest = digest or check_sha256(path, expected, fingerprint(content))
    return WeightFile(name, path, digest, content, metadata)
