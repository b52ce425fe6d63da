"""Finding and loading plugins, each by itself: one that fails leaves the others working and is listed.

:func:`load_group` loads the plugins of any entry-point group by the hooks of a module, so that a plugin can have
plugins of its own; :func:`load_plugins` is what the registry calls.
"""

from __future__ import annotations

import os
import re
import traceback
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from importlib import metadata
from types import ModuleType
from typing import Any, Protocol

import pluggy

from iqa_registry import hookspecs
from iqa_registry.errors import IQAError, PluginError
from iqa_registry.isolation import isolated
from iqa_registry.specs import Origin, register

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
class Contribution:
    """One thing that a plugin contributes.

    Attributes:
        kind: what it is: ``metric``, ``ranker``, ``command`` ...
        name: what users type.
        value: the registered spec, the :class:`Command`, or whatever the group's plugins contribute.
        failure: why it is not available although the plugin is loaded.
    """

    kind: str
    name: str
    value: Any
    failure: str | None = None


@dataclass(slots=True)
class PluginRecord:
    """One plugin: who ships it, what it contributed, or why it was left out.

    Attributes:
        origin: who ships it.
        hooks: the hooks that it implements.
        contributions: everything that it registered; none if it was left out.
        failure: why the plugin was left out as a whole.
    """

    origin: Origin
    hooks: tuple[str, ...] = ()
    contributions: list[Contribution] = field(default_factory=list)
    failure: str | None = None

    @property
    def loaded(self) -> bool:
        """Whether the plugin contributes anything."""
        return self.failure is None

    def names(self, kind: str) -> list[str]:
        """What it contributes of a kind, without failures, in the order of registration."""
        return [item.name for item in self.contributions if item.kind == kind and item.failure is None]

    def failures(self) -> list[str]:
        """What is not available and why, one line each."""
        whole = [] if self.failure is None else [f"plugin not loaded: {self.origin}: {self.failure}"]
        parts = [item for item in self.contributions if item.failure is not None]
        return whole + [f"not registered: {item.kind} of {self.origin}: {item.failure}" for item in parts]


@dataclass(frozen=True, slots=True)
class Candidate:
    """An entry point with the distribution that declares it."""

    entry_point: EntryPoint
    origin: Origin


def find_candidates(group: str = hookspecs.PROJECT) -> list[Candidate]:
    """The installed plugins of an entry-point group, our own first, then by distribution and name.

    ``IQA_LOAD_PLUGINS`` (names, separated by commas) limits those of the registry itself.
    """
    wanted = os.environ.get("IQA_LOAD_PLUGINS") if group == hookspecs.PROJECT else None
    names = None if wanted is None else {name.strip() for name in wanted.split(",")}
    found = []
    for point in metadata.entry_points(group=group):
        if names is not None and point.name not in names:
            continue
        package = point.dist.name if point.dist else "unknown"
        version = point.dist.version if point.dist else "unknown"
        found.append(Candidate(point, Origin(package, version, point.name)))
    return sorted(found, key=lambda item: (item.origin.distribution != OWN_DISTRIBUTION, str(item.origin)))


def load_plugins(candidates: Iterable[Candidate], strict: bool = False) -> list[PluginRecord]:
    """Load plugins of the registry and collect what they contribute.

    Args:
        candidates: see :func:`find_candidates`; of two that claim one name, the first keeps it.
        strict: raise at the first plugin that fails (also by ``IQA_STRICT_PLUGINS=1``).

    Raises:
        PluginError: in strict mode, with the reason.

    Example:
        >>> [record.origin.plugin for record in load_plugins(find_candidates())][:2]
        ['iqa_classical', 'iqa_datasets']
    """
    records = load_group(hookspecs, candidates, _accept, strict)
    for position, record in enumerate(records):
        reason = claimed_name(record, records[:position])
        if reason is not None:
            _leave_out(record, reason, strict)
    return records


def _accept(hook: str, origin: Origin, *given: Any, **named: Any) -> Contribution:
    if hook == "iqa_register_commands":
        command = Command(*given, **named)
        return Contribution("command", command.name, command)
    (declared,) = [*given, *named.values()]
    spec = register(declared, origin)
    return Contribution(spec.noun, spec.name, spec)


