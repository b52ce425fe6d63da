"""Downloads: one file to a given place, with its hash checked and failures put in a few words."""

from __future__ import annotations

import shutil
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit, urlunsplit
from urllib.request import url2pathname

from iqa_registry.errors import WeightsError
from iqa_registry.weights.hashing import check_sha256
from iqa_registry.weights.pip_settings import PipSettings

if TYPE_CHECKING:
    from requests import Response

TIMEOUT = 60.0
"""Seconds without any answer after which a server is given up."""

_CHUNK = 2**20


@dataclass(frozen=True, slots=True)
class Connection:
    """How to talk to a server.

    Attributes:
        settings: certificate, proxy and trusted hosts.
        auth: user name and password, where they are not part of the address.
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
    def get(self, url: str, **options: Any) -> Iterator[Response]:
        """The answer to a request; raises :class:`WeightsError` if there is none, or while it is read."""
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
                    auth=self.auth,
                    **options,
                ) as response:
                    response.raise_for_status()
                    yield response
            except requests.RequestException as error:
                raise WeightsError(f"{shown(url)}: {_reason(error)}") from error


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

    response = getattr(error, "response", None)
    if response is not None:
        return f"HTTP status {response.status_code}"
    known = {
        requests.exceptions.SSLError: "certificate not accepted",
        requests.exceptions.ProxyError: "proxy not reached",
        requests.exceptions.Timeout: "no answer in time",
        requests.exceptions.ChunkedEncodingError: "the connection broke off",
        requests.exceptions.ConnectionError: "no connection",
    }
    return next((text for kind, text in known.items() if isinstance(error, kind)), type(error).__name__)


def _request(url: str, target: Path, connection: Connection) -> None:
    from rich.console import Console
    from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TransferSpeedColumn

    columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TransferSpeedColumn())
    bar = Progress(*columns, console=Console(stderr=True), transient=True, disable=not connection.progress)
    with connection.get(url, stream=True) as response, bar, target.open("wb") as out:
        total = int(response.headers.get("Content-Length", 0)) or None
        task = bar.add_task(target.name, total=total)
        for chunk in response.iter_content(_CHUNK):
            bar.advance(task, out.write(chunk))
