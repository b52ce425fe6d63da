"""Scoring a set of images against another set: features are streamed, only their summary is kept."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any

import torch

from iqa_registry.errors import IQAError, UsageError
from iqa_registry.evaluation.loader import WHOLE_IMAGE, Failed, Loaded, Loader
from iqa_registry.evaluation.plan import Item
from iqa_registry.evaluation.scoring import NamedMetric, Row
from iqa_registry.metrics import DistributionMetric, Summary

ALL_PAIRS = "(all)"


def score_set(named: NamedMetric, batches: Sequence[Sequence[Item]], loader: Loader, device: str) -> Row:
    """The one row of a distribution metric over all items; each distinct reference counts once.

    Args:
        named: the metric, on ``device``.
        batches: the plan.
        loader: reads the items.
        device: where the features are computed.
    """
    metric = named.metric
    if not isinstance(metric, DistributionMetric):
        raise TypeError(f"{named.text}: {type(metric).__name__} is no metric of sets.")
    start = time.perf_counter()
    row: Row = {
        "pair_id": ALL_PAIRS,
        "metric": named.text,
        "region": WHOLE_IMAGE,
        "dimensions": metric.dimensions,
        "higher_is_better": metric.spec.higher_is_better if metric.spec else None,
    }
    try:
        with torch.inference_mode():
            sets = _summaries(metric, batches, loader, device)
            for role, summary in sets.items():
                if summary is None or summary.count < metric.minimum_count:
                    count = 0 if summary is None else summary.count
                    raise UsageError(
                        f"{named.text} needs at least {metric.minimum_count} {role} images, got {count}."
                    )
            score = metric.compare(sets["synthesized"], sets["reference"])  # type: ignore[arg-type]
    except IQAError as error:
        return row | {"status": "error", "message": str(error)}
    return row | {"status": "ok", "score": score, "seconds": time.perf_counter() - start}


def _summaries(
    metric: DistributionMetric, batches: Sequence[Sequence[Item]], loader: Loader, device: str
) -> dict[str, Summary | None]:
    sets: dict[str, Summary | None] = {"synthesized": None, "reference": None}
    seen: set[Any] = set()
    concerned = [[item for item in batch if item.whole == (metric.dimensions == 3)] for batch in batches]
    for loaded in loader.batches(concerned):
        for item in loaded:
            if isinstance(item, Failed):
                raise IQAError(f"{metric.label} needs every image: {item.message}")
            sets["synthesized"] = _add(metric, sets["synthesized"], item.synthesized, device)
            if item.reference is not None and item.item.reference_key not in seen:
                seen.add(item.item.reference_key)
                sets["reference"] = _add(metric, sets["reference"], item.reference, device)
    return sets


def _add(metric: DistributionMetric, summary: Summary | None, image: Any, device: str) -> Summary:
    images = image[None].to(device)
    metric.check_size(images.shape)
    added = metric.summarize(metric.encode(images))
    return added if summary is None else summary.merge(added)


__all__ = ["ALL_PAIRS", "Loaded", "score_set"]