def load_group(
    hooks: ModuleType,
    candidates: Iterable[Candidate],
    accept: Callable[..., Contribution],
    strict: bool = False,
) -> list[PluginRecord]:
    """Load the plugins of an entry-point group, each by itself.

    Args:
        hooks: module of the hook specifications; its ``PROJECT`` is the name of the group. Each hook takes
            ``register``.
        candidates: see :func:`find_candidates`.
        accept: called as ``accept(hook, origin, ...)`` with what the plugin gave to ``register``; checks it.
        strict: raise at the first plugin that fails.

    Returns:
        A record per candidate, failed ones with the reason. Names that two plugins claim are not looked for; see
        :func:`claimed_name`.

    Raises:
        PluginError: in strict mode, with the reason.
    """
    manager = pluggy.PluginManager(hooks.PROJECT)
    manager.add_hookspecs(hooks)
    records = []
    for candidate in candidates:
        record = PluginRecord(candidate.origin)
        records.append(record)
        try:
            with isolated():
                _load(manager, hooks, candidate, record, accept)
        except (Exception, SystemExit) as error:
            _leave_out(record, _reason(error), strict, error)
    return records


def claimed_name(record: PluginRecord, earlier: Sequence[PluginRecord]) -> str | None:
    """Why a plugin cannot have all names that it registers; ``None`` if it can."""
    owners = {(item.kind, item.name): other.origin for other in earlier for item in other.contributions}
    for item in record.contributions:
        owner = owners.setdefault((item.kind, item.name), record.origin)
        if owner is not record.origin or record.names(item.kind).count(item.name) > 1:
            return f"{item.name!r} is already registered by {owner}. Choose another name."
    return None


def _leave_out(record: PluginRecord, reason: str, strict: bool, cause: BaseException | None = None) -> None:
    record.failure, record.contributions = reason, []
    if strict:
        raise PluginError(f"plugin {record.origin}: {reason}") from cause


_FIELDS = re.compile(r"(?P<spec>\w+)\.__init__\(\) (?P<problem>missing|got an unexpected) ")


def _reason(error: BaseException) -> str:
    """What went wrong, in one line; a declaration that lacks a field is named with its place."""
    text = " ".join(str(error).split())
    found = _FIELDS.match(text)
    if isinstance(error, TypeError) and found:
        names = ", ".join(re.findall(r"'(\w+)'", text))
        places = [item for item in traceback.extract_tb(error.__traceback__) if item.filename != __file__]
        where = f"in {places[-1].filename}, line {places[-1].lineno}"
        if found["problem"] == "missing":
            return f"a {found['spec']} does not declare {names}. Add it {where}."
        return f"a {found['spec']} has no field {names}. Correct it {where}."
    return text if isinstance(error, IQAError) else f"{type(error).__name__}: {text}".rstrip(": ")


def _load(
    manager: pluggy.PluginManager,
    hooks: ModuleType,
    candidate: Candidate,
    record: PluginRecord,
    accept: Callable[..., Contribution],
) -> None:
    def registering(hook: str) -> Callable[..., None]:
        def register(*given: Any, **named: Any) -> None:
            record.contributions.append(accept(hook, record.origin, *given, **named))

        return register

    plugin = candidate.entry_point.load()
    # Two distributions may use one entry-point name, so the distribution is part of the manager's name.
    name = f"{candidate.origin.distribution}/{candidate.origin.plugin}"
    try:
        manager.register(plugin, name=name)
        record.hooks = _hooks(manager, plugin, hooks)
        others = [item for item in manager.get_plugins() if item is not plugin]
        for hook in record.hooks:
            manager.subset_hook_caller(hook, remove_plugins=others)(register=registering(hook))
    except BaseException:
        # pluggy keeps a plugin that it has rejected among its names until it is unregistered.
        if manager.has_plugin(name):
            manager.unregister(name=name)
        raise


def _hooks(manager: pluggy.PluginManager, plugin: object, hooks: ModuleType) -> tuple[str, ...]:
    known = {name for name in dir(hooks) if manager.parse_hookspec_opts(hooks, name) is not None}
    marked = {name for name in dir(plugin) if manager.parse_hookimpl_opts(plugin, name) is not None}
    unknown = sorted(marked - known)
    if unknown:
        raise PluginError(
            f"implements {unknown[0]}, which is not a hook. The hooks are {', '.join(sorted(known))}."
        )
    unmarked = sorted(name for name in known - marked if hasattr(plugin, name))
    if unmarked:
        raise PluginError(f"defines {unmarked[0]} without @hookimpl, so it would not be called. Add it.")
    return tuple(sorted(marked))
