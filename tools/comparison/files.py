"""Compare what two trees printed and wrote, and list the differences, one line each.

Numbers may differ by a relative 1e-7 (:data:`TOLERANCE`), images not at all. Durations, versions and paths do not
count.
"""

from __future__ import annotations

import csv
import difflib
import io
import json
import math
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

TOLERANCE = 1e-7
NUMBER = re.compile(r"(?<![\w.])[-+−]?\d+(?:\.\d+)?(?:[eE][-+]?\d+)?(?![\w.])")
DURATION = re.compile(r"\b\d+(?:\.\d+)? ?(?:s|seconds|ms|min)\b")


@dataclass(frozen=True)
class Rules:
    """What does not count as a difference.

    Args:
        ignored: columns and keys that are not compared.
        renamed: columns and keys of the old tree, and what they are called in the new one.
        split: columns of the old tree that the new one has in two, see :class:`Split`.
    """

    ignored: frozenset[str] = frozenset()
    renamed: Mapping[str, str] = field(default_factory=dict)
    split: tuple[Split, ...] = ()


@dataclass(frozen=True)
class Split:
    """A column whose cells the new tree writes in two columns.

    Args:
        column: the column in the old tree, and the first of the two in the new one.
        into: the second column in the new tree.
        pattern: matches the cells that are taken apart; its two groups are the two cells. The second cell of all
            others is empty.
    """

    column: str
    into: str
    pattern: str

    def cells(self, value: Any) -> tuple[Any, str]:
        r"""The two cells.

        Example:
            >>> Split("metric", "component", r"(.*)\[(.*)\]").cells("kcross[tumor]")
            ('kcross', 'tumor')
        """
        match = re.fullmatch(self.pattern, value) if isinstance(value, str) else None
        return (match[1], match[2]) if match else (value, "")


def as_number(value: Any) -> float | None:
    """A number, also one that is written as text; None for everything else.

    Example:
        >>> as_number("1e-3"), as_number("007"), as_number(True), as_number("a")
        (0.001, None, None, None)
    """
    if isinstance(value, bool) or value is None:
        return None
    if isinstance(value, int | float):
        return float(value)
    # 007 is the name of something, not a number.
    if isinstance(value, str) and not re.match(r"[-+]?0\d", value):
        try:
            return float(value.replace("−", "-"))
        except ValueError:
            return None
    return None


def same(old: Any, new: Any) -> bool:
    """Whether two cells are equal.

    Example:
        >>> same(0.1, 0.1 + 1e-10), same("0.1", "0.2"), same("a", "a"), same(float("nan"), float("nan"))
        (True, False, True, True)
    """
    first, second = as_number(old), as_number(new)
    if first is None or second is None or isinstance(old, str) != isinstance(new, str):
        return bool(old == new and type(old) is type(new))
    if math.isnan(first) or math.isnan(second):
        return math.isnan(first) and math.isnan(second)
    return first == second or math.isclose(first, second, rel_tol=TOLERANCE, abs_tol=1e-12)


def values(old: Any, new: Any, place: str, rules: Rules) -> Iterator[str]:
    """Differences of two JSON documents."""
    if isinstance(old, dict) and isinstance(new, dict):
        old = _renamed(old, new, rules)
        for key in [*old, *(key for key in new if key not in old)]:
            inner = f"{place}.{key}"
            if key in rules.ignored:
                continue
            if key not in new or key not in old:
                yield f"{inner}: only in the {'old' if key in old else 'new'} tree"
            else:
                yield from values(old[key], new[key], inner, rules)
    elif isinstance(old, list) and isinstance(new, list):
        if len(old) != len(new):
            yield f"{place}: {len(old)} entries -> {len(new)}"
        for number, pair in enumerate(zip(old, new, strict=False)):
            yield from values(*pair, f"{place}[{number}]", rules)
    elif not same(old, new):
        yield f"{place}: {old!r} -> {new!r}"


def _renamed(old: dict[str, Any], new: dict[str, Any], rules: Rules) -> dict[str, Any]:
    """The old keys by their new names, where the new document has those."""
    found = {}
    for key, value in old.items():
        name = rules.renamed.get(key, key)
        found[name if name in new and key not in new else key] = value
    for split in rules.split:
        if split.into in new and split.into not in found and split.column in found:
            found[split.column], found[split.into] = split.cells(found[split.column])
    return found


