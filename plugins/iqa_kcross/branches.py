"""The branches of the paper, contributed through the entry-point group ``iqa_kcross`` as any other's are."""

from __future__ import annotations

from collections.abc import Callable

from iqa_kcross.branch import Branch
from iqa_kcross.complex_branch import ComplexBranch
from iqa_kcross.hookspecs import hookimpl
from iqa_kcross.structure_branch import StructureBranch
from iqa_kcross.tumor_branch import TumorBranch


@hookimpl
def kcross_branches(register: Callable[[type[Branch]], None]) -> None:
    """Complex, tumor and structure."""
    for branch in (ComplexBranch, TumorBranch, StructureBranch):
        register(branch)
