"""``iqa info NAME``: everything that is declared about a metric, ranker, segmenter, dataset or weight file."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click

from iqa_registry.cli import arguments, complete, render
from iqa_registry.cli.arguments import option
from iqa_registry.cli.list_ import KindChoice, describe, is_ready
from iqa_registry.errors import UnknownNameError, nearest
from iqa_registry.licenses import license_text
from iqa_registry.naming import canonical, similar
from iqa_registry.parameters import (
    check_names,
    format_reference,
    format_value,
    parse_reference,
    validate_parameters,
)
from iqa_registry.registry import Registry, ResolvedMetric, build_registry, find
from iqa_registry.specs import Registered, RegisteredDataset, RegisteredMetric, RegisteredWeights

Facts = dict[str, Any]
Tables = dict[str, list[dict[str, Any]]]


@arguments.command(examples=("iqa info ssim", "iqa info ssim:window=7", "iqa info levels"))
@click.argument("name", shell_complete=complete.completer(complete.all_names))
@option(
    "kind",
    "--as",
    type=KindChoice(),
    help="Say what NAME is, where several kinds have the name.",
    section="Input",
)
@option("json")
def info(name: str, kind: str | None, as_json: bool) -> None:
    """Show what the metric, ranker, segmenter, dataset or weight file NAME is.

    NAME may have parameters: ssim:window=7,sigma=2. Join the elements of a list by +. Put a value that holds a comma or
    a plus sign into brackets, and do the same if the value has parameters of its own: "NAME:KEY=[NAME:KEY=VALUE]".
    """
    echo_info(build_registry(), name, kind, as_json)


def echo_info(registry: Registry, text: str, kind: str | None, as_json: bool) -> None:
    """Print what is declared about a name.

    Args:
        registry: where it is looked up.
        text: ``NAME`` or ``NAME:KEY=VALUE,...``.
        kind: a word of :data:`~iqa_registry.specs.KINDS`; by default the first that has the name.
        as_json: print JSON.

    Raises:
        UnknownNameError: nothing has that name; the nearest names are offered.
        ParameterError: an unknown parameter or a value that it does not take.
    """
    name, given = parse_reference(text)
    kinds = [word for word, specs in registry.kinds.items() if canonical(specs, name) in specs]
    if kind is None and not kinds:
        known = sorted({item for specs in registry.kinds.values() for item in specs})
        hint = similar(registry.metrics, name) or nearest(name, known)
        raise UnknownNameError(f"nothing is registered as {name!r}.{hint} `iqa list` shows the metrics.")
    chosen = kind or kinds[0]
    spec: Registered = find(registry.kinds[chosen], name, chosen)
    facts, tables = _explain(registry, spec, given)
    if as_json:
        render.echo_json({"type": spec.noun} | describe(registry, spec) | facts | tables)
        return
    _echo(spec, _lines(registry, spec, facts), facts.get("description", ""), tables)
    if kind is None and len(kinds) > 1:
        others = ", ".join(f"`iqa info {spec.name} --as {word}`" for word in kinds[1:])
        click.echo(f"\nOther kinds have the same name: {others}")


def _echo(spec: Registered, lines: Mapping[str, str], description: str, tables: Tables) -> None:
    click.echo("\n\n".join(filter(None, [f"{spec.name}: {spec.summary}", description])) + "\n")
    for label, value in lines.items():
        click.echo(f"  {label:<16}{value}")
    for title, rows in tables.items():
        if rows:
            click.echo(f"\n{title.capitalize()}\n{render.table(rows, 'description')}")


def _explain(registry: Registry, spec: Registered, given: Mapping[str, Any]) -> tuple[Facts, Tables]:
    """What is not a field of the spec: facts, and tables by their title."""
    if isinstance(spec, RegisteredWeights):
        check_names(spec.name, (), given)
        return {}, {}
    model = registry.parameters(spec)
    fixed = {**(spec.defaults if isinstance(spec, RegisteredMetric) else {}), **given}
    check_names(spec.name, model.model_fields, fixed)
    missing = {name for name, item in model.model_fields.items() if item.is_required()} - {*fixed}
    # Without a required parameter, a path for example, nothing can be validated; what it takes can still be shown.
    values = {name: item.default for name, item in model.model_fields.items()} | fixed
    if not missing:
        values = validate_parameters(spec.name, model, fixed)
    tables: Tables = {"parameters": _parameters(model.model_json_schema(), values, missing)}
    if isinstance(spec, RegisteredMetric):
        resolved = ResolvedMetric(format_reference(spec.name, given), spec, values)
        weights = [] if missing else [_weights(registry, name) for name in resolved.weights]
        return {"configuration": resolved.configuration}, tables | {"weights": weights}
    factory = registry.factory(spec)
    facts: Facts = {"description": _description(factory)}
    if isinstance(spec, RegisteredDataset):
        facts["labels"] = {name: list(labels) for name, labels in getattr(factory, "label_names", {}).items()}
    return facts, tables


def _parameters(
    schema: Mapping[str, Any], values: Mapping[str, Any], missing: set[str]
) -> list[dict[str, str]]:
    properties = schema.get("properties", {})
    return [
        {
            "parameter": name,
            "value": "required" if name in missing else format_value(value),
            "takes": render.takes(properties.get(name, {}), schema.get("$defs", {})),
            "description": properties.get(name, {}).get("description", ""),
        }
        for name, value in values.items()
    ]


def _weights(registry: Registry, name: str) -> dict[str, str]:
    """State of the weights that a configuration needs: declared ones by name, others are a file of the user's."""
    store = registry.weights
    if name in store.specs:
        return {"weights": name, "status": store.status(name)}
    if Path(name).expanduser().is_file():
        return {"weights": name, "status": "your file"}
    return {"weights": name, "status": f"neither a file nor declared.{nearest(name, store.specs)}"}


