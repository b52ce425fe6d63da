"""The weight store: the declared weight files and the folder that they are kept in.

A file in the folder is checked on each load and never replaced silently. What is fetched or imported goes to
a temporary folder first, is checked there, and only then gets its name, so that several processes can do it
at once.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from iqa_registry.errors import UnknownNameError, WeightsError, nearest
from iqa_registry.weights.fingerprints import file_sha256, fingerprint, fingerprint_of_file
from iqa_registry.weights.keep import keep, published_name, workspace

if TYPE_CHECKING:
    from torch import Tensor

    from iqa_registry.specs import WeightSpec
    from iqa_registry.weights.sources import Source

WeightStatus = Literal["present", "missing", "damaged"]

_FALSE = frozenset({"", "0", "false", "no", "off"})


@dataclass(frozen=True, slots=True)
class WeightReport:
    """What is known of a weight file in the folder.

    Attributes:
        name: of the weights.
        status: ``present``, ``missing`` or ``damaged`` (its hash is not what was declared).
        path: where it is or would be.
        sha256: the hash found; empty if the file is missing or cannot be read at all.
    """

    name: str
    status: WeightStatus
    path: Path
    sha256: str = ""


class WeightStore:
    """The declared weight files and the folder that they are kept in.

    Args:
        specs: the declarations by name.
        directory: the folder; by default ``IQA_WEIGHTS_DIR``, else the user's cache folder.
        offline: never touch the network; by default whether ``IQA_OFFLINE`` is set to 1.
        progress: draw progress bars on stderr; by default if that is a terminal.

    Attributes:
        loaded: for each name loaded so far, the hash of what was loaded.

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
        self.loaded: dict[str, str] = {}

    def spec(self, name: str) -> WeightSpec:
        """The declaration of ``name``; raises :class:`UnknownNameError` with the nearest names."""
        if name not in self.specs:
            raise UnknownNameError(f"no weights {name!r} are declared.{nearest(name, self.specs)}")
        return self.specs[name]

    def path(self, name: str) -> Path:
        """Where the weight file ``name`` is kept, whether or not it is there."""
        return self.directory / published_name(self.spec(name))

    def status(self, name: str) -> WeightStatus:
        """``present``, ``missing`` or ``damaged``; the hash is checked."""
        return self.report(name).status

    def report(self, name: str) -> WeightReport:
        """Status, path and hash of one weight file; needs neither torch nor a network."""
        spec, path = self.spec(name), self.path(name)
        try:
            got = file_sha256(path) if spec.hashed == "file" else fingerprint_of_file(path)
        except FileNotFoundError:
            return WeightReport(name, "missing", path)
        except (OSError, ValueError):
            return WeightReport(name, "damaged", path)
        return WeightReport(name, "present" if got.startswith(spec.sha256) else "damaged", path, got)

    def verify(self, names: Iterable[str] | None = None) -> list[WeightReport]:
        """Reports of the given weight files, of all declared ones by default."""
        return [self.report(name) for name in (sorted(self.specs) if names is None else names)]

    def load(self, name: str) -> dict[str, Tensor]:
        """Read the tensors of ``name``, fetching the file first if it is missing.

        Returns:
            Tensors by name, on the CPU.

        Raises:
            UnknownNameError: nothing of that name is declared.
            WeightsError: it cannot be had, or the file in the folder is not what was declared.
        """
        if not self.path(name).is_file():
            self.fetch(name)
        spec, path = self.spec(name), self.path(name)
        if spec.hashed == "file":
            self._refuse_damaged(name)
            tensors, got = _reader(spec).tensors(path), file_sha256(path)
        else:
            tensors, got = self._stored(name)
        if not got.startswith(spec.sha256):
            raise self._damaged(name, got)
        self.loaded[name] = got
        return tensors

    def fetch(self, name: str, force: bool = False) -> Path:
        """Bring a weight file into the folder from the first of its sources that has it.

        Args:
            name: of the weights.
            force: replace a file that is there, whatever its state.

        Returns:
            Its path.

        Raises:
            UnknownNameError: nothing of that name is declared.
            WeightsError: no source has it, or a damaged file stands in its place.
        """
        if self.path(name).exists() and not force:
            self._refuse_damaged(name)
            return self.path(name)
        with workspace(self.directory) as folder:
            return self._fetch(self.spec(name), folder)

    def import_file(self, path: Path, name: str | None = None) -> tuple[str, ...]:
        """Bring a file from elsewhere into the folder: a weight file in any container, or a whole archive.

        Args:
            path: the file; what it is is told by its hash or the fingerprint of its tensors.
            name: accept it only as these weights.

        Returns:
            The names of the weights that it held.

        Raises:
            UnknownNameError: nothing of that name is declared.
            WeightsError: it cannot be read, or is none of the declared weight files.
        """
        from iqa_registry.weights.recognition import recognize

        candidates = [self.spec(name)] if name else list(self.specs.values())
        names = []
        with workspace(self.directory) as folder:
            for spec, file, read in recognize(Path(path), candidates, folder):
                keep(spec, file, read, self.path(spec.name), folder)
                names.append(spec.name)
        return tuple(names)

    def _fetch(self, spec: WeightSpec, folder: Path) -> Path:
        reasons = []
        for source in spec.sources:
            if self.offline and source.network:
                reasons.append(f"{source.describe()} (offline)")
                continue
            try:
                file = source.obtain(folder, self.progress)
                return keep(spec, file, source.tensors, self.path(spec.name), folder)
            except WeightsError as error:
                reasons.append(f"{source.describe()} ({error})")
        raise WeightsError(self._unavailable(spec.name, reasons))

    def _stored(self, name: str) -> tuple[dict[str, Tensor], str]:
        from iqa_registry.weights.containers import read

        try:
            tensors = read(self.path(name))
        except WeightsError as error:
            raise self._damaged(name, "") from error
        return tensors, fingerprint(tensors)

    def _refuse_damaged(self, name: str) -> None:
        report = self.report(name)
        if report.status == "damaged":
            raise self._damaged(name, report.sha256)

    def _damaged(self, name: str, got: str) -> WeightsError:
        return WeightsError(
            f"{self.path(name)} is not the declared {name!r}: expected sha256 {self.spec(name).sha256}, "
            f"got {got or 'an unreadable file'}.\n"
            f"Replace it with: iqa weights fetch {name} --force"
        )

    def _unavailable(self, name: str, reasons: list[str]) -> str:
        file = self.path(name).name
        why = "and IQA_OFFLINE forbids the network" if self.offline else "and no source has them"
        return (
            f"weights {name!r} are missing from {self.directory} {why}: {'; '.join(reasons)}.\n"
            f"On a machine with a network run `iqa weights fetch {name}`, copy {file} from its weights "
            f"folder here and run `iqa weights import {file}`, or point IQA_WEIGHTS_DIR to its folder."
        )


def default_directory() -> Path:
    """``IQA_WEIGHTS_DIR``, else ``weights`` in the user's cache folder of iqa-registry."""
    chosen = os.environ.get("IQA_WEIGHTS_DIR")
    if chosen:
        return Path(chosen).expanduser()
    import platformdirs

    return platformdirs.user_cache_path("iqa-registry", appauthor=False) / "weights"


def _reader(spec: WeightSpec) -> Source:
    """All sources of a file known by its own hash deliver that file, so the first one's reader serves."""
    source: Source = spec.sources[0]
    return source
