"""Scoring one batch of loaded items with every metric: encode, compare, rows."""

from __future__ import annotations

import contextlib
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, get_args

import torch
from torch import Tensor

from iqa_registry.errors import IQAError, NotApplicableError
from iqa_registry.evaluation.features import ReferenceFeatures, select
from iqa_registry.evaluation.loader import WHOLE_IMAGE, Failed, Loaded
from iqa_registry.evaluation.options import Options
from iqa_registry.evaluation.plan import Item
from iqa_registry.evaluation.stacks import Kind, Stack, by_lesions, by_shape, make_stack
from iqa_registry.images.geometry import shift_between, shift_spectrum
from iqa_registry.metrics import Comparison, Features, FullReferenceMetric, Metric, NoReferenceMetric

Row = dict[str, Any]
NO_MASK = "cannot be restricted to a mask"
"""End of the message where a metric is asked for a region and takes none."""
EMPTY_REGION = "the region is empty in this image, or smaller than the metric's window"
NO_REFERENCE = "the pair has no reference image"


@dataclass(frozen=True, slots=True)
class NamedMetric:
    """A metric with the text that the user asked for it by."""

    text: str
    metric: Metric

    @property
    def encoder(self) -> Any:
        """What tells this metric's ``encode`` from others'."""
        return self.metric.encoder_id or id(self.metric)

    @property
    def takes_lesions(self) -> bool:
        """Whether this metric's ``encode`` is told where the lesions are."""
        return isinstance(self.metric, FullReferenceMetric) and self.metric.takes_lesions


