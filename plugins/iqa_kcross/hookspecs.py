"""The hook by which packages add branches to K-CROSS.

A package names a module under the entry-point group ``iqa_kcross``; the module implements the hook::

    from iqa_kcross.hookspecs import hookimpl

    @hookimpl
    def kcross_branches(register):
        register(VesselBranch)
"""

from __future__ import annotations

import re
import sys
from collections.abc import Callable
from importlib import metadata
from typing import TYPE_CHECKING

import pluggy

from iqa_registry.errors import PluginError, UnknownNameError, nearest

if TYPE_CHECKING:
    from iqa_kcross.branch import Branch

GROUP = "iqa_kcross"
NAME = re.compile("[a-z][a-z0-9_-]*")

hookspec = pluggy.HookspecMarker(GROUP)
hookimpl = pluggy.HookimplMarker(GROUP)


@hookspec
def kcross_branches(register: Callable[[type[Branch]], None]) -> None:
    """Contribute branches.

    Args:
        register: takes a class derived from :class:`iqa_kcross.branch.Branch`.
    """


def find_branches() -> dict[str, type[Branch]]:
    """All installed branches by name, in the order in which their plugins name them; broken plugins are left out.

    Raises:
        PluginError: two plugins claim one name.

    Example:
        >>> list(find_branches())[:3]
        ['complex', 'tumor', 'structure']
    """
    return _load()[0]


def branch_failures() -> dict[str, str]:
    """Plugins of the group that cannot be loaded, with the reason."""
    return _load()[1]


def choose_branches(names: list[str]) -> dict[str, type[Branch]]:
    """The branches of those names.

    Raises:
        UnknownNameError: no such branch; the nearest names are offered.
    """
    known, failures = _load()
    for name in names:
        if name not in known:
            broken = "".join(f" Plugin {plugin} failed: {reason}." for plugin, reason in failures.items())
            raise UnknownNameError(
                f"K-CROSS has no branch {name!r}.{nearest(name, known)} It has {', '.join(known)}.{broken}"
            )
    return {name: known[name] for name in names}


def _load() -> tuple[dict[str, type[Branch]], dict[str, str]]:
    manager = pluggy.PluginManager(GROUP)
    manager.add_hookspecs(sys.modules[__name__])
    found: dict[str, type[Branch]] = {}
    owners: dict[str, str] = {}
    failures: dict[str, str] = {}
    # Our own first, so that a message lists them first.
    for entry in sorted(
        metadata.entry_points(group=GROUP), key=lambda item: (item.name != GROUP, _owner(item))
    ):
        owner = _owner(entry)
        try:
            branches = _branches_of(manager, entry.load(), owner)
        except Exception as error:
            failures[owner] = f"{type(error).__name__}: {error}"
            continue
        for branch in branches:
            if branch.name in found:
                raise PluginError(
                    f"two plugins give K-CROSS a branch {branch.name!r}: {owners[branch.name]} and {owner}; "
                    "uninstall one."
                )
            found[branch.name], owners[branch.name] = branch, owner
    return found, failures


def _owner(entry: metadata.EntryPoint) -> str:
    """The plugin's name and its package, since two packages may call their plugins the same."""
    return f"{entry.name} of {entry.dist.name}" if entry.dist else entry.name


def _branches_of(manager: pluggy.PluginManager, plugin: object, owner: str) -> list[type[Branch]]:
    manager.register(plugin, owner)
    branches: list[type[Branch]] = []
    others = [item for item in manager.get_plugins() if item is not plugin]
    manager.subset_hook_caller("kcross_branches", others)(register=branches.append)
    if not branches:
        raise PluginError("it registers no branch; implement the hook kcross_branches with hookimpl")
    for branch in branches:
        _check(branch)
    return branches


def _check(branch: type[Branch]) -> None:
    """Whether users can type the branch's name.

    Raises:
        PluginError: no class with a name, or a name that cannot stand in ``kcross:branches=a+b``.
    """
    name = getattr(branch, "name", None)
    if not (isinstance(branch, type) and isinstance(name, str) and NAME.fullmatch(name)):
        raise PluginError(
            f"{branch!r} must be a class whose name is lower-case letters, digits, - and _, not {name!r}"
        )
