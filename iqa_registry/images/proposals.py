"""The templates that would pair two folders whose names do not match, for error messages."""

from __future__ import annotations

import os
import re
import shlex
from collections.abc import Iterator, Mapping, Sequence
from difflib import SequenceMatcher
from pathlib import Path
from typing import Any

from iqa_registry.errors import UsageError
from iqa_registry.images.formats import suffix
from iqa_registry.images.listing import images_of, is_folder, scheme
from iqa_registry.images.templates import Template

_SAMPLE, _NEAREST = 40, 12
_TOKEN = re.compile(r"[A-Za-z]+|\d+|[^A-Za-z\d]")
_FOLDERS = ("model", "run", "part")
_SYNTHESIZED = re.compile(
    r"(?<![a-z])(fake|pred|prediction|syn|synth\w*|sct|gen\w*|output|recon\w*|est)(?![a-z])", re.IGNORECASE
)
_MASKS = re.compile(r"(?<![a-z])(mask|brain|roi|seg\w*|label\w*)(?![a-z])", re.I)
Names = Mapping[Any, Path]


def propose(
    first: Path,
    ours: Names,
    second: Path,
    theirs: Names,
    masks: Mapping[str, tuple[Path, Names]] | None = None,
) -> str:
    """The command line that pairs more images than any other, as a sentence, or nothing if none pairs them.

    Args:
        first: the folder of the synthesized images.
        ours: what it holds, by name.
        second: the folder of the references.
        theirs: likewise.
        masks: folders of masks and label maps by kind, with what they hold.
    """
    found = _best(_relative(first, ours), _relative(second, theirs))
    if found is None:
        return ""
    words = ["iqa", "evaluate", _joined(first, found[0]), _joined(second, found[1])]
    for kind, (folder, names) in (masks or {}).items():
        files = [name for name in _relative(folder, names) if not _same(folder, second, name, found[1])]
        mask = _best_for(found[0], _relative(first, ours), files)
        if mask is None:
            return ""
        words += [f"--{kind}", _joined(folder, mask)]
    return f"Try: {shlex.join(words)}"


def propose_within(folder: Path, names: Names) -> str:
    """The command line for a folder that holds synthesized images beside their references."""
    files = _relative(folder, names)
    ours = [name for name in files if _SYNTHESIZED.search(name)]
    theirs = [name for name in files if not _SYNTHESIZED.search(name)]
    if not ours or not theirs:
        return ""
    found = _best(ours, theirs)
    if found is None:
        return ""
    return f"Try: {shlex.join(['iqa', 'evaluate', _joined(folder, found[0]), _joined(folder, found[1])])}"


