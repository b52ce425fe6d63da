"""What is scored with: names, metrics that are built already, and plain functions of two images."""

from __future__ import annotations

import copy
import functools
import math
from collections.abc import Callable, Iterable, Sequence
from typing import Any, TypeAlias

import torch
from torch import Tensor

from iqa_registry.errors import MetricError, UsageError
from iqa_registry.metrics import FullReferenceMetric, Metric
from iqa_registry.specs import Origin, RegisteredMetric

Chosen: TypeAlias = "str | Metric | Callable[..., Any]"
"""A name with parameters, a metric, or a function ``(synthesized, reference)`` of images ``(N, C, H, W)`` in [0, 1]."""


class FunctionMetric(FullReferenceMetric):
    """A function of two images as a metric; which direction is better is not known.

    Args:
        function: takes ``(synthesized, reference)``, each ``(N, C, H, W)`` in [0, 1]; returns ``(N,)``, or a single
            number, and then it is called for each pair.

    Example:
        >>> metric = FunctionMetric(lambda first, second: (first - second).abs().mean())
        >>> metric.compare(torch.zeros(2, 1, 4, 4), torch.full((2, 1, 4, 4), 0.5)).tolist()
        [0.5, 0.5]
    """

    def __init__(self, function: Callable[..., Any]) -> None:
        super().__init__()
        self._function = function
        inner = function.func if isinstance(function, functools.partial) else function
        name = getattr(inner, "__name__", type(inner).__name__)
        self.text = "function" if name == "<lambda>" else name
        self.configuration = f"{getattr(inner, '__module__', '')}.{getattr(inner, '__qualname__', self.text)}"
        self.spec = _undeclared(self.text)

    def compare(self, synthesized: Tensor, reference: Tensor, mask: Tensor | None = None) -> Tensor:
        """What the function gives.

        Raises:
            MetricError: neither a real number nor one for each pair.
        """
        count = len(synthesized)
        found = self._numbers(synthesized, reference)
        if found.shape != (count,):
            pairs = zip(synthesized.split(1), reference.split(1), strict=True)
            parts = [self._numbers(*pair) for pair in pairs] if found.numel() == 1 else [found]
            found = torch.cat([part.reshape(-1) for part in parts])
        if found.shape != (count,):
            raise MetricError(
                f"{self.text}: gave {tuple(found.shape)} for {count} pairs; return one number or one for each pair."
            )
        return found.to(synthesized.device)

    def _numbers(self, synthesized: Tensor, reference: Tensor) -> Tensor:
        found = torch.as_tensor(self._function(synthesized, reference)).detach()
        if found.is_complex():
            raise MetricError(f"{self.text}: gave complex numbers; return real numbers.")
        return found.float()


def _undeclared(name: str) -> RegisteredMetric:
    unknown: Any = None
    return RegisteredMetric(
        name=name, summary="a function", kind="full-reference", dimensions=(2,), higher_is_better=unknown,
        score_range=(-math.inf, math.inf), identity_score=None, minimum_size=1, mask_support="none",
        supports_gradient=False, symmetric=False, validated_on="unknown", license="unknown", reference="",
        factory="", origin=Origin("function", "", "function"),
    )  # fmt: skip


DEFAULT_METRICS = ("psnr", "ssim")
"""The metrics of a run that names none."""


def as_chosen(metrics: Any) -> list[Chosen]:
    """Metrics as a list: one or several, of names, metrics and functions.

    Raises:
        UsageError: anything else, or no metric at all.

    Example:
        >>> as_chosen("ssim:window=7"), as_chosen(["psnr", len])[1] is len
        (['ssim:window=7'], True)
    """
    single = isinstance(metrics, str | Metric) or callable(metrics)
    if not single and not isinstance(metrics, Iterable):
        raise UsageError(
            f"metrics is {metrics!r}. Give names such as ['ssim', 'psnr'], metrics or functions."
        )
    found: list[Chosen] = []
    for item in [metrics] if single else metrics:
        if isinstance(item, str) or callable(item):
            found.append(item)
        else:
            raise UsageError(f"{item!r} is not a metric. Give a name such as 'ssim', a metric or a function.")
    if not found:
        raise UsageError("there are no metrics. Name some, such as ['ssim', 'psnr'].")
    return found


def built(chosen: Metric | Callable[..., Any], device: str) -> Metric:
    """A metric or a function, ready on ``device``; the one that was given stays as it is."""
    if not isinstance(chosen, Metric):
        return FunctionMetric(chosen)
    parts = [*chosen.parameters(), *chosen.buffers()]
    elsewhere = any(part.device != torch.device(device) for part in parts)
    metric = copy.deepcopy(chosen) if elsewhere else copy.copy(chosen)
    metric.text = chosen.text or chosen.label
    metric.configuration = chosen.configuration or type(chosen).__qualname__
    return metric.eval().to(device)


def check_texts(metrics: Sequence[Metric]) -> None:
    """Reject two metrics of one name, which could not be told apart in the table."""
    names = [metric.text for metric in metrics]
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice is not None:
        raise UsageError(f"two metrics are called {twice!r}. Give each function a name of its own.")
