"""The check of a metric against an independent reference function, over probe images, masks and your own pairs."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from iqa_registry.errors import UsageError
from iqa_registry.testing import probes
from iqa_registry.testing.results import require
from iqa_registry.testing.subject import Subject

Pixels = NDArray[Any]
Function = Callable[..., float]


@dataclass(frozen=True, slots=True)
class ReferenceFunction:
    """An independent implementation of a metric.

    Attributes:
        function: from two float64 images ``(H, W)`` in [0, 1], synthesized and reference, to the score. It gets volumes
            ``(D, H, W)`` for a metric of volumes and one image for a no-reference metric. If it has a parameter
            ``mask``, it is also called with boolean masks of the same shape.
        atol: how far the scores may differ.
        rtol: how far the scores may differ in addition, relative to the expected one.
        pairs: further images by name, synthesized and reference, each ``(H, W)`` or ``(H, W, 3)`` in [0, 1]; not for
            metrics of volumes.
    """

    function: Function
    atol: float = 1e-5
    rtol: float = 0.0
    pairs: Mapping[str, tuple[Pixels, Pixels]] = field(default_factory=dict)

    def reference(self, subject: Subject) -> str:
        """Every score is that of the reference function."""
        if subject.spec.kind == "distribution":
            raise UsageError(
                f"{subject.metric.label} scores sets of images. A reference function takes images."
            )
        apart = []
        for name, pair, mask in self._inputs(subject):
            arguments = (*pair, mask) if mask is not None else pair
            score = subject.scores(*arguments).double().item()
            expected = self._expected(subject, pair, mask)
            apart.append(_difference(score, expected))
            close = apart[-1] <= self.atol + self.rtol * abs(expected)
            require(close, f"for {name} the metric gives {score:.8g}, the reference {expected:.8g}")
        return f"the same as the reference for {len(apart)} inputs; largest difference {max(apart):.2g}"

    def _inputs(self, subject: Subject) -> Iterator[tuple[str, tuple[Tensor, Tensor], Tensor | None]]:
        for name, pair in _probe_pairs(subject):
            yield name, pair, None
        for name, arrays in self.pairs.items() if subject.metric.dimensions == 2 else ():
            yield name, (_as_tensor(arrays[0]), _as_tensor(arrays[1])), None
        if subject.spec.mask_support != "none" and "mask" in inspect.signature(self.function).parameters:
            yield from _masked_pairs(subject)

    def _expected(self, subject: Subject, pair: tuple[Tensor, Tensor], mask: Tensor | None) -> float:
        images = [_as_array(image) for image in subject.arguments(*pair) if isinstance(image, Tensor)]
        options = {} if mask is None else {"mask": mask[0, 0].numpy()}
        return float(self.function(*images, **options))


def _probe_pairs(subject: Subject) -> Iterator[tuple[str, tuple[Tensor, Tensor]]]:
    """Probes as the other checks use them, and at another size, distorted in more ways."""
    names = ("added noise", "blur", "wrong contrast")
    for name, *pair in zip(names, subject.synthesized.split(1), subject.reference.split(1), strict=False):
        yield name, (pair[0], pair[1])
    sides = tuple(side + 7 + 2 * axis for axis, side in enumerate(subject.sides))
    head, other = probes.head_images(2, sides, seed=6).split(1)
    noise = torch.rand(head.shape, generator=torch.Generator().manual_seed(6))
    yield "an inverted image", (1 - head, head)
    yield "another image", (other, head)
    yield "a shifted image", (head.roll((2, 3), dims=(-2, -1)), head)
    yield "a quantized image", ((head * 7).round() / 7, head)
    yield "uniform noise", (noise, noise.flip(-1))
    yield "uniform noise as synthesized", (noise, head)


def _masked_pairs(subject: Subject) -> Iterator[tuple[str, tuple[Tensor, Tensor], Tensor]]:
    least = 64 if subject.metric.dimensions == 2 else 24
    side = max(3 * subject.metric.minimum_size, least)
    sides = (*(side,) * (subject.metric.dimensions - 1), 2 * side)
    head = probes.head_images(1, sides, seed=4)
    pair = probes.degraded(head), head
    for mask in (*probes.box_masks(sides), head > 0.3, torch.ones_like(head, dtype=torch.bool)):
        yield f"a mask of {int(mask.sum())} pixels", pair, mask


def _as_tensor(image: Pixels) -> Tensor:
    channels = image[None] if image.ndim == 2 else np.moveaxis(image, -1, 0)
    return torch.from_numpy(np.ascontiguousarray(channels, dtype=np.float32))[None]


def _as_array(image: Tensor) -> Pixels:
    array = image[0].double().numpy()
    return array[0] if len(array) == 1 else np.moveaxis(array, 0, -1)


def _difference(score: float, expected: float) -> float:
    """How far two scores are apart; equal infinities and two NaN are the same.

    Example:
        >>> _difference(float("inf"), float("inf")), _difference(1.0, float("nan"))
        (0.0, inf)
    """
    if score == expected or (score != score and expected != expected):
        return 0.0
    apart = abs(score - expected)
    return apart if apart == apart else float("inf")