class Scorer:
    """Scores batches; holds the reference features that the next batch can use.

    Args:
        metrics: full-reference and no-reference metrics, on ``device``.
        options: details, precision, shift check.
        device: where the tensors go.
    """

    def __init__(self, metrics: Sequence[NamedMetric], options: Options, device: str) -> None:
        self.metrics = metrics
        self._options = options
        self._device = torch.device(device)
        uses = Counter(item.encoder for item in metrics)
        self._shared = frozenset(encoder for encoder, count in uses.items() if count > 1)
        # A cache for each kind of stack, so that none takes the place of what another keeps for the next batch.
        self._references = {kind: ReferenceFeatures(self._shared) for kind in get_args(Kind)}

    def score(
        self,
        batch: Sequence[Loaded | Failed],
        metrics: Sequence[NamedMetric],
        step: Callable[[float], None] = lambda pairs: None,
    ) -> list[Row]:
        """The rows of a batch for ``metrics``; what could not be loaded gives rows of status ``error``.

        Args:
            batch: what the loader gives.
            metrics: those of the run that have something to score here.
            step: told after each metric how many pairs' worth of work that was.
        """
        rows: list[Row] = []
        for failed in (item for item in batch if isinstance(item, Failed)):
            rows += [_failure_row(failed, named) for named in metrics if concerns(failed.item, named)]
        loaded = [item for item in batch if isinstance(item, Loaded)]
        for group in by_shape(loaded):
            chosen = [item for item in metrics if concerns(group[0].item, item)]
            rows += self._score_group(group, chosen, step)
        return rows

    def _score_group(
        self, group: list[Loaded], metrics: Sequence[NamedMetric], step: Callable[[float], None]
    ) -> list[Row]:
        if not metrics:
            return []
        whole = make_stack(group, self._device)
        if self._options.check_shift and not group[0].item.whole:
            for loaded, shift in zip(group, self._shifts(whole), strict=True):
                loaded.columns["shift"] = shift
        parts = by_lesions(whole) if any(named.takes_lesions for named in metrics) else []
        rows: list[Row] = []
        for named in metrics:
            for stack in parts if named.takes_lesions else [whole]:
                rows += self._score_metric(named, stack)
            step(len(group) / len(metrics))
        return rows

    def _shifts(self, stack: Stack) -> list[float | None]:
        references = stack.references
        if references is None:
            return [None] * len(stack.loaded)
        spectrum = self._references[stack.kind].get(stack.keys, "shift", lambda: shift_spectrum(references))
        own = shift_spectrum(stack.synthesized)
        distance = shift_between(own, select(spectrum, stack.index)).norm(dim=-1)
        return [None if value != value else float(value) for value in distance.tolist()]

    def _score_metric(self, named: NamedMetric, stack: Stack) -> list[Row]:
        start = time.perf_counter()
        results = self._compute(named, stack)
        if self._device.type == "cuda":
            torch.cuda.synchronize(self._device)
        seconds = (time.perf_counter() - start) / len(stack.loaded)
        rows: list[Row] = []
        for number, loaded in enumerate(stack.loaded):
            base = _base_row(loaded)
            for region, mask in loaded.regions.items():
                row = base | {
                    "metric": named.text,
                    "region": region,
                    "region_fraction": 1.0 if mask is None else float(mask.float().mean()),
                    "higher_is_better": named.metric.spec.higher_is_better if named.metric.spec else None,
                    "seconds": seconds,
                }
                rows += _result_rows(row, results[region][number])
        return rows

    def _compute(self, named: NamedMetric, stack: Stack) -> dict[str, list[_Result]]:
        """The results by region and pair; one pair that fails does not take the others with it."""
        try:
            with torch.inference_mode(), self._precision(named.metric):
                return self._compute_all(named, stack)
        except NotApplicableError as error:
            return _same_for_all(stack, _Result(status="not_applicable", message=str(error)))
        except Exception as error:
            if len(stack.loaded) == 1:
                return _same_for_all(stack, _Result(status="error", message=_describe(named, stack, error)))
        # Out of memory, or one pair that the metric cannot take: in halves until the culprit stands alone.
        for kept in self._references.values():
            kept.forget()
        halves = stack.halves()
        return _joined(halves, [self._compute(named, half) for half in halves])

    def _compute_all(self, named: NamedMetric, stack: Stack) -> dict[str, list[_Result]]:
        metric = named.metric
        if metric.dimensions != stack.synthesized.ndim - 2:
            raise NotApplicableError(
                f"{metric.label} works on volumes here, and a picture has no third dimension"
            )
        metric.check_size(stack.synthesized.shape)
        if isinstance(metric, NoReferenceMetric):
            outcome = Comparison(metric.score(stack.synthesized))
            return self._regions(stack, lambda mask: outcome if mask is None else None, metric)
        if not isinstance(metric, FullReferenceMetric):
            raise TypeError(f"{named.text}: {type(metric).__name__} is no metric of pairs.")
        if stack.references is None:
            raise NotApplicableError(NO_REFERENCE)
        synthesized, reference = self._encode(named.encoder, metric, stack, stack.references)
        return self._regions(
            stack, lambda mask: metric.compare_in_detail(synthesized, reference, mask), metric
        )

    def _encode(
        self, encoder: Any, metric: FullReferenceMetric, stack: Stack, references: Tensor
    ) -> tuple[Features, Features]:
        """The encodings of a stack's synthesized images and of the reference of each."""
        encoded = self._references[stack.kind].get(
            stack.keys, encoder, lambda: metric.encode_with(references, stack.reference_lesions)
        )
        if encoder in stack.features:
            synthesized = stack.features[encoder]
        else:
            synthesized = metric.encode_with(stack.synthesized, stack.lesions)
        if encoder in self._shared:
            stack.features[encoder] = synthesized
        return synthesized, select(encoded, stack.index)

    def _regions(
        self, stack: Stack, compare: Callable[[Tensor | None], Comparison | None], metric: Metric
    ) -> dict[str, list[_Result]]:
        names = {name: None for loaded in stack.loaded for name in loaded.regions}
        results: dict[str, list[_Result]] = {}
        for name in names:
            if name == WHOLE_IMAGE:
                results[name] = self._results(compare(None), region=False)
                continue
            if isinstance(metric, NoReferenceMetric) or (metric.spec and metric.spec.mask_support == "none"):
                reason = f"{metric.label} {NO_MASK}"
                results[name] = [_Result(status="not_applicable", message=reason)] * len(stack.loaded)
                continue
            shape = (1, *stack.synthesized.shape[2:])
            absent = torch.zeros(shape, dtype=torch.bool)
            masks = [
                mask if (mask := item.regions.get(name)) is not None else absent for item in stack.loaded
            ]
            results[name] = self._results(compare(torch.stack(masks).to(self._device)), region=True)
        return results

    def _results(self, outcome: Comparison | None, region: bool) -> list[_Result]:
        if outcome is None:
            return []
        details = outcome.details if self._options.details else {}
        parts = {name: tensor.float().tolist() for name, tensor in details.items()}
        found = []
        for number, score in enumerate(outcome.scores.float().tolist()):
            own = {
                name: _Part(values[number], outcome.part_reasons.get(name)) for name, values in parts.items()
            }
            if score == score:
                found.append(_Result(score, "ok", None, own))
            elif number in outcome.reasons or region:
                found.append(_Result(None, "not_applicable", outcome.reasons.get(number, EMPTY_REGION), own))
            else:
                found.append(
                    _Result(None, "error", "the metric gave NaN, which is a defect of the metric", own)
                )
        return found

    def _precision(self, metric: Metric) -> contextlib.AbstractContextManager[Any]:
        if self._options.precision == "bf16" and metric.allows_bf16:
            return torch.autocast(self._device.type, dtype=torch.bfloat16)
        return contextlib.nullcontext()


