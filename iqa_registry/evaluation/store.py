"""Where the scores of a run are kept: in a run folder, from which an interrupted run resumes, or in memory.

A run folder holds ``run.json`` (what was asked for, of which versions, and which parts make up the table) and
``scores/part-*.parquet``, one per batch. Each is written under a temporary name, synced and renamed, so that a part is
either whole or not there. :func:`read_run` reads a folder.
"""

from __future__ import annotations

import contextlib
import json
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import polars as pl

from iqa_registry.errors import IQAError, UsageError
from iqa_registry.files import write_atomically
from iqa_registry.tables.schema import in_table_order, with_component
from iqa_registry.tables.writing import as_parquet

RECORD = "run.json"
PARTS = "scores/part-*.parquet"


class Store(ABC):
    """Keeps the rows of each batch."""

    @abstractmethod
    def get(self, part: str, digest: str) -> pl.DataFrame | None:
        """The rows of ``part``, if they are there and were made from the same files."""

    @abstractmethod
    def put(self, part: str, digest: str, rows: pl.DataFrame) -> None:
        """Keep the rows of ``part``."""

    @abstractmethod
    def frames(self, parts: Sequence[str]) -> list[pl.DataFrame]:
        """The rows of the named parts."""

    def expect(self, parts: Sequence[str]) -> None:  # noqa: B027 - a store that nobody else reads need not know
        """Say which parts the run consists of, before they are there."""

    def table(self, parts: Sequence[str], metrics: Sequence[str]) -> pl.DataFrame:
        """All rows of the finished run in table order: by image, metric (in the order asked for) and region."""
        self.expect(parts)
        return in_table_order(self.frames(parts), metrics)


class MemoryStore(Store):
    """Keeps rows for as long as the process lives."""

    def __init__(self) -> None:
        self._parts: dict[str, pl.DataFrame] = {}

    def get(self, part: str, digest: str) -> pl.DataFrame | None:
        """See :meth:`Store.get`."""
        return self._parts.get(part)

    def put(self, part: str, digest: str, rows: pl.DataFrame) -> None:
        """See :meth:`Store.put`."""
        self._parts[part] = rows

    def frames(self, parts: Sequence[str]) -> list[pl.DataFrame]:
        """See :meth:`Store.frames`."""
        return [self._parts[part] for part in parts if part in self._parts]


