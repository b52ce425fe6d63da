"""Scoring one batch of loaded items with every metric: encodings are compared and become rows."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import torch

from iqa_registry.evaluation.alignment import align, aligned_name, can_align
from iqa_registry.evaluation.encoding import Encoded, Encoder, Failure, Stack
from iqa_registry.evaluation.items import WHOLE_IMAGE, Failed, Item, Loaded
from iqa_registry.evaluation.options import Options
from iqa_registry.evaluation.promises import check_comparison, check_scores
from iqa_registry.evaluation.regions import region_names
from iqa_registry.metrics import Comparison, FullReferenceMetric, Metric, NoReferenceMetric
from iqa_registry.tables.schema import NATIVE

Row = dict[str, Any]
Status = Literal["ok", "error", "not_applicable"]
NO_MASK = "cannot be restricted to a mask"
"""End of the message where a metric is asked for a region and takes none."""
EMPTY_REGION = "the region is empty in this image, or smaller than the metric's window"


@dataclass(frozen=True, slots=True)
class Result:
    """What a metric says of one pair in one region; components are results of their own."""

    status: Status = "ok"
    score: float | None = None
    message: str | None = None
    components: Mapping[str, Result] = field(default_factory=dict)


class Scorer:
    """Scores batches.

    Args:
        metrics: full-reference and no-reference metrics, on ``device``.
        options: components, precision, shift check.
        device: where the tensors go.
    """

    def __init__(self, metrics: Sequence[Metric], options: Options, device: str) -> None:
        self._options = options
        self._encoder = Encoder(metrics, device, options.precision)
        # An encoder of its own: the references of the strict scores stay encoded from batch to batch.
        self._aligned = Encoder(
            [metric for metric in metrics if can_align(metric)], device, options.precision
        )

    def score(
        self,
        batch: Sequence[Loaded | Failed],
        metrics: Sequence[Metric],
        step: Callable[[float], None] = lambda pairs: None,
    ) -> list[Row]:
        """The rows of a batch for ``metrics``; what could not be loaded gives rows of status ``error``.

        Args:
            batch: what the loader gives.
            metrics: those of the run that have something to score here.
            step: told after each metric how many pairs' worth of work that was.
        """
        failed = [item for item in batch if isinstance(item, Failed)]
        rows = [
            row
            for one in failed
            for metric in metrics
            if one.item.suits(metric.dimensions)
            for row in self._failure_rows(one, metric)
        ]
        good = [item for item in batch if isinstance(item, Loaded)]
        for stack in self._encoder.stacks(good):
            chosen = [metric for metric in metrics if stack.loaded[0].item.suits(metric.dimensions)]
            if chosen and self._options.check_shift and not stack.loaded[0].item.whole:
                for loaded, shift in zip(stack.loaded, self._encoder.shifts(stack), strict=True):
                    loaded.columns["shift"] = shift
            for metric in chosen:
                rows += self._score_stack(metric, stack, self._encoder)
                step(len(stack.loaded) / len(chosen))
        return rows + (self._score_aligned(good, metrics) if self._options.align else [])

    def _failure_rows(self, failed: Failed, metric: Metric) -> list[Row]:
        """A row per region that the pair would have had."""
        item = failed.item
        row = identity(item) | about(metric) | {"status": "error", "message": failed.message}
        names = [WHOLE_IMAGE, *region_names(item.pair, self._options)]
        if self._options.align and can_align(metric) and item.pair.reference is not None and not item.whole:
            names += [aligned_name(name) for name in names]
        return [row | {"region": name} for name in names]

    def _score_aligned(self, batch: Sequence[Loaded], metrics: Sequence[Metric]) -> list[Row]:
        reach = self._options.align_range
        pairs = [
            align(item, reach) for item in batch if item.reference is not None and item.synthesized.ndim == 3
        ]
        return [
            row
            for stack in self._aligned.stacks(pairs)
            for metric in metrics
            if can_align(metric)
            for row in self._score_stack(metric, stack, self._aligned)
        ]

    def _score_stack(self, metric: Metric, stack: Stack, encoder: Encoder) -> list[Row]:
        start = time.perf_counter()
        found = encoder.apply(metric, stack, lambda encoded: self._compare(metric, encoded))
        seconds = (time.perf_counter() - start) / len(stack.loaded)
        rows: list[Row] = []
        for loaded, results in zip(stack.loaded, found, strict=True):
            base = _base_row(loaded, metric) | {"seconds": seconds}
            width = _native_width(loaded, metric)
            here = loaded.synthesized[0].numel()
            for region, mask in loaded.regions.items():
                fraction = 1.0 if mask is None else float(mask.float().mean())
                row = base | {
                    "region": region if loaded.shift is None else aligned_name(region),
                    "region_fraction": fraction * here / (loaded.full or here),
                    "pixels": here if mask is None else int(mask.sum()),
                }
                if region in loaded.reasons:
                    status, reason = loaded.reasons[region]
                    rows.append(row | {"status": status, "message": reason})
                elif isinstance(results, Failure):
                    rows.append(row | {"status": results.status, "message": results.message})
                else:
                    rows += _result_rows(row, results[region], width)
        return rows

    def _compare(self, metric: Metric, encoded: Encoded) -> list[dict[str, Result]]:
        """The results of each item by region."""
        loaded = encoded.stack.loaded
        found: list[dict[str, Result]] = [{} for _ in loaded]
        for name in {name: None for item in loaded for name in item.regions}:
            for results, result in zip(found, self._compare_in(name, metric, encoded), strict=True):
                results[name] = result
        return found

    def _compare_in(self, region: str, metric: Metric, encoded: Encoded) -> list[Result]:
        stack = encoded.stack
        partial = any(item.regions.get(region) is not None for item in stack.loaded)
        if region == WHOLE_IMAGE and not partial:
            if isinstance(metric, NoReferenceMetric):
                scores = check_scores(
                    metric.score(encoded.synthesized), len(stack.loaded), metric.text or metric.label
                )
                return self._results(Comparison(scores), inside=False)
            return self._results(_full_reference(metric, encoded, None), inside=False)
        if isinstance(metric, NoReferenceMetric) or (metric.spec and metric.spec.mask_support == "none"):
            return [Result("not_applicable", None, f"{metric.label} {NO_MASK}")] * len(stack.loaded)
        absent = torch.zeros((1, *stack.synthesized.shape[2:]), dtype=torch.bool)
        masks = [mask if (mask := item.regions.get(region)) is not None else absent for item in stack.loaded]
        return self._results(
            _full_reference(metric, encoded, torch.stack(masks).to(stack.device)), inside=True
        )

    def _results(self, outcome: Comparison, inside: bool) -> list[Result]:
        parts = outcome.components if self._options.components else {}
        values = {name: tensor.float().tolist() for name, tensor in parts.items()}
        found = []
        status: Status
        for number, score in enumerate(outcome.scores.float().tolist()):
            reason = outcome.reasons.get(number)
            if score == score:
                status, message = "ok", None
            elif reason is not None or inside:
                status, message = "not_applicable", reason or EMPTY_REGION
            else:
                status, message = "error", "the metric gave NaN, which is a defect of the metric"
            components = {
                name: _component(column[number], outcome.component_reasons.get(name) or message)
                for name, column in values.items()
            }
            found.append(Result(status, score if status == "ok" else None, message, components))
        return found


def _full_reference(metric: Metric, encoded: Encoded, mask: torch.Tensor | None) -> Comparison:
    if not isinstance(metric, FullReferenceMetric):
        raise TypeError(f"{type(metric).__name__} is not a metric of pairs.")
    outcome = metric.compare_in_detail(encoded.synthesized, encoded.reference, mask)
    return check_comparison(outcome, len(encoded.stack.loaded), metric.text or metric.label)


def _component(value: float, reason: str | None) -> Result:
    if value == value:
        return Result("ok", value)
    return Result("not_applicable", None, reason or EMPTY_REGION)


def identity(item: Item) -> Row:
    """The columns that tell which row group this is."""
    return {
        **item.pair.groups,
        "order": item.order,
        "pair_id": item.pair_id,
        "subject": item.subject,
        "slice": item.slice if item.slice is not None else item.pair.groups.get("slice"),
        "plane": item.plane or item.pair.groups.get("plane"),
        "dimensions": 3 if item.whole else 2,
    }


def about(metric: Metric) -> Row:
    """The columns that tell which metric this is."""
    direction = metric.spec.higher_is_better if metric.spec else None
    return {"metric": metric.text or metric.label, "component": "", "higher_is_better": direction}


def _base_row(loaded: Loaded, metric: Metric) -> Row:
    return identity(loaded.item) | loaded.columns | about(metric)


def _native_width(loaded: Loaded, metric: Metric) -> float | None:
    """What a score of 1 is in stored values; ``None`` where the metric does not scale or the two images differ."""
    limits = loaded.columns
    ends = [(limits.get(f"{name}_low"), limits.get(f"{name}_high")) for name in ("synthesized", "reference")]
    if metric.spec is None or not metric.spec.native_units or ends[0] != ends[1] or None in ends[0]:
        return None
    return float(limits["reference_high"]) - float(limits["reference_low"])


def _result_rows(row: Row, result: Result, width: float | None) -> list[Row]:
    parts = {"": result, **result.components}
    if width is not None and result.score is not None:
        row = row | {NATIVE: result.score * width}
    return [
        (row if not name else row | {NATIVE: None})
        | {"component": name, "score": part.score, "status": part.status, "message": part.message}
        for name, part in parts.items()
    ]
