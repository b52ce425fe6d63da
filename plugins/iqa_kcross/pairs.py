"""Pairs that are trained or tested on: a dataset or a manifest, and what they say of their modalities."""

from __future__ import annotations

from collections.abc import Sequence

from iqa_registry.plugin import Inputs, Pair, Registry, open_inputs
from iqa_registry.tables.reading import SUFFIXES

LESIONS = "lesions"
"""What a dataset calls the labels that the metric looks at."""


def open_pairs(place: str, registry: Registry) -> Inputs:
    """The pairs of a manifest or a dataset."""
    if place.lower().endswith(SUFFIXES) and place.partition(":")[0] not in registry.datasets:
        return open_inputs(pairs=place)
    return open_inputs(dataset=place, registry=registry)


def is_simulated(place: str) -> bool:
    """Whether a dataset's name says that its images and raters are this project's simulation."""
    return place.partition(":")[0] == "phantom"


def other_modality(pairs: Sequence[Pair], source: str, target: str) -> tuple[str, str, str, str] | None:
    """The first pair of other modalities: its name, ``source`` or ``target``, its modality, the modality wanted."""
    for pair in pairs:
        for role, wanted in (("source", source), ("target", target)):
            got = pair.groups.get(role)
            if got is not None and str(got).lower() != wanted.lower():
                return pair.pair_id, role, str(got), wanted
    return None
