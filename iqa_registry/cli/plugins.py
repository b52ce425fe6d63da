"""``iqa plugins``: who contributes what, and what could not be loaded."""

from __future__ import annotations

import click

from iqa_registry.cli import arguments, render
from iqa_registry.cli.arguments import option
from iqa_registry.plugins import PluginRecord
from iqa_registry.registry import build_registry

NAMED = ("ranker", "segmenter", "dataset", "command")
"""Kinds of which there are few, shown by name."""


@arguments.command(examples=("iqa plugins", "iqa plugins --json"))
@option("json")
def plugins(as_json: bool) -> None:
    """List the plugins with their distribution, version and contributions, and what failed with the reason."""
    rows = [_row(record) for record in build_registry().plugins]
    if as_json:
        render.echo_json(rows)
    else:
        click.echo(render.table(rows, flexible="contributes"))


def _row(record: PluginRecord) -> dict[str, str]:
    kinds = dict.fromkeys(item.kind for item in record.contributions)
    shown = ", ".join(_counted(kind, names) for kind in kinds if (names := record.names(kind)))
    failed = [item.failure for item in record.contributions if item.failure]
    return {
        "plugin": record.origin.plugin,
        "distribution": record.origin.distribution,
        "version": record.origin.version,
        "state": "not loaded" if not record.loaded else "partly loaded" if failed else "loaded",
        "contributes": record.failure or "; ".join(filter(None, [shown, *failed])),
    }


def _counted(kind: str, names: list[str]) -> str:
    """How many, and which where there are few."""
    text = f"{len(names)} {kind}{'s' if len(names) > 1 and kind != 'weights' else ''}"
    return f"{text} ({', '.join(names)})" if kind in NAMED else text
