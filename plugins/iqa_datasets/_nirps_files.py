"""NIRPS on disk: the tree of small files as its authors published it, or one table of all of it."""

from __future__ import annotations

import itertools
import math
import os
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from iqa_registry.plugin import UsageError, natural

RATING = "rating"
PUBLISHED = ("mae", "psnr", "ssim")
"""The scores that the authors published with each image."""
KEYS = ("dataset", "modality", "model", "epoch", "slice_id")
"""What tells an image from all others; the levels of the tree."""
OWN = ("pair_id", *KEYS, "subject", "slice", RATING)
RATING_FILE = "artificial"
IMAGE, REFERENCE = "img.png", "gt.png"

_EPOCH = re.compile(r"epoch_(\d+)")
_SLICE = re.compile(r"(?P<subject>.+?)[-_]slice[-_]?(?P<slice>\d+)", re.IGNORECASE)
_LONGEST = 100  # bytes of a file that holds one number


@dataclass(slots=True)
class Entry:
    """One synthesized image.

    Attributes:
        keys: values of :data:`KEYS`.
        place: where its numbers are, for messages: a folder, or a row of a table.
        raw: its numbers as they were found, by name.
        in_table: whether that is a row of a table.
        values: its numbers as they were understood; ``None`` where one is missing or damaged.
        image: the synthesized image, where there is one.
        reference: its reference, where there is one.
    """

    keys: tuple[str, str, str, int, str]
    place: str
    raw: Mapping[str, Any]
    in_table: bool = False
    values: dict[str, float | None] = field(default_factory=dict)
    image: str | None = None
    reference: str | None = None

    @property
    def pair_id(self) -> str:
        """Say ``ixi/t2/munit/epoch_1/IXI580-IOP-1157-slice-69``."""
        dataset, modality, model, epoch, slice_id = self.keys
        return f"{dataset}/{modality}/{model}/epoch_{epoch}/{slice_id}"

    @property
    def columns(self) -> dict[str, Any]:
        """The columns that tell what the image is."""
        subject, number = parse_slice(self.keys[4])
        return {**dict(zip(KEYS, self.keys, strict=True)), "subject": subject, "slice": number}


def parse_slice(slice_id: str) -> tuple[str, int | None]:
    """Subject and slice number.

    Example:
        >>> parse_slice("IXI580-IOP-1157-slice-69"), parse_slice("phantom")
        (('IXI580-IOP-1157', 69), ('phantom', None))
    """
    match = _SLICE.fullmatch(slice_id)
    return (match["subject"], int(match["slice"])) if match else (slice_id, None)


def parse_number(value: Any, finite: bool = False) -> float | None:
    r"""The number in a file or a cell, ``None`` where there is none.

    Args:
        value: text, bytes or a number.
        finite: infinity is none either (PSNR may be infinite, a rating may not).

    Example:
        >>> parse_number(b"0.7\n"), parse_number("nan"), parse_number("inf", finite=True)
        (0.7, None, None)
    """
    try:
        number = float(value)
    except (TypeError, ValueError):
        return None
    return None if math.isnan(number) or (finite and math.isinf(number)) else number


@dataclass(frozen=True, slots=True)
class Filter:
    """Which images are wanted; nothing given means all."""

    dataset: tuple[str, ...] = ()
    modality: tuple[str, ...] = ()
    model: tuple[str, ...] = ()
    epochs: str | None = None

    def takes(self, level: str, name: str) -> bool:
        """Whether a name on a level (``dataset``, ``modality``, ``model``) is wanted."""
        wanted: tuple[str, ...] = getattr(self, level)
        return not wanted or name in wanted

    def takes_epoch(self, epoch: int) -> bool:
        """Whether an epoch is wanted: one number, or a range as in Python."""
        if self.epochs is None:
            return True
        first, colon, last = self.epochs.partition(":")
        if not colon:
            return epoch == int(first)
        return (not first or epoch >= int(first)) and (not last or epoch < int(last))

    def takes_keys(self, keys: tuple[str, str, str, int, str]) -> bool:
        """Whether an image is wanted."""
        levels = zip(("dataset", "modality", "model"), keys[:3], strict=True)
        return all(self.takes(level, name) for level, name in levels) and self.takes_epoch(keys[3])


