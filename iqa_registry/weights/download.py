"""Downloads: one file to a given place, with its hash checked and failures put in a few words."""

from __future__ import annotations

import math
import shutil
import time
import warnings
import zlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urljoin, urlsplit, urlunsplit
from urllib.request import url2pathname

from iqa_registry.errors import WeightsError
from iqa_registry.weights.hashing import check_sha256
from iqa_registry.weights.pip_settings import PipSettings

if TYPE_CHECKING:
    from requests import Response

TIMEOUT = 60.0
"""Seconds without any answer after which a server is given up."""

_CHUNK = 2**18
_MOST_REDIRECTS = 10
_GZIP_OR_ZLIB = 47  # tells zlib to accept either wrapping


@dataclass(frozen=True, slots=True)
class Bound:
    """How much of an answer is taken, so that no server can fill the disk or hold a run for ever.

    Attributes:
        nbytes: after decompression.
        seconds: of an answer that is slower than :attr:`rate` on average.
        rate: bytes per second; an answer that reaches it may take longer.
    """

    nbytes: int
    seconds: float
    rate: float = math.inf

    def check(self, received: int, elapsed: float) -> None:
        """Raise :class:`WeightsError` where an answer goes beyond the bound."""
        if received > self.nbytes:
            raise WeightsError(f"the answer is larger than {self.nbytes >> 20} MiB")
        if elapsed > self.seconds and received < self.rate * elapsed:
            raise WeightsError(f"the answer is not complete after {elapsed:.0f} s")


PAGE = Bound(64 << 20, 60)
"""A page of a package index."""
FILE = Bound(4 << 30, 60, 4096)
"""A weight file, or an archive of them."""


@dataclass(frozen=True, slots=True)
class Connection:
    """How to talk to a server.

    Attributes:
        settings: certificate, proxy and trusted hosts.
        auth: user name and password for the server that is asked first, where they are not part of the address. A
            redirect to another host or port does not get them.
        progress: whether to draw a progress bar on stderr.
    """

    settings: PipSettings = field(default_factory=lambda: PipSettings(indexes=()))
    auth: tuple[str, str] | None = None
    progress: bool = False

    def verify(self, url: str) -> str | bool:
        """What ``requests`` shall check the certificate against."""
        parts = urlsplit(url)
        trusted = {parts.hostname, parts.netloc.rpartition("@")[2]} & self.settings.trusted_hosts
        return False if trusted else self.settings.verify

    @contextmanager
    def get(self, url: str, **headers: str) -> Iterator[Response]:
        """The answer to a request, its content not read yet.

        Redirects are followed one by one, so that a trusted host or a password counts for its own server only.

        Raises:
            WeightsError: no answer, an answer of failure, a redirect that leads away from HTTP, or a connection that
                fails while the answer is read.
        """
        address = url
        for _ in range(_MOST_REDIRECTS):
            with self._ask(
                address, self.auth if origin(address) == origin(url) else None, headers
            ) as response:
                target = response.headers.get("Location") if response.is_redirect else None
                if target is None:
                    yield response
                    return
            address = urljoin(address, target)
            if urlsplit(address).scheme not in ("http", "https"):
                raise WeightsError(
                    f"{shown(url)}: is redirected to {shown(address)}, which is not a web address"
                )
            if urlsplit(url).scheme == "https" and urlsplit(address).scheme == "http":
                raise WeightsError(f"{shown(url)}: is redirected to {shown(address)}, which is not encrypted")
        raise WeightsError(f"{shown(url)}: is redirected more than {_MOST_REDIRECTS} times")

    @contextmanager
    def _ask(self, url: str, auth: tuple[str, str] | None, headers: Mapping[str, str]) -> Iterator[Response]:
        import requests
        import urllib3

        proxy = self.settings.proxy
        with warnings.catch_warnings():
            # The user's pip settings say that the certificates of these hosts need not be checked.
            warnings.simplefilter("ignore", urllib3.exceptions.InsecureRequestWarning)
            try:
                with requests.get(
                    url,
                    timeout=TIMEOUT,
                    verify=self.verify(url),
                    proxies={"http": proxy, "https": proxy} if proxy else None,
                    auth=auth,
                    headers={"Accept-Encoding": "identity"} | dict(headers),
                    allow_redirects=False,
                    stream=True,
                ) as response:
                    response.raise_for_status()
                    yield response
            except (requests.RequestException, urllib3.exceptions.HTTPError, OSError) as error:
                raise WeightsError(f"{shown(url)}: {_reason(error)}") from error