class RunFolder(Store):
    """A run folder on disk.

    Args:
        path: the folder.
        fresh: discard what is there.

    Raises:
        UsageError: the folder holds a run made with other arguments (they are listed), another process is
            writing to it, or it is not a run folder.
    """

    def __init__(self, path: Path, fresh: bool = False) -> None:
        self.path = path
        self._fresh = fresh
        self._scores = path / "scores"
        self._record: dict[str, Any] = {}

    @contextlib.contextmanager
    def opened(self, record: Mapping[str, Any]) -> Iterator[RunFolder]:
        """Take the folder for this run: create it, or resume if the arguments agree.

        Args:
            record: what the run is; ``record["fixed"]`` must agree with the record of an earlier start.
        """
        from filelock import FileLock, Timeout

        self._check_folder()
        try:
            self._scores.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise UsageError(f"{self.path}: cannot be written ({error.strerror}). Name another.") from error
        lock = FileLock(self.path / ".lock")
        try:
            lock.acquire(timeout=0)
        except Timeout:
            raise UsageError(
                f"{self.path}: another process is writing to this run folder. Wait for it, or name another."
            ) from None
        try:
            self._remove_leftovers(parts=self._fresh)
            if not self._fresh:
                self._compare(record)
            self._record = dict(record)
            self.write_record(self._record)
            yield self
        finally:
            # Removed while it is still held, so that no third process can be holding it.
            (self.path / ".lock").unlink(missing_ok=True)
            lock.release()

    def _check_folder(self) -> None:
        if self.path.exists() and not self.path.is_dir():
            raise UsageError(f"{self.path}: is a file. Name a folder for the run.")
        strange = self.path.is_dir() and not (self.path / RECORD).exists() and not self._scores.exists()
        if strange and any(self.path.iterdir()):
            raise UsageError(
                f"{self.path}: holds other files and no {RECORD}. Name an empty or a new folder."
            )

    def _remove_leftovers(self, parts: bool) -> None:
        for path in [*self.path.glob("*.tmp"), *self._scores.glob("*.tmp")]:
            path.unlink(missing_ok=True)
        for path in self._scores.glob("part-*.parquet") if parts else ():
            path.unlink()

    def read_record(self) -> dict[str, Any] | None:
        """The content of ``run.json``, ``None`` if there is no such file."""
        path = self.path / RECORD
        if not path.exists():
            return None
        try:
            record: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            raise UsageError(f"{path}: cannot be read ({error}). Discard the run with --fresh.") from error
        return record

    def _compare(self, record: Mapping[str, Any]) -> None:
        earlier = self.read_record()
        if earlier is None:
            return
        then, now = dict(earlier.get("fixed", {})), dict(_plain(record["fixed"]))
        # A metric that only one side has could not start then or cannot now; it takes nothing from the rest.
        both = then.get("metrics", {}).keys() & now.get("metrics", {}).keys()
        for fixed in (then, now):
            fixed["metrics"] = {
                name: value for name, value in fixed.get("metrics", {}).items() if name in both
            }
        then, now = _flat(then), _flat(now)
        differing = [key for key in {**then, **now} if then.get(key) != now.get(key)]
        if differing:
            shown = "; ".join(f"{key}: {then.get(key)} then, {now.get(key)} now" for key in differing[:3])
            more = f" and {len(differing) - 3} more" if len(differing) > 3 else ""
            raise UsageError(
                f"{self.path}: was made with other arguments ({shown}{more}). "
                "Discard the run with --fresh, or choose another -o."
            )

    def write_record(self, record: Mapping[str, Any]) -> None:
        """Write ``run.json``."""
        text = json.dumps(_plain(record), indent=2, ensure_ascii=False) + "\n"
        _write(self.path / RECORD, text.encode())

    def get(self, part: str, digest: str) -> pl.DataFrame | None:
        """See :meth:`Store.get`."""
        path = self._part(part)
        if not path.exists():
            return None
        with contextlib.suppress(pl.exceptions.PolarsError, OSError):
            if pl.read_parquet_metadata(path).get("inputs") == digest:
                return with_component(pl.read_parquet(path))
        # Damaged, or of other files: it is computed again, and must not count if the run is interrupted before that.
        path.unlink()
        return None

    def put(self, part: str, digest: str, rows: pl.DataFrame) -> None:
        """See :meth:`Store.put`.

        Raises:
            IQAError: the disk is full or the folder cannot be written; earlier parts are untouched.
        """
        _write(self._part(part), as_parquet(rows, {"inputs": digest}))

    def expect(self, parts: Sequence[str]) -> None:
        """See :meth:`Store.expect`; a reader of the folder then knows which files count."""
        if self._record.get("parts") != list(parts):
            self._record["parts"] = list(parts)
            self.write_record(self._record)

    def frames(self, parts: Sequence[str]) -> list[pl.DataFrame]:
        """See :meth:`Store.frames`.

        Raises:
            UsageError: a part is damaged.
        """
        return [_read_part(path) for path in map(self._part, parts) if path.exists()]

    def _part(self, name: str) -> Path:
        return self._scores / f"part-{name}.parquet"


def read_run(path: Path) -> pl.DataFrame:
    """The table of a run folder, finished or not: the parts that its record lists, not those of earlier runs.

    Args:
        path: the folder. One whose record lists no parts, as earlier versions wrote it, is read whole.

    Raises:
        UsageError: it is not a run folder, has no scores yet, or a file in it is damaged.
    """
    folder = RunFolder(path)
    record = folder.read_record() or {}
    parts = record.get("parts")
    old = sorted(path.glob(PARTS)) if parts is None else []
    frames = [_read_part(part) for part in old] or folder.frames(parts or [])
    if not frames:
        raise UsageError(f"{path}: is not a run folder with scores ({PARTS}). Give one of `iqa evaluate -o`.")
    return in_table_order(frames, list(record.get("fixed", {}).get("metrics", {})))


def _read_part(path: Path) -> pl.DataFrame:
    try:
        return with_component(pl.read_parquet(path))
    except (pl.exceptions.PolarsError, OSError) as error:
        raise UsageError(
            f"{path}: is damaged ({str(error).splitlines()[0]}). Repeat the command of the run to compute it again."
        ) from error


def _write(path: Path, content: bytes) -> None:
    try:
        write_atomically(path, content, durable=True)
    except OSError as error:
        raise IQAError(
            f"{path}: cannot be written ({error.strerror}). Earlier scores are kept: "
            "fix the problem and rerun the command."
        ) from error


def _plain(value: Any) -> Any:
    """What JSON gives back, so that a record can be compared with one that was read."""
    return json.loads(json.dumps(value, default=str))


def _flat(value: Any, prefix: str = "") -> dict[str, Any]:
    if not isinstance(value, dict):
        return {prefix: value}
    flat: dict[str, Any] = {}
    for key, inner in value.items():
        flat |= _flat(inner, f"{prefix}.{key}" if prefix else key)
    return flat
