"""Finding and loading plugins, each by itself: one that fails leaves the others working and is listed."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from importlib import metadata
from typing import Any, Protocol

import pluggy

from iqa_registry import hookspecs
from iqa_registry.errors import IQAError, PluginError, SpecError
from iqa_registry.specs import MetricSpec, Origin, Spec

OWN_DISTRIBUTION = "iqa-registry"


class EntryPoint(Protocol):
    """What is needed of :class:`importlib.metadata.EntryPoint`."""

    @property
    def name(self) -> str:
        """Name of the plugin."""

    def load(self) -> Any:
        """Import the plugin."""


@dataclass(frozen=True, slots=True)
class Command:
    """A subcommand that a plugin contributes.

    Attributes:
        name: after ``iqa``.
        help: one line.
        target: ``"package.module:app"``.
        section: of the help page of ``iqa``.
    """

    name: str
    help: str
    target: str
    section: str = "Plugins"


@dataclass(slots=True)
class PluginRecord:
    """One plugin: who ships it, what it contributed, or why it was left out."""

    origin: Origin
    hooks: tuple[str, ...] = ()
    specs: list[Spec] = field(default_factory=list)
    commands: list[Command] = field(default_factory=list)
    failure: str | None = None

    @property
    def loaded(self) -> bool:
        """Whether the plugin contributes anything."""
        return self.failure is None


@dataclass(frozen=True, slots=True)
class Candidate:
    """An entry point with the distribution that declares it."""

    entry_point: EntryPoint
    origin: Origin


def find_candidates() -> list[Candidate]:
    """The installed plugins, our own first, then by distribution and name.

    ``IQA_LOAD_PLUGINS`` (names, separated by commas) limits them.
    """
    wanted = os.environ.get("IQA_LOAD_PLUGINS")
    names = None if wanted is None else {name.strip() for name in wanted.split(",")}
    found = []
    for point in metadata.entry_points(group=hookspecs.PROJECT):
        if names is not None and point.name not in names:
            continue
        package = point.dist.name if point.dist else "unknown"
        version = point.dist.version if point.dist else "unknown"
        found.append(Candidate(point, Origin(package, version, point.name)))
    return sorted(found, key=lambda item: (item.origin.distribution != OWN_DISTRIBUTION, str(item.origin)))


def load_plugins(candidates: Iterable[Candidate], strict: bool = False) -> list[PluginRecord]:
    """Load each candidate and collect what it contributes.

    Args:
        candidates: see :func:`find_candidates`; of two that claim one name, the first keeps it.
        strict: raise at the first plugin that fails (also by ``IQA_STRICT_PLUGINS=1``).

    Raises:
        PluginError: in strict mode, with the reason.
    """
    manager = pluggy.PluginManager(hookspecs.PROJECT)
    manager.add_hookspecs(hookspecs)
    records: list[PluginRecord] = []
    for candidate in candidates:
        record = PluginRecord(candidate.origin)
        try:
            _load(manager, candidate, record)
            _refuse_claimed_names(record, records)
        except (Exception, SystemExit) as error:
            record.failure = _reason(error)
            record.specs, record.commands = [], []
            if strict:
                raise PluginError(f"plugin {record.origin}: {record.failure}") from error
        records.append(record)
    return records


def _reason(error: BaseException) -> str:
    text = " ".join(str(error).split())
    return text if isinstance(error, IQAError) else f"{type(error).__name__}: {text}".rstrip(": ")


def _load(manager: pluggy.PluginManager, candidate: Candidate, record: PluginRecord) -> None:
    plugin = candidate.entry_point.load()
    # Two distributions may use one entry-point name, so the distribution is part of the manager's name.
    name = f"{candidate.origin.distribution}/{candidate.origin.plugin}"
    try:
        manager.register(plugin, name=name)
        record.hooks = _hooks(manager, plugin)
        _collect(manager, plugin, record)
    except BaseException:
        # pluggy keeps a plugin that it has refused among its names until it is unregistered.
        if manager.has_plugin(name):
            manager.unregister(name=name)
        raise


def _hooks(manager: pluggy.PluginManager, plugin: object) -> tuple[str, ...]:
    known = {name for name in vars(hookspecs) if name.startswith("iqa_register_")}
    marked = {name for name in dir(plugin) if manager.parse_hookimpl_opts(plugin, name) is not None}
    unknown = sorted(marked - known)
    if unknown:
        raise PluginError(
            f"implements {unknown[0]}, which is no hook; the hooks are {', '.join(sorted(known))}."
        )
    unmarked = sorted(name for name in known - marked if hasattr(plugin, name))
    if unmarked:
        raise PluginError(f"defines {unmarked[0]} without @hookimpl, so it would not be called.")
    return tuple(sorted(marked))


def _collect(manager: pluggy.PluginManager, plugin: object, record: PluginRecord) -> None:
    others = [item for item in manager.get_plugins() if item is not plugin]
    for hook in record.hooks:
        caller = manager.subset_hook_caller(hook, remove_plugins=others)
        commands = hook == "iqa_register_commands"
        caller(register=_command_register(record.commands) if commands else _spec_register(record))


def _spec_register(record: PluginRecord) -> Callable[[Spec], None]:
    def register(spec: Spec) -> None:
        if not isinstance(spec, Spec):
            raise SpecError(f"register takes a spec of iqa_registry.specs, got {type(spec).__name__}.")
        spec.check()
        record.specs.append(replace(spec, origin=record.origin))

    return register


def _command_register(commands: list[Command]) -> Callable[..., None]:
    def register(name: str, help: str, target: str, section: str = "Plugins") -> None:  # noqa: A002 - users know it
        commands.append(Command(name, help, target, section))

    return register


def _refuse_claimed_names(record: PluginRecord, earlier: Sequence[PluginRecord]) -> None:
    claimed: dict[tuple[type, str], Origin] = {
        (type(spec), spec.name): other.origin for other in earlier for spec in other.specs
    }
    claimed |= {(Command, item.name): other.origin for other in earlier for item in other.commands}
    for item in [*record.specs, *record.commands]:
        owner = claimed.get((type(item), item.name))
        if owner is not None:
            raise PluginError(f"claims the name {item.name!r}, which {owner} has already.")
        claimed[type(item), item.name] = record.origin


def metric_specs(records: Iterable[PluginRecord]) -> list[MetricSpec]:
    """All metric specs of the loaded plugins, in loading order."""
    return [spec for record in records for spec in record.specs if isinstance(spec, MetricSpec)]
