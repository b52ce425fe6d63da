"""Where the scores of a run are kept: in a run folder, from which an interrupted run resumes, or in memory.

A run folder holds ``run.json`` (what was asked for, of which versions, and which parts make up the table) and
``scores/part-*.parquet``, one per batch. Each is written under a temporary name, synced and renamed, so that a part is
either whole or not there. A part carries a checksum of all its bytes, and digests of the settings and metrics it was
made with. :func:`read_run` reads a folder.
"""

from __future__ import annotations

import contextlib
import errno
import json
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import polars as pl

from iqa_registry.errors import IQAError, UsageError
from iqa_registry.evaluation.record_json import (
    FORMAT,
    SEALED_FROM,
    as_flat,
    as_plain,
    as_text,
    is_whole,
    metric_digests,
    settings_digest,
)
from iqa_registry.evaluation.sealing import UNSEALED, DamagedError, read_sealed, sealed
from iqa_registry.files import refuse_special, write_atomically
from iqa_registry.tables.schema import in_table_order, with_component
from iqa_registry.tables.writing import as_parquet

RECORD = "run.json"
INPUTS = "inputs.parquet"
PARTS = "scores/part-*.parquet"
_UNWRITABLE = (errno.EACCES, errno.EPERM, errno.EROFS)


class Store(ABC):
    """Keeps the rows of each batch."""

    verify = False
    """Whether a run reads every file again that has a hash, before it takes scores that are there."""

    @abstractmethod
    def get(self, part: str, digest: str) -> pl.DataFrame | None:
        """The rows of ``part``, if they are there and were made from the same files."""

    @abstractmethod
    def put(self, part: str, digest: str, rows: pl.DataFrame) -> None:
        """Keep the rows of ``part``."""

    @abstractmethod
    def frames(self, parts: Sequence[str]) -> list[pl.DataFrame]:
        """The rows of the named parts."""

    @property
    def remarks(self) -> list[str]:
        """What the user should know of the scores that were there already, one line each."""
        return []

    def discard(self, part: str) -> None:  # noqa: B027 - what is not kept is not there to be discarded
        """Let go of the rows of ``part``, which are to be computed again."""

    @property
    def inputs(self) -> Path | None:
        """The file that keeps what the images of the run hold; ``None`` where that is not kept."""
        return None

    def keep_inputs(self, table: pl.DataFrame, digest: str) -> None:  # noqa: B027 - see inputs
        """Write :attr:`inputs`, one row per file, and the digest over all of them into the record."""

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
        verify: the run is to read every file again, see :class:`~iqa_registry.evaluation.contents.Contents`.

    Raises:
        UsageError: the folder holds a run made with other arguments (they are listed), another process is
            writing to it, or it is not a run folder.
    """

    def __init__(self, path: Path, fresh: bool = False, verify: bool = False) -> None:
        self.path = path
        self.verify = verify
        self._fresh = fresh
        self._scores = path / "scores"
        self._record: dict[str, Any] = {}
        self._read_only = False
        self._settings = ""
        self._metrics: dict[str, str] = {}
        self._made_with: dict[str, dict[str, str]] = {}
        self._damaged: list[str] = []
        self._remarks: list[str] = []

    @property
    def remarks(self) -> list[str]:
        """See :attr:`Store.remarks`."""
        if not self._damaged:
            return self._remarks
        more = f" (and {len(self._damaged) - 1} more parts)" if len(self._damaged) > 1 else ""
        return [
            *self._remarks,
            f"{self._damaged[0]}{more}: was damaged or made by an earlier version, and was computed again.",
        ]

    @contextlib.contextmanager
    def opened(self, record: Mapping[str, Any]) -> Iterator[RunFolder]:
        """Take the folder for this run: create it, or resume if the arguments agree.

        Args:
            record: what the run is; ``record["fixed"]`` must agree with the record of an earlier start.
        """
        self._check_folder()
        lock = self._locked()
        try:
            if lock is not None:
                self._remove_leftovers(parts=self._fresh)
            plain = as_plain(record)
            self._settings, self._metrics = settings_digest(plain), metric_digests(plain)
            if not self._fresh:
                self._compare(record)
            self._record = {**plain, "format": FORMAT}
            if lock is not None:
                self.write_record(self._record)
            yield self
        finally:
            if lock is not None:
                # Removed while it is still held, so that no third process can be holding it.
                (self.path / ".lock").unlink(missing_ok=True)
                lock.release()

    def _locked(self) -> Any:
        """The lock on the folder, held; ``None`` where the folder has a run but cannot be written."""
        from filelock import FileLock, Timeout

        lock = FileLock(self.path / ".lock")
        try:
            self._scores.mkdir(parents=True, exist_ok=True)
            lock.acquire(timeout=0)
        except Timeout:
            raise UsageError(
                f"{self.path}: another process is writing to this run folder. Wait for it, or name another."
            ) from None
        except OSError as error:
            if error.errno in _UNWRITABLE and (self.path / RECORD).is_file() and not self._fresh:
                self._read_only = True
                return None
            raise UsageError(f"{self.path}: cannot be written ({error.strerror}). Name another.") from error
        return lock

    def _check_folder(self) -> None:
        try:
            self.path.stat()
        except FileNotFoundError:
            return
        except (OSError, ValueError) as error:  # a name that is too long, or holds a NUL byte
            reason = getattr(error, "strerror", None) or error
            raise UsageError(
                f"{str(self.path)[:60]!r}: cannot be a folder ({reason}). Name another."
            ) from error
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
        refuse_special(path)
        try:
            record: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        except (OSError, ValueError, RecursionError) as error:
            raise UsageError(
                f"{path}: cannot be read ({error}). Repeat the command of the run: its scores are kept."
            ) from error
        if not isinstance(record, dict) or not is_whole(record):
            raise UsageError(f"{path}: is damaged. Repeat the command of the run: its scores are kept.")
        return record

    def _compare(self, record: Mapping[str, Any]) -> None:
        try:
            earlier = self.read_record()
        except UsageError:
            self._compare_parts("was damaged")
            self._remarks.append(
                f"{self.path / RECORD}: was damaged and is written again; scores of the same settings are kept."
            )
            return
        if earlier is None:
            self._compare_parts("is missing")
            return
        then, now = dict(earlier.get("fixed", {})), dict(as_plain(record["fixed"]))
        # A metric that only one side has could not start then or cannot now; it takes nothing from the rest.
        both = then.get("metrics", {}).keys() & now.get("metrics", {}).keys()
        for fixed in (then, now):
            fixed["metrics"] = {
                name: value for name, value in fixed.get("metrics", {}).items() if name in both
            }
        then, now = as_flat(then), as_flat(now)
        differing = [key for key in {**then, **now} if then.get(key) != now.get(key)]
        if differing:
            shown = "; ".join(f"{key}: {then.get(key)} then, {now.get(key)} now" for key in differing[:3])
            more = f" and {len(differing) - 3} more" if len(differing) > 3 else ""
            raise UsageError(
                f"{self.path}: was made with other arguments ({shown}{more}). "
                "Discard the run with --fresh, or choose another -o."
            )

    def _compare_parts(self, state: str) -> None:
        """Without a record each part tells what it was made with; those of another run are not thrown away."""
        for path in sorted(self._scores.glob("part-*.parquet")):
            with contextlib.suppress(DamagedError, OSError):
                if read_sealed(path)[1].get("settings") != self._settings:
                    raise UsageError(
                        f"{self.path / RECORD}: {state}, and {path.name} was made with other arguments. Repeat "
                        "the command of that run, discard it with --fresh, or choose another -o."
                    )

    def write_record(self, record: Mapping[str, Any]) -> None:
        """Write ``run.json``."""
        _write(self.path / RECORD, as_text(record).encode())

    def get(self, part: str, digest: str) -> pl.DataFrame | None:
        """See :meth:`Store.get`."""
        path = self._part(part)
        if not path.exists():
            return None
        with contextlib.suppress(DamagedError, OSError):
            rows, notes = read_sealed(path)
            rows = with_component(rows)
            if (notes.get("inputs"), notes.get("settings")) == (digest, self._settings):
                made_with = json.loads(notes["metrics"])
                other = [
                    name for name in made_with if self._metrics.get(name, made_with[name]) != made_with[name]
                ]
                self._made_with[part] = {name: made_with[name] for name in made_with if name not in other}
                return rows.filter(~pl.col("metric").is_in(other)) if other else rows
            self.discard(part)
            return None
        self._damaged.append(str(path))
        self.discard(part)
        return None

    def discard(self, part: str) -> None:
        """See :meth:`Store.discard`; a part must not count if the run is interrupted before it is made again."""
        if not self._read_only:
            self._part(part).unlink(missing_ok=True)

    @property
    def inputs(self) -> Path:
        """See :attr:`Store.inputs`."""
        return self.path / INPUTS

    def keep_inputs(self, table: pl.DataFrame, digest: str) -> None:
        """See :meth:`Store.keep_inputs`."""
        if self._read_only:
            return
        content, summary = sealed(as_parquet(table, dict(UNSEALED))), {"files": len(table), "digest": digest}
        # The same files may have other times now, and the list of before may be damaged.
        if not self.inputs.is_file() or self.inputs.read_bytes() != content:
            _write(self.inputs, content)
        if self._record.get("inputs") != summary:
            self._record["inputs"] = summary
            self.write_record(self._record)

    def put(self, part: str, digest: str, rows: pl.DataFrame) -> None:
        """See :meth:`Store.put`.

        Raises:
            IQAError: the disk is full or the folder cannot be written; earlier parts are untouched.
        """
        if self._read_only:
            raise IQAError(
                f"{self.path}: cannot be written, and does not hold all scores of this run. "
                "Name another folder with -o, or make this one writable."
            )
        made_with = self._made_with.get(part, {}) | self._metrics
        notes = {"inputs": digest, "settings": self._settings, "metrics": json.dumps(made_with)}
        _write(self._part(part), sealed(as_parquet(rows, {**notes, **UNSEALED})))

    def expect(self, parts: Sequence[str]) -> None:
        """See :meth:`Store.expect`; a reader of the folder then knows which files count."""
        if self._record.get("parts") != list(parts):
            self._record["parts"] = list(parts)
            if not self._read_only:
                self.write_record(self._record)

    def frames(self, parts: Sequence[str]) -> list[pl.DataFrame]:
        """See :meth:`Store.frames`.

        Raises:
            UsageError: a part is damaged.
        """
        return [_read_part(path, required=True) for path in map(self._part, parts) if path.exists()]

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
    required = record.get("format", 1) >= SEALED_FROM
    listed = [path / "scores" / f"part-{name}.parquet" for name in parts or []]
    frames = [_read_part(part, required) for part in old or listed if part.exists()]
    if not frames:
        raise UsageError(f"{path}: is not a run folder with scores ({PARTS}). Give one of `iqa evaluate -o`.")
    return in_table_order(frames, list(record.get("fixed", {}).get("metrics", {})))


def _read_part(path: Path, required: bool) -> pl.DataFrame:
    try:
        return with_component(read_sealed(path, required)[0])
    except (DamagedError, OSError) as error:
        raise UsageError(
            f"{path}: is damaged ({error}). Repeat the command of the run to compute it again."
        ) from error


def _write(path: Path, content: bytes) -> None:
    try:
        write_atomically(path, content, durable=True)
    except OSError as error:
        raise IQAError(
            f"{path}: cannot be written ({error.strerror}). Earlier scores are kept: "
            "fix the problem and rerun the command."
        ) from error
