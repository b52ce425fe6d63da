"""Scoring a set of images against another set: features are streamed, only their summary is kept."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any

import torch

from iqa_registry.errors import IQAError, MetricError, UsageError
from iqa_registry.evaluation.encoding import Encoded, Encoder, Failure, Stack
from iqa_registry.evaluation.items import WHOLE_IMAGE, Failed, Item
from iqa_registry.evaluation.loader import Loader
from iqa_registry.evaluation.promises import check_number
from iqa_registry.evaluation.scoring import Row, about
from iqa_registry.isolation import isolated
from iqa_registry.metrics import DistributionMetric, Summary

ALL_PAIRS = "(all)"


def score_set(
    metric: DistributionMetric,
    batches: Sequence[Sequence[Item]],
    loader: Loader,
    encoder: Encoder,
    plane: str | None = None,
) -> Row:
    """The one row of a metric of sets over all items; each distinct reference counts once.

    Args:
        metric: the metric, on the encoder's device.
        batches: the plan.
        loader: reads the items.
        encoder: encodes them.
        plane: along which all items are sliced, where the run has several.
    """
    start = time.perf_counter()
    row: Row = about(metric) | {
        "pair_id": ALL_PAIRS,
        "region": WHOLE_IMAGE,
        "plane": plane,
        "dimensions": metric.dimensions,
    }
    try:
        summaries = _summaries(metric, batches, loader, encoder)
        with isolated(), torch.inference_mode():
            score = check_number(metric.compare(*summaries), metric.text)
    except IQAError as error:
        return row | {"status": "error", "message": str(error)}
    except (Exception, SystemExit) as error:
        # One metric that fails must not take the table of the others with it.
        text = " ".join(str(error).split())[:200]
        return row | {"status": "error", "message": f"{metric.text} failed: {type(error).__name__}: {text}"}
    return row | {"status": "ok", "score": score, "seconds": time.perf_counter() - start}


def _summaries(
    metric: DistributionMetric, batches: Sequence[Sequence[Item]], loader: Loader, encoder: Encoder
) -> tuple[Summary, Summary]:
    sets: dict[str, Summary | None] = {"synthesized": None, "reference": None}
    seen: set[Any] = set()
    concerned = [[item for item in batch if item.whole == (metric.dimensions == 3)] for batch in batches]
    for batch in loader.batches(concerned):
        failed = next((item for item in batch if isinstance(item, Failed)), None)
        if failed is not None:
            raise IQAError(f"{metric.label} needs every image: {failed.message}")
        for stack in encoder.stacks([item for item in batch if not isinstance(item, Failed)]):
            for role, features in _features(metric, stack, encoder, seen).items():
                if len(features):
                    sets[role] = _with_more(metric, sets[role], features)
    return _enough(metric, sets["synthesized"], "synthesized"), _enough(
        metric, sets["reference"], "reference"
    )


def _with_more(metric: DistributionMetric, earlier: Summary | None, features: torch.Tensor) -> Summary:
    with isolated(), torch.inference_mode():
        added = metric.summarize(features)
        if not hasattr(added, "count"):
            raise MetricError(f"{metric.text}: summarize gave {type(added).__name__}, expected a Summary.")
        return added if earlier is None else earlier.merge(added)


def _features(
    metric: DistributionMetric, stack: Stack, encoder: Encoder, seen: set[Any]
) -> dict[str, torch.Tensor]:
    """What is new in a stack: the features of its synthesized images, and of references not seen before."""

    def rows(encoded: Encoded) -> list[tuple[torch.Tensor, torch.Tensor | None]]:
        references = encoded.reference
        count = len(encoded.stack.loaded)
        return list(
            zip(encoded.synthesized, [None] * count if references is None else references, strict=True)
        )

    synthesized, reference = [], []
    for loaded, found in zip(stack.loaded, encoder.apply(metric, stack, rows), strict=True):
        if isinstance(found, Failure):
            raise IQAError(f"{metric.label} needs every image: {found.message}")
        synthesized.append(found[0])
        if found[1] is not None and loaded.item.reference_key not in seen:
            seen.add(loaded.item.reference_key)
            reference.append(found[1])
    empty = synthesized[0].new_zeros(0)
    return {
        "synthesized": torch.stack(synthesized),
        "reference": torch.stack(reference) if reference else empty,
    }


def _enough(metric: DistributionMetric, summary: Summary | None, role: str) -> Summary:
    if summary is None or summary.count < metric.minimum_count:
        count = 0 if summary is None else summary.count
        raise UsageError(f"{metric.text} needs at least {metric.minimum_count} {role} images, got {count}.")
    return summary
