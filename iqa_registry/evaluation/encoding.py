"""From loaded pairs to encodings: the one way from images to what metrics compare.

Scoring, maps, metrics of sets and the training of learned metrics are consumers: each gives a function that takes
an :class:`Encoded` and returns one result per pair. Here are the checks of dimensions, size and missing reference,
the cache of references, the label maps, precision and device, and the halving that isolates a pair that fails.
"""

from __future__ import annotations

import contextlib
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, TypeVar

import torch
from torch import Tensor

from iqa_registry.errors import IQAError, MetricError, NotApplicableError
from iqa_registry.evaluation.features import ReferenceFeatures, check_count, select
from iqa_registry.evaluation.items import PIXEL_BUDGET, WHOLE_IMAGE, Loaded
from iqa_registry.evaluation.seals import Seal
from iqa_registry.images.geometry import shift_between, shift_spectrum
from iqa_registry.images.image import source_key
from iqa_registry.isolation import isolated
from iqa_registry.metrics import Features, FullReferenceMetric, Metric, NoReferenceMetric

R = TypeVar("R")
NO_REFERENCE = "the pair has no reference image"
IN_PLACE = (
    "changed its input images in place, so its scores are rejected. Change a copy instead (images.clone())."
)
"""End of the message where a metric spoils its input."""


@dataclass(slots=True)
class Stack:
    """Items of one shape on the device.

    Attributes:
        loaded: the items.
        synthesized: their synthesized images ``(N, C, H, W)`` or ``(N, 1, D, H, W)``.
        references: each distinct reference once; ``None`` where items have none.
        index: where the reference of each item is in ``references``.
        keys: identify these references among all references of the run.
        labels: boolean masks of the labels that every item of the stack has, by name.
        reference_labels: the same for ``references``.
        features: encodings of ``synthesized``, by encoder, that several metrics share.
        parts: the stack split by which labels its items have, once a metric has asked for labels.
        seals: of what is given to several metrics.
    """

    loaded: list[Loaded]
    synthesized: Tensor
    references: Tensor | None
    index: Tensor
    keys: tuple[Any, ...]
    labels: Mapping[str, Tensor] = field(default_factory=dict)
    reference_labels: Mapping[str, Tensor] = field(default_factory=dict)
    features: dict[Any, Features] = field(default_factory=dict)
    parts: list[tuple[list[int], Stack]] | None = None
    seals: dict[Any, Seal] = field(default_factory=dict)

    @property
    def device(self) -> torch.device:
        """Where the tensors are."""
        return self.synthesized.device

    def seal(self) -> None:
        """Remember what the images and labels are, unless that is known."""
        if "images" not in self.seals:
            images = self.synthesized, self.references, self.index
            self.seals["images"] = Seal([images, self.labels, self.reference_labels])

    def share(self, encoder: Any, features: Features) -> None:
        """Keep encodings for further metrics."""
        self.features[encoder] = features
        self.seals[encoder] = Seal(features)

    def renew(self) -> None:
        """Make the tensors again from the images that were loaded."""
        fresh = make_stack(self.loaded, self.device, frozenset(self.labels))
        self.synthesized, self.references, self.index = fresh.synthesized, fresh.references, fresh.index
        self.labels, self.reference_labels = fresh.labels, fresh.reference_labels
        self.features.clear()
        self.seals.clear()

    def halves(self) -> list[Stack]:
        """The two halves of a stack of at least two items."""
        middle = len(self.loaded) // 2
        return [
            make_stack(part, self.device, frozenset(self.labels))
            for part in (self.loaded[:middle], self.loaded[middle:])
        ]

    def by_labels(self, names: frozenset[str]) -> list[tuple[list[int], Stack]]:
        """Stacks whose items have the same of the labels ``names``, with the places of their items in this one."""
        if self.parts is None:
            places: dict[frozenset[str], list[int]] = {}
            for number, item in enumerate(self.loaded):
                places.setdefault(frozenset(names & item.labels.keys()), []).append(number)
            self.parts = [
                (
                    chosen,
                    self
                    if len(places) == 1 and not have
                    else make_stack([self.loaded[number] for number in chosen], self.device, have),
                )
                for have, chosen in places.items()
            ]
        return self.parts