def templates_for(paths: Sequence[Path]) -> tuple[str, str] | None:
    """The templates of both sides for paths that were given one by one, as a shell writes them for ``f*.png r*.png``.

    Args:
        paths: files and folders, those of the synthesized images first.

    Example:
        >>> templates_for([Path(f"{name}{number}.png") for name in ("f", "r") for number in (1, 2)])
        ('f{case}.png', 'r{case}.png')
    """
    schemes = [scheme(path) for path in paths]
    change = next((place for place, found in enumerate(schemes) if found != schemes[0]), None)
    if change is None:
        return None
    half = [len(paths) // 2] if len(paths) % 2 == 0 else []
    for place in dict.fromkeys((*half, change, len(paths) - 1)):
        try:
            sides = [_files(paths[:place]), _files(paths[place:])]
            folders = [Path(os.path.commonpath([file.parent for file in side])) for side in sides]
        except (UsageError, ValueError):  # a folder without images, or no folder in common
            continue
        names = [
            _relative(folder, dict(enumerate(side))) for folder, side in zip(folders, sides, strict=True)
        ]
        found = _best(*names)
        if found is None:
            continue
        texts = _joined(folders[0], found[0]), _joined(folders[1], found[1])
        fits = all(_matches(text, file) for text, side in zip(texts, sides, strict=True) for file in side)
        if fits and not any(_matches(texts[0], file) for file in sides[1]):
            return texts
    return None


def _matches(text: str, file: Path) -> bool:
    template = Template(text)
    return (
        file.is_relative_to(template.root)
        and template.match_path(file.relative_to(template.root)) is not None
    )


def _files(paths: Sequence[Path]) -> list[Path]:
    return [file for path in paths for file in (images_of(path)[0].values() if is_folder(path) else [path])]


def _relative(folder: Path, names: Names) -> list[str]:
    return [path.relative_to(folder).as_posix() for path in names.values()]


def _joined(folder: Path, template: str) -> str:
    return (folder / template).as_posix()


def _same(folder: Path, second: Path, name: str, template: str) -> bool:
    return folder.resolve() == second.resolve() and Template(template).match(name) is not None


def _best(ours: Sequence[str], theirs: Sequence[str]) -> tuple[str, str] | None:
    """The templates of both sides that pair most, and of these those that are most alike."""
    sample = ours[:: max(1, len(ours) // _SAMPLE)]
    best: tuple[float, ...] = (0,)
    found = None
    for own, other in _candidates(ours, theirs):
        count, left = _count(own, other, sample, theirs)
        if not count:
            continue
        likeness = SequenceMatcher(None, own, other).ratio()
        # As few placeholders as will do, and of the rest the one that stands for most of a name.
        fixed = len(re.sub(r"\{\w+\}", "", own))
        rank = (count, -left, -len(set(re.findall(r"\{\w+", own))), ":d" not in own, -fixed, likeness)
        if rank > best or found is None:
            best, found = rank, (own, other)
    return found if best[0] >= min(2, len(sample)) or len(ours) == 1 else None


def _count(own: str, other: str, ours: Sequence[str], theirs: Sequence[str]) -> tuple[int, int]:
    """How many images would be paired and how many references left; none where a template cannot be used."""
    try:
        first, second = Template(own), Template(other)
        keys: set[tuple[object, ...]] = set()
        shared = [name for name in first.names if name in second.names]
        for name in theirs:
            values = second.match(name)
            if values is None:
                continue
            key = tuple(values[name] for name in shared)
            if key in keys:
                return 0, 0
            keys.add(key)
        rows = [values for name in ours if (values := first.match(name)) is not None]
    except UsageError:
        return 0, 0
    paired = {key for values in rows if (key := tuple(values[name] for name in shared)) in keys}
    return sum(tuple(values[name] for name in shared) in keys for values in rows), len(keys - paired)


def _candidates(ours: Sequence[str], theirs: Sequence[str]) -> Iterator[tuple[str, str]]:
    varied = _varied(ours)
    for own in dict.fromkeys((ours[0], ours[-1])):
        near = (
            sorted(theirs, key=lambda name: -SequenceMatcher(None, own, name).ratio())[:_NEAREST]
            if len(theirs) <= 500
            else [name for name in theirs if _keys(own, name)][:_NEAREST]
        )
        for other in near:
            for key in _keys(own, other):
                mark = "{case}"
                first, second = _put(own, key, mark), _put(other, key, mark)
                yield first, second
                if varied:
                    yield _put_folders(first, own, varied), second
        for other in near:
            yield from _by_number(own, other)


def _keys(own: str, other: str) -> list[str]:
    """Runs of words and numbers that both names hold, the longest first."""
    bare, bare_other = own[: len(own) - len(suffix(own))], other[: len(other) - len(suffix(other))]
    tokens = _TOKEN.findall(bare)
    runs = {
        "".join(tokens[start:end])
        for start in range(len(tokens))
        for end in range(start + 1, len(tokens) + 1)
        if tokens[start].isalnum() and tokens[end - 1].isalnum() and "/" not in tokens[start:end]
    }
    there = [run for run in runs if run in bare_other and any(sign.isdigit() for sign in run)]
    return sorted(there or [run for run in runs if run in bare_other], key=lambda run: (-len(run), run))[:8]


def _put(name: str, key: str, mark: str) -> str:
    """The name with a placeholder for the key, as a whole word where the name has it as one."""
    bare, ending = name[: len(name) - len(suffix(name))], name[len(name) - len(suffix(name)) :]
    word = re.compile(rf"(?<![A-Za-z\d]){re.escape(key)}(?![A-Za-z\d])")
    return (word.sub(mark, bare) if word.search(bare) else bare.replace(key, mark)) + ending


def _varied(names: Sequence[str]) -> dict[int, str]:
    """The folders of a path that differ from image to image, by their place, with what all of them begin with."""
    parts = [name.split("/")[:-1] for name in names]
    depth = min(len(part) for part in parts)
    found = {}
    for place in range(depth):
        values = {part[place] for part in parts}
        if len(values) > 1:
            start = re.split(r"\d", parts[0][place], maxsplit=1)[0]
            numbered = all(re.fullmatch(re.escape(start) + r"\d+", value) for value in values)
            found[place] = start if numbered else ""
    return found


def _put_folders(template: str, name: str, places: Mapping[int, str]) -> str:
    parts, marks = template.split("/"), iter(_FOLDERS)
    for place, start in places.items():
        if "{" not in parts[place]:
            parts[place] = f"{start}{{{next(marks, f'part{place}')}}}"
    return "/".join(parts)


def _by_number(own: str, other: str) -> Iterator[tuple[str, str]]:
    """The last number of both names, whatever zeros lead it."""
    numbers = [list(re.finditer(r"\d+", name[: len(name) - len(suffix(name))])) for name in (own, other)]
    if numbers[0] and numbers[1] and int(numbers[0][-1][0]) == int(numbers[1][-1][0]):
        first, second = (
            name[: found[-1].start()] + "{case:d}" + name[found[-1].end() :]
            for name, found in zip((own, other), numbers, strict=True)
        )
        yield first, second


def _best_for(template: str, ours: Sequence[str], files: Sequence[str]) -> str | None:
    """The template of the masks that fit the images of a template."""
    likely = [name for name in files if _MASKS.search(name)] or list(files)
    best: tuple[int, str] = (0, "")
    values = [found for name in ours if (found := Template(template).match(name)) is not None]
    cases = {str(value["case"]) for value in values}
    for name in likely[:_NEAREST]:
        for case in cases:
            if case in name:
                other = _put(name, case, "{case}")
                matched = [Template(other).match(file) for file in files]
                count = len({str(found["case"]) for found in matched if found} & cases)
                best = max(best, (count, other), key=lambda item: item[0])
    return best[1] if best[0] else None


def number_slices(folder: Path, names: Names, volume: Path) -> str:
    """A sentence that says how the numbered images of a folder are compared with one volume."""
    for name in _relative(folder, names):
        number = list(re.finditer(r"\d+", name[: len(name) - len(suffix(name))]))
        if number:
            template = name[: number[-1].start()] + "{slice}" + name[number[-1].end() :]
            command = shlex.join(["iqa", "evaluate", _joined(folder, template), str(volume)])
            return f" For slices of a volume, try: {command}"
    return ""
