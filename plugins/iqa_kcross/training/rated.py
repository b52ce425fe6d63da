"""Rated pairs, which stage two learns from: a dataset or a manifest, and ratings in it or in a table of their own."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from iqa_kcross.pairs import LESIONS, open_pairs, other_modality
from iqa_kcross.training.config import DataConfig
from iqa_kcross.training.images import options_of
from iqa_registry.agreement.pairs import find_rated
from iqa_registry.evaluation.items import Item
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
    dataset = inputs.dataset
    other = other_modality(inputs.pairs, config.source, config.target)
    if other is not None:
        name, role, got, wanted = other
        raise UsageError(
            f"{name}: {role} is {got}, but the model is trained for {wanted}. Choose with --{role}."
        )
    if (
        config.lesions == "dataset"
        and (dataset is None or LESIONS not in dataset.label_names)
        and config.data
    ):
        # A manifest does not say which labels are lesion; the dataset of stage one may.
        dataset = registry.dataset(config.data)
    found = find_rated(inputs, place, options_of(config, dataset), config.ratings or None)
    ratings = _on_unit_scale(found.rated.ratings.tolist(), config, place)
    subjects = [item.subject or item.pair_id for item in found.items]
    return RatedPairs(found.items, ratings, subjects, dataset, place)


def _on_unit_scale(ratings: Sequence[float], config: DataConfig, place: str) -> list[float]:
    low, high = config.rating_range
    worst, best = min(ratings), max(ratings)
    if worst < low or best > high:
        raise UsageError(
            f"{place}: ratings go from {worst:g} to {best:g}, outside [{low:g}, {high:g}]. "
            "Give their range with --set data.rating_range=[LOW,HIGH]."
        )
    return [(rating - low) / (high - low) for rating in ratings]