def _description(factory: Any) -> str:
    """What the factory's docstring says before its sections, without markup."""
    text = inspect.getdoc(factory) or ""
    for section in ("Args:", "Attributes:", "Example:", "Examples:", "Raises:", "Returns:"):
        text = text.partition(f"\n{section}")[0]
    return text.replace("``", "").strip()


def _lines(registry: Registry, spec: Registered, facts: Facts) -> dict[str, str]:
    """One line per fact; what does not apply is left out."""
    lines = _score(spec) if isinstance(spec, RegisteredMetric) else {}
    if isinstance(spec, RegisteredWeights):
        lines |= {
            "status": registry.weights.status(spec.name),
            "file": str(registry.weights.path(spec.name)),
            "size": f"{spec.size / 1e6:.1f} MB",
            "sha256": f"{spec.sha256} (of the {spec.hashed})",
            "sources": "; ".join(source.describe() for source in spec.sources),
        }
    labels = facts.get("labels", {})
    extra = getattr(spec, "extra", None)
    lines |= {
        "labels": ", ".join(f"{name} {format_value(item)}" for name, item in labels.items()),
        "source": getattr(spec, "reference", ""),
        "license": license_text(spec),
        "plugin": str(spec.origin),
        "based on": getattr(spec, "base", None) or "",
        "needs extra": f"{extra} ({'' if is_ready(spec) else 'not '}installed)" if extra else "",
    }
    return {label: value for label, value in lines.items() if value}


def _score(spec: RegisteredMetric) -> dict[str, str]:
    low, high = spec.score_range
    identity = "not fixed" if spec.identity_score is None else render.number(spec.identity_score)
    return {
        "kind": spec.kind,
        "better": "higher ↑" if spec.higher_is_better else "lower ↓",
        "range": f"{render.number(low, 0)} to {render.number(high, 0)}; of an image against itself: {identity}",
        "dimensions": ", ".join(f"{item}-D" for item in spec.dimensions),
        "minimum size": f"{spec.minimum_size} pixels per side",
        "mask": spec.mask_support,
        "gradient": "yes" if spec.supports_gradient else "no",
        "symmetric": "yes" if spec.symmetric else "no",
        "map": "yes (iqa maps)" if spec.provides_map else "no",
        "validated on": spec.validated_on,
    }
