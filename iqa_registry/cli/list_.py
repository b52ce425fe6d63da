"""``iqa list``: what is registered, of every kind in the same layout."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import fields
from functools import lru_cache
from typing import Any, get_args

import click

from iqa_registry.cli import arguments, render
from iqa_registry.cli.arguments import flag, option
from iqa_registry.errors import UsageError, install_command
from iqa_registry.licenses import allows_commercial_use, license_text
from iqa_registry.registry import Registry, build_registry
from iqa_registry.specs import KINDS, MetricKind, Registered, RegisteredMetric, RegisteredWeights

SHORT = {"full-reference": "FR", "no-reference": "NR", "distribution": "set"}


class KindChoice(click.Choice):
    """A kind of thing that plugins register; ``dataset`` means ``datasets``."""

    def __init__(self) -> None:
        super().__init__(list(KINDS))

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """The word in the plural."""
        return super().convert(f"{value}s" if f"{value}s" in KINDS else value, param, ctx)


@arguments.command(
    examples=("iqa list", "iqa list datasets", "iqa list --commercial-ok --kind full-reference")
)
@click.argument("things", metavar=f"[{'|'.join(KINDS)}]", type=KindChoice(), default="metrics")
@option(
    "--kind", type=click.Choice(get_args(MetricKind)), help="List only metrics of this kind.", section="Input"
)
@option(
    "--license",
    metavar="TEXT",
    help="List only what has this text in its license.",
    section="Input",
    old=("--licence",),
)
@option(
    "--plugin",
    metavar="NAME",
    help="List only what this plugin or distribution provides.",
    section="Input",
)
@flag("--commercial-ok", "List only what allows commercial use, code and weights.", section="Input")
@flag("--bridged", "List bridged metrics too, which another library computes (LIBRARY/NAME).", "Input")
@option("json", note="Prints every declared field.")
def list_metrics(
    things: str,
    kind: str | None,
    license: str | None,  # noqa: A002 - the word users know
    plugin: str | None,
    commercial_ok: bool,
    bridged: bool,
    as_json: bool,
) -> None:
    """List what is registered, metrics by default, and the plugins that could not be loaded.

    `iqa info NAME` explains any of them.
    """
    if kind is not None and things != "metrics":
        raise UsageError(f"--kind selects metrics. Leave it out for {things}.")
    if (commercial_ok or license is not None) and "license" not in _names(KINDS[things]):
        raise UsageError(f"{things} declare no license. Leave --license and --commercial-ok out.")
    registry = build_registry()
    chosen = [
        spec
        for spec in registry.kinds[things].values()
        if (kind is None or spec.kind == kind)
        and (license is None or license.lower() in license_text(spec).lower())
        and (plugin is None or plugin in (spec.origin.plugin, spec.origin.distribution))
        and (not commercial_ok or allows_commercial_use(spec))
    ]
    show_all = bridged or as_json or plugin is not None
    hidden = [] if show_all else [spec for spec in chosen if is_bridged(spec)]
    if not chosen and not as_json:
        click.echo(_nothing(things, kind))
    echo_list(registry, [spec for spec in chosen if spec not in hidden], as_json)
    if hidden:
        libraries = sorted({spec.name.partition("/")[0] for spec in hidden})
        click.echo(
            f"\n{len(hidden)} metrics of {', '.join(libraries)} are hidden; `iqa list --bridged` shows them."
        )


def is_bridged(spec: Registered) -> bool:
    """Whether another library computes the metric, which has the library's name before its own."""
    return isinstance(spec, RegisteredMetric) and "/" in spec.name


def _nothing(things: str, kind: str | None) -> str:
    if kind == "distribution":
        return (
            "No metric of the kind distribution (such as FID, KID or FRD) is installed. Plugins can add them."
        )
    return f"None of the {things} installed fits{'' if kind is None else f' (kind {kind})'}. Run `iqa list {things}`."


