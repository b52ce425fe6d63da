"""Declares the branches."""

from __future__ import annotations

from collections.abc import Callable

from iqa_kcross.branch import Branch
from iqa_kcross.hookspecs import hookimpl

from iqa_kcross_vessel.texture import TextureBranch
from iqa_kcross_vessel.vessel import VesselBranch


@hookimpl
def kcross_branches(register: Callable[[type[Branch]], None]) -> None:
    """Vessels and texture."""
    register(VesselBranch)
    register(TextureBranch)
