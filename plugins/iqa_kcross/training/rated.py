"""Rated pairs, which stage two learns from: a dataset or a manifest, and ratings in it or in a table of their own."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from iqa_kcross.pairs import LESIONS, open_pairs, other_modality, table_of
from iqa_kcross.training.config import DataConfig
from iqa_kcross.training.images import options_of
from iqa_registry.agreement.ratings import rate
from iqa_registry.agreement.scores import ID, Scores
from iqa_registry.evaluation.items import Item
from iqa_registry.evaluation.plan import plan_items
from iqa_registry.plugin import Dataset, Registry, UsageError


@dataclass(frozen=True, slots=True)
class RatedPairs:
    """Pairs with a rating.

    Attributes:
        items: what is to be read, in order.
        ratings: of each item, 0 the worst possible and 1 the best.
        subjects: the subject of each item; its own name where none is known.
        dataset: knows which labels are lesion; ``None`` for a manifest.
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
    inputs = open_pairs(place, registry)
    dataset, pairs = inputs.dataset, inputs.pairs
    if not pairs:
        raise UsageError(f"{place}: has no pairs.")
    other = other_modality(pairs, config.source, config.target)
    if other is not None:
        name, role, got, wanted = other
        raise UsageError(
            f"{name}: {role} is {got}, but the model is trained for {wanted}; choose with --{role}."
        )
    if (
        config.lesions == "dataset"
        and (dataset is None or LESIONS not in dataset.label_names)
        and config.data
    ):
        # A manifest does not say which labels are lesion; the dataset of stage one may.
        dataset = registry.dataset(config.data)
    items = plan_items(pairs, options_of(config, dataset), {2})
    rated = rate(Scores(table_of(items), {}, place), config.ratings or None)
    chosen = dict(zip(rated.scores.table[ID].to_list(), rated.ratings.tolist(), strict=True))
    kept = [item for item in items if item.pair_id in chosen]
    ratings = _on_unit_scale([chosen[item.pair_id] for item in kept], config, place)
    return RatedPairs(kept, ratings, [item.subject or item.pair_id for item in kept], dataset, place)


def _on_unit_scale(ratings: Sequence[float], config: DataConfig, place: str) -> list[float]:
    low, high = config.rating_range
    worst, best = min(ratings), max(ratings)
    if worst < low or best > high:
        raise UsageError(
            f"{place}: ratings go from {worst:g} to {best:g}, outside [{low:g}, {high:g}]; "
            "say their range with --set data.rating_range=[LOW,HIGH]."
        )
    return [(rating - low) / (high - low) for rating in ratings]
