"""``iqa info NAME``: everything that is declared about a metric."""

from __future__ import annotations

from typing import Any

import click

from iqa_registry.cli import complete, render
from iqa_registry.cli.arguments import as_json
from iqa_registry.cli.list_ import describe
from iqa_registry.errors import IQAError
from iqa_registry.registry import Registry, build_registry
from iqa_registry.specs import MetricSpec


@click.command()
@click.argument("name", shell_complete=complete.completer(complete.metric_names))
@as_json
def info(name: str, as_json: bool) -> None:
    """Show what the metric NAME is: direction, range, masks, parameters, weights, licence, source.

    NAME may have parameters: lpips:net=vgg.
    """
    registry = build_registry()
    resolved = registry.resolve_metric(name)
    facts = describe(resolved.spec) | {"configuration": resolved.configuration}
    parameters = _parameters(registry, resolved.spec, dict(resolved.parameters))
    weights = [{"weights": item, "status": _status(registry, item)} for item in resolved.weights]
    if as_json:
        render.echo_json(facts | {"parameters": parameters, "weights": weights})
        return
    click.echo(f"{resolved.spec.name}: {resolved.spec.summary}\n")
    for label, value in _lines(resolved.spec).items():
        click.echo(f"  {label:<16}{value}")
    for title, rows in (("Parameters", parameters), ("Weights", weights)):
        if rows:
            click.echo(
                f"\n{title}\n" + render.table(rows, flexible="description" if title == "Parameters" else None)
            )


def _lines(spec: MetricSpec) -> dict[str, str]:
    low, high = spec.score_range
    identity = "not fixed" if spec.identity_score is None else render.number(spec.identity_score)
    weights = f"; weights {spec.weights_licence}" if spec.weights_licence else ""
    lines = {
        "kind": spec.kind,
        "better": "higher ↑" if spec.higher_is_better else "lower ↓",
        "range": f"{render.number(low, 0)} to {render.number(high, 0)}, of an image against itself: {identity}",
        "dimensions": ", ".join(f"{item}-D" for item in spec.dimensions),
        "least size": f"{spec.minimum_size} pixels a side",
        "mask": spec.mask_support,
        "gradient": "yes" if spec.supports_gradient else "no",
        "symmetric": "yes" if spec.symmetric else "no",
        "map": "yes (iqa maps)" if spec.provides_map else "no",
        "validated on": spec.validated_on,
        "source": spec.reference,
        "licence": f"code {spec.licence}{weights}",
        "plugin": str(spec.origin),
    }
    return (
        lines
        | ({"based on": spec.base} if spec.base else {})
        | ({"needs extra": spec.extra} if spec.extra else {})
    )


def _parameters(registry: Registry, spec: MetricSpec, values: dict[str, Any]) -> list[dict[str, Any]]:
    schema = registry.parameters(spec).model_json_schema()
    properties = schema.get("properties", {})
    return [
        {
            "parameter": key,
            "value": "+".join(map(str, value)) if isinstance(value, list | tuple) else str(value),
            "takes": render.takes(properties.get(key, {}), schema.get("$defs", {})),
            "description": properties.get(key, {}).get("description", ""),
        }
        for key, value in values.items()
    ]


def _status(registry: Registry, name: str) -> str:
    try:
        return registry.weights.status(name)
    except IQAError as error:
        return str(error)
