"""Which files on disk belong to which subject, and into which part of a split a subject falls."""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from iqa_registry.plugin import UsageError, natural

TRAIN_FRACTION = 0.8
"""The part of the subjects that is for training."""


@dataclass(frozen=True, slots=True)
class Naming:
    """How a dataset names its files.

    Attributes:
        pattern: matches a file's whole name; has the groups ``subject`` and ``modality``, and any others, which
            become group columns.
        modalities: what there is, in lower case.
        example: a file's name, for messages.
        spelling: names and beginnings of names as they are published, since some copies are in lower case.
        aliases: other names of modalities.
    """

    pattern: re.Pattern[str]
    modalities: tuple[str, ...]
    example: str
    spelling: tuple[str, ...] = ()
    aliases: Mapping[str, str] = field(default_factory=dict)

    def modality(self, text: str) -> str:
        """The modality that a part of a name means."""
        return self.aliases.get(text.lower(), text.lower())

    def spelled(self, text: str) -> str:
        """The text with its beginning as it is published."""
        for known in self.spelling:
            if text.lower().startswith(known.lower()):
                return known + text[len(known) :]
        return text


@dataclass(slots=True)
class Files:
    """The files of one subject.

    Attributes:
        subject: the identifier that all of them carry.
        groups: what else the names say (site).
        by_modality: modality to files; more than one where the subject is there twice.
    """

    subject: str
    groups: dict[str, str] = field(default_factory=dict)
    by_modality: dict[str, list[Path]] = field(default_factory=dict)

    def problem(self, modality: str) -> str | None:
        """Why this modality cannot be used: it is missing, or it is there twice."""
        found = self.by_modality.get(modality, [])
        if not found:
            return f"{self.subject}: has no {modality} file"
        if len(found) > 1:
            named = " and ".join(map(str, found))
            return f"{self.subject}: has {len(found)} {modality} files, {named}; keep one"
        return None

    def path(self, modality: str) -> Path:
        """The one file of a modality that has no :meth:`problem`."""
        return self.by_modality[modality][0]


def walk(folder: Path, above: tuple[Path, ...] = ()) -> Iterator[Path]:
    """All files below a folder in natural order, hidden ones and links to nowhere or back left out.

    Raises:
        UsageError: a folder that cannot be listed.
    """
    above = (*above, folder.resolve())
    try:
        entries = [Path(entry.path) for entry in os.scandir(folder) if not entry.name.startswith(".")]
    except OSError as error:
        raise UsageError(f"{folder}: cannot be listed ({error.strerror}); name a folder.") from error
    for path in sorted(entries, key=lambda item: natural(item.name)):
        if path.is_file():
            yield path
        elif path.is_dir() and path.resolve() not in above:
            yield from walk(path, above)


def find_subjects(folder: Path, naming: Naming) -> dict[str, Files]:
    """The subjects whose files lie anywhere below a folder, in natural order; other files are passed over.

    Raises:
        UsageError: no such folder, or it has no file of the dataset; the message says what was looked for.
    """
    if not folder.is_dir():
        raise UsageError(f"{folder}: no such folder.")
    found: dict[str, Files] = {}
    others: list[Path] = []
    for path in walk(folder):
        match = naming.pattern.fullmatch(path.name)
        if match is None:
            others.append(path)
            continue
        parts = match.groupdict()
        subject, modality = naming.spelled(parts.pop("subject")), naming.modality(parts.pop("modality"))
        files = found.setdefault(subject.lower(), Files(subject))
        files.groups |= {name: naming.spelled(value) for name, value in parts.items() if value}
        files.by_modality.setdefault(modality, []).append(path)
    if not found:
        raise UsageError(f"{folder}: has no file named like {naming.example}{_instead(others)}")
    return {files.subject: files for _, files in sorted(found.items(), key=lambda item: natural(item[0]))}