def find_root(path: Path) -> tuple[Path, str | None]:
    """The folder whose folders are datasets, and the one dataset that is meant where ``path`` lies below it.

    Raises:
        UsageError: there is no such tree at, above or below ``path``, or there are several.
    """
    path = path.resolve()
    if next(path.glob("*/*/epoch_*"), None):
        return path.parent, path.name
    if next(path.glob("*/*/*/epoch_*"), None):
        return path, None
    below = sorted({found.relative_to(path).parts[0] for found in path.glob("*/*/*/*/epoch_*")})
    if len(below) == 1:
        return path / below[0], None
    if below:
        raise UsageError(f"{path}: holds several trees ({', '.join(below)}); name one of them.")
    archives = sorted(
        item.name for item in path.iterdir() if item.name.endswith((".tar.gz", ".tgz", ".zip", ".tar"))
    )
    remedy = f"unpack {', '.join(archives)} first" if archives else "or give a table (CSV, Parquet ...)"
    raise UsageError(
        f"{path}: expected DATASET/MODALITY/MODEL/epoch_K/SLICE in it, or in one folder of it; {remedy}."
    )


def read_tree(path: Path, wanted: Filter) -> list[Entry]:
    """Read a tree, full or with the scores alone.

    Raises:
        UsageError: see :func:`find_root`; or nothing that is wanted is in it.
    """
    root, only = find_root(path)
    entries: list[Entry] = []
    there: dict[str, set[str]] = {"dataset": set(), "modality": set(), "model": set()}
    for dataset, folder in _folders(root, "dataset", wanted, there):
        if only is not None and dataset != only:
            continue
        for modality, below in _folders(folder, "modality", wanted, there):
            references = _references(Path(below) / "gt")
            for model, place in _folders(below, "model", wanted, there):
                entries += _read_model((dataset, modality, model), place, wanted, references)
    return _ordered(entries, wanted, f"{root}", there)


def _folders(
    folder: str | Path, level: str, wanted: Filter, there: dict[str, set[str]]
) -> Iterator[tuple[str, str]]:
    with os.scandir(folder) as found:
        entries = [
            (item.name, item.path) for item in found if not item.name.startswith(".") and item.is_dir()
        ]
    for name, path in sorted(entries):
        if level == "model" and name == "gt":
            continue
        there[level].add(name)
        if wanted.takes(level, name):
            yield name, path


def _references(folder: Path) -> dict[str, str]:
    if not folder.is_dir():
        return {}
    found = {item.name: f"{item.path}/{REFERENCE}" for item in os.scandir(folder) if item.is_dir()}
    return {name: path for name, path in found.items() if Path(path).is_file()}


def _read_model(
    above: tuple[str, str, str], folder: str, wanted: Filter, references: Mapping[str, str]
) -> Iterator[Entry]:
    with os.scandir(folder) as epochs:
        for item in epochs:
            match = _EPOCH.fullmatch(item.name)
            if match is None or not item.is_dir() or not wanted.takes_epoch(int(match[1])):
                continue
            with os.scandir(item.path) as slices:
                for place in slices:
                    if not place.name.startswith(".") and place.is_dir():
                        keys = (*above, int(match[1]), place.name)
                        yield _read_slice(keys, place.path, references.get(place.name))


def _read_slice(keys: tuple[str, str, str, int, str], folder: str, reference: str | None) -> Entry:
    raw: dict[str, bytes] = {}
    image = None
    with os.scandir(folder) as files:
        for item in files:
            if item.name == IMAGE:
                image = item.path
            elif item.name.endswith(".txt") and not item.name.startswith("."):
                name = item.name[:-4]
                raw[RATING if name == RATING_FILE else name] = _read_bytes(item.path)
    return Entry(keys, folder, raw, image=image, reference=reference)


def _read_bytes(path: str) -> bytes:
    try:
        # pathlib and buffering would take half of the time of 30,000 files.
        handle = os.open(path, os.O_RDONLY)
        try:
            return os.read(handle, _LONGEST)
        finally:
            os.close(handle)
    except OSError:  # unreadable is told as damaged
        return b""