def tables(old: pl.DataFrame, new: pl.DataFrame, place: str, rules: Rules) -> Iterator[str]:
    """Differences of two tables: columns and their order, types, the number of rows, then cell by cell."""
    names = _renamed(dict.fromkeys(old.columns), dict.fromkeys(new.columns), rules)
    rows = [_renamed(row, dict.fromkeys(new.columns), rules) for row in old.iter_rows(named=True)]
    kinds = {rules.renamed.get(name, name): kind for name, kind in old.schema.items()} | dict(old.schema)
    for name in [*names, *(name for name in new.columns if name not in names)]:
        if name in rules.ignored:
            continue
        if name not in new.columns or name not in names:
            yield f"{place}: column {name}: only in the {'old' if name in names else 'new'} tree"
        elif name in kinds and kinds[name] != new.schema[name]:
            yield f"{place}: column {name}: type {kinds[name]} -> {new.schema[name]}"
    added = {split.into for split in rules.split}
    if [name for name in names if name in new.columns and name not in added] != [
        name for name in new.columns if name in names and name not in added
    ]:
        yield f"{place}: the columns stand in another order: {', '.join(new.columns)}"
    yield from _cells(rows, list(new.iter_rows(named=True)), place, rules)


def _cells(old: list[dict[str, Any]], new: list[dict[str, Any]], place: str, rules: Rules) -> Iterator[str]:
    """Differences of rows; if some are missing, rows are matched by what identifies them, else by position."""
    first, second = keyed(old), keyed(new)
    if len(old) == len(new) or first is None or second is None:
        first, second = dict(enumerate(old)), dict(enumerate(new))
    if len(old) != len(new):
        yield f"{place}: {len(old)} rows -> {len(new)}"
    for key in [*first, *(key for key in second if key not in first)]:
        if key not in first or key not in second:
            yield f"{place}: row {key}: only in the {'old' if key in first else 'new'} tree"
            continue
        before, after = first[key], second[key]
        for name in before:
            if name in after and name not in rules.ignored and not same(before[name], after[name]):
                yield f"{place}: row {key}: column {name}: {before[name]!r} -> {after[name]!r}"


KEYS = ("pair_id", "slice", "region", "metric", "component", "model", "name")
"""Columns that identify a row, where a table has them."""


def keyed(rows: Sequence[dict[str, Any]]) -> dict[Any, dict[str, Any]] | None:
    """The rows by what identifies them; None where that is not unique."""
    found = {
        " ".join(str(row[name]) for name in KEYS if row.get(name) not in (None, "")): row for row in rows
    }
    return found if len(found) == len(rows) and "" not in found else None


def text(old: str, new: str, place: str) -> Iterator[str]:
    """Differences of two texts by line; durations and the last digits of long numbers do not count."""
    first, second = (DURATION.sub("# s", item).splitlines() for item in (old, new))
    shapes = [[NUMBER.sub("#", line) for line in lines] for lines in (first, second)]
    matcher = difflib.SequenceMatcher(None, *shapes, autojunk=False)
    for kind, low, high, start, stop in matcher.get_opcodes():
        if kind == "equal":
            for before, after in zip(first[low:high], second[start:stop], strict=True):
                if not all(map(same, NUMBER.findall(before), NUMBER.findall(after))):
                    yield f"{place}: {before!r} -> {after!r}"
            continue
        yield from (f"{place}: - {line}" for line in first[low:high])
        yield from (f"{place}: + {line}" for line in second[start:stop])


def arrays(old: np.ndarray, new: np.ndarray, place: str) -> Iterator[str]:
    """A difference of two arrays; NaN equals NaN."""
    if old.shape != new.shape or old.dtype != new.dtype:
        yield f"{place}: {old.dtype}{list(old.shape)} -> {new.dtype}{list(new.shape)}"
    elif not np.array_equal(old, new, equal_nan=old.dtype.kind == "f"):
        count = int((old != new).sum())
        largest = np.nanmax(np.abs(old.astype(float) - new.astype(float)))
        yield f"{place}: {count} of {old.size} values differ, by {largest:.3g} at most"


def printed(old: str, new: str, place: str, rules: Rules) -> Iterator[str]:
    """Differences of two outputs: as JSON or as a CSV table where both are one, else by line."""
    for read, compare in ((_json, values), (_csv, tables)):
        pair = read(old), read(new)
        if all(item is not None for item in pair):
            yield from compare(*pair, place, rules)  # type: ignore[operator]
            return
    yield from text(old, new, place)


def _json(content: str) -> Any:
    try:
        return json.loads(content) if content.lstrip()[:1] in {"{", "["} else None
    except ValueError:
        return None


def _csv(content: str) -> pl.DataFrame | None:
    lines = content.splitlines()
    if not lines or not re.fullmatch(r"\w+(?:,[\w .%\[\]=:+-]+)+", lines[0]):
        return None
    rows = list(csv.reader(io.StringIO(content)))
    if len(set(rows[0])) != len(rows[0]) or {len(row) for row in rows} != {len(rows[0])}:
        return None
    return pl.DataFrame(rows[1:], schema=dict.fromkeys(rows[0], pl.String), orient="row")


