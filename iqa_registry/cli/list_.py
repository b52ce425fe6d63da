"""``iqa list``: the registered metrics."""

from __future__ import annotations

from typing import Any

import click

from iqa_registry.cli import render
from iqa_registry.cli.arguments import flag
from iqa_registry.errors import UsageError, nearest
from iqa_registry.licences import allows_commercial_use
from iqa_registry.registry import build_registry
from iqa_registry.specs import MetricSpec

KINDS = ("full-reference", "no-reference", "distribution")


@click.command()
@click.option("--kind", metavar="KIND", help=f"Only metrics of this kind: {', '.join(KINDS)}.")
@click.option("--licence", metavar="TEXT", help="Only metrics whose licence contains this text.")
@click.option("--plugin", metavar="NAME", help="Only metrics of this plugin or distribution.")
@flag("--commercial-ok", "Only metrics whose code and weights allow commercial use.")
@click.option("--json", "as_json", is_flag=True, help="Print every declared field as JSON.")
def list_metrics(
    kind: str | None, licence: str | None, plugin: str | None, commercial_ok: bool, as_json: bool
) -> None:
    """List the registered metrics, and the plugins that could not be loaded."""
    if kind is not None and kind not in KINDS:
        raise UsageError(f"--kind {kind!r}: expected one of {', '.join(KINDS)}.{nearest(kind, KINDS)}")
    registry = build_registry()
    chosen = [
        spec
        for spec in registry.metrics.values()
        if (kind is None or spec.kind == kind)
        and (licence is None or licence.lower() in f"{spec.licence} {spec.weights_licence or ''}".lower())
        and (plugin is None or plugin in _plugin_names(spec))
        and (not commercial_ok or allows_commercial_use(spec))
    ]
    if as_json:
        render.echo_json([describe(spec) for spec in chosen])
    else:
        click.echo(render.table([_row(spec) for spec in chosen], flexible="summary"))
    render.show_failures(registry)


def describe(spec: MetricSpec) -> dict[str, Any]:
    """Every declared field of a spec, for JSON."""
    fields = {name: getattr(spec, name) for name in spec.__slots__ if name != "origin"}
    origin = spec.origin
    fields |= (
        {"plugin": origin.plugin, "distribution": origin.distribution, "version": origin.version}
        if origin
        else {}
    )
    return fields | {"commercial_ok": allows_commercial_use(spec)}


def _plugin_names(spec: MetricSpec) -> tuple[str, ...]:
    return (spec.origin.plugin, spec.origin.distribution) if spec.origin else ()


def _row(spec: MetricSpec) -> dict[str, str]:
    return {
        "metric": spec.name,
        "better": render.ARROWS[spec.higher_is_better],
        "kind": {"full-reference": "FR", "no-reference": "NR", "distribution": "set"}[spec.kind],
        "dims": "/".join(f"{number}D" for number in spec.dimensions),
        "mask": spec.mask_support,
        "licence": spec.licence,
        "from": f"{spec.origin.distribution} {spec.origin.version}" if spec.origin else "",
        "summary": spec.summary,
    }