@dataclass(frozen=True, slots=True)
class Encoded:
    """The encodings of a stack by one metric.

    Attributes:
        stack: the items.
        synthesized: what the metric's ``encode`` gives for the synthesized images; for no-reference metrics the
            images themselves.
        reference: the encoding of each item's reference; ``None`` where the metric needs none.
    """

    stack: Stack
    synthesized: Features
    reference: Features


@dataclass(frozen=True, slots=True)
class Failure:
    """Why a pair has no result: an error, or a metric that does not apply to it."""

    status: Literal["error", "not_applicable"]
    message: str


class Encoder:
    """Encodes batches for several metrics; holds the reference encodings that the next batch can use.

    Args:
        metrics: those of the run, on ``device``.
        device: where the tensors go.
        precision: ``fp32``, or ``bf16`` for the metrics that allow it.

    Example:
        >>> from iqa_registry.evaluation.items import Item
        >>> from iqa_registry.images.pair import Pair
        >>> images = torch.rand(1, 8, 8)
        >>> loaded = Loaded(Item(0, Pair("p", "s", "r"), ("r",)), images * 0.5, images, {}, {})
        >>> metric = FullReferenceMetric()
        >>> encoder = Encoder([metric])
        >>> ratio = lambda encoded: (encoded.synthesized / encoded.reference).mean((1, 2, 3)).tolist()
        >>> [encoder.apply(metric, stack, ratio) for stack in encoder.stacks([loaded])]
        [[0.5]]
    """

    def __init__(
        self, metrics: Sequence[Metric], device: str | torch.device = "cpu", precision: str = "fp32"
    ) -> None:
        self.device = torch.device(device)
        self._precision = precision
        uses = Counter(encoder_of(metric) for metric in metrics)
        self._shared = frozenset(encoder for encoder, count in uses.items() if count > 1)
        self._labels = frozenset(name for metric in metrics for name in metric.uses_labels)
        self._references = ReferenceFeatures()

    def stacks(self, loaded: Sequence[Loaded]) -> Iterator[Stack]:
        """The items as stacks of one shape, each within the pixel budget whatever the size of its images."""
        groups: dict[Any, list[Loaded]] = {}
        for item in loaded:
            partial = item.regions.get(WHOLE_IMAGE) is not None  # scored with a mask, as the others are not
            kind = (tuple(item.synthesized.shape), item.reference is None, item.item.whole, partial)
            groups.setdefault(kind, []).append(item)
        for (shape, *_), group in groups.items():
            step = max(1, 4 * PIXEL_BUDGET // int(torch.Size(shape).numel()))
            for start in range(0, len(group), step):
                yield make_stack(group[start : start + step], self.device)

    def apply(self, metric: Metric, stack: Stack, use: Callable[[Encoded], Sequence[R]]) -> list[R | Failure]:
        """Encode a stack and use the encodings; one pair that fails does not take the others with it.

        Args:
            metric: one of the metrics of the run.
            stack: what :meth:`stacks` gave.
            use: takes the encodings of (a part of) the stack and gives one result per item; runs in inference mode.

        Returns:
            One result per item of the stack, or why there is none.
        """
        if not metric.uses_labels:
            return self._apply(metric, stack, use)
        results: dict[int, R | Failure] = {}
        for places, part in stack.by_labels(self._labels):
            results.update(zip(places, self._apply(metric, part, use), strict=True))
        return [results[number] for number in range(len(stack.loaded))]

    def _apply(
        self, metric: Metric, stack: Stack, use: Callable[[Encoded], Sequence[R]]
    ) -> list[R | Failure]:
        stack.seal()
        found = self._attempt(metric, stack, use)
        if not (
            self._references.spoiled(encoder_of(metric)) or any(seal.broken for seal in stack.seals.values())
        ):
            return found
        stack.renew()
        self._references.forget()
        return [Failure("error", f"{metric.text or metric.label} {IN_PLACE}")] * len(stack.loaded)

    def _attempt(
        self, metric: Metric, stack: Stack, use: Callable[[Encoded], Sequence[R]]
    ) -> list[R | Failure]:
        try:
            with isolated(), torch.inference_mode(), self._autocast(metric):
                found = list(use(self._encode(metric, stack)))
            if self.device.type == "cuda":
                torch.cuda.synchronize(self.device)
            return [*found]
        except NotApplicableError as error:
            return [Failure("not_applicable", str(error))] * len(stack.loaded)
        except MetricError as error:
            return [Failure("error", " ".join(str(error).split()))] * len(stack.loaded)
        except (Exception, SystemExit) as error:
            if len(stack.loaded) == 1:
                return [Failure("error", _describe(metric, stack, error))]
        # Out of memory, or one pair that the metric cannot take: in halves until the culprit is alone.
        self._references.forget()
        return [result for half in stack.halves() for result in self._apply(metric, half, use)]

    def _encode(self, metric: Metric, stack: Stack) -> Encoded:
        if metric.dimensions != stack.synthesized.ndim - 2:
            raise NotApplicableError(
                f"{metric.label} works on volumes here, and a 2-D image has no third dimension"
            )
        metric.check_size(stack.synthesized.shape)
        if isinstance(metric, NoReferenceMetric):
            return Encoded(stack, stack.synthesized, None)
        references = stack.references
        if references is None and isinstance(metric, FullReferenceMetric):
            raise NotApplicableError(NO_REFERENCE)
        encoder = encoder_of(metric)
        reference = None
        if references is not None:
            kept = self._references.get(
                stack.keys,
                (encoder, frozenset(stack.labels)),
                lambda: _encoded(metric, references, stack.reference_labels),
                shared=encoder in self._shared,
            )
            reference = select(kept, stack.index)
        if encoder in stack.features:
            return Encoded(stack, stack.features[encoder], reference)
        synthesized = _encoded(metric, stack.synthesized, stack.labels)
        if encoder in self._shared:
            stack.share(encoder, synthesized)
        return Encoded(stack, synthesized, reference)

    def _autocast(self, metric: Metric) -> contextlib.AbstractContextManager[Any]:
        if self._precision == "bf16" and metric.allows_bf16:
            return torch.autocast(self.device.type, dtype=torch.bfloat16)
        return contextlib.nullcontext()

    def shifts(self, stack: Stack) -> list[float | None]:
        """The residual shift of each pair in pixels; ``None`` where it cannot be told."""
        references = stack.references
        if references is None:
            return [None] * len(stack.loaded)
        spectrum = self._references.get(stack.keys, "shift", lambda: shift_spectrum(references))
        distance = shift_between(shift_spectrum(stack.synthesized), select(spectrum, stack.index)).norm(
            dim=-1
        )
        return [None if value != value else float(value) for value in distance.tolist()]


def _encoded(metric: Metric, images: Tensor, labels: Mapping[str, Tensor]) -> Features:
    features = metric.encode_with(images, labels)
    check_count(features, len(images), metric.text or metric.label)
    return features


def encoder_of(metric: Metric) -> Any:
    """Identifies the ``encode`` of a metric: metrics with the same one share a pass."""
    return metric.encoder_id or id(metric)


def make_stack(group: list[Loaded], device: torch.device, labels: frozenset[str] = frozenset()) -> Stack:
    """Put items of one shape on the device, with those of their labels that are named."""
    distinct: dict[Any, Loaded] = {}
    keys = []
    for item in group:
        if item.reference is not None:
            keys.append(_reference_key(item, labels))
            distinct.setdefault(keys[-1], item)
    place = {key: number for number, key in enumerate(distinct)}
    synthesized = torch.stack([item.synthesized for item in group]).to(device)
    references = [item.reference for item in distinct.values() if item.reference is not None]
    return Stack(
        group,
        synthesized,
        torch.stack(references).to(device) if references else None,
        torch.tensor([place[key] for key in keys], device=device),
        tuple(distinct),
        {name: _masks(group, name, device) for name in labels},
        {name: _masks(distinct.values(), name, device) for name in labels if distinct},
    )


def _masks(items: Any, name: str, device: torch.device) -> Tensor:
    return torch.stack([item.labels[name] for item in items]).to(device)


def _reference_key(item: Loaded, labels: frozenset[str]) -> tuple[Any, ...]:
    """Identifies a reference: under another scaling, crop, shift or label map, one image is another."""
    columns = item.columns
    limits = tuple(columns.get(name) for name in ("intensity", "reference_low", "reference_high"))
    labeled = (source_key(item.item.pair.labels),) if labels else ()
    return (item.item.reference_key, tuple(item.synthesized.shape), item.shift, limits, *labeled)


def _describe(metric: Metric, stack: Stack, error: BaseException) -> str:
    text = " ".join(str(error).split())
    if isinstance(error, IQAError):
        return text
    name = metric.text or metric.label
    return f"{stack.loaded[0].item.pair_id}: {name} failed: {type(error).__name__}: {text[:200]}"
