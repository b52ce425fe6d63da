"""A package index on this machine, with one small archive, and declarations that point to it."""

from __future__ import annotations

import os
import pickle
import threading
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer

import pytest

from iqa_registry.specs import WeightSpec
from iqa_registry.weights import IndexArchive, WeightStore, fingerprint
from weight_archives import ARCHIVE, ARRAYS, TENSORS, publish, sha256, tar_with


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


@pytest.fixture
def source(archive) -> IndexArchive:
    return IndexArchive(
        distribution="demo",
        archive=ARCHIVE,
        sha256=sha256(archive),
        member="demo/net.ckpt",
        container="numpy-pickle",
        convert="weight_archives:named",
    )


@pytest.fixture
def make_store(tmp_path):
    """``make_store(source, ...)`` gives a store that declares ``demo`` with these sources."""

    def make(*sources, offline=False, **fields) -> WeightStore:
        fields = {"sha256": fingerprint(TENSORS), **fields}
        spec = WeightSpec(name="demo", summary="d", size=1, license="MIT", sources=sources, **fields)
        spec.check()
        return WeightStore({"demo": spec}, tmp_path / "weights", offline=offline, progress=False)

    return make