def read_table(path: Path, wanted: Filter) -> list[Entry]:
    """Read one table, as ``iqa datasets export`` writes it.

    Raises:
        UsageError: it cannot be read, lacks a column, or holds an image twice; or nothing that is wanted is in it.
    """
    entries: list[Entry] = []
    there: dict[str, set[str]] = {"dataset": set(), "modality": set(), "model": set()}
    for number, row in enumerate(read_cells(path, KEYS), start=1):
        epoch = parse_number(row["epoch"], finite=True)
        if epoch is None or any(row[name] in (None, "") for name in KEYS):
            raise UsageError(f"{path}: row {number} has no value, or no number, in one of {', '.join(KEYS)}.")
        for level, names in there.items():
            names.add(str(row[level]))
        keys = (
            str(row["dataset"]),
            str(row["modality"]),
            str(row["model"]),
            int(epoch),
            str(row["slice_id"]),
        )
        if wanted.takes_keys(keys):
            raw = {name: value for name, value in row.items() if name not in OWN or name == RATING}
            entries.append(Entry(keys, f"{path}, row {number}", raw, in_table=True))
    return _ordered(entries, wanted, str(path), there)


def read_cells(path: Path, columns: tuple[str, ...]) -> list[dict[str, Any]]:
    """The rows of a table; of a CSV as text, so that one damaged cell is one damaged cell.

    Raises:
        UsageError: it cannot be read, or lacks one of ``columns``.
    """
    from iqa_registry.tables import reading

    table = reading.read_cells(path).table
    missing = [name for name in columns if name not in table.columns]
    if missing:
        raise UsageError(f"{path}: has no column {', '.join(missing)}. It has {', '.join(table.columns)}.")
    return table.to_dicts()


def _ordered(entries: list[Entry], wanted: Filter, place: str, there: Mapping[str, set[str]]) -> list[Entry]:
    for level, names in there.items():
        unknown = [name for name in getattr(wanted, level) if name not in names]
        # Below a dataset that is not there, no modality was looked at either.
        if unknown and names:
            raise UsageError(
                f"{place}: has no {level} {', '.join(unknown)}; it has {', '.join(sorted(names))}."
            )
    if not entries:
        raise UsageError(
            f"{place}: has no image of the datasets, modalities, models and epochs that are wanted."
        )
    entries.sort(key=lambda entry: (*entry.keys[:4], natural(entry.keys[4])))
    for first, second in itertools.pairwise(entries):
        if first.keys == second.keys:
            raise UsageError(f"{place}: holds {first.pair_id} twice; keep one.")
    return entries


def understand(entries: list[Entry]) -> tuple[list[str], list[str]]:
    """Turn what was found into numbers.

    A number that no image has is none that is missing, and further files or columns count where they hold numbers.

    Returns:
        The names of the scores, and a line for each number that is missing or damaged.
    """
    found = {name for entry in entries for name in entry.raw}
    extra = sorted(
        name
        for name in found - {*PUBLISHED, *OWN}
        if any(parse_number(entry.raw.get(name)) is not None for entry in entries)
    )
    scores = [*PUBLISHED, *extra]
    faults: list[str] = []
    for entry in entries:
        for name in (RATING, *scores):
            value = entry.raw.get(name)
            entry.values[name] = parse_number(value, finite=name == RATING)
            if entry.values[name] is None and name in found:
                faults.append(_fault(entry, name, value))
    return scores, faults


def _fault(entry: Entry, name: str, value: Any) -> str:
    left_empty = f"{name} is left empty"
    file = f"{RATING_FILE if name == RATING else name}.txt"
    place = f"{entry.place}: {name}" if entry.in_table else f"{entry.place}/{file}"
    if value is None:
        return f"{place} is missing; {left_empty}"
    text = (value.decode(errors="replace") if isinstance(value, bytes) else str(value)).strip()
    return f"{place} {f'holds {text!r}' if text else 'is empty'}, expected a number; {left_empty}"


Reader = Callable[[Path, Filter], list[Entry]]


def reader_for(path: Path) -> Reader:
    """How a path is read.

    Raises:
        UsageError: there is nothing, or a file of another kind.
    """
    if path.is_dir():
        return read_tree
    if not path.exists():
        raise UsageError(f"{path}: no such file or folder.")
    from iqa_registry.tables.reading import SUFFIXES

    if path.name.lower().endswith(SUFFIXES):
        return read_table
    raise UsageError(
        f"{path}: expected a folder, or a table ({', '.join(SUFFIXES)}); unpack an archive first."
    )
