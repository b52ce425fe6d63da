"""Whether the packages of the extra ``excel`` are there."""

from __future__ import annotations

from importlib.util import find_spec

from iqa_registry.errors import MissingExtraError


def need_excel(package: str, purpose: str) -> None:
    """Check that a package of the extra ``excel`` is there.

    Raises:
        MissingExtraError: it is not.
    """
    if find_spec(package) is None:
        raise MissingExtraError.of(f"{purpose} needs {package}", "excel")
