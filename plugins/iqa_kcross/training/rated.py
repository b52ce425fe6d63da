"""Rated pairs, which stage two learns from: a dataset or a manifest, and ratings in it or in a table of their own."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import polars as pl

from iqa_kcross.training.config import DataConfig
from iqa_kcross.training.images import options_of
from iqa_registry.agreement.ratings import rate
from iqa_registry.agreement.scores import ID, Scores
from iqa_registry.datasets import Dataset
from iqa_registry.errors import UsageError
from iqa_registry.evaluation.plan import Item, plan_items
from iqa_registry.images.pairs import Pair, read_manifest
from iqa_registry.registry import Registry

TABLES = {".csv", ".tsv", ".parquet"}


@dataclass(frozen=True, slots=True)
class RatedPairs:
    """Pairs with a rating.

    Attributes:
        items: what is to be read, in order.
        ratings: of each item, 0 the worst possible and 1 the best.
        subjects: the subject of each item; its own name where none is known.
        dataset: where the pairs come from, ``None`` for a manifest.
        place: what the user named.
    """

    items: Sequence[Item]
    ratings: Sequence[float]
    subjects: Sequence[str]
    dataset: Dataset | None
    place: str


def read_rated(config: DataConfig, registry: Registry) -> RatedPairs:
    """The rated pairs that the settings name.

    Raises:
        UsageError: no pairs, no ratings, or ratings outside their range.
    """
    place = config.rated or config.data
    dataset, pairs = _open(place, registry)
    _check_modalities(pairs, config)
    items = plan_items(pairs, options_of(config, dataset), {2})
    columns = {name: [item.pair.groups.get(name) for item in items] for name in _group_names(pairs)}
    table = pl.DataFrame(
        {ID: [item.pair_id for item in items], **columns}, strict=False, infer_schema_length=None
    )
    if not items:
        raise UsageError(f"{place}: has no pairs.")
    rated = rate(Scores(table, {}, place), config.ratings or None)
    chosen = dict(zip(rated.scores.table[ID].to_list(), rated.ratings.tolist(), strict=True))
    kept = [item for item in items if item.pair_id in chosen]
    ratings = _on_unit_scale([chosen[item.pair_id] for item in kept], config, place)
    return RatedPairs(kept, ratings, [item.subject or item.pair_id for item in kept], dataset, place)


def _open(place: str, registry: Registry) -> tuple[Dataset | None, list[Pair]]:
    path = Path(place)
    if path.suffix.lower() in TABLES and place.partition(":")[0] not in registry.datasets:
        return None, list(read_manifest(path).pairs)
    dataset = registry.dataset(place)
    return dataset, list(dataset.pairs())


def _group_names(pairs: Sequence[Pair]) -> list[str]:
    names = {name: None for pair in pairs for name in pair.groups}
    return [name for name in names if name != ID]


def _check_modalities(pairs: Sequence[Pair], config: DataConfig) -> None:
    """Pairs that say what they are must be what is trained for."""
    for pair in pairs:
        for name, wanted in (("source", config.source), ("target", config.target)):
            got = pair.groups.get(name)
            if got is not None and str(got).lower() != wanted:
                raise UsageError(
                    f"{pair.pair_id}: {name} is {got}, but the model is trained for {wanted}; choose with --{name}."
                )


def _on_unit_scale(ratings: Sequence[float], config: DataConfig, place: str) -> list[float]:
    low, high = config.rating_range
    worst, best = min(ratings), max(ratings)
    if worst < low or best > high:
        raise UsageError(
            f"{place}: ratings go from {worst:g} to {best:g}, outside [{low:g}, {high:g}]; "
            "say their range with --set data.rating_range=[LOW,HIGH]."
        )
    return [(rating - low) / (high - low) for rating in ratings]
