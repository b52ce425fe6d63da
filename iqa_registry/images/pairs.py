"""Pairing: which synthesized image is compared with which reference, and what is left without a partner."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from iqa_registry.errors import UsageError
from iqa_registry.images.formats import on_disk, stem
from iqa_registry.images.image import LazyImage, Source
from iqa_registry.images.listing import images_of, is_folder, natural, present, scheme
from iqa_registry.images.pair import Group, Pair, Pairing
from iqa_registry.images.templates import is_template

__all__ = ["Pair", "Pairing", "make_pairs", "natural", "pair_paths", "read_manifest"]

_OWN = ("pair_id", "synthesized", "reference", "mask", "labels")


def pair_paths(
    synthesized: str | Path,
    reference: str | Path | None,
    mask: str | Path | None = None,
    labels: str | Path | None = None,
    axis: str = "axial",
) -> Pairing:
    """Pair two files, two folders by relative path without suffix, or by template; a DICOM series counts as one file.

    Args:
        synthesized: a file, a folder of files, a DICOM series, or a template such as ``fake/{model}/{case}.png``.
        reference: likewise; ``None`` where the metrics need none.
        mask: one mask for all pairs, or a folder of masks matched like the references.
        labels: one label map for all pairs, or a folder of label maps matched like the references; by default the
            mask serves as one.
        axis: along which volumes are cut for 2-D images whose template has ``{slice}``.

    Raises:
        UsageError: a path that does not exist, a folder without images, two files of one name, or no match at all.
    """
    given = {name: path for name, path in (("mask", mask), ("labels", labels)) if path is not None}
    if any(is_template(path) for path in (synthesized, reference, *given.values())):
        from iqa_registry.images.joining import pair_templates

        return _without_twins(pair_templates(synthesized, reference, given, axis))
    first = Path(synthesized)
    second = None if reference is None else Path(reference)
    further = {name: Path(path) for name, path in given.items()}
    for path in (first, second, *further.values()):
        if path is not None and not on_disk(path).exists():
            raise UsageError(f"{path}: no such file or folder.")
    if second is not None and is_folder(first) != is_folder(second):
        kinds = {True: "a folder of images", False: "one image"}
        raise UsageError(
            f"{first} is {kinds[is_folder(first)]}, {second} is {kinds[is_folder(second)]}. "
            f"Give two images or two folders.{_for_slices(first, second)}"
        )
    if is_folder(first):
        found = _pair_folders(first, second, further)
        return _without_twins(_with_expanded(found, first, second), first, second, further)
    for name, path in further.items():
        if is_folder(path):
            raise UsageError(f"{path} is a folder and {first} is one image. Give the {name} of that image.")
    mask, labels = (_text(further.get(kind)) for kind in ("mask", "labels"))
    pair = Pair(stem(first), str(first), _text(second), mask, labels=labels or mask)
    return _without_twins(_with_expanded(Pairing([pair]), first, second))


def _with_expanded(found: Pairing, first: Path, second: Path | None) -> Pairing:
    """Report two paths of one numbered series, which a shell gives where it finds two of them for ``f*.png``."""
    if second is None or first == second or scheme(first) != scheme(second):
        return found
    remark = (
        f"{first} is compared with {second}, whose name differs only in a number. If the shell replaced a * with these "
        "names, give each side as a quoted template, such as 'fake_{case}.png' 'real_{case}.png'."
    )
    return replace(found, remarks=[*found.remarks, remark])


def _for_slices(first: Path, second: Path) -> str:
    """How slices in a folder are compared with a volume."""
    if not is_folder(first):
        return ""
    from iqa_registry.images.proposals import number_slices

    return number_slices(first, images_of(first)[0], second)


def _without_twins(
    found: Pairing,
    first: Path | None = None,
    second: Path | None = None,
    further: Mapping[str, Path] | None = None,
) -> Pairing:
    """Reject an image as its own mask, and report that images are compared with themselves."""
    same = []
    for pair in found.pairs:
        if pair.mask is not None and str(pair.mask) in (str(pair.reference), str(pair.synthesized)):
            image = "reference" if str(pair.mask) == str(pair.reference) else "synthesized image"
            command = _with_masks(first, second, (further or {}).get("mask"))
            remedy = command or "Give the masks by a template, such as --mask 'masks/{case}.nii.gz'."
            raise UsageError(f"{pair.mask} is the mask of {pair.pair_id} and its {image} too. {remedy}")
        if pair.reference is not None and _is_same(pair.synthesized, pair.reference):
            same.append(pair)
    if not same:
        return found
    more = f" (and {len(same) - 1} more)" if len(same) > 1 else ""
    remark = f"{same[0].synthesized} is compared with itself{more}, so that every score is that of a perfect image."
    return replace(found, remarks=[*found.remarks, remark])


def _with_masks(first: Path | None, second: Path | None, masks: Path | None) -> str:
    """The command line that gives the masks by a template, if one does."""
    if first is None or second is None or masks is None or not is_folder(masks):
        return ""
    from iqa_registry.images.proposals import propose

    folders = (images_of(folder)[0] for folder in (first, second, masks))
    ours, theirs, there = folders
    return propose(first, ours, second, theirs, {"mask": (masks, there)})


def _is_same(first: Source, second: Source) -> bool:
    return (
        isinstance(first, str | Path)
        and isinstance(second, str | Path)
        and Path(first).resolve() == Path(second).resolve()
    )


def _text(path: str | Path | None) -> str | None:
    return None if path is None else str(path)


def _no_match(
    first: Path,
    ours: Mapping[str, Path],
    second: Path,
    theirs: Mapping[str, Path],
    further: Mapping[str, Path],
) -> str:
    from iqa_registry.images.proposals import propose

    folders = {kind: (path, images_of(path)[0]) for kind, path in further.items() if is_folder(path)}
    examples = [", ".join(list(found)[:2]) for found in (ours, theirs)]
    command = propose(first, ours, second, theirs, folders) or propose(first, ours, second, theirs)
    return (
        f"no image of {first} ({examples[0]} ...) has a partner of the same name in {second} ({examples[1]} ...). "
        f"{command or 'Give templates such as ' + repr(f'{first}/{{case}}_fake.png') + ', or a manifest with --pairs.'}"
    )


def _no_mask(
    kind: str,
    first: Path,
    ours: Mapping[str, Path],
    second: Path,
    theirs: Mapping[str, Path],
    folder: Path,
    there: Mapping[str, Path],
) -> str:
    from iqa_registry.images.proposals import propose

    command = propose(first, ours, second, theirs, {kind: (folder, there)})
    return (
        f"no image of {first} ({', '.join(list(ours)[:2])} ...) has a {kind} of the same name in {folder} "
        f"({', '.join(list(there)[:2])} ...). {command or f'Give --{kind} as a template, or in a manifest.'}"
    )


def _pair_folders(first: Path, second: Path | None, further: Mapping[str, Path]) -> Pairing:
    ours, ignored = images_of(first)
    theirs, others = (ours, 0) if second is None else images_of(second)
    names = [name for name in ours if name in theirs]
    if not names and second is not None:
        raise UsageError(_no_match(first, ours, second, theirs, further))
    if second is not None and first.resolve() == second.resolve():
        from iqa_registry.images.proposals import propose_within

        command = propose_within(first, ours)
        if command:
            raise UsageError(
                f"{first} is given twice, so that each image would be compared with itself. {command}"
            )
    unmatched = [f"{path} has no partner in {second}" for name, path in ours.items() if name not in theirs]
    unmatched += [f"{path} has no partner in {first}" for name, path in theirs.items() if name not in ours]
    found: dict[str, dict[str, str | None]] = {}
    for kind, path in further.items():
        if not is_folder(path):
            found[kind] = dict.fromkeys(names, str(path))
            continue
        there = images_of(path)[0]
        if second is not None and not there.keys() & set(names):
            raise UsageError(_no_mask(kind, first, ours, second, theirs, path, there))
        found[kind] = {name: _text(there.get(name)) for name in names}
        without = "; it is scored as a whole" if kind == "mask" else ""
        unmatched += [f"{ours[name]} has no {kind} in {path}{without}" for name in names if name not in there]
        unmatched += [
            f"{other} is the {kind} of no pair" for name, other in there.items() if name not in names
        ]
    return Pairing(
        _named_pairs(names, ours, None if second is None else theirs, found), unmatched, ignored + others
    )


def _named_pairs(
    names: Iterable[str],
    ours: Mapping[str, Path],
    theirs: Mapping[str, Path] | None,
    found: Mapping[str, Mapping[str, str | None]],
) -> list[Pair]:
    masks = found.get("mask", {})
    labels = found.get("labels", masks)
    return [
        Pair(
            name,
            str(ours[name]),
            None if theirs is None else str(theirs[name]),
            masks.get(name),
            labels=labels.get(name),
        )
        for name in names
    ]


def read_manifest(path: str | Path) -> Pairing:
    """Read a manifest (CSV or Parquet).

    It has a column ``synthesized`` and optional columns ``reference``, ``mask``, ``labels`` and ``pair_id``. Further
    columns become group columns: a column of a CSV is numeric if every value in it is a number without leading zeros.
    Relative paths start at the folder of the manifest. Without ``pair_id`` a pair is named after its synthesized file,
    and without ``labels`` its mask serves as the label map too.

    Raises:
        UsageError: unreadable, a column that is missing or misspelled, an empty cell, or a ``pair_id`` that is
            there twice; it names the file, the line and the column.
    """
    from iqa_registry.images._manifest import read_rows

    path = Path(path)
    pairs: dict[str, Pair] = {}
    places: dict[str, str] = {}
    rows, remarks = read_rows(path)
    for place, row in rows:
        pair = _manifest_pair(path, place, row)
        if pair.pair_id in pairs:
            raise UsageError(
                f"{path}: {places[pair.pair_id]} and {place} are both {pair.pair_id!r}; "
                "give a column pair_id that tells them apart."
            )
        pairs[pair.pair_id], places[pair.pair_id] = pair, place
    return Pairing(list(pairs.values()), remarks=remarks)


def _manifest_pair(path: Path, place: str, row: Mapping[str, Any]) -> Pair:
    for column in ("synthesized", "reference"):
        if column in row and row[column] is None:
            raise UsageError(f"{path}: {place} has no value in column {column!r}.")
    found = {
        name: str(present(path.parent / str(row[name]))) if row.get(name) is not None else None
        for name in _OWN[1:]
    }
    groups = {name: _group(value) for name, value in row.items() if name not in _OWN}
    own = Path(str(row["synthesized"]))
    name = row.get("pair_id")
    if name is None:
        # The folder "." has no name of its own, and ".png" none without its suffix.
        last = stem(own) or own.name
        name = own.with_name(last).as_posix() if own.name else (path.parent / own).resolve().name
    identifier = str(name)
    return Pair(
        identifier,
        str(found["synthesized"]),
        found["reference"],
        found["mask"],
        groups,
        labels=found["labels" if "labels" in row else "mask"],
    )


def _group(value: Any) -> Group:
    return value if isinstance(value, str | int | float | bool | None) else str(value)


def make_pairs(items: Iterable[Any]) -> list[Pair]:
    """Pairs from Python objects.

    Args:
        items: :class:`Pair` objects, ``(synthesized, reference)`` or ``(synthesized, reference, mask)`` of paths,
            arrays or tensors, or dicts with these keys, ``pair_id`` and further ones as groups. Without a
            ``pair_id`` a pair is named after its synthesized file, with its number where that is not unique.

    Raises:
        UsageError: anything else, or a ``pair_id`` that is given twice.

    Example:
        >>> [pair.pair_id for pair in make_pairs([("a/1.png", "b/1.png"), ("a/2.png", "b/2.png")])]
        ['1', '2']
    """
    items = list(items)
    made = [_make_pair(number, item) for number, item in enumerate(items)]
    repeated = [name for name, count in Counter(pair.pair_id for pair in made).items() if count > 1]
    if not repeated:
        return made
    given = Counter(pair.pair_id for pair, item in zip(made, items, strict=True) if _is_named(item))
    for name, count in given.items():
        if count > 1:
            raise UsageError(f"{count} pairs have the pair_id {name!r}; give each its own.")
    return [
        replace(pair, pair_id=f"{number:04d}-{pair.pair_id}")
        if pair.pair_id in repeated and not _is_named(item)
        else pair
        for number, (pair, item) in enumerate(zip(made, items, strict=True))
    ]


def _is_named(item: Any) -> bool:
    return isinstance(item, Pair) or (isinstance(item, Mapping) and bool(item.get("pair_id")))


def _make_pair(number: int, item: Any) -> Pair:
    if isinstance(item, Pair):
        return item
    if isinstance(item, Mapping):
        if "synthesized" not in item:
            raise UsageError(f"pair {number}: has no 'synthesized'; it has {', '.join(map(str, item))}.")
        groups = {str(name): _group(value) for name, value in item.items() if name not in _OWN}
        first = item["synthesized"]
        name = str(item.get("pair_id") or _name(number, first))
        mask = item.get("mask")
        labels = item.get("labels", mask)
        return Pair(name, first, item.get("reference"), mask, groups, labels=labels)
    if isinstance(item, tuple | list) and len(item) in (2, 3):
        mask = item[2] if len(item) == 3 else None
        return Pair(_name(number, item[0]), item[0], item[1], mask, labels=mask)
    raise UsageError(
        f"pair {number}: expected (synthesized, reference), (synthesized, reference, mask), a dict or a Pair, "
        f"got {type(item).__name__}."
    )


def _name(number: int, source: Any) -> str:
    if isinstance(source, LazyImage):
        return source.key
    return stem(source) if isinstance(source, str | Path) else f"{number:04d}"
