"""Pairing: which synthesized image is set against which reference, and what is left without a partner."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from iqa_registry.errors import UsageError, nearest
from iqa_registry.images.formats import SUFFIXES, Source, is_series, stem, suffix

if TYPE_CHECKING:
    import polars as pl

Group = str | int | float | bool | None


@dataclass(frozen=True, slots=True, eq=False)
class Pair:
    """A synthesized image, its reference, and what is known about the two.

    Attributes:
        pair_id: unique in a run.
        synthesized: path, array or tensor.
        reference: likewise; ``None`` for metrics that need none.
        mask: likewise; nonzero is inside.
        groups: further columns of the table: subject, model, epoch ...
    """

    pair_id: str
    synthesized: Source
    reference: Source | None = None
    mask: Source | None = None
    groups: Mapping[str, Group] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Pairing:
    """Pairs, and what was left over, each with the reason."""

    pairs: list[Pair]
    unmatched: list[str] = field(default_factory=list)


def pair_paths(
    synthesized: str | Path, reference: str | Path | None, mask: str | Path | None = None
) -> Pairing:
    """Pair two files, or two folders by relative path without suffix; a DICOM series counts as one file.

    Args:
        synthesized: a file, a folder of files, or a DICOM series.
        reference: likewise; ``None`` where the metrics need none.
        mask: one mask for all pairs, or a folder of masks matched like the references.

    Raises:
        UsageError: a path that does not exist, a folder without images, two files of one name, or no match at all.
    """
    first = Path(synthesized)
    second = None if reference is None else Path(reference)
    for path in (first, second, None if mask is None else Path(mask)):
        if path is not None and not path.exists():
            raise UsageError(f"{path}: no such file or folder.")
    if second is not None and _is_folder(first) != _is_folder(second):
        kinds = {True: "a folder of images", False: "one image"}
        raise UsageError(f"{first} is {kinds[_is_folder(first)]}, {second} is {kinds[_is_folder(second)]}.")
    if not _is_folder(first):
        return Pairing([Pair(stem(first), str(first), _text(second), _text(mask))])
    return _pair_folders(first, second, None if mask is None else Path(mask))


def _text(path: str | Path | None) -> str | None:
    return None if path is None else str(path)


def _is_folder(path: Path) -> bool:
    return path.is_dir() and not is_series(path)


def _pair_folders(first: Path, second: Path | None, mask: Path | None) -> Pairing:
    ours = _images(first)
    theirs = dict.fromkeys(ours) if second is None else _images(second)
    masks = _images(mask) if mask is not None and _is_folder(mask) else None
    names = [name for name in ours if name in theirs]
    if not names:
        examples = [", ".join(list(found)[:2]) for found in (ours, theirs)]
        raise UsageError(
            f"no image of {first} ({examples[0]} ...) has a partner of the same name in {second} ({examples[1]} ...); "
            "rename them, or give a manifest with --pairs."
        )
    unmatched = [f"{path} has no partner in {second}" for name, path in ours.items() if name not in theirs]
    unmatched += [f"{path} has no partner in {first}" for name, path in theirs.items() if name not in ours]
    pairs = []
    for name in names:
        own = _text(mask) if masks is None else _text(masks.get(name))
        if masks is not None and own is None:
            unmatched.append(f"{ours[name]} has no mask in {mask}; it is scored as a whole")
        pairs.append(Pair(name, str(ours[name]), _text(theirs[name]), own))
    return Pairing(pairs, unmatched)


def _images(folder: Path) -> dict[str, Path]:
    """Images below a folder by relative path without suffix, in natural order."""
    found: dict[str, Path] = {}
    ignored = 0
    for path in sorted(_walk(folder), key=lambda item: _natural(str(item.relative_to(folder)))):
        if path.is_file() and not suffix(path):
            ignored += 1
            continue
        relative = path.relative_to(folder)
        name = str(relative.with_name(stem(path))) if path.is_file() else str(relative)
        if name in found:
            raise UsageError(f"{found[name]} and {path} have one name; keep one of them, or give a manifest.")
        found[name] = path
    if not found:
        others = f" ({ignored} files of other kinds)" if ignored else ""
        raise UsageError(f"{folder} holds no images{others}; what can be read: {' '.join(SUFFIXES)}.")
    return found


def _walk(folder: Path) -> Iterator[Path]:
    for path in folder.iterdir():
        if path.name.startswith("."):
            continue
        if path.is_dir() and not is_series(path):
            yield from _walk(path)
        else:
            yield path


def _natural(text: str) -> list[tuple[int, int | str]]:
    """Numbers in a name are compared as numbers, so that slice 10 comes after slice 9."""
    parts = re.split(r"(\d+)", text)
    return [(0, int(part)) if part.isdigit() else (1, part) for part in parts]


def read_manifest(path: str | Path) -> Pairing:
    """Read a manifest: CSV or Parquet with ``synthesized`` and optional ``reference``, ``mask`` and ``pair_id``.

    Further columns become group columns. Relative paths start at the manifest's folder.

    Raises:
        UsageError: unreadable, a column that is missing, an empty cell, or a ``pair_id`` that is there twice.
    """
    path = Path(path)
    table = _read_table(path)
    if "synthesized" not in table.columns:
        raise UsageError(
            f"{path}: has no column 'synthesized'.{nearest('synthesized', table.columns)} "
            f"It has {', '.join(table.columns)}."
        )
    pairs = [
        _manifest_pair(path, number, row) for number, row in enumerate(table.iter_rows(named=True), start=1)
    ]
    _refuse_repeats(path, pairs)
    return Pairing(pairs)


def _read_table(path: Path) -> pl.DataFrame:
    import polars as pl

    try:
        if path.suffix.lower() in (".parquet", ".pq"):
            return pl.read_parquet(path)
        separator = "\t" if path.suffix.lower() == ".tsv" else ","
        return pl.read_csv(path, separator=separator, infer_schema_length=None)
    except (OSError, pl.exceptions.PolarsError) as error:
        raise UsageError(f"{path}: cannot be read as a manifest: {str(error).splitlines()[0]}") from error


_OWN = ("pair_id", "synthesized", "reference", "mask")


def _manifest_pair(path: Path, number: int, row: Mapping[str, Any]) -> Pair:
    for column in ("synthesized", "reference"):
        if column in row and not row[column]:
            raise UsageError(f"{path}: row {number} has no {column!r}.")
    places = {name: str(path.parent / str(row[name])) if row.get(name) else None for name in _OWN[1:]}
    groups = {name: _group(value) for name, value in row.items() if name not in _OWN}
    name = row.get("pair_id")
    own = Path(str(row["synthesized"]))
    identifier = str(own.with_name(stem(own))) if name is None else str(name)
    return Pair(identifier, str(places["synthesized"]), places["reference"], places["mask"], groups)


def _group(value: Any) -> Group:
    return value if isinstance(value, str | int | float | bool | None) else str(value)


def _refuse_repeats(path: Path, pairs: Sequence[Pair]) -> None:
    seen: dict[str, int] = {}
    for number, pair in enumerate(pairs, start=1):
        if pair.pair_id in seen:
            raise UsageError(
                f"{path}: rows {seen[pair.pair_id]} and {number} are both {pair.pair_id!r}; "
                "add a column pair_id that tells them apart."
            )
        seen[pair.pair_id] = number


def make_pairs(items: Iterable[Any]) -> list[Pair]:
    """Pairs from Python objects.

    Args:
        items: :class:`Pair` objects, ``(synthesized, reference)`` or ``(synthesized, reference, mask)`` of paths,
            arrays or tensors, or dicts with these keys and further ones as groups.

    Raises:
        UsageError: anything else, or a ``pair_id`` that is there twice.

    Example:
        >>> [pair.pair_id for pair in make_pairs([("a/1.png", "b/1.png"), ("a/2.png", "b/2.png")])]
        ['1', '2']
    """
    pairs = [_make_pair(number, item) for number, item in enumerate(items)]
    names = [pair.pair_id for pair in pairs]
    if len(set(names)) < len(names):
        # Files of one name in several folders, or one file against several references: the number tells them apart.
        pairs = [
            Pair(f"{number:04d}-{pair.pair_id}", pair.synthesized, pair.reference, pair.mask, pair.groups)
            for number, pair in enumerate(pairs)
        ]
    return pairs


def _make_pair(number: int, item: Any) -> Pair:
    if isinstance(item, Pair):
        return item
    if isinstance(item, Mapping):
        if "synthesized" not in item:
            raise UsageError(f"pair {number}: has no 'synthesized'; it has {', '.join(map(str, item))}.")
        groups = {str(name): _group(value) for name, value in item.items() if name not in _OWN}
        first = item["synthesized"]
        name = str(item.get("pair_id") or _name(number, first))
        return Pair(name, first, item.get("reference"), item.get("mask"), groups)
    if isinstance(item, tuple | list) and len(item) in (2, 3):
        return Pair(_name(number, item[0]), item[0], item[1], item[2] if len(item) == 3 else None)
    raise UsageError(
        f"pair {number}: expected (synthesized, reference), (synthesized, reference, mask), a dict or a Pair, "
        f"got {type(item).__name__}."
    )


def _name(number: int, source: Any) -> str:
    return stem(source) if isinstance(source, str | Path) else f"{number:04d}"
