"""The branches of the paper, contributed through the entry-point group ``iqa_kcross`` as any other's are."""

from __future__ import annotations

from collections.abc import Callable

from iqa_kcross.branch import Branch
from iqa_kcross.branches.complex import ComplexBranch
from iqa_kcross.branches.structure import StructureBranch
from iqa_kcross.branches.tumor import TumorBranch
from iqa_kcross.hookspecs import hookimpl


@hookimpl
def kcross_branches(register: Callable[[type[Branch]], None]) -> None:
    """Complex, tumor and structure."""
    for branch in (ComplexBranch, TumorBranch, StructureBranch):
        register(branch)
