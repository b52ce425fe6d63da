"""Pairing by template: the files of both sides join on the placeholders that both have."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from iqa_registry.errors import UsageError
from iqa_registry.images.formats import is_series, on_disk, stem, suffix
from iqa_registry.images.image import LazyImage
from iqa_registry.images.listing import is_folder
from iqa_registry.images.pair import Group, Pair, Pairing
from iqa_registry.images.slicing import SLICES_AS, slice_of
from iqa_registry.images.templates import SLICE, Template, Value, is_template, readable

CASE, SUBJECT = "case", "subject"
_PICTURES = (".png", ".jpg", ".jpeg", ".tif", ".tiff")
Values = Mapping[str, Value]


@dataclass(frozen=True, slots=True)
class _Side:
    """The files of one side with the values of their placeholders; a single file has none and serves all pairs."""

    text: str
    names: tuple[str, ...]
    files: Mapping[Path, Values]


def pair_templates(
    synthesized: str | Path,
    reference: str | Path | None,
    further: Mapping[str, str | Path],
    axis: str = "axial",
) -> Pairing:
    """Pair by template; see :mod:`iqa_registry.images.templates`.

    A pair is named by the values of the placeholders of its synthesized image, which become group columns too, but
    for ``slice``. Where ``{slice}`` is a placeholder of the synthesized images alone, each is compared with that
    slice of the reference volume. Without ``{subject}``, ``{case}`` is the subject of volumes and of slices.

    Args:
        synthesized: a template or a file.
        reference: likewise; ``None`` where the metrics need none.
        further: the mask and the label map by kind, each a template or one file for all pairs.
        axis: along which a volume is cut for ``{slice}``.

    Raises:
        UsageError: a template that matches nothing, no placeholder in common, or two files for one pair.
    """
    ours = _side(synthesized)
    theirs = None if reference is None else _side(reference)
    _check_names([side for side in (ours, theirs) if side is not None])
    partners = None if theirs is None else _Index(ours.names, theirs, axis)
    pairs: list[tuple[Path, Path | None, Values]] = []
    unmatched: list[str] = []
    for path, values in ours.files.items():
        known = dict(values)
        partner = None if partners is None else partners.find(values)
        if partners is not None and partner is None:
            unmatched.append(f"{path} has no partner in {partners.side.text}")
            continue
        if partners is not None and partner is not None:
            known |= partners.side.files[partner]
        pairs.append((path, partner, known))
    if not pairs and theirs is not None:
        raise UsageError(
            f"no image of {ours.text} has a partner in {theirs.text}: {_example(ours)}; {_example(theirs)}. "
            "Name what is equal in both with one placeholder, and nothing else."
        )
    if partners is not None:
        unmatched += [f"{path} has no partner in {ours.text}" for path in partners.unused()]
    found = {kind: _Index(_names(ours, theirs), _side(text), axis) for kind, text in further.items()}
    made = _make(pairs, partners, found, unmatched, ours)
    sliced = [index for index in (partners, *found.values()) if index is not None and index.sliced]
    remarks = [SLICES_AS[axis].format(volumes=sliced[0].side.text)] if sliced else []
    return Pairing(made, unmatched, 0, remarks)


def _names(ours: _Side, theirs: _Side | None) -> tuple[str, ...]:
    return tuple(dict.fromkeys((*ours.names, *(theirs.names if theirs else ()))))


def _side(given: str | Path) -> _Side:
    text = str(given)
    if is_template(text):
        template = Template(text)
        if not template.names:
            raise UsageError(
                f"{text}: has no placeholder. Name the part that differs between images, such as {{case}}."
            )
        return _Side(text, template.names, template.find())
    path = Path(text)
    if not on_disk(path).exists():
        raise UsageError(f"{path}: no such file or folder.")
    if is_folder(path):
        raise UsageError(
            f"{path} is a folder beside a template. Give a template for it too, such as '{path}/{{case}}.nii.gz'."
        )
    return _Side(text, (), {path: {}})


def _check_names(sides: Sequence[_Side]) -> None:
    from iqa_registry.tables.schema import TYPES

    for side in sides:
        taken = [name for name in side.names if name in TYPES and name not in (SUBJECT, SLICE)]
        if taken:
            raise UsageError(
                f"{side.text}: {{{taken[0]}}} is a column of the score table. Choose another name."
            )


class _Index:
    """The files of a side by the values that they share with the synthesized images."""

    def __init__(self, names: Sequence[str], side: _Side, axis: str) -> None:
        self.side = side
        self.axis = axis
        self.shared = [name for name in names if name in side.names]
        self.sliced = SLICE in names and SLICE not in side.names and not _is_picture(side)
        if side.names and not self.shared:
            raise UsageError(
                f"{side.text} has no placeholder of the synthesized images ({', '.join(names) or 'none'}). "
                "Name what is equal in both the same, such as {case}."
            )
        self._paths: dict[tuple[str, ...], Path] = {}
        self._used: set[Path] = set()
        self._numbers = {
            name for name in self.shared for values in side.files.values() if isinstance(values[name], int)
        }
        for path, values in side.files.items():
            key = self._key(values)
            if key in self._paths:
                same = ", ".join(f"{name}={values[name]}" for name in self.shared)
                raise UsageError(
                    f"{self._paths[key]} and {path} are both {same}. "
                    f"Narrow {side.text} to one of them, or give both sides the placeholder that differs."
                )
            self._paths[key] = path

    def _key(self, values: Values) -> tuple[str, ...]:
        # One side may say that a number is meant, which makes 007 and 7 one.
        return tuple(
            str(int(text)) if text.isdecimal() and (name in self._numbers or is_number) else text
            for name in self.shared
            for text, is_number in [(str(values[name]), isinstance(values[name], int))]
        )

    def find(self, values: Values) -> Path | None:
        key = self._key(values)
        found = self._paths.get(key)
        if found is None and any(isinstance(values[name], int) for name in self.shared):
            found = next(
                (path for path, own in self.side.files.items() if self._as_numbers(own) == key), None
            )
        if found is not None:
            self._used.add(found)
        return found

    def _as_numbers(self, values: Values) -> tuple[str, ...]:
        texts = [str(values[name]) for name in self.shared]
        return tuple(str(int(text)) if text.isdecimal() else text for text in texts)

    def source(self, path: Path | None, values: Values) -> str | LazyImage | None:
        if path is None:
            return None
        return slice_of(path, self.axis, int(values[SLICE])) if self.sliced else str(path)

    def unused(self) -> list[Path]:
        return [path for path in self.side.files if path not in self._used]


def _is_picture(side: _Side) -> bool:
    return all(suffix(path) in _PICTURES for path in side.files)


def _example(side: _Side) -> str:
    path, values = next(iter(side.files.items()))
    return f"{path} is {', '.join(f'{name}={value}' for name, value in values.items()) or 'one image'}"


def _make(
    pairs: Sequence[tuple[Path, Path | None, Values]],
    partners: _Index | None,
    further: Mapping[str, _Index],
    unmatched: list[str],
    ours: _Side,
) -> list[Pair]:
    numbers = _numeric([values for _, _, values in pairs])
    made: dict[str, Pair] = {}
    for path, partner, values in pairs:
        identifier = readable(ours.files[path]) or stem(path)
        if identifier in made:
            raise UsageError(
                f"{made[identifier].synthesized} and {path} are both {identifier!r}. "
                f"Narrow {ours.text} to one of them, or add a placeholder for what differs."
            )
        found = {}
        for kind, index in further.items():
            place = index.find(values)
            if place is None:
                without = "; it is scored as a whole" if kind == "mask" else ""
                unmatched.append(f"{path} has no {kind} in {index.side.text}{without}")
            found[kind] = index.source(place, values)
        reference = None if partners is None else partners.source(partner, values)
        groups = _groups(path, values, numbers)
        labels = found.get("labels", found.get("mask"))
        made[identifier] = Pair(identifier, str(path), reference, found.get("mask"), groups, labels=labels)
    for kind, index in further.items():
        unmatched += [f"{path} is the {kind} of no pair" for path in index.unused()]
    return list(made.values())


def _numeric(rows: Sequence[Values]) -> set[str]:
    """Placeholders whose every value is a whole number without leading zeros, as in a manifest."""
    names = rows[0].keys() if rows else ()
    texts = {name: [str(row[name]) for row in rows] for name in names if name != SUBJECT}
    return {name for name, found in texts.items() if all(t.isdecimal() and str(int(t)) == t for t in found)}


def _groups(path: Path, values: Values, numbers: set[str]) -> dict[str, Group]:
    groups: dict[str, Group] = {
        name: int(value) if name in numbers else str(value) for name, value in values.items() if name != SLICE
    }
    is_volume = suffix(path) not in _PICTURES and (bool(suffix(path)) or is_series(path))
    if SUBJECT not in groups and CASE in groups and (is_volume or SLICE in values):
        groups[SUBJECT] = str(values[CASE])
    return groups