@dataclass(frozen=True, slots=True)
class _Part:
    """A part of a score, and why there is none where it is NaN."""

    value: float
    reason: str | None


@dataclass(frozen=True, slots=True)
class _Result:
    score: float | None = None
    status: str = "ok"
    message: str | None = None
    details: dict[str, _Part] | None = None


def concerns(item: Item, named: NamedMetric) -> bool:
    """Volumes as such go to metrics of three dimensions, their slices to all others, pictures to every metric."""
    return item.axis is None or item.whole == (named.metric.dimensions == 3)


def _base_row(loaded: Loaded) -> Row:
    return _identity(loaded.item) | loaded.columns


def _identity(item: Item) -> Row:
    return {
        **item.pair.groups,
        "order": item.order,
        "pair_id": item.pair_id,
        "subject": item.subject,
        "slice": item.slice if item.slice is not None else item.pair.groups.get("slice"),
        "dimensions": 3 if item.whole else 2,
    }


def _failure_row(failed: Failed, named: NamedMetric) -> Row:
    return _identity(failed.item) | {
        "metric": named.text,
        "region": WHOLE_IMAGE,
        "status": "error",
        "message": failed.message,
        "higher_is_better": named.metric.spec.higher_is_better if named.metric.spec else None,
    }


def _result_rows(row: Row, result: _Result) -> list[Row]:
    rows = [
        row | {"component": "", "score": result.score, "status": result.status, "message": result.message}
    ]
    for name, part in (result.details or {}).items():
        absent = part.value != part.value
        rows.append(
            row
            | {
                "component": name,
                "score": None if absent else part.value,
                "status": "not_applicable" if absent else "ok",
                "message": part.reason or result.message or EMPTY_REGION if absent else None,
            }
        )
    return rows


def _same_for_all(stack: Stack, result: _Result) -> dict[str, list[_Result]]:
    names = {name: None for loaded in stack.loaded for name in loaded.regions}
    return {name: [result] * len(stack.loaded) for name in names}


def _joined(stacks: Sequence[Stack], parts: Sequence[dict[str, list[_Result]]]) -> dict[str, list[_Result]]:
    """The results of several stacks as if of one; a region need not be there in all of them."""
    names = {region: None for part in parts for region in part}
    absent = _Result(status="not_applicable", message=EMPTY_REGION)
    return {
        region: [
            result
            for stack, part in zip(stacks, parts, strict=True)
            for result in part.get(region, [absent] * len(stack.loaded))
        ]
        for region in names
    }


def _describe(named: NamedMetric, stack: Stack, error: Exception) -> str:
    text = " ".join(str(error).split())
    if isinstance(error, IQAError):
        return text
    return f"{stack.loaded[0].item.pair_id}: {named.text} failed: {type(error).__name__}: {text[:200]}"
