"""Tables and numbers on the terminal."""

from __future__ import annotations

import json
import math
import os
import shutil
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import click

from iqa_registry.cli.ending import shortened

if TYPE_CHECKING:
    from iqa_registry.registry import Registry

ARROWS = {True: "↑", False: "↓", None: ""}


def width() -> int | None:
    """Columns of the terminal, or what COLUMNS says; ``None`` where output goes to a file or another program."""
    wanted = sys.stdout.isatty() or os.environ.get("COLUMNS", "").isdigit()
    return shutil.get_terminal_size().columns if wanted else None


def table(rows: Sequence[Mapping[str, Any]], flexible: str | Sequence[str] = ()) -> str:
    """Rows as a plain text table; on a terminal columns are cut so that lines do not wrap.

    Args:
        rows: column to value, all with the same columns.
        flexible: columns that may be cut, the first before the others.

    Example:
        >>> print(table([{"metric": "ssim", "mean": 0.5}]))
        metric      mean
        --------  ------
        ssim         0.5
    """
    from tabulate import tabulate

    shown = [dict(row) for row in rows]
    if not shown:
        return ""
    # Numbers are aligned to the right but shown as they were written: 0.1580 stays 0.1580.
    align = ["right" if _numeric(row[key] for row in shown) else "left" for key in shown[0]]
    style: dict[str, Any] = {
        "headers": "keys",
        "tablefmt": "simple",
        "disable_numparse": True,
        "colalign": align,
    }
    text = str(tabulate(shown, **style))
    room_for_lines = width()
    if room_for_lines is None:
        return text
    for name in [flexible] if isinstance(flexible, str) else flexible:
        over = max(len(line) for line in text.splitlines()) - room_for_lines
        if over > 0 and name in shown[0]:
            room = max(8, max(len(str(row[name])) for row in shown) - over)
            for row in shown:
                row[name] = _cut(str(row[name]), room)
            text = str(tabulate(shown, **style))
    return text


def pivot(corner: str, cells: Iterable[tuple[str, str, str]], columns: Sequence[str] = ()) -> str:
    """A text table of cells, each with the names of its row and its column.

    Args:
        corner: the heading of the column of names.
        cells: name of the row, name of the column, text.
        columns: the order of the columns; those that have no cell are left out. By default as they come.

    Example:
        >>> print(pivot("metric", [("psnr", "first", "1"), ("psnr", "second", "2"), ("ssim", "second", "3")]))
        metric      first    second
        --------  -------  --------
        psnr            1         2
        ssim                      3
    """
    found = {(row, column): text for row, column, text in cells}
    rows, named = (dict.fromkeys(key[axis] for key in found) for axis in (0, 1))
    shown = [column for column in columns or named if column in named]
    return table([{corner: row} | {column: found.get((row, column), "") for column in shown} for row in rows])


def _numeric(values: Iterable[Any]) -> bool:
    """Whether all values that are there are numbers, as such or as text."""
    try:
        return [float(str(value)) for value in values if value not in (None, "")] != []
    except ValueError:
        return False


def _cut(text: str, room: int) -> str:
    return text if len(text) <= room else text[: room - 1] + "…"


def number(value: float | None, digits: int = 4) -> str:
    """A score for reading: four decimals, more for very small ones, nothing where it is not defined.

    Example:
        >>> number(0.123456), number(0.0000123), number(None), number(float("inf")), number(float("nan"))
        ('0.1235', '1.23e-05', '', 'inf', '')
    """
    if value is None or value != value:
        return ""
    if math.isinf(value):
        return "inf" if value > 0 else "-inf"
    if value != 0 and abs(value) < 10 ** (1 - digits):
        return f"{value:.3g}"
    # Rounded first, so that one number with two sums' last bits is shown alike.
    return f"{round(value, digits + 8):.{digits}f}"


def percent(value: float | None, digits: int = 1) -> str:
    """A share in percent.

    Example:
        >>> percent(0.3042), percent(None)
        ('30.4 %', '')
    """
    return "" if value is None or value != value else f"{round(100 * value, digits) + 0.0:.{digits}f} %"


def interval(row: Mapping[str, Any], name: str, form: Callable[[float | None], str] = number) -> str:
    """The interval of a value, ``NAME_low`` to ``NAME_high``; nothing where there is none.

    Example:
        >>> interval({"srocc_low": 0.25, "srocc_high": 0.75}, "srocc")
        '0.2500 to 0.7500'
    """
    ends = [form(row.get(f"{name}_{end}")) for end in ("low", "high")]
    return " to ".join(ends) if all(ends) else ""


def echo_json(value: Any) -> None:
    """Print JSON that any parser reads: infinities are null, never bare ``Infinity``."""
    click.echo(json.dumps(_jsonable(value), indent=2, ensure_ascii=False, default=str))


def _jsonable(value: Any) -> Any:
    if isinstance(value, float) and not math.isfinite(value):
        return None
    if isinstance(value, Mapping):
        return {str(key): _jsonable(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_jsonable(inner) for inner in value]
    return value


def show_failures(registry: Registry) -> None:
    """Name on stderr each plugin and each contribution that could not be loaded, with the reason."""
    for record in registry.plugins:
        for line in record.failures():
            warn(line)


def takes(schema: Mapping[str, Any], definitions: Mapping[str, Any]) -> str:
    """What a parameter takes, by its JSON schema.

    Args:
        schema: the parameter's part of the schema.
        definitions: the schema's ``$defs``.

    Example:
        >>> takes({"type": "integer", "minimum": 3}, {})
        'integer ≥ 3'
        >>> takes({"type": "integer", "minimum": 3, "maximum": 191}, {})
        'integer 3–191'
    """
    if "$ref" in schema:
        return takes(definitions.get(str(schema["$ref"]).rpartition("/")[2], {}), definitions)
    if "enum" in schema or "const" in schema:
        return ", ".join(map(str, schema.get("enum", [schema.get("const")])))
    if "anyOf" in schema:
        return " or ".join(filter(None, (takes(item, definitions) for item in schema["anyOf"])))
    if schema.get("type") == "array":
        inner = takes(schema.get("items", {}), definitions)
        return f"{inner}+{inner}..." if inner else "list"
    if schema.get("type") == "null":
        return ""
    kind = "path" if schema.get("format") == "path" else str(schema.get("type", ""))
    if "minimum" in schema and "maximum" in schema:
        return f"{kind} {schema['minimum']}–{schema['maximum']}"
    limits = [f"{sign} {schema[key]}" for key, sign in _LIMITS.items() if key in schema]
    return f"{kind} {' and '.join(limits)}".strip()


_LIMITS = {"minimum": "≥", "exclusiveMinimum": ">", "maximum": "≤", "exclusiveMaximum": "<"}


def warn(text: str) -> None:
    """A line on stderr."""
    click.echo(f"iqa: {shortened(text)}", err=True)
