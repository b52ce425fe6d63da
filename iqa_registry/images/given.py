"""Pairs as users hold them in Python: one pair, several, dicts, or the rows of a pandas or polars table."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from iqa_registry.errors import UsageError
from iqa_registry.images.objects import is_absent, is_image

FORMS = (
    "a manifest, (synthesized, reference), a list of these, dicts, a pandas or polars table with the columns "
    "`synthesized` and `reference`, or a dataset"
)


def is_pair(value: Any) -> bool:
    """Whether a tuple is one pair: two or three images, and not pairs itself.

    Example:
        >>> is_pair(("fake.png", "real.png")), is_pair([("fake.png", "real.png")])
        (True, False)
    """
    return (
        isinstance(value, tuple)
        and len(value) in (2, 3)
        and all(is_image(item) or (place > 0 and is_absent(item)) for place, item in enumerate(value))
    )


def as_items(pairs: Any) -> list[Any]:
    """The pairs one by one, as :func:`iqa_registry.images.pairs.make_pairs` takes them; cells without a value are None.

    Raises:
        UsageError: nothing that pairs can be made of, or a table without the columns.

    Example:
        >>> as_items([{"synthesized": "a.png", "reference": "b.png", "mask": float("nan")}])
        [{'synthesized': 'a.png', 'reference': 'b.png', 'mask': None}]
    """
    if is_pair(pairs):
        return [pairs]
    if hasattr(pairs, "columns") and hasattr(pairs, "shape"):
        pairs = _rows(pairs)
    elif isinstance(pairs, Mapping):
        pairs = [pairs]
    elif is_image(pairs) or not isinstance(pairs, Iterable):
        raise UsageError(f"pairs is of type {type(pairs).__name__}. Give {FORMS}.")
    items = [_without_blanks(item) if isinstance(item, Mapping) else item for item in pairs]
    for number, item in enumerate(items):
        if is_image(item):
            raise UsageError(f"pair {number} is one image. Give {FORMS}.")
    return items


def _rows(table: Any) -> list[dict[str, Any]]:
    names = [str(name) for name in table.columns]
    if "synthesized" not in names:
        raise UsageError(f"the table has no column 'synthesized'; it has {', '.join(names) or 'none'}.")
    rows: list[dict[str, Any]] = table.to_dicts() if hasattr(table, "to_dicts") else table.to_dict("records")
    return rows


def _without_blanks(item: Mapping[Any, Any]) -> dict[Any, Any]:
    return {name: None if is_absent(value) else value for name, value in item.items()}