def _instead(others: Sequence[Path]) -> str:
    archives = [
        path.name for path in others if path.name.lower().endswith((".tar", ".tar.gz", ".tgz", ".zip"))
    ]
    if archives:
        return f"; unpack {', '.join(archives[:4])} first."
    if others:
        return f"; it has {', '.join(path.name for path in others[:3])}{' ...' if len(others) > 3 else ''}"
    return "; it is empty."


def split_subjects(subjects: Iterable[str], seed: int) -> dict[str, str]:
    """Put 80 % of the subjects, by count, into ``train`` and the others into ``test``.

    Subjects are ranked by a hash of the seed and their name, so the order of the files has no influence, and where
    subjects are added or taken away only those at the boundary between the two parts can change sides.

    Example:
        >>> parts = split_subjects([f"IXI{number:03d}" for number in range(10)], seed=0)
        >>> [name for name, part in parts.items() if part == "test"]
        ['IXI002', 'IXI004']
    """
    names = sorted(set(subjects), key=lambda name: hashlib.sha256(f"{seed}:{name.lower()}".encode()).digest())
    count = round(TRAIN_FRACTION * len(names))
    if len(names) > 1:
        count = min(count, len(names) - 1)
    parts = dict.fromkeys(names[:count], "train") | dict.fromkeys(names[count:], "test")
    return dict(sorted(parts.items(), key=lambda item: natural(item[0])))


@dataclass(frozen=True, slots=True)
class Candidate:
    """A file with a synthesized image.

    Attributes:
        path: where it is.
        subject: whose it is.
        name: its path below the folder, without suffix.
        slice: which slice of the volume it is; ``None`` for a volume.
        model: the model that made it, by its folder.
        epoch: the epoch of that model, from a folder named ``epoch_K``.
    """

    path: Path
    subject: str
    name: str
    slice: int | None
    model: str
    epoch: int | None


class NameFinder:
    """Finds the subject that a file's name speaks of.

    Example:
        >>> finder = NameFinder(["BraTS2021_00001", "BraTS2021_00010"])
        >>> finder("fake_brats2021_00010-slice-69"), finder("BraTS2021_000100")
        ('BraTS2021_00010', None)
    """

    def __init__(self, subjects: Iterable[str]) -> None:
        self._names: Mapping[str, str] = {name.lower(): name for name in subjects}
        longest_first = sorted(self._names, key=len, reverse=True)
        pattern = "|".join(map(re.escape, longest_first))
        self._pattern = re.compile(rf"(?<![a-z0-9])(?:{pattern})(?![a-z0-9])")

    def __call__(self, text: str) -> str | None:
        """The subject's name, ``None`` where the text has none."""
        match = self._pattern.search(text.lower())
        return self._names[match.group()] if match else None


_SLICE = re.compile(r"slice[-_]?(\d+)", re.IGNORECASE)
_EPOCH = re.compile(r"epoch[-_]?(\d+)", re.IGNORECASE)


def describe_candidate(path: Path, folder: Path, subject: str, name: str) -> Candidate:
    """What the place and the name of a synthesized image say.

    Args:
        path: the file.
        folder: the folder of synthesized images; its subfolders are models and epochs.
        subject: whose image it is.
        name: the path below the folder, without suffix.

    Example:
        >>> place = Path("out/munit/epoch_3/IXI002-slice-69.png")
        >>> found = describe_candidate(place, Path("out"), "IXI002", "munit/epoch_3/IXI002-slice-69")
        >>> found.model, found.epoch, found.slice
        ('munit', 3, 69)
    """
    folders = path.relative_to(folder).parts[:-1]
    epochs = [match for match in map(_EPOCH.fullmatch, folders) if match]
    models = [part for part in folders if not _EPOCH.fullmatch(part) and subject.lower() not in part.lower()]
    number = _SLICE.search(path.name)
    return Candidate(
        path=path,
        subject=subject,
        name=name,
        slice=int(number.group(1)) if number else None,
        model="/".join(models) or folder.name,
        epoch=int(epochs[-1].group(1)) if epochs else None,
    )
