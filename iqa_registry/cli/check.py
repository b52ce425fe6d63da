"""``iqa plugin check``: the conformance kit on a metric, or on every metric of a plugin."""

from __future__ import annotations

import importlib
import importlib.metadata
import importlib.util
import sys
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from iqa_registry.cli import arguments, complete, render
from iqa_registry.cli.arguments import option
from iqa_registry.errors import PluginError, UnknownNameError, UsageError, nearest
from iqa_registry.hookspecs import PROJECT
from iqa_registry.naming import canonical
from iqa_registry.parameters import parse_reference
from iqa_registry.plugins import Candidate, PluginRecord
from iqa_registry.registry import Registry, build_registry
from iqa_registry.specs import Origin

if TYPE_CHECKING:
    from iqa_registry.testing import CheckResult


@arguments.group()
def plugin() -> None:
    """Check plugins."""


@plugin.command(examples=("iqa plugin check ssim:window=7", "iqa plugin check psnr --json"))
@click.argument("target", shell_complete=complete.completer(complete.metric_names))
@option("json")
def check(target: str, as_json: bool) -> None:
    """Check that metrics keep what the interface and their declarations promise.

    TARGET is a metric (ssim:window=7), a plugin or its distribution, or a plugin's module or file.

    Exit code: 0 if nothing failed, else 1.
    """
    registry, names = find_metrics(target)
    from iqa_registry.testing import run_checks

    rows = []
    for name in names:
        found = run_checks(name, registry)
        rows += [
            {"metric": name, "check": item.name, "result": item.status, "message": item.message}
            for item in found
        ]
        if not as_json:
            click.echo(_report(name, found))
    if as_json:
        render.echo_json(rows)
    if any(row["result"] == "fail" for row in rows):
        raise click.exceptions.Exit(1)


def find_metrics(target: str) -> tuple[Registry, list[str]]:
    """The metrics that ``target`` stands for, and the registry that has them.

    Raises:
        UnknownNameError: it is not a metric, plugin, module or file; the nearest names are offered.
        PluginError: the plugin cannot be loaded, or has no metrics.

    Example:
        >>> find_metrics("ssim:window=7")[1]
        ['ssim:window=7']
    """
    registry = build_registry()
    if not target.endswith(".py"):
        name, _ = parse_reference(target)
        if canonical(registry.metrics, name) in registry.metrics:
            return registry, [target]
    module = _module_name(target)
    installed = {
        point.name for point in importlib.metadata.entry_points(group=PROJECT) if point.value == module
    }
    records = [item for item in registry.plugins if _answers_to(item.origin, {target, *installed})]
    if not records and module is not None:
        origin = Origin(module.partition(".")[0], "(not installed)", module)
        registry = build_registry([Candidate(_Module(module), origin)])
        records = [item for item in registry.plugins if item.origin == origin]
    if not records:
        known = [*registry.metrics, *(item.origin.plugin for item in registry.plugins)]
        raise UnknownNameError(
            f"{target!r} is not a metric, plugin, module or file.{nearest(target, known)} `iqa list` shows the metrics."
        )
    return registry, _metrics_of(records)


def _answers_to(origin: Origin, names: set[str]) -> bool:
    return origin.plugin in names or origin.distribution in names


def _metrics_of(records: list[PluginRecord]) -> list[str]:
    failed = [line for record in records for line in record.failures()]
    if failed:
        raise PluginError("\n".join(failed))
    names = [name for record in records for name in record.names("metric")]
    if not names:
        raise PluginError(f"plugin {records[0].origin} declares no metric.")
    return names


@dataclass(frozen=True, slots=True)
class _Module:
    """A module that stands in for an installed plugin's entry point."""

    name: str

    def load(self) -> Any:
        """Import it."""
        return importlib.import_module(self.name)


def _module_name(target: str) -> str | None:
    """The importable name of a module or of a file, whose top-level folder is put on the import path."""
    if not target.endswith(".py"):
        try:
            return target if importlib.util.find_spec(target) else None
        except (ImportError, ValueError):
            return None
        except Exception:
            # Its package raises on import; loading it says so.
            return target
    file = Path(target).resolve()
    if not file.is_file():
        raise UsageError(f"{target}: there is no such file.")
    parts = [] if file.stem == "__init__" else [file.stem]
    folder = file.parent
    while (folder / "__init__.py").is_file():
        parts.insert(0, folder.name)
        folder = folder.parent
    sys.path.insert(0, str(folder))
    return ".".join(parts)


def _report(name: str, results: list[CheckResult]) -> str:
    rows = [{"check": item.name, "result": item.status, "message": item.message} for item in results]
    counts = Counter(item.status for item in results)
    counted = f"{counts['pass']} passed, {counts['fail']} failed, {counts['skipped']} skipped"
    counted += f", {counts['exempt']} exempt" if counts["exempt"] else ""
    return f"{name}\n\n{render.table(rows, flexible='message')}\n\n{name}: {counted}\n"
