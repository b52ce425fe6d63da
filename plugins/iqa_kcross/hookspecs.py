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
from typing import TYPE_CHECKING

import pluggy

from iqa_registry.plugin import PluginError, UnknownNameError, nearest
from iqa_registry.plugins import Contribution, claimed_name, find_candidates, load_group
from iqa_registry.specs import Origin

if TYPE_CHECKING:
    from iqa_kcross.branch import Branch

PROJECT = "iqa_kcross"
NAME = re.compile("[a-z][a-z0-9_-]*")

hookspec = pluggy.HookspecMarker(PROJECT)
hookimpl = pluggy.HookimplMarker(PROJECT)


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
            broken = "".join(f" Plugin {plugin} failed: {reason}" for plugin, reason in failures.items())
            raise UnknownNameError(
                f"K-CROSS has no branch {name!r}.{nearest(name, known)} It has {', '.join(known)}.{broken}"
            )
    return {name: known[name] for name in names}


def _load() -> tuple[dict[str, type[Branch]], dict[str, str]]:
    records = load_group(sys.modules[__name__], find_candidates(PROJECT), _accept)
    found: dict[str, type[Branch]] = {}
    failures: dict[str, str] = {}
    for position, record in enumerate(records):
        # Unlike a metric, a branch whose name is taken must not be left out: weights name their branches, so which of
        # the two is meant decides the score.
        claimed = claimed_name(record, records[:position])
        if claimed is not None:
            raise PluginError(f"plugin {record.origin}: the branch {claimed} Or uninstall one of the two.")
        found |= {item.name: item.value for item in record.contributions}
        if record.failure is not None:
            failures[str(record.origin)] = record.failure
        elif not record.contributions:
            failures[str(record.origin)] = "registers no branch. Implement the hook kcross_branches."
    return found, failures


def _accept(hook: str, origin: Origin, branch: type[Branch]) -> Contribution:
    """A branch whose name users can type in ``kcross:branches=a+b``."""
    name = getattr(branch, "name", None)
    if not (isinstance(branch, type) and isinstance(name, str) and NAME.fullmatch(name)):
        raise PluginError(
            f"{branch!r} must be a class whose name is lower-case letters, digits, - and _, not {name!r}."
        )
    return Contribution("branch", name, branch)