def echo_list(registry: Registry, specs: Iterable[Registered], as_json: bool) -> None:
    """Print specs of one kind as a table or as JSON, and on stderr what could not be loaded.

    Args:
        registry: where the specs are from.
        specs: for example ``registry.datasets.values()``.
        as_json: print every declared field instead of a table.
    """
    chosen = list(specs)
    if as_json:
        render.echo_json([describe(registry, spec) for spec in chosen])
    elif chosen:
        click.echo(render.table(_fitting(_rows(registry, chosen)), ("summary", "from", "license")))
        if isinstance(chosen[0], RegisteredWeights):
            click.echo(f"\nfolder: {registry.weights.directory}")
    render.show_failures(registry)


def describe(registry: Registry, spec: Registered) -> dict[str, Any]:
    """Every declared field of a spec, who contributed it, and whether it can be used, for JSON.

    Example:
        >>> registry = build_registry()
        >>> found = describe(registry, registry.rankers["levels"])
        >>> found["name"], found["plugin"], found["ready"]
        ('levels', 'iqa_rankers', True)
    """
    facts = {name: getattr(spec, name) for name in _names(type(spec)) if name != "origin"}
    origin = spec.origin
    facts |= {"plugin": origin.plugin, "distribution": origin.distribution, "version": origin.version}
    if "license" in facts:
        facts["commercial_ok"] = allows_commercial_use(spec)
    if isinstance(spec, RegisteredWeights):
        sources = [source.describe() for source in spec.sources]
        path = str(registry.weights.path(spec.name))
        return facts | {"sources": sources, "status": registry.weights.status(spec.name), "path": path}
    return facts | {"ready": is_ready(spec)}


def is_ready(spec: Registered) -> bool:
    """Whether the packages of the spec's extra are installed."""
    extra = getattr(spec, "extra", None)
    return extra is None or _is_installed(spec.origin.distribution, extra)


@lru_cache
def _is_installed(distribution: str, extra: str) -> bool:
    from importlib import metadata

    from packaging.requirements import Requirement

    try:
        texts = metadata.requires(distribution) or []
    except metadata.PackageNotFoundError:
        # A plugin that is checked from its folder: nothing is known of what it requires.
        return True
    for text in texts:
        requirement = Requirement(text)
        marker = requirement.marker
        of_the_extra = marker and marker.evaluate({"extra": extra}) and not marker.evaluate({"extra": ""})
        if of_the_extra and not any(metadata.distributions(name=requirement.name)):
            return False
    return True


def _names(kind: type[Registered]) -> list[str]:
    return [item.name for item in fields(kind)]


def _rows(registry: Registry, specs: list[Registered]) -> list[dict[str, str]]:
    ready = all(map(is_ready, specs))
    rows = []
    for spec in specs:
        row = {spec.noun: spec.name} | _columns(registry, spec)
        if not ready:
            needs = install_command(getattr(spec, "extra", ""), spec.origin.distribution)
            row["needs"] = "" if is_ready(spec) else needs
        if license_text(spec):
            row["license"] = license_text(spec)
        row["from"] = f"{spec.origin.distribution} {spec.origin.version}"
        rows.append(row | {"summary": spec.summary})
    return rows


def _fitting(rows: list[dict[str, str]]) -> list[dict[str, str]]:
    """The rows without the columns that would leave no room for a readable summary; `iqa info` has them all."""
    width = render.width()
    for name in ("from", "license", "mask", "dims", "kind", "needs"):
        others = sum(
            max(len(key), *(len(row[key]) for row in rows)) + 2 for key in rows[0] if key != "summary"
        )
        longest = max(len(row["summary"]) for row in rows)
        if width is None or others + min(longest, 40) <= width:
            break
        rows = [{key: value for key, value in row.items() if key != name} for row in rows]
    return rows


def _columns(registry: Registry, spec: Registered) -> dict[str, str]:
    """What is shown of one kind only."""
    if isinstance(spec, RegisteredMetric):
        return {
            "better": render.ARROWS[spec.higher_is_better],
            "kind": SHORT[spec.kind],
            "dims": "/".join(f"{number}D" for number in spec.dimensions),
            "mask": spec.mask_support,
        }
    if isinstance(spec, RegisteredWeights):
        return {"status": registry.weights.status(spec.name), "MB": f"{spec.size / 1e6:.1f}"}
    return {}
