"""A package index that is hostile, broken or endless: bounded in bytes and in time, and told nothing secret."""

import base64
import contextlib
import gzip
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from iqa_registry.errors import WeightsError
from iqa_registry.weights import download
from iqa_registry.weights.download import Bound, Connection, content, origin, read_page
from iqa_registry.weights.pip_settings import PipSettings
from weight_archives import ARCHIVE


class Hostile(BaseHTTPRequestHandler):
    """Answers by the first part of the path, and notes the headers that it was asked with."""

    protocol_version = "HTTP/1.0"

    def log_message(self, *arguments):
        pass

    def do_GET(self):
        self.server.asked.append((self.path, dict(self.headers)))
        kind, _, rest = self.path.strip("/").partition("/")
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):
            getattr(self, f"do_{kind}")(rest)

    def answer(self, status=200, **headers):
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.end_headers()

    def do_endless(self, _):
        self.answer(Content_Type="text/html")
        while True:
            self.wfile.write(b"<a href='x'>x</a>" * 10_000)

    def do_slow(self, _):
        self.answer(Content_Type="text/html")
        for _ in range(100):
            self.wfile.write(b" ")
            self.wfile.flush()
            time.sleep(0.05)

    def do_bomb(self, _):
        self.answer(Content_Type="text/html", Content_Encoding="gzip")
        self.wfile.write(gzip.compress(bytes(64 << 20)))

    def do_packed(self, _):
        self.answer(Content_Type="text/html", Content_Encoding="gzip")
        self.wfile.write(gzip.compress(b"<a href='net.pth'>net.pth</a>"))

    def do_cut(self, _):
        self.answer(Content_Type="text/html", Content_Encoding="gzip")
        self.wfile.write(gzip.compress(bytes(1000))[:20])

    def do_simple(self, _):
        self.answer(Content_Type="text/html")
        self.wfile.write(self.server.page.encode())

    def do_to(self, rest):
        self.answer(302, Location=self.server.targets[rest])

    def do_loop(self, rest):
        self.answer(302, Location=f"/loop/{len(rest)}{rest}")

    def do_file(self, _):
        self.answer()
        self.wfile.write(b"weights")


def _serve():
    server = ThreadingHTTPServer(("127.0.0.1", 0), Hostile)
    server.asked, server.targets, server.page = [], {}, ""
    server.url = f"http://127.0.0.1:{server.server_port}"
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return server


@pytest.fixture
def hostile():
    servers = [_serve(), _serve()]
    yield servers
    for server in servers:
        server.shutdown()
        server.server_close()


@pytest.mark.parametrize(
    ("page", "reason"),
    [
        ("endless", "larger than 1 MiB"),
        ("bomb", "larger than 1 MiB"),
        ("slow", "not complete after"),
        ("cut", "broke off"),
        ("loop/1", "redirected more than 10 times"),
    ],
)
def test_a_page_is_bounded(hostile, monkeypatch, page, reason):
    # A busy machine may take seconds for what is bounded in bytes.
    monkeypatch.setattr(download, "PAGE", Bound(1 << 20, 0.5 if page == "slow" else 30))
    start = time.monotonic()
    with pytest.raises(WeightsError, match=reason):
        read_page(f"{hostile[0].url}/{page}", Connection(), "*/*")
    assert time.monotonic() - start < 25


def test_a_compressed_page_is_read(hostile):
    found, kind, _ = read_page(f"{hostile[0].url}/packed", Connection(), "*/*")
    assert (found, kind) == (b"<a href='net.pth'>net.pth</a>", "text/html")


def test_a_bomb_is_not_inflated_at_once(hostile):
    with Connection().get(f"{hostile[0].url}/bomb") as response:
        pieces = [len(piece) for piece in content(response, Bound(128 << 20, 60))]
    assert sum(pieces) == 64 << 20
    assert max(pieces) <= 1 << 20


def test_an_endless_file_is_bounded(hostile, monkeypatch, tmp_path):
    monkeypatch.setattr(download, "FILE", Bound(1 << 20, 60, 4096))
    with pytest.raises(WeightsError, match="larger than 1 MiB"):
        download.download_file(f"{hostile[0].url}/endless", tmp_path / "a", "0" * 8, Connection())


def test_a_slow_file_is_given_up_and_a_fast_one_is_not(hostile, monkeypatch, tmp_path):
    monkeypatch.setattr(download, "FILE", Bound(1 << 20, 0.3, 4096))
    with pytest.raises(WeightsError, match="not complete"):
        download.download_file(f"{hostile[0].url}/slow", tmp_path / "a", "0" * 8, Connection())
    Bound(1 << 20, 0.3, 4096).check(received=10_000, elapsed=2.0)


def test_a_page_of_the_network_leads_to_no_local_file(hostile, monkeypatch, make_store, source, tmp_path):
    secret = tmp_path / ARCHIVE
    secret.write_bytes(b"secret")
    hostile[0].page = f'<a href="{secret.as_uri()}">{ARCHIVE}</a>'
    monkeypatch.setenv("PIP_INDEX_URL", f"{hostile[0].url}/simple")
    with pytest.raises(WeightsError, match="not a web address"):
        make_store(source).open("demo")


def test_a_redirect_to_a_local_file_is_refused(hostile, tmp_path):
    hostile[0].targets["x"] = tmp_path.as_uri()
    with pytest.raises(WeightsError, match="not a web address"):
        read_page(f"{hostile[0].url}/to/x", Connection(), "*/*")


def test_a_password_goes_to_no_other_port(hostile, monkeypatch, make_store, source):
    index, other = hostile
    index.page = f'<a href="{other.url}/file/{ARCHIVE}">{ARCHIVE}</a>'
    monkeypatch.setenv("PIP_INDEX_URL", index.url.replace("//", "//user:secret@") + "/simple")
    with pytest.raises(WeightsError):
        make_store(source).open("demo")
    assert [path for path, _ in other.asked] == [f"/file/{ARCHIVE}"]
    assert "Authorization" not in other.asked[0][1]
    assert index.asked[0][1]["Authorization"] == "Basic " + base64.b64encode(b"user:secret").decode()


def test_a_redirect_takes_the_password_to_the_same_server_only(hostile):
    index, other = hostile
    index.targets |= {"same": f"{index.url}/file/a", "other": f"{other.url}/file/a"}
    for target in ("same", "other"):
        with Connection(auth=("user", "secret")).get(f"{index.url}/to/{target}"):
            pass
    assert "Authorization" in index.asked[1][1]
    assert "Authorization" not in other.asked[0][1]


def test_a_trusted_host_does_not_pass_its_trust_on(hostile, monkeypatch):
    import requests

    checked = []
    get = requests.get

    def watched(url, **options):
        checked.append((url, options["verify"]))
        return get(url, **options)

    monkeypatch.setattr(requests, "get", watched)
    index, other = hostile
    index.targets["x"] = f"{other.url}/file/a"
    trusted = PipSettings(indexes=(), trusted_hosts=frozenset({index.url.partition("//")[2]}))
    with Connection(trusted).get(f"{index.url}/to/x"):
        pass
    assert checked == [(f"{index.url}/to/x", False), (f"{other.url}/file/a", True)]


@pytest.mark.parametrize(
    ("url", "same"),
    [
        ("https://a.example:443/x", True),
        ("https://A.example/x", True),
        ("https://a.example:8443/x", False),
        ("http://a.example/x", False),
        ("https://b.example/x", False),
    ],
)
def test_origin_is_scheme_host_and_port(url, same):
    assert (origin(url) == origin("https://a.example/simple")) is same
