"""A package index on this machine, with one small archive, and declarations that point to it."""

from __future__ import annotations

import hashlib
import io
import os
import pickle
import sys
import tarfile
import threading
import types
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pytest
import torch

from iqa_registry.specs import WeightSpec
from iqa_registry.weights import IndexArchive, WeightStore, fingerprint

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


class Handler(SimpleHTTPRequestHandler):
    """Serves a folder; a file named ``cut-...`` breaks off in the middle; requests are counted."""

    def log_message(self, *arguments):
        self.server.requests.append(self.path)

    def do_GET(self):
        if "/cut-" in self.path:
            self.send_response(200)
            self.send_header("Content-Length", "100000")
            self.end_headers()
            self.wfile.write(b"x" * 1000)
            return
        super().do_GET()


@pytest.fixture(autouse=True)
def converters(monkeypatch):
    module = types.ModuleType("demo_converters")
    module.named, module.prefixed = named, prefixed
    monkeypatch.setitem(sys.modules, "demo_converters", module)


@pytest.fixture(autouse=True)
def clean_environment(monkeypatch, tmp_path):
    for name in [*os.environ]:
        if name.startswith(("PIP_", "UV_", "IQA_")):
            monkeypatch.delenv(name)
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))


@pytest.fixture
def server(tmp_path):
    """A server of ``tmp_path/www``; ``server.url`` is its address."""
    root = tmp_path / "www"
    root.mkdir()
    httpd = ThreadingHTTPServer(("127.0.0.1", 0), partial(Handler, directory=str(root)))
    httpd.requests, httpd.root = [], root
    httpd.url = f"http://127.0.0.1:{httpd.server_port}"
    thread = threading.Thread(target=httpd.serve_forever, daemon=True)
    thread.start()
    yield httpd
    httpd.shutdown()
    httpd.server_close()
    thread.join()


@pytest.fixture
def archive() -> bytes:
    return tar_with({"demo-1.0/demo/net.ckpt": pickle.dumps(ARRAYS, protocol=3), "demo-1.0/setup.py": b"1/0"})


@pytest.fixture
def index(server, archive, monkeypatch):
    """The server as a simple index that pip is configured for."""
    publish(server.root, ARCHIVE, archive)
    monkeypatch.setenv("PIP_INDEX_URL", f"{server.url}/simple")
    return server


def publish(root: Path, name: str, content: bytes) -> None:
    page = root / "simple" / "demo"
    page.mkdir(parents=True, exist_ok=True)
    (root / name).write_bytes(content)
    (page / "index.html").write_text(f'<a href="../../{name}">{name}</a>')


@pytest.fixture
def source(archive) -> IndexArchive:
    return IndexArchive(
        distribution="demo",
        archive=ARCHIVE,
        sha256=sha256(archive),
        member="demo/net.ckpt",
        container="numpy-pickle",
        convert="demo_converters:named",
    )


@pytest.fixture
def make_store(tmp_path):
    """``make_store(source, ...)`` gives a store that declares ``demo`` with these sources."""

    def make(*sources, offline=False, **fields) -> WeightStore:
        fields = {"sha256": fingerprint(TENSORS), **fields}
        spec = WeightSpec(name="demo", summary="d", size=1, licence="MIT", sources=sources, **fields)
        spec.check()
        return WeightStore({"demo": spec}, tmp_path / "weights", offline=offline, progress=False)

    return make
