"""``iqa plugins``: who contributes what, and what could not be loaded."""

from __future__ import annotations

import click

from iqa_registry.cli import render
from iqa_registry.cli.arguments import as_json
from iqa_registry.plugins import PluginRecord
from iqa_registry.registry import build_registry

NAMED = ("ranker", "segmenter", "dataset", "command")
"""Kinds of which there are few, shown by name."""


@click.command()
@as_json
def plugins(as_json: bool) -> None:
    """List the plugins with their distribution, version and contributions; failed ones with the reason."""
    records = build_registry()
    _ = (
        records.metrics
    )  # configurations of metrics that are not there show as failures only once they are resolved
    rows = [_row(record) for record in records.plugins]
    if as_json:
        render.echo_json(rows)
    else:
        click.echo(render.table(rows, flexible="contributes"))


def _row(record: PluginRecord) -> dict[str, str]:
    names: dict[str, list[str]] = {}
    for spec in record.specs:
        names.setdefault(type(spec).__name__.removesuffix("Spec").lower(), []).append(spec.name)
    names["command"] = [command.name for command in record.commands]
    shown = ", ".join(_contribution(kind, found) for kind, found in names.items() if found)
    return {
        "plugin": record.origin.plugin,
        "distribution": record.origin.distribution,
        "version": record.origin.version,
        "state": "loaded" if record.loaded else "not loaded",
        "contributes": shown if record.loaded else (record.failure or ""),
    }


def _contribution(kind: str, names: list[str]) -> str:
    """How many, and which where no other command lists them."""
    text = f"{len(names)} {kind}{'s' if len(names) > 1 and kind != 'weights' else ''}"
    return f"{text} ({', '.join(names)})" if kind in NAMED else text
