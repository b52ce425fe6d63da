"""Downloads: one file to a given place, its hash checked, failures put in a few words."""

from __future__ import annotations

import shutil
import warnings
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit
from urllib.request import url2pathname

from iqa_registry.errors import WeightsError
from iqa_registry.weights.hashing import file_sha256
from iqa_registry.weights.pip_settings import PipSettings

TIMEOUT = 60.0
"""Seconds without any answer after which a server is given up."""


@dataclass(frozen=True, slots=True)
class Connection:
    """How to talk to a server.

    Attributes:
        settings: certificate, proxy and trusted hosts.
        auth: user name and password, where the address alone does not carry them.
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

    def proxies(self) -> dict[str, str] | None:
        """The configured proxy in the form that ``requests`` takes."""
        proxy = self.settings.proxy
        return {"http": proxy, "https": proxy} if proxy else None


def download_file(url: str, target: Path, sha256: str, connection: Connection) -> Path:
    """Bring ``url`` (``http``, ``https`` or ``file``) to ``target``.

    Args:
        url: where the file is.
        target: a path that does not exist yet, in a folder that is thrown away on failure.
        sha256: the hash, or its first digits.
        connection: how to reach the server.

    Raises:
        WeightsError: unreachable, or the hash differs; the message is a few words, for a list of reasons.
    """
    if urlsplit(url).scheme == "file":
        _copy(local_path(url), target)
    else:
        _request(url, target, connection)
    check_sha256(target, sha256)
    return target


def check_sha256(path: Path, expected: str) -> str:
    """Return the hash of ``path`` after comparing it with ``expected``, the hash or its first digits."""
    got = file_sha256(path)
    if not got.startswith(expected):
        raise WeightsError(f"{path.name} has sha256 {got}, expected {expected}")
    return got


def local_path(url: str) -> Path:
    """The path of a ``file:`` address; a plain path is returned as it is."""
    parts = urlsplit(url)
    return Path(url2pathname(parts.path)) if parts.scheme == "file" else Path(url).expanduser()


def shown(url: str) -> str:
    """An address for messages: without user name and password."""
    parts = urlsplit(url)
    return urlunsplit(parts._replace(netloc=parts.netloc.rpartition("@")[2]))


def reason(error: Exception) -> str:
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


def quiet_about_trusted_hosts() -> None:
    """The user has said in pip's settings that these hosts need no certificate."""
    import urllib3

    warnings.simplefilter("ignore", urllib3.exceptions.InsecureRequestWarning)


def _copy(source: Path, target: Path) -> None:
    try:
        shutil.copyfile(source, target)
    except OSError as error:
        raise WeightsError(f"{source}: {error.strerror}") from error


def _request(url: str, target: Path, connection: Connection) -> None:
    import pooch
    import requests

    bar = _Bar(target.name) if connection.progress else None
    downloader = pooch.HTTPDownloader(
        progressbar=bar or False,
        timeout=TIMEOUT,
        verify=connection.verify(url),
        proxies=connection.proxies(),
        auth=connection.auth,
    )
    with warnings.catch_warnings():
        quiet_about_trusted_hosts()
        try:
            downloader(url, str(target), None)
        except requests.RequestException as error:
            raise WeightsError(f"{shown(url)}: {reason(error)}") from error
        finally:
            if bar is not None:
                bar.close()


class _Bar:
    """A progress bar on stderr with the four names that pooch calls."""

    def __init__(self, label: str) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TransferSpeedColumn

        columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TransferSpeedColumn())
        self._progress = Progress(*columns, console=Console(stderr=True), transient=True)
        self._task = self._progress.add_task(label, total=None)
        self._progress.start()

    @property
    def total(self) -> float | None:
        """Expected bytes."""
        return self._progress.tasks[0].total

    @total.setter
    def total(self, total: float) -> None:
        self._progress.update(self._task, total=total or None)

    def update(self, count: int) -> None:
        """``count`` more bytes have come."""
        self._progress.advance(self._task, count)

    def reset(self) -> None:
        """Back to none."""
        self._progress.reset(self._task)

    def close(self) -> None:
        """Take the bar off the terminal."""
        self._progress.stop()
