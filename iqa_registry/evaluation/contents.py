"""What the files of a run hold, by SHA-256: ``inputs.parquet`` of a run folder.

A file that was scored is identified by its size, times and inode; see
:func:`~iqa_registry.evaluation.record.inputs_digest`. The hash decides where these cannot: when a run is verified, and
a year later, when a number is to be made again.
"""

from __future__ import annotations

import contextlib
import hashlib
from collections.abc import Iterable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

import polars as pl

from iqa_registry.evaluation.items import Item
from iqa_registry.evaluation.sealing import DamagedError, read_sealed
from iqa_registry.files import FileState, file_state, special_kind
from iqa_registry.images.formats import files_of
from iqa_registry.weights.hashing import sha256_of

_STATE = ("size", "modified", "changed", "inode")


class Contents:
    """The hashes of the files that a run reads, made in a thread of their own beside the scoring.

    Args:
        path: the ``inputs.parquet`` of the run; what it has of unchanged files is not read again.

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     image = Path(folder) / "a.npy"
        ...     _ = image.write_bytes(b"abc")
        ...     contents = Contents(Path(folder) / "inputs.parquet")
        ...     contents.add([image])
        ...     contents.table()["sha256"][0][:8]
        'ba7816bf'
    """

    def __init__(self, path: Path) -> None:
        self._known = _read(path)
        self._found: dict[str, tuple[FileState, Future[str | None]]] = {}
        # One thread: it waits for the disk and leaves the interpreter free while it hashes.
        self._pool = ThreadPoolExecutor(1, thread_name_prefix="iqa-hash")

    @property
    def is_known(self) -> bool:
        """Whether the run has hashes of an earlier time."""
        return bool(self._known)

    def add(self, files: Iterable[Path], scored: bool = False) -> None:
        """Have the hashes made of those files that have none yet.

        Args:
            files: files that are about to be read.
            scored: or whose scores are there already, so that the hash of that time stands.
        """
        for path in files:
            state, key = file_state(path), str(path.absolute())
            known = self._known.get(key)
            if known is not None and (scored or known[0] == state):
                ready: Future[str | None] = Future()
                ready.set_result(known[1])
                self._found[key] = (known[0], ready)
            elif state is not None and (key not in self._found or self._found[key][0] != state):
                self._found[key] = (state, self._pool.submit(_hash, path))

    def changed(self, files: Iterable[Path]) -> list[Path]:
        """Those files that do not hold what they held when they were scored, or of which that is not known.

        Every file is read, whatever its times say.
        """
        there = {str(path.absolute()): path for path in files}
        made = {key: (file_state(path), self._pool.submit(_hash, path)) for key, path in there.items()}
        different = []
        for key, path in there.items():
            state, digest = made[key][0], made[key][1].result()
            known = self._known.get(key)
            if known is None or digest is None or known[1] != digest:
                different.append(path)
            if state is not None and digest is not None:
                self._known[key] = (state, digest)
        return different

    def table(self) -> pl.DataFrame:
        """One row per file: ``path``, ``size``, ``modified``, ``changed``, ``inode`` and ``sha256``, by path."""
        rows = [
            (key, *state, digest)
            for key, (state, future) in sorted(self._found.items())
            if (digest := future.result()) is not None
        ]
        types = {"path": pl.String, **dict.fromkeys(_STATE, pl.Int64), "sha256": pl.String}
        return pl.DataFrame(rows, schema=types, orient="row")

    def close(self) -> None:
        """Drop what is not hashed yet."""
        self._pool.shutdown(wait=False, cancel_futures=True)


def digest_of(table: pl.DataFrame) -> str:
    """One hash of all files and what they hold, which tells two runs on the same images from others.

    Args:
        table: what :meth:`Contents.table` gives.
    """
    digest = hashlib.sha256()
    for path, content in table.select("path", "sha256").iter_rows():
        digest.update(f"{path}\0{content}\n".encode(errors="surrogateescape"))
    return digest.hexdigest()


def files_of_items(items: Sequence[Item]) -> list[Path]:
    """All files that make the images, masks and labels of items; arrays and made images have none."""
    sources = {
        source: None for item in items for source in item.pair.sources if isinstance(source, str | Path)
    }
    found: dict[Path, None] = {}
    for source in sources:
        with contextlib.suppress(OSError):  # an image that is gone has a row that says so
            found |= dict.fromkeys(path for path in files_of(source) if path.is_file())
    return [*found]


def _read(path: Path) -> dict[str, tuple[FileState, str]]:
    try:
        table = read_sealed(path)[0]
        rows = table.select("path", *_STATE, "sha256").iter_rows()
        return {
            key: ((size, modified, changed, inode), digest)
            for key, size, modified, changed, inode, digest in rows
        }
    except (OSError, DamagedError, pl.exceptions.PolarsError):  # then every file is hashed again
        return {}


def _hash(path: Path) -> str | None:
    if special_kind(path):
        return None
    try:
        with path.open("rb") as file:
            return sha256_of(file)
    except OSError:
        return None
