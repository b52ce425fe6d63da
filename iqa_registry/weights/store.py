"""The weight store: the declared weight files, in installed packages and in the weights folder.

A file is checked each time it is opened and never replaced silently. What is fetched or imported goes to
a temporary folder first, is checked there, and only then gets its name, so that several processes can do it
at once.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from iqa_registry.errors import UnknownNameError, WeightsError, nearest
from iqa_registry.weights.files import WeightFile, open_file, read_file, record
from iqa_registry.weights.hashing import file_sha256, fingerprint_of_file
from iqa_registry.weights.keep import keep, published_name, workspace
from iqa_registry.weights.sources import PackageFile

if TYPE_CHECKING:
    from iqa_registry.specs import WeightSpec
    from iqa_registry.weights.sources import Source

WeightStatus = Literal["present", "in package", "missing", "damaged"]
_BEST_FIRST: tuple[WeightStatus, ...] = ("in package", "present", "damaged", "missing")

_FALSE = frozenset({"", "0", "false", "no", "off"})


@dataclass(frozen=True, slots=True)
class WeightReport:
    """What is known of a weight file.

    Attributes:
        name: of the weights.
        status: ``present`` in the weights folder, ``in package`` (an installed package carries it, nothing need be
            fetched), ``missing``, or ``damaged`` (its hash is not the declared one).
        path: where it is or would be.
        sha256: the hash found; empty if the file is missing or cannot be read at all.
    """

    name: str
    status: WeightStatus
    path: Path
    sha256: str = ""


class WeightStore:
    """The declared weight files and the folder for those that no installed package carries.

    Args:
        specs: the declarations by name.
        directory: the folder; by default ``IQA_WEIGHTS_DIR``, else the user's cache folder.
        offline: never touch the network; by default whether ``IQA_OFFLINE`` is set to 1.
        progress: draw progress bars on stderr; by default if that is a terminal.

    Example:
        >>> store = WeightStore({}, directory=Path("weights"), offline=True)
        >>> len(store.verify())
        0
    """

    def __init__(
        self,
        specs: Mapping[str, WeightSpec],
        directory: Path | None = None,
        offline: bool | None = None,
        progress: bool | None = None,
    ) -> None:
        self.specs = specs
        self.directory = default_directory() if directory is None else Path(directory)
        self.offline = os.environ.get("IQA_OFFLINE", "").lower() not in _FALSE if offline is None else offline
        self.progress = sys.stderr.isatty() if progress is None else progress

    def spec(self, name: str) -> WeightSpec:
        """The declaration of ``name``; raises :class:`UnknownNameError` with the nearest names."""
        if name not in self.specs:
            raise UnknownNameError(
                f"There are no weights {name!r}.{nearest(name, self.specs)} `iqa weights list` shows all."
            )
        return self.specs[name]

    def path(self, name: str) -> Path:
        """Where ``name`` is kept in the weights folder, whether or not it is there."""
        return self.directory / published_name(self.spec(name))

    def status(self, name: str) -> WeightStatus:
        """See :class:`WeightReport`; the hash is checked."""
        return self.report(name).status

    def report(self, name: str) -> WeightReport:
        """Status, path and hash of one weight file, declared or at a path that the user gives; needs no network.

        Raises:
            UnknownNameError: neither a declared name nor a file.
        """
        if name not in self.specs and (file := Path(name).expanduser()).is_file():
            return WeightReport(name, "present", file, file_sha256(file))
        spec = self.spec(name)
        carried = [_report(spec, path, source) for source, path in _carried(spec)]
        reports = [*carried, _report(spec, self.path(name), None)]
        return min(reports, key=lambda item: _BEST_FIRST.index(item.status))

    def verify(self, names: Iterable[str] | None = None) -> list[WeightReport]:
        """Reports of the given weight files, of all declared ones by default."""
        return [self.report(name) for name in (sorted(self.specs) if names is None else names)]

    def open(self, name_or_path: str) -> WeightFile:
        """Open a weight file, fetching it first if it is declared and missing.

        It is read and hashed once, and recorded for the metric that is being built
        (:func:`iqa_registry.weights.recording`).

        Args:
            name_or_path: a declared name, or the path of a file.

        Returns:
            The file: ``.tensors`` are on the CPU, ``.sha256`` is its hash.

        Raises:
            WeightsError: it cannot be had, is not what was declared, or holds more than data.

        Example:
            >>> import tempfile, torch
            >>> path = Path(tempfile.mkdtemp(), "net.pth")
            >>> torch.save({"weight": torch.ones(2)}, path)
            >>> WeightStore({}).open(str(path)).tensors["weight"].sum().item()
            2.0
        """
        if name_or_path in self.specs:
            return record(self._open(self.specs[name_or_path]))
        path = Path(name_or_path).expanduser()
        if not path.exists():
            raise WeightsError(
                f"There are no weights and no file {name_or_path!r}.{nearest(name_or_path, self.specs)} "
                "`iqa weights list` shows all names."
            )
        return open_file(path, name_or_path)

    def fetch(self, name: str, force: bool = False) -> Path:
        """Fetch a weight file into the folder from the first of its sources that has it.

        Args:
            name: of the weights.
            force: replace a file that is there, whatever its state.

        Returns:
            Its path; that in the package for a file that an installed package carries, which need not be fetched.

        Raises:
            UnknownNameError: nothing of that name is declared.
            WeightsError: no source has it, or a damaged file is in its place.
        """
        spec, report = self.spec(name), self.report(name)
        if report.status == "in package" or (report.status == "present" and not force):
            return report.path
        if not force and self.path(name).exists():
            self._reject_damaged(spec)
        with workspace(self.directory) as folder:
            return self._fetch(spec, folder)

    def import_file(self, path: Path, name: str | None = None) -> tuple[str, ...]:
        """Copy a file from elsewhere into the folder: a weight file in any format, or a whole archive.

        Args:
            path: the file; it is identified by its hash, or by the hash of its tensors.
            name: accept it only as these weights.

        Returns:
            The names of the weights that it held.

        Raises:
            UnknownNameError: nothing of that name is declared.
            WeightsError: it cannot be read, or is none of the declared weight files.
        """
        from iqa_registry.weights.importing import recognize

        candidates = [self.spec(name)] if name else list(self.specs.values())
        names = []
        with workspace(self.directory) as folder:
            for spec, file, source in recognize(Path(path), candidates, folder):
                keep(spec, file, source, self.path(spec.name), folder)
                names.append(spec.name)
        return tuple(names)

    def _open(self, spec: WeightSpec) -> WeightFile:
        for source, path in _carried(spec):
            with suppress(WeightsError):
                return source.open(path, spec)
        path = self.path(spec.name)
        if not path.is_file():
            with workspace(self.directory) as folder:
                self._fetch(spec, folder)
        try:
            if spec.hashed == "file":  # All sources deliver that very file, so the first one's way serves.
                source = spec.sources[0]
                return source.open(path, spec)
            return read_file(path, spec.name, hashed="tensors", expected=spec.sha256)
        except WeightsError:
            self._reject_damaged(spec)
            raise

    def _fetch(self, spec: WeightSpec, folder: Path) -> Path:
        reasons = []
        for source in spec.sources:
            if self.offline and source.network:
                reasons.append(f"{source.describe()} (offline)")
                continue
            try:
                file = source.obtain(folder, self.progress)
                return keep(spec, file, source, self.path(spec.name), folder)
            except WeightsError as error:
                reasons.append(f"{source.describe()} ({error})")
        raise WeightsError(self._unavailable(spec.name, reasons))

    def _reject_damaged(self, spec: WeightSpec) -> None:
        report = _report(spec, self.path(spec.name), None)
        if report.status == "damaged":
            raise WeightsError(
                f"{report.path} is not the declared {spec.name!r}: expected sha256 {spec.sha256}, "
                f"got {report.sha256 or 'an unreadable file'}.\n"
                f"Replace it with: iqa weights fetch {spec.name} --force"
            )

    def _unavailable(self, name: str, reasons: list[str]) -> str:
        file = self.path(name).name
        why = "and IQA_OFFLINE forbids the network" if self.offline else "and no source has them"
        return (
            f"The weights {name!r} are missing from {self.directory} {why}: {'; '.join(reasons)}.\n"
            f"On a machine with a network, run `iqa weights fetch {name}`, copy {file} from its weights "
            f"folder here and run `iqa weights import {file}`, or set IQA_WEIGHTS_DIR to its folder."
        )


def default_directory() -> Path:
    """``IQA_WEIGHTS_DIR``, else ``weights`` in the user's cache folder of iqa-registry."""
    chosen = os.environ.get("IQA_WEIGHTS_DIR")
    if chosen:
        return Path(chosen).expanduser()
    import platformdirs

    return platformdirs.user_cache_path("iqa-registry", appauthor=False) / "weights"


def _carried(spec: WeightSpec) -> Iterator[tuple[Source, Path]]:
    """The files of installed packages that should hold the weights; not yet checked."""
    for source in spec.sources:
        if isinstance(source, PackageFile) and (path := source.find()) is not None:
            yield source, path


def _report(spec: WeightSpec, path: Path, source: Source | None) -> WeightReport:
    """Report of a file in the weights folder, or of one that a package carries, with the source that says so."""
    try:
        got = _hash(spec, path, source)
    except FileNotFoundError:
        return WeightReport(spec.name, "missing", path)
    except (OSError, ValueError, RecursionError, WeightsError):
        return WeightReport(spec.name, "damaged", path)
    fits: WeightStatus = "present" if source is None else "in package"
    return WeightReport(spec.name, fits if got.startswith(spec.sha256) else "damaged", path, got)


def _hash(spec: WeightSpec, path: Path, source: Source | None) -> str:
    if spec.hashed == "file":
        return file_sha256(path)
    if source is None:
        return fingerprint_of_file(path)
    if source.sha256 and file_sha256(path).startswith(source.sha256):
        return (
            spec.sha256
        )  # The published file is known to hold these numbers; reading them would need torch.
    return source.open(path, replace(spec, sha256="")).sha256
