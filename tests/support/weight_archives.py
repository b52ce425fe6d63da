"""Small weights, the archives that carry them, and converters, for tests of the weight store."""

from __future__ import annotations

import hashlib
import io
import tarfile
from pathlib import Path

import numpy as np
import torch

ARRAYS = {"kernel": np.arange(6, dtype=np.float32).reshape(2, 3), "bias": np.ones(2, np.float32)}
TENSORS = {"net.weight": torch.arange(6.0).reshape(2, 3), "net.bias": torch.ones(2)}
ARCHIVE = "demo-1.0.tar.gz"


def named(arrays):
    return {
        "net.weight": torch.from_numpy(arrays["kernel"].copy()),
        "net.bias": torch.from_numpy(arrays["bias"].copy()),
    }


def prefixed(state):
    """Keeps the part of a state dict that is wanted."""
    return {name: tensor for name, tensor in state.items() if name.startswith("net.")}


def tar_with(members: dict[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as tar:
        for name, content in members.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            tar.addfile(info, io.BytesIO(content))
    return buffer.getvalue()


def sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def publish(root: Path, name: str, content: bytes) -> None:
    page = root / "simple" / "demo"
    page.mkdir(parents=True, exist_ok=True)
    (root / name).write_bytes(content)
    (page / "index.html").write_text(f'<a href="../../{name}">{name}</a>')