def origin(url: str) -> tuple[str, str | None, int | None]:
    """Scheme, host and port: the server that an address belongs to.

    Example:
        >>> origin("https://mirror.example/simple") == origin("https://mirror.example:443/files/a.whl")
        True
    """
    parts = urlsplit(url)
    return parts.scheme, parts.hostname, parts.port or {"http": 80, "https": 443}.get(parts.scheme)


def content(response: Response, bound: Bound) -> Iterator[bytes]:
    """The content of an answer, piece by piece as it comes, decompressed and never more than ``bound`` admits.

    Raises:
        WeightsError: too much, too slow, compressed in an unknown way, or cut off.
    """
    encoding = response.headers.get("Content-Encoding", "identity").lower()
    if encoding not in ("identity", "", "gzip", "deflate", "x-gzip"):
        raise WeightsError(f"the answer is compressed as {encoding!r}")
    packed = encoding not in ("identity", "")
    inflater = zlib.decompressobj(_GZIP_OR_ZLIB)
    start, received = time.monotonic(), 0
    # One read of what is there, since a full block from a slow server would hold the clock.
    while chunk := response.raw.read1(_CHUNK, decode_content=False):
        while chunk:
            piece = inflater.decompress(chunk, _CHUNK) if packed else chunk
            received += len(piece)
            bound.check(received, time.monotonic() - start)
            yield piece
            chunk = inflater.unconsumed_tail if packed else b""
    if packed and not inflater.eof:
        raise WeightsError("the connection broke off")


def read_page(url: str, connection: Connection, accept: str) -> tuple[bytes, str, str]:
    """A page: its content, its type, and the address that it came from in the end.

    Raises:
        WeightsError: unreachable, larger or slower than :data:`PAGE` admits.
    """
    with connection.get(url, Accept=accept) as response:
        kind = response.headers.get("Content-Type", "text/html")
        return b"".join(content(response, PAGE)), kind, response.url


def download_file(url: str, target: Path, sha256: str, connection: Connection) -> Path:
    """Download ``url`` (``http``, ``https`` or ``file``) to ``target``.

    Args:
        url: where the file is.
        target: a path that does not exist yet, in a folder that is discarded on failure.
        sha256: the hash, or its first digits.
        connection: how to reach the server.

    Raises:
        WeightsError: unreachable, or the hash differs; the message is a few words, for a list of reasons.
    """
    if urlsplit(url).scheme == "file":
        source = local_path(url)
        try:
            shutil.copyfile(source, target)
        except OSError as error:
            raise WeightsError(f"{source}: {error.strerror}") from error
    else:
        _request(url, target, connection)
    check_sha256(target, sha256)
    return target


def local_path(url: str) -> Path:
    """The path of a ``file:`` address; a plain path is returned as it is."""
    parts = urlsplit(url)
    return Path(url2pathname(parts.path)) if parts.scheme == "file" else Path(url).expanduser()


def shown(url: str) -> str:
    """An address for messages: without user name and password."""
    parts = urlsplit(url)
    return urlunsplit(parts._replace(netloc=parts.netloc.rpartition("@")[2]))


def _reason(error: Exception) -> str:
    """A failed request in a few words; the original text may hold a password, so it is not quoted."""
    import requests
    import urllib3

    response = getattr(error, "response", None)
    if response is not None:
        return f"HTTP status {response.status_code}"
    known = {
        requests.exceptions.SSLError: "certificate not accepted",
        requests.exceptions.ProxyError: "proxy not reached",
        requests.exceptions.Timeout: "no answer in time",
        requests.exceptions.ChunkedEncodingError: "the connection broke off",
        requests.exceptions.ConnectionError: "no connection",
        urllib3.exceptions.TimeoutError: "no answer in time",
        urllib3.exceptions.HTTPError: "the connection broke off",
        OSError: "the connection broke off",
    }
    return next((text for kind, text in known.items() if isinstance(error, kind)), type(error).__name__)


def _request(url: str, target: Path, connection: Connection) -> None:
    from rich.console import Console
    from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TransferSpeedColumn

    columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TransferSpeedColumn())
    bar = Progress(*columns, console=Console(stderr=True), transient=True, disable=not connection.progress)
    with connection.get(url) as response, bar, target.open("wb") as out:
        length = response.headers.get("Content-Length", "")
        total = int(length) if length.isdecimal() else None
        FILE.check(total or 0, 0)
        task = bar.add_task(target.name, total=total)
        for chunk in content(response, FILE):
            bar.advance(task, out.write(chunk))
        written = out.tell()
    if total is not None and written < total and "Content-Encoding" not in response.headers:
        raise WeightsError(f"{shown(url)}: the connection broke off")
