"""Where the scores of a run land: a run folder that a killed run can go on from, or memory.

A run folder holds ``run.json`` (what was asked for, of which versions) and ``scores/part-*.parquet``, one per
batch. Each is written under a temporary name, synced and renamed, so that a part is either whole or not there.
"""

from __future__ import annotations

import contextlib
import io
import json
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import polars as pl

from iqa_registry.errors import IQAError, UsageError
from iqa_registry.files import write_atomically

RECORD = "run.json"
COLUMNS: dict[str, Any] = {
    "order": pl.Int64,
    "pair_id": pl.String,
    "subject": pl.String,
    "slice": pl.Int64,
    "region": pl.String,
    "metric": pl.String,
    "component": pl.String,
    "score": pl.Float64,
    "status": pl.String,
    "message": pl.String,
    "higher_is_better": pl.Boolean,
    "dimensions": pl.Int64,
    "region_fraction": pl.Float64,
    "shift": pl.Float64,
    "intensity": pl.String,
    "synthesized_low": pl.Float64,
    "synthesized_high": pl.Float64,
    "reference_low": pl.Float64,
    "reference_high": pl.Float64,
    "clipped": pl.Float64,
    "clipped_reference": pl.Float64,
    "seconds": pl.Float64,
}
"""The columns of the score table beside the group columns; ``order`` is dropped from what users see."""


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

    def table(self, parts: Sequence[str], metrics: Sequence[str]) -> pl.DataFrame:
        """All rows in table order: by pair, metric (in the order they were asked for) and region."""
        frames = self.frames(parts)
        if not frames:
            return pl.DataFrame(schema=COLUMNS).drop("order")
        rank = {name: number for number, name in enumerate(metrics)}
        place = pl.col("metric").replace_strict(rank, default=len(rank))
        table = pl.concat(frames, how="vertical").with_columns(place.alias("_metric"))
        return table.sort("order", "_metric", maintain_order=True).drop("order", "_metric")


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
        UsageError: the folder holds a run made with other arguments (they are named), another process is
            writing to it, or it is no run folder at all.
    """

    def __init__(self, path: Path, fresh: bool = False) -> None:
        self.path = path
        self._fresh = fresh
        self._scores = path / "scores"

    @contextlib.contextmanager
    def opened(self, record: Mapping[str, Any]) -> Iterator[RunFolder]:
        """Take the folder for this run: create it, or go on from what is there if the arguments agree.

        Args:
            record: what the run is; ``record["fixed"]`` must agree with what an earlier start has left.
        """
        from filelock import FileLock, Timeout

        self._check_folder()
        try:
            self._scores.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise UsageError(f"{self.path}: cannot be made a run folder: {error.strerror}.") from error
        lock = FileLock(self.path / ".lock")
        try:
            lock.acquire(timeout=0)
        except Timeout:
            raise UsageError(f"{self.path}: another process is writing to this run folder.") from None
        try:
            self._remove_leftovers(parts=self._fresh)
            if not self._fresh:
                self._compare(record)
            self.write_record(record)
            yield self
        finally:
            # Removed while it is still held, so that no third process can be holding it.
            (self.path / ".lock").unlink(missing_ok=True)
            lock.release()

    def _check_folder(self) -> None:
        if self.path.exists() and not self.path.is_dir():
            raise UsageError(f"{self.path}: is a file; name a folder for the run.")
        strange = self.path.is_dir() and not (self.path / RECORD).exists() and not self._scores.exists()
        if strange and any(self.path.iterdir()):
            raise UsageError(
                f"{self.path}: holds other files and no {RECORD}; name an empty or a new folder."
            )

    def _remove_leftovers(self, parts: bool) -> None:
        for path in [*self.path.glob("*.tmp"), *self._scores.glob("*.tmp")]:
            path.unlink(missing_ok=True)
        for path in self._scores.glob("part-*.parquet") if parts else ():
            path.unlink()

    def read_record(self) -> dict[str, Any] | None:
        """What ``run.json`` says, ``None`` where there is none."""
        path = self.path / RECORD
        if not path.exists():
            return None
        try:
            record: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            raise UsageError(f"{path}: cannot be read ({error}); start over with --fresh.") from error
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
                f"{self.path}: was made with other arguments ({shown}{more}). Use --fresh to start over, or another -o."
            )

    def write_record(self, record: Mapping[str, Any]) -> None:
        """Write ``run.json``."""
        text = json.dumps(_plain(record), indent=2, ensure_ascii=False) + "\n"
        _write(self.path / RECORD, text.encode())

    def get(self, part: str, digest: str) -> pl.DataFrame | None:
        """See :meth:`Store.get`."""
        path = self._scores / f"part-{part}.parquet"
        if not path.exists():
            return None
        try:
            if pl.read_parquet_metadata(path).get("inputs") != digest:
                return None
            return pl.read_parquet(path)
        except (pl.exceptions.PolarsError, OSError):
            # A part that the disk has damaged is computed again.
            return None

    def put(self, part: str, digest: str, rows: pl.DataFrame) -> None:
        """See :meth:`Store.put`.

        Raises:
            IQAError: the disk is full or the folder cannot be written; earlier parts are untouched.
        """
        buffer = io.BytesIO()
        rows.write_parquet(buffer, metadata={"inputs": digest})
        _write(self._scores / f"part-{part}.parquet", buffer.getvalue())

    def frames(self, parts: Sequence[str]) -> list[pl.DataFrame]:
        """See :meth:`Store.frames`."""
        paths = [self._scores / f"part-{part}.parquet" for part in parts]
        return [pl.read_parquet(path) for path in paths if path.exists()]


def _write(path: Path, content: bytes) -> None:
    try:
        write_atomically(path, content, durable=True)
    except OSError as error:
        raise IQAError(
            f"{path}: cannot be written ({error.strerror}). What was scored before is kept; "
            "mend it and give the same command again."
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
