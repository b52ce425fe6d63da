"""Templates: paths with named placeholders, such as ``fake/{model}/{case}_fake_B.png``.

``{name}`` stands for one or more characters of one part of a path, ``{name:d}`` for a whole number (so that ``7`` is
``007``), ``{name:path}`` for one or more parts. ``{slice}`` is always a whole number. ``*`` and ``?`` stand for what
does not matter in a part, ``**`` for any parts. A placeholder that is there twice has one value. A template without
the suffix of an image is compared with names without theirs. ``{case}.npz:fake`` chooses an array of each file.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

from iqa_registry.errors import UsageError
from iqa_registry.images.formats import split_member, stem, suffix
from iqa_registry.images.listing import is_image, natural, normal, walk

Value = str | int
SLICE = "slice"
"""The placeholder that numbers the slices of a volume."""

_MARK = re.compile(r"\{([^{}]*)\}|(\*\*/?)|(\*)|(\?)")
_INNER = re.compile(r"([A-Za-z_]\w*)(?::(\w*))?")
_KINDS = {"": "[^/]", "d": r"\d", "path": "."}
_SHOWN = 2


def is_template(path: str | Path | None) -> bool:
    """Whether a path has placeholders or wildcards, and is not the name of something that is there.

    Example:
        >>> is_template("fake/{case}.png"), is_template("fake/*.png"), is_template("fake/1.png")
        (True, True, False)
    """
    return path is not None and bool(_MARK.search(str(path))) and not Path(path).exists()


@dataclass(frozen=True)
class Template:
    """A path with placeholders.

    Attributes:
        text: as it was given.
        names: the placeholders, in the order of the path.
        member: the array that is chosen in files of several.

    Raises:
        UsageError: a placeholder without a name, of an unknown kind, or in the name of an array, or braces that do not
            close.

    Example:
        >>> Template("fake/{model}/{case}_fake_B.png").match("gan/7_fake_B.png")
        {'model': 'gan', 'case': '7'}
    """

    text: str
    names: tuple[str, ...] = field(init=False)
    member: str | None = field(init=False)

    def __post_init__(self) -> None:
        names: dict[str, str] = {}
        for found in re.finditer(r"\{([^{}]*)\}?|\}", self.text):
            inner = _INNER.fullmatch(found[1] or "")
            if inner is None or not found[0].endswith("}") or (inner[2] or "") not in _KINDS:
                raise UsageError(
                    f"{self.text}: {found[0]!r} is not a placeholder. Write {{NAME}}, {{NAME:d}} for a whole number, "
                    "or {NAME:path} for several folders."
                )
            names.setdefault(inner[1], inner[2] or "")
        object.__setattr__(self, "names", tuple(names))
        object.__setattr__(self, "member", split_member(self.text)[1])
        if self.member is not None and _MARK.search(self.member):
            raise UsageError(
                f"{self.text}: a placeholder cannot stand for the array {self.member!r}. Write the array's name."
            )

    @cached_property
    def _split(self) -> tuple[str, str]:
        path = self.text if self.member is None else self.text.removesuffix(f":{self.member}")
        parts = path.split("/")
        first = next((number for number, part in enumerate(parts) if _MARK.search(part)), len(parts) - 1)
        return "/".join(parts[:first]) or ("/" if self.text.startswith("/") else "."), "/".join(parts[first:])

    @property
    def root(self) -> Path:
        """The folder above the first placeholder."""
        return Path(self._split[0])

    @cached_property
    def _patterns(self) -> tuple[re.Pattern[str], re.Pattern[str]]:
        return _pattern(normal(self._split[1]), ""), _pattern(normal(self._split[1]), "?")

    def match(self, relative: str) -> dict[str, Value] | None:
        """The values of the placeholders in a path relative to :attr:`root`, or ``None`` if it does not match.

        Raises:
            UsageError: the path can be read in more than one way.
        """
        longest, shortest = (pattern.fullmatch(normal(relative)) for pattern in self._patterns)
        if longest is None or shortest is None:
            return None
        if longest.groupdict() != shortest.groupdict():
            ways = [
                ", ".join(f"{name}={value}" for name, value in found.groupdict().items())
                for found in (shortest, longest)
            ]
            raise UsageError(
                f"{self.text}: {relative} can be read as {ways[0]} and as {ways[1]}. "
                "Write {NAME:d} for what is a whole number, or more of the name as it is."
            )
        return {name: self._value(name, text) for name, text in longest.groupdict().items()}

    def _value(self, name: str, text: str) -> Value:
        return int(text) if name == SLICE or f"{{{name}:d}}" in self.text else text

    def match_path(self, relative: Path, whole: bool = False) -> dict[str, Value] | None:
        """As :meth:`match`; a template without the suffix of an image is compared with the path without its own first.

        Args:
            relative: a path below :attr:`root`.
            whole: whether the path is a folder, which has no suffix.
        """
        if suffix(self.text) or whole:
            return self.match(relative.as_posix())
        found = self.match(relative.with_name(stem(relative)).as_posix())
        return self.match(relative.as_posix()) if found is None else found

    def find(self) -> dict[Path, dict[str, Value]]:
        """The images that are there, in natural order, with the values of the placeholders.

        Raises:
            UsageError: there are none, or a name can be read in more than one way.
        """
        root = self.root
        if not root.is_dir():
            raise UsageError(f"{root}: no such folder ({self.text}).")
        files = sorted(walk(root), key=lambda path: natural(path.relative_to(root).as_posix()))
        found: dict[Path, dict[str, Value]] = {}
        for path in files:
            folder = path.is_dir()
            values = self.match_path(path.relative_to(root), folder)
            if values is not None and (folder or is_image(path)):
                found[path if self.member is None else Path(f"{path}:{self.member}")] = values
        if not found:
            there = ", ".join(str(path.relative_to(root)) for path in files[:_SHOWN]) or "nothing"
            more = " ..." if len(files) > _SHOWN else ""
            raise UsageError(f"{self.text} matches no image; {root} holds {there}{more}.")
        return found


def _pattern(text: str, lazy: str) -> re.Pattern[str]:
    made, end, seen = "", 0, set()
    for found in _MARK.finditer(text):
        made += re.escape(text[end : found.start()])
        end = found.end()
        inner = _INNER.fullmatch(found[1]) if found[1] is not None else None
        if inner is None:
            made += _wildcard(found, lazy)
        elif inner[1] in seen:
            made += f"(?P={inner[1]})"
        else:
            seen.add(inner[1])
            kind = "d" if inner[1] == SLICE else inner[2] or ""
            made += f"(?P<{inner[1]}>{_KINDS[kind]}+{lazy})"
    return re.compile(made + re.escape(text[end:]), re.DOTALL)


def _wildcard(found: re.Match[str], lazy: str) -> str:
    if found[2]:
        return f"(?:.*/)?{lazy}" if found[2].endswith("/") else f".*{lazy}"
    return f"[^/]*{lazy}" if found[3] else "[^/]"


def readable(values: Mapping[str, Value]) -> str:
    """The values joined to a name: ``gan/7``."""
    return "/".join(str(value) for value in values.values())
