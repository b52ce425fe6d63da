"""Names of labels and regions: how they are written, and what they may be. Imports nothing heavy."""

from __future__ import annotations

import math
import operator
from collections.abc import Iterable, Sequence

from iqa_registry.errors import OptionError

_TAKEN = ("image", "mask", "foreground")
"""Regions that a run names by itself."""


def parse_regions(texts: Iterable[str]) -> dict[str, tuple[int, ...] | None]:
    """Parse ``NAME=LABEL,LABEL``, or ``NAME`` for labels that already have that name.

    Raises:
        OptionError: another form, a label that is not a whole number, or a name that is given twice.

    Example:
        >>> parse_regions(["tumor=1,4", "edema"])
        {'tumor': (1, 4), 'edema': None}
    """
    regions: dict[str, tuple[int, ...] | None] = {}
    for text in texts:
        name, equals, labels = text.partition("=")
        name = name.strip()
        if not name:
            raise OptionError("regions", f"{text!r} is not NAME or NAME=LABEL,LABEL, such as tumor=1,4.")
        check_regions([*regions, name])
        regions[name] = parse_labels(labels, name) if equals else None
    return regions


def parse_labels(labels: str | Iterable[int], name: str = "labels") -> tuple[int, ...]:
    """The labels that a name stands for, each once, in ascending order.

    Args:
        labels: whole numbers, or text such as ``1,4``.
        name: what they are called.

    Raises:
        OptionError: no labels, or something other than whole numbers.

    Example:
        >>> parse_labels("4,1", "core"), parse_labels([2], "edema")
        ((1, 4), (2,))
    """
    try:
        values = labels.split(",") if isinstance(labels, str) else [operator.index(label) for label in labels]
        found = tuple(sorted({int(value) for value in values}))
    except (TypeError, ValueError):
        found = ()
    if not found:
        raise OptionError("regions", f"{name}={labels!r} is not LABEL,LABEL with whole numbers, such as 1,4.")
    return found


def check_regions(names: Sequence[str]) -> tuple[str, ...]:
    """The names of regions, as they were given.

    Raises:
        OptionError: a name that is given twice, or that the run uses itself.
    """
    for name in names:
        if name in _TAKEN or list(names).count(name) > 1:
            raise OptionError("regions", f"the name {name!r} is taken; choose another.")
    return tuple(names)


def parse_foreground(rule: bool | str) -> float | None:
    """The limit of ``above=VALUE``; ``None`` for all other rules, which are ``True`` and ``nonzero``.

    Raises:
        OptionError: anything else.

    Example:
        >>> parse_foreground("above=-500")
        -500.0
    """
    if isinstance(rule, bool) or rule in ("auto", "nonzero"):
        return None
    name, _, value = rule.partition("=")
    try:
        limit = float(value) if name.strip() == "above" else math.nan
    except ValueError:
        limit = math.nan
    if not math.isfinite(limit):
        raise OptionError("foreground", f"{rule!r} is not above=VALUE (above=-500) or nonzero.")
    return float(limit)
