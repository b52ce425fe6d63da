"""Why the identifiers of two tables do not match: two of each side, and what would make them match."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Sequence

from iqa_registry.tables.reading import some

_SUFFIX = re.compile(
    r"(\.nii\.gz|\.nii|\.png|\.jpe?g|\.tiff?|\.bmp|\.npy|\.npz|\.dcm|\.mha|\.mhd|\.nrrd|\.webp|\.gif|\.csv)$",
    re.I,
)
CHANGES: tuple[tuple[str, Callable[[str], str]], ...] = (
    ("spaces", lambda name: " ".join(name.split())),
    ("different Unicode forms of one letter (NFC and NFD)", lambda name: unicodedata.normalize("NFC", name)),
    ("the suffix", lambda name: _SUFFIX.sub("", name)),
    ("the folder before the name", lambda name: re.split(r"[/\\]", name)[-1]),
    ("upper and lower case", str.casefold),
    ("leading zeros (000 and 0), which spreadsheets drop", lambda name: re.sub(r"(?<!\d)0+(?=\d)", "", name)),
    ("whole numbers that were stored as fractions (1.0)", lambda name: re.sub(r"^(\d+)\.0$", r"\1", name)),
)
"""What identifiers often differ in, and how to undo it."""


def explain(first: Sequence[str], second: Sequence[str], places: tuple[str, str]) -> str:
    """Two identifiers of each side and what would make them match.

    Args:
        first: identifiers that the second side does not have.
        second: identifiers that the first side does not have.
        places: where they come from.

    Example:
        >>> explain(["img00", "img01"], ["img00.png"], ("scores.csv", "ratings.csv"))
        'scores.csv has img00, img01; ratings.csv has img00.png. They differ in the suffix.'
    """
    shown = f"{places[0]} has {some(first, 2)}; {places[1]} has {some(second, 2)}."
    causes = differences(first, second)
    return f"{shown} They differ in {' and '.join(causes)}." if causes else shown


def differences(first: Sequence[str], second: Sequence[str]) -> list[str]:
    """What has to be undone for some identifiers of two sides to match; nothing if no such change helps.

    Example:
        >>> differences(["run/IMG_007"], ["img_7.png"])[:2]
        ['the suffix', 'the folder before the name']
    """
    sides = [set(first), set(second)]
    needed = list(CHANGES)
    if not _alike(sides, needed):
        return []
    # What can be left out without losing a match is not the reason.
    most = _alike(sides, needed)
    for change in CHANGES:
        fewer = [item for item in needed if item is not change]
        if _alike(sides, fewer) == most:
            needed = fewer
    return [name for name, _ in needed]


def _alike(sides: list[set[str]], changes: Sequence[tuple[str, Callable[[str], str]]]) -> int:
    changed = []
    for names in sides:
        for _, change in changes:
            names = {change(name) for name in names}
        changed.append(names)
    return len(changed[0] & changed[1])
