"""``iqa plugins``: who contributes what, and what could not be loaded."""

from __future__ import annotations

from collections import Counter

import click

from iqa_registry.cli import render
from iqa_registry.cli.arguments import as_json
from iqa_registry.plugins import PluginRecord
from iqa_registry.registry import build_registry


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
    counts = Counter(type(spec).__name__.removesuffix("Spec").lower() for spec in record.specs)
    counts["command"] = len(record.commands)
    shown = ", ".join(
        f"{count} {kind}{'s' if count > 1 and kind != 'weights' else ''}"
        for kind, count in counts.items()
        if count
    )
    return {
        "plugin": record.origin.plugin,
        "distribution": record.origin.distribution,
        "version": record.origin.version,
        "state": "loaded" if record.loaded else "not loaded",
        "contributes": shown if record.loaded else (record.failure or ""),
    }
