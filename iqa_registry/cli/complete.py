"""What the shell completes: names that the registry knows, found without importing torch."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from iqa_registry.errors import IQAError

if TYPE_CHECKING:
    from iqa_registry.specs import MetricSpec

ERRORS = ("error", "signed-error")
"""The maps that need no metric; those of :mod:`iqa_registry.maps.kinds`, which imports torch."""


def metric_names(incomplete: str) -> list[tuple[str, str]]:
    """Metrics that begin with what was typed, with their summaries."""
    return _matching(incomplete, ((spec.name, spec.summary) for spec in _specs()))


def map_names(incomplete: str) -> list[tuple[str, str]]:
    """Maps that begin with what was typed."""
    errors = zip(ERRORS, ("Absolute error.", "Synthesized minus reference."), strict=True)
    maps = ((spec.name, spec.summary) for spec in _specs() if spec.provides_map)
    return _matching(incomplete, [*errors, *maps])


def weight_names(incomplete: str) -> list[tuple[str, str]]:
    """Weight files that begin with what was typed."""
    from iqa_registry.registry import build_registry

    try:
        specs = build_registry().weights.specs.values()
    except IQAError:
        return []
    return _matching(incomplete, ((spec.name, spec.summary) for spec in specs))


def _specs() -> list[MetricSpec]:
    from iqa_registry.registry import build_registry

    try:
        return list(build_registry().metrics.values())
    except IQAError:
        # A settings file that is broken is reported by the command itself; the shell has no place for it.
        return []


def _matching(incomplete: str, known: Iterable[tuple[str, str]]) -> list[tuple[str, str]]:
    return [(name, help_text) for name, help_text in known if name.startswith(incomplete)]