def _read_image(path: Path) -> np.ndarray:
    from PIL import Image

    with Image.open(path) as image:
        return np.asarray(image)


def _images(old: Path, new: Path, place: str, _: Rules) -> Iterator[str]:
    yield from arrays(_read_image(old), _read_image(new), place)


def _volumes(old: Path, new: Path, place: str, _: Rules) -> Iterator[str]:
    import nibabel

    first, second = nibabel.load(old), nibabel.load(new)
    yield from arrays(np.asanyarray(first.dataobj), np.asanyarray(second.dataobj), place)
    yield from arrays(first.affine, second.affine, f"{place} affine")


def _tensors(old: Path, new: Path, place: str, rules: Rules) -> Iterator[str]:
    from safetensors import safe_open

    with safe_open(old, "np") as first, safe_open(new, "np") as second:
        pair = [{key: file.get_tensor(key) for key in file.keys()} for file in (first, second)]  # noqa: SIM118
        notes = [
            {key: _json(value) or value for key, value in (file.metadata() or {}).items()}
            for file in (first, second)
        ]
    yield from values(*notes, place, rules)
    yield from values(
        *({key: str(item.shape) for key, item in tensors.items()} for tensors in pair), place, rules
    )
    for key in [key for key in pair[0] if key in pair[1] and pair[0][key].shape == pair[1][key].shape]:
        if not np.allclose(pair[0][key], pair[1][key], rtol=1e-5, atol=1e-7):
            yield f"{place}: tensor {key} differs by {np.abs(pair[0][key] - pair[1][key]).max():.3g} at most"


def _parquet(old: Path, new: Path, place: str, rules: Rules) -> Iterator[str]:
    yield from tables(pl.read_parquet(old), pl.read_parquet(new), place, rules)


def _presence(old: Path, new: Path, place: str, rules: Rules) -> Iterator[str]:
    """For files that carry the date or the order of threads: that both trees wrote them is enough."""
    yield from ()


READERS: dict[str, Callable[[Path, Path, str, Rules], Iterator[str]]] = {
    ".png": _images,
    ".gz": _volumes,
    ".nii": _volumes,
    ".parquet": _parquet,
    ".safetensors": _tensors,
    ".svg": _presence,
    ".ckpt": _presence,
    ".pth": _presence,
}
"""How files are compared by their suffix; everything else is compared as printed text is."""


def files(old: Path, new: Path, place: str, rules: Rules, clean: Callable[[str], str] = str) -> Iterator[str]:
    """Differences of two files; ``clean`` removes from a text what depends on the machine."""
    if old.read_bytes() == new.read_bytes():
        return
    reader = READERS.get(old.suffix)
    if reader is not None:
        yield from reader(old, new, place, rules)
        return
    yield from printed(clean(old.read_text("utf-8")), clean(new.read_text("utf-8")), place, rules)


def folders(old: Path, new: Path, rules: Rules, clean: Callable[[str], str] = str) -> Iterator[str]:
    """Differences of two folders; links are not followed, and the parts of a score table count as one table."""
    first, second = listing(old), listing(new)
    for name in sorted(first | second):
        if name not in first or name not in second:
            yield f"{name}: only in the {'old' if name in first else 'new'} tree"
        elif name.endswith("/scores"):
            yield from tables(score_table(old / name), score_table(new / name), name, rules)
        else:
            yield from files(old / name, new / name, name, rules, clean)


def listing(folder: Path) -> set[str]:
    """The files below a folder, relative to it; ``RUN/scores`` stands for the parts of a score table."""
    found = set()
    for path in folder.rglob("*"):
        inside = path.relative_to(folder)
        linked = any((folder / parent).is_symlink() for parent in [inside, *inside.parents])
        # TensorBoard's files carry the time and the host in their names.
        if path.is_file() and not linked and not path.name.startswith("events.out"):
            part = path.parent.name == "scores" and path.name.startswith("part-")
            found.add(str(inside.parent if part else inside))
    return found


def score_table(folder: Path) -> pl.DataFrame:
    """All parts of a score table, in the order of their names."""
    parts = [pl.read_parquet(path) for path in sorted(folder.glob("part-*.parquet"))]
    return pl.concat(parts, how="vertical") if parts else pl.DataFrame()


def cleaner(replacements: Sequence[tuple[str, str]]) -> Callable[[str], str]:
    """A function that replaces each first text by the second, for example a folder by a fixed word."""

    def clean(content: str) -> str:
        for old, new in replacements:
            content = content.replace(old, new)
        return content

    return clean
