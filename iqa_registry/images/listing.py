"""What images a folder holds, by name; names compare after Unicode normalization."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator
from pathlib import Path

from iqa_registry.errors import UsageError
from iqa_registry.images.formats import SUFFIXES, is_bare_dicom, is_series, stem, suffix


def is_folder(path: Path) -> bool:
    """Whether a path is a folder of images, rather than a DICOM series, which counts as one image."""
    return path.is_dir() and not is_series(path)


def is_image(path: Path) -> bool:
    """Whether a file can be an image by its suffix, or without one by its content."""
    return bool(suffix(path)) or is_bare_dicom(path)


def normal(text: str) -> str:
    """A name as names are compared: macOS writes an umlaut as two characters, other systems as one.

    Example:
        >>> normal("Mu\u0308ller") == "M\u00fcller"
        True
    """
    return unicodedata.normalize("NFC", text)


def present(path: Path) -> Path:
    """The path as it is on disk where only the Unicode form of its name differs, else as it was given."""
    if path.exists():
        return path
    forms = (Path(unicodedata.normalize(form, str(path))) for form in ("NFC", "NFD"))
    return next((other for other in forms if other.exists()), path)


def images_of(folder: Path) -> tuple[dict[str, Path], int]:
    """Images below a folder by relative path without suffix, in natural order, and the number of other files.

    Raises:
        UsageError: there are none, two have one name, or a folder cannot be listed.
    """
    found: dict[str, Path] = {}
    ignored = 0
    for path in sorted(walk(folder), key=lambda item: natural(item.relative_to(folder).as_posix())):
        if path.is_file() and not is_image(path):
            ignored += 1
            continue
        relative = path.relative_to(folder)
        name = normal((relative if path.is_dir() else relative.with_name(stem(path))).as_posix())
        if name in found:
            raise UsageError(f"{found[name]} and {path} have one name; keep one of them, or give a manifest.")
        found[name] = path
    if not found:
        others = f" ({ignored} files of other kinds)" if ignored else ""
        raise UsageError(f"{folder} holds no images{others}; what can be read: DICOM, {' '.join(SUFFIXES)}.")
    return found, ignored


def walk(folder: Path, above: tuple[Path, ...] = ()) -> Iterator[Path]:
    """Files and DICOM series below a folder; hidden ones and links back to a folder above are left out.

    Raises:
        UsageError: a folder cannot be listed.
    """
    above = (*above, folder.resolve())
    try:
        entries = [path for path in folder.iterdir() if not path.name.startswith(".")]
    except OSError as error:
        raise UsageError(f"{folder}: cannot be listed ({error.strerror}); make it readable.") from error
    for path in entries:
        if not path.is_dir() or is_series(path):
            yield path
        elif path.resolve() not in above:
            yield from walk(path, above)


def scheme(path: Path) -> str:
    """The path with a mark for each number, which is equal for the images of one series; T1 and T2 are not numbers.

    Example:
        >>> scheme(Path("a_07.png")) == scheme(Path("a_12.png")), scheme(Path("t1.png")) == scheme(Path("t2.png"))
        (True, False)
    """
    named = re.sub(r"(?i)(?<![a-z])t([12])(?!\d)", lambda found: f"t{'ab'[int(found[1]) - 1]}", path.name)
    return (path.parent / re.sub(r"\d+", "#", named)).as_posix()


def natural(text: str) -> list[tuple[int, int | str]]:
    """A sorting key by which numbers in names are compared as numbers.

    Example:
        >>> sorted(["s10", "s9"], key=natural)
        ['s9', 's10']
    """
    return [(0, int(part)) if part.isdecimal() else (1, part) for part in re.split(r"(\d+)", text)]
