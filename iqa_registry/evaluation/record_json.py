"""``run.json`` as JSON: its checksum, the digests of what must agree, and a flat form to show differences in."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Any

CHECKSUM = "sha256"
FORMAT = 3
"""Written to ``run.json``: from 2 on, parts are sealed, from 3 on, ``run.json`` has a checksum of its own."""
SEALED_FROM, CHECKED_FROM = 2, 3


def as_text(record: Mapping[str, Any]) -> str:
    """A record with its checksum."""
    plain = {key: value for key, value in as_plain(record).items() if key != CHECKSUM}
    return json.dumps(plain | {CHECKSUM: _digest(plain)}, indent=2, ensure_ascii=False) + "\n"


def is_whole(record: Mapping[str, Any]) -> bool:
    """Whether a record is as it was written; earlier versions wrote no checksum."""
    if CHECKSUM not in record:
        return not isinstance(record.get("format"), int) or record["format"] < CHECKED_FROM
    return bool(record[CHECKSUM] == _digest({key: value for key, value in record.items() if key != CHECKSUM}))


def settings_digest(record: Mapping[str, Any]) -> str:
    """A digest of what must agree besides the metrics and the images, which a part tells of one by one."""
    fixed = {key: value for key, value in record["fixed"].items() if key not in ("metrics", "pairs")}
    return _digest(fixed)


def metric_digests(record: Mapping[str, Any]) -> dict[str, str]:
    """A digest of what each metric is made of."""
    return {name: _digest(made) for name, made in record["fixed"]["metrics"].items()}


def _digest(value: Any) -> str:
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()


def as_plain(value: Any) -> Any:
    """What JSON gives back, so that a record can be compared with one that was read."""
    return json.loads(json.dumps(value, default=str))


def as_flat(value: Any, prefix: str = "") -> dict[str, Any]:
    """The values of nested dicts by their keys, joined with dots.

    Example:
        >>> as_flat({"options": {"axis": 2}})
        {'options.axis': 2}
    """
    if not isinstance(value, dict):
        return {prefix: value}
    flat: dict[str, Any] = {}
    for key, inner in value.items():
        flat |= as_flat(inner, f"{prefix}.{key}" if prefix else key)
    return flat
