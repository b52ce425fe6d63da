"""Metric interfaces: what a metric implements and what the engine calls.

A full-reference metric has two verbs. ``encode`` depends on one image only, so the engine encodes a reference once
and compares it with every candidate; ``compare`` scores two encodings. ``forward`` checks the input, encodes and
compares, so a metric is also a loss.

Images are ``(N, C, H, W)`` (or ``(N, 1, D, H, W)`` in three dimensions), C = 1 or 3, floats in [0, 1]. Masks are
boolean ``(N, 1, H, W)``; pixels outside the mask are excluded from every sum and count. Labels, for the metrics that
look at them, are boolean masks of the same shape by name. Scores are ``(N,)`` float32.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, Self

import torch
from torch import Tensor, nn

from iqa_registry.errors import ImageError, NotApplicableError, UsageError
from iqa_registry.loss import Loss, Reduction, with_range
from iqa_registry.specs import RegisteredMetric

Features = Any
"""What ``encode`` returns: a tensor or a NamedTuple (tuple, list, dict) of tensors, the batch as first dimension."""

TOLERANCE = 1e-3
"""How far a value may lie outside [0, 1] before the image is rejected."""


@dataclass(slots=True)
class Comparison:
    """The scores of a batch, with the components of each score and the reasons for undefined ones.

    Attributes:
        scores: ``(N,)``; NaN where the metric does not apply to the pair.
        components: components of the score by name, each ``(N,)``.
        reasons: for each index with a NaN score, why the metric does not apply.
        component_reasons: for each component, what NaN means.
    """

    scores: Tensor
    components: Mapping[str, Tensor] = field(default_factory=dict)
    reasons: Mapping[int, str] = field(default_factory=dict)
    component_reasons: Mapping[str, str] = field(default_factory=dict)


class Metric(nn.Module):
    """What all metrics share: the declaration, the number of spatial dimensions and the input checks."""

    spec: RegisteredMetric | None = None
    """The resolved declaration; set by the registry."""
    text: str = ""
    """What the metric was asked for by, for example ``ssim:window=7``; score tables name it so. Set by the registry."""
    configuration: str = ""
    """Name and all parameters, for example ``ssim:dimensions=2,window=11``; set by the registry."""
    dimensions: int = 2
    """Spatial dimensions that this instance works in; set in the constructor where it can be chosen."""
    encoder_id: str | None = None
    """Metrics of a run that declare the same identifier share one pass of ``encode``."""
    allows_bf16: bool = False
    """Whether the score survives ``--precision bf16``; for networks, not for sums of squares."""
    value_range: tuple[float, float] = (0.0, 1.0)
    """Lowest and highest value of the images that ``forward`` takes; it maps them to [0, 1] without clipping."""
    checks_values: bool = True
    """Whether ``forward`` rejects values that are not finite or outside the range. That waits for the device, so it is
    skipped in a graph compiled by ``torch.compile`` and can be switched off in a training loop."""
    conformance_exceptions: Mapping[str, str] = MappingProxyType({})
    """Checks of the conformance kit that the metric may fail, with the reason for each."""
    weights_used: Mapping[str, str]
    """Name and SHA-256 of each weight file that was opened while the metric was built; set by the registry, and part of
    the record of a run."""

    def __init__(self) -> None:
        # Without this, a metric that has no constructor would show nn.Module's *args to the registry.
        super().__init__()
        self.weights_used = {}

    @property
    def minimum_size(self) -> int:
        """Minimum size in pixels per side. Override it if it depends on the parameters."""
        return self.spec.minimum_size if self.spec else 1

    @property
    def uses_labels(self) -> tuple[str, ...]:
        """Names of the labels that ``encode`` takes as keywords; override where it depends on the parameters."""
        return self.spec.uses_labels if self.spec else ()

    def encode(self, images: Tensor) -> Features:
        """All that depends on one image; ``images`` is ``(N, C, H, W)`` in [0, 1]. The identity by default."""
        return images

    def encode_with(self, images: Tensor, labels: Mapping[str, Tensor]) -> Features:
        """``encode``, told where the labels are that the metric looks at; what the engine calls.

        Args:
            images: ``(N, C, H, W)`` in [0, 1].
            labels: boolean ``(N, 1, H, W)`` by name; what is not known is left out.
        """
        encode: Callable[..., Features] = self.encode
        return encode(images, **{name: labels.get(name) for name in self.uses_labels})

    @property
    def label(self) -> str:
        """The name for messages."""
        return self.spec.name if self.spec else type(self).__name__

    def __repr__(self) -> str:
        """The class, and the name with all parameters, instead of the network inside."""
        arrow = {True: ", higher is better", False: ", lower is better"}
        direction = arrow.get(self.spec.higher_is_better, "") if self.spec else ""
        return f"{type(self).__name__}({self.configuration or self.label}{direction})"

    def check_size(self, shape: torch.Size | tuple[int, ...]) -> None:
        """Raise :class:`NotApplicableError` if a side is shorter than :attr:`minimum_size`."""
        sides = tuple(shape)[-self.dimensions :]
        if min(sides) < self.minimum_size:
            raise NotApplicableError(
                f"{self.label} needs at least {self.minimum_size} pixels a side, got {' x '.join(map(str, sides))}."
            )

    def check_images(self, images: Tensor, role: str) -> Tensor:
        """Return ``images`` as float32 in [0, 1] after checking type, shape, size, finiteness and range.

        Raises:
            UsageError: not a float tensor of ``dimensions + 2`` axes with 1 or 3 channels.
            ImageError: values that are not finite or lie outside :attr:`value_range`; see :attr:`checks_values`.
            NotApplicableError: smaller than :attr:`minimum_size`.
        """
        if not isinstance(images, Tensor) or not images.is_floating_point():
            got = images.dtype if isinstance(images, Tensor) else type(images).__name__
            raise UsageError(f"{self.label}: {role} must be a float tensor in [0, 1], got {got}.")
        if images.ndim != self.dimensions + 2 or images.shape[1] not in (1, 3):
            wanted = "(N, 1 or 3, H, W)" if self.dimensions == 2 else "(N, 1, D, H, W)"
            raise UsageError(f"{self.label}: {role} must be {wanted}, got {tuple(images.shape)}.")
        self.check_size(images.shape)
        if self.checks_values and not torch.compiler.is_compiling():
            check_range(images.detach(), f"{self.label}: {role}", self.value_range)
        low, high = self.value_range
        images = images.float()
        return images if (low, high) == (0.0, 1.0) else (images - low) / (high - low)

    def in_its_precision(self, device: torch.device) -> contextlib.AbstractContextManager[Any]:
        """Where ``forward`` computes: in full precision under autocast too, unless :attr:`allows_bf16`."""
        if self.allows_bf16:
            return contextlib.nullcontext()
        return torch.autocast(device.type, enabled=False)

    def as_loss(
        self,
        reduction: Reduction = "mean",
        value_range: tuple[float, float] | None = None,
        check: bool | None = None,
    ) -> Loss:
        """This metric as a loss: lower is better, see :class:`~iqa_registry.loss.Loss`. Weights are shared.

        Values outside the range are an error while they are checked. Unchecked ones are scored as they are and not
        clipped, so that their gradient does not vanish.

        Args:
            reduction: ``mean`` or ``sum`` of the batch, or ``none`` for one value per pair.
            value_range: lowest and highest value of the images, ``(-1, 1)`` for the output of tanh; by default
                :attr:`value_range`.
            check: whether values are checked, which waits for the device; by default :attr:`checks_values`.

        Raises:
            UsageError: a metric without a gradient or a declaration, or a range that is empty.

        Example:
            >>> from iqa_registry.api import metric
            >>> loss = metric("ssim").as_loss(value_range=(-1, 1))
            >>> output = torch.linspace(-1, 1, 32 * 32).reshape(1, 1, 32, 32)
            >>> round(loss(output, output).item(), 4), round(loss(0.5 * output, output).item(), 4)
            (0.0, 0.1774)
        """
        return Loss(self.in_range(value_range, check), reduction)

    def in_range(self, value_range: tuple[float, float] | None, check: bool | None = None) -> Self:
        """This metric for images of another value range, or with checks on or off; weights are shared.

        Example:
            >>> from iqa_registry.api import metric
            >>> tanh = metric("mae").in_range((-1, 1))
            >>> tanh(torch.full((1, 1, 4, 4), -1.0), torch.zeros(1, 1, 4, 4)).item()
            0.5
        """
        return with_range(self, value_range, check)

    def _check_mask(self, mask: Tensor, images: Tensor) -> Tensor:
        if self.spec and self.spec.mask_support == "none":
            raise UsageError(f"{self.label} cannot be restricted to a mask; score the whole image.")
        return self._check_boolean(mask, images, "mask")

    def _check_boolean(self, mask: Tensor, images: Tensor, role: str) -> Tensor:
        expected = (images.shape[0], 1, *images.shape[2:])
        is_tensor = isinstance(mask, Tensor)
        if not is_tensor or mask.dtype != torch.bool or tuple(mask.shape) != expected:
            got = f"{mask.dtype} {tuple(mask.shape)}" if is_tensor else type(mask).__name__
            raise UsageError(f"{self.label}: {role} must be boolean {expected}, got {got}.")
        return mask


class FullReferenceMetric(Metric):
    """A metric of a synthesized image against its reference.

    A metric that looks at labels declares their names in its spec (``uses_labels=("lesions",)``) and takes each as a
    keyword of ``encode``: boolean ``(N, 1, H, W)``, or ``None``, and then the metric finds them itself.

    Example:
        >>> class LesionMean(FullReferenceMetric):
        ...     uses_labels = ("lesions",)
        ...     def encode(self, images, lesions=None):
        ...         inside = images > 0.5 if lesions is None else lesions
        ...         return (images * inside).sum((1, 2, 3)) / inside.sum((1, 2, 3))
        ...     def compare(self, synthesized, reference, mask=None):
        ...         return (synthesized - reference).abs()
        >>> reference = torch.tensor([[[[0.25, 1.0]]]])
        >>> left = torch.tensor([[[[True, False]]]])
        >>> [round(LesionMean()(reference * 0.75, reference, lesions=where).item(), 4) for where in (None, left)]
        [0.25, 0.0625]
    """

    undefined_reason: str = ""
    """Why a score is NaN, for the table. If it is empty, a NaN score of a whole image is reported as an error."""

    def compare(self, synthesized: Features, reference: Features, mask: Tensor | None = None) -> Tensor:
        """Scores ``(N,)`` of two encodings, inside ``mask`` if given; NaN where the mask leaves nothing."""
        raise NotImplementedError

    def compare_in_detail(
        self, synthesized: Features, reference: Features, mask: Tensor | None = None
    ) -> Comparison:
        """As ``compare``, with the reason for each NaN score. Override it only if the score has components."""
        return self.explained(self.compare(synthesized, reference, mask))

    def explained(self, scores: Tensor, components: Mapping[str, Tensor] | None = None) -> Comparison:
        """The scores ``(N,)``, with :attr:`undefined_reason` for each that is NaN.

        Args:
            scores: ``(N,)``.
            components: of the score, by name, each ``(N,)``.

        Example:
            >>> metric = FullReferenceMetric()
            >>> metric.undefined_reason = "the mask is empty"
            >>> metric.explained(torch.tensor([0.5, torch.nan])).reasons
            {1: 'the mask is empty'}
        """
        reasons: dict[int, str] = {}
        if self.undefined_reason:
            undefined = torch.isnan(scores.detach()).nonzero().flatten().tolist()
            reasons = dict.fromkeys(undefined, self.undefined_reason)
        return Comparison(scores, components or {}, reasons)

    def local_map(self, synthesized: Features, reference: Features, size: tuple[int, ...]) -> Tensor:
        """Where the images differ.

        Args:
            synthesized: what ``encode`` returned for the synthesized images.
            reference: the same for the references.
            size: ``(H, W)`` of the images, or ``(D, H, W)``.

        Returns:
            ``(N, 1, *size)``; NaN at the border, where the map is undefined.

        Raises:
            UsageError: the metric has no map.
        """
        raise UsageError(f"{self.label} has no map.")

    def forward(
        self,
        synthesized: Tensor,
        reference: Tensor,
        mask: Tensor | None = None,
        **labels: Tensor | None,
    ) -> Tensor:
        """Check the input, encode both images, compare.

        Args:
            synthesized: ``(N, C, H, W)`` in [0, 1].
            reference: the same shape.
            mask: boolean ``(N, 1, H, W)``, or ``None`` for the whole image.
            **labels: for metrics that look at labels, where these are in both images, boolean ``(N, 1, H, W)`` by name;
                ``None`` lets the metric find them itself.

        Returns:
            Scores ``(N,)``, float32.

        Raises:
            UsageError: shapes or types that do not fit, or a mask or labels that the metric cannot take.
            ImageError: values that are not finite or lie outside [0, 1].
            NotApplicableError: images smaller than :attr:`minimum_size`.
        """
        synthesized = self.check_images(synthesized, "synthesized")
        reference = self.check_images(reference, "reference")
        if synthesized.shape != reference.shape:
            raise UsageError(
                f"{self.label}: synthesized is {tuple(synthesized.shape)}, "
                f"reference is {tuple(reference.shape)}; they must be equal."
            )
        if mask is not None:
            mask = self._check_mask(mask, synthesized)
        told = {
            name: self._check_label(name, where, synthesized)
            for name, where in labels.items()
            if where is not None
        }
        with self.in_its_precision(synthesized.device):
            encoded = self.encode_with(synthesized, told), self.encode_with(reference, told)
            return self.compare(*encoded, mask).float()

    def _check_label(self, name: str, where: Tensor, images: Tensor) -> Tensor:
        if name not in self.uses_labels:
            raise UsageError(f"{self.label} does not look at {name}; leave them out.")
        return self._check_boolean(where, images, name)


class NoReferenceMetric(Metric):
    """A metric of a single image."""

    def score(self, images: Tensor) -> Tensor:
        """Scores ``(N,)`` of ``(N, C, H, W)`` in [0, 1]."""
        raise NotImplementedError

    def forward(self, images: Tensor) -> Tensor:
        """Check the input and score it; raises as :meth:`Metric.check_images`."""
        images = self.check_images(images, "images")
        with self.in_its_precision(images.device):
            return self.score(images).float()


class Summary:
    """What a distribution metric keeps of a set of images. Summaries of disjoint sets can be merged."""

    count: int

    def merge(self, other: Summary) -> Summary:
        """The summary of the union."""
        raise NotImplementedError


class DistributionMetric(Metric):
    """A metric that compares a set of synthesized images with a set of references, paired or not."""

    minimum_count: int = 2
    """Minimum number of images in each set."""

    def encode(self, images: Tensor) -> Tensor:
        """Features ``(N, D)`` of ``(N, C, H, W)`` in [0, 1]."""
        raise NotImplementedError

    def summarize(self, features: Tensor) -> Summary:
        """The summary of ``(N, D)`` features; :meth:`Summary.merge` adds further batches."""
        raise NotImplementedError

    def compare(self, synthesized: Summary, reference: Summary) -> float:
        """The score of two sets."""
        raise NotImplementedError

    def forward(self, synthesized: Tensor, reference: Tensor) -> float:
        """Check both sets, encode, summarize, compare; raises :class:`UsageError` for sets that are too small."""
        sets = [self.check_images(synthesized, "synthesized"), self.check_images(reference, "reference")]
        for images in sets:
            if images.shape[0] < self.minimum_count:
                raise UsageError(
                    f"{self.label} needs at least {self.minimum_count} images, got {images.shape[0]}."
                )
        with self.in_its_precision(sets[0].device):
            first, second = (self.summarize(self.encode(images)) for images in sets)
            return self.compare(first, second)


def check_range(images: Tensor, label: str, value_range: tuple[float, float] = (0.0, 1.0)) -> None:
    """Raise :class:`ImageError` unless all values are finite and in the range (to :data:`TOLERANCE` of its width).

    Example:
        >>> check_range(torch.tensor([0.0, 255.0]), "synthesized")
        Traceback (most recent call last):
        ...
        iqa_registry.errors.ImageError: synthesized: expected values in [0, 1], got [0, 255]; scale them first.
    """
    if images.numel() == 0:
        raise ImageError(f"{label}: the image has no pixels.")
    low, high = (float(bound) for bound in torch.aminmax(images))
    if low != low or high != high or low == -torch.inf or high == torch.inf:
        raise ImageError(f"{label}: contains NaN or infinite pixels.")
    least, most = value_range
    slack = TOLERANCE * (most - least)
    if low < least - slack or high > most + slack:
        raise ImageError(
            f"{label}: expected values in [{least:g}, {most:g}], got [{low:.4g}, {high:.4g}]; scale them first."
        )
