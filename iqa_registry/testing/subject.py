"""The metric under test, its probe images, and how its scores are taken and compared."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from functools import cached_property
from typing import Any

import torch
from torch import Tensor

from iqa_registry.errors import IQAError, UsageError
from iqa_registry.metrics import DistributionMetric, FullReferenceMetric, Metric, NoReferenceMetric
from iqa_registry.specs import MetricSpec
from iqa_registry.testing import probes
from iqa_registry.testing.results import Failed

BATCH = 7
"""Images in the largest batch of a metric of images."""
SET = 12
"""Least number of images in each set for a metric of distributions."""
RTOL, ATOL = 1e-4, 1e-6
"""Two scores of one pair agree if they differ by at most ATOL + RTOL times their size."""

Rebuild = Callable[[Mapping[str, Any]], Metric]


class Subject:
    """A metric under test.

    Args:
        metric: ready to score.
        rebuild: makes it once more, with further parameters; ``None`` if it did not come from a registry.
        at_defaults: whether it was built without any parameters.
        checks: names of the checks that apply to it.
    """

    def __init__(
        self,
        metric: Metric,
        rebuild: Rebuild | None = None,
        at_defaults: bool = False,
        checks: Collection[str] = (),
    ) -> None:
        if metric.spec is None:
            raise UsageError(
                f"{type(metric).__name__} has no declaration: check it by its name in a registry, "
                "or set its attribute `spec`."
            )
        self.metric = metric
        self.spec: MetricSpec = metric.spec
        self.rebuild = rebuild
        self.at_defaults = at_defaults
        self.checks = frozenset(checks)

    @property
    def full_reference(self) -> FullReferenceMetric:
        """The metric, if it is one of pairs."""
        if not isinstance(self.metric, FullReferenceMetric):
            raise Failed(f"declared as full-reference, but is a {type(self.metric).__name__}")
        return self.metric

    @property
    def distribution(self) -> DistributionMetric:
        """The metric, if it is one of sets."""
        if not isinstance(self.metric, DistributionMetric):
            raise Failed(f"declared as distribution, but is a {type(self.metric).__name__}")
        return self.metric

    @cached_property
    def sides(self) -> tuple[int, ...]:
        """Size of the probe images: no square, and one side odd, so that mixed-up axes show."""
        least = 64 if self.metric.dimensions == 2 else 20
        side = max(self.metric.minimum_size, least)
        return (*(side,) * (self.metric.dimensions - 1), side + 5 + side % 2)

    @cached_property
    def count(self) -> int:
        """Images in the largest batch."""
        if isinstance(self.metric, DistributionMetric):
            return max(SET, self.metric.minimum_count)
        return BATCH

    @cached_property
    def reference(self) -> Tensor:
        """The reference images ``(count, 1, *sides)``."""
        return probes.head_images(self.count, self.sides)

    @cached_property
    def synthesized(self) -> Tensor:
        """What is to be scored against them."""
        return probes.degraded(self.reference)

    def some(self, count: int) -> tuple[Tensor, Tensor]:
        """The first pairs, for checks that a few of them decide; all for a metric of sets."""
        count = self.count if isinstance(self.metric, DistributionMetric) else count
        return self.synthesized[:count], self.reference[:count]

    @cached_property
    def base_scores(self) -> Tensor:
        """The scores of the probe images in one batch."""
        return self.scores(self.synthesized, self.reference)

    def run(self, synthesized: Tensor, reference: Tensor, mask: Tensor | None = None) -> Tensor:
        """Call the metric as a user would; a metric of one image gets the synthesized one."""
        return call(self.metric, synthesized, reference, mask)

    def scores(self, synthesized: Tensor, reference: Tensor, mask: Tensor | None = None) -> Tensor:
        """As :meth:`run` without gradients, the shape of the result checked."""
        with torch.no_grad():
            result = self.run(synthesized, reference, mask)
        count = 1 if isinstance(self.metric, DistributionMetric) else len(synthesized)
        if tuple(result.shape) != (count,):
            raise Failed(
                f"{len(synthesized)} pairs gave scores of shape {tuple(result.shape)}, expected ({count},)"
            )
        return result

    def refusal(self, error: type[IQAError], *inputs: object) -> str | None:
        """Call the metric with input that it must reject; ``None`` if it does so with ``error``, else what it did."""
        copies = [item.clone() if isinstance(item, Tensor) else item for item in inputs]
        try:
            with torch.no_grad():
                self.metric(*copies)
        except error:
            return None
        except Exception as other:
            return f"raised {type(other).__name__} ({first_line(other)}), expected {error.__name__}"
        return f"gave a score, expected {error.__name__}"

    def arguments(self, synthesized: object, reference: object) -> tuple[object, ...]:
        """What the metric is called with: one image or two."""
        return (synthesized,) if isinstance(self.metric, NoReferenceMetric) else (synthesized, reference)


def call(metric: Metric, synthesized: Tensor, reference: Tensor, mask: Tensor | None = None) -> Tensor:
    """The scores ``(N,)`` of a metric of any kind; a distribution metric gives one.

    It gets copies, so that a metric that alters its input fails the check of that alone.
    """
    synthesized = synthesized if synthesized.requires_grad else synthesized.clone()
    if isinstance(metric, NoReferenceMetric):
        result = metric(synthesized)
    elif mask is not None:
        result = metric(synthesized, reference.clone(), mask.clone())
    else:
        result = metric(synthesized, reference.clone())
    return torch.tensor([result]) if isinstance(result, float) else result


def difference(first: Tensor, second: Tensor) -> float:
    """How far two sets of scores are apart, in units of the tolerance: up to 1 they agree.

    Equal infinities agree, and so do NaN and NaN.

    Example:
        >>> round(difference(torch.tensor([1.0, torch.inf]), torch.tensor([1.0 + 2e-4, torch.inf])), 1)
        2.0
    """
    first, second = first.double().cpu(), second.double().cpu()
    if first.shape != second.shape:
        return float("inf")
    equal = (first == second) | (first.isnan() & second.isnan())
    excess = (first - second).abs() / (ATOL + RTOL * torch.maximum(first.abs(), second.abs()))
    excess = torch.where(excess.isnan(), torch.inf, excess)
    return float(torch.where(equal, 0, excess).max()) if len(first) else 0.0


def agree(first: Tensor, second: Tensor) -> bool:
    """Whether two sets of scores are equal to the tolerance.

    Example:
        >>> agree(torch.tensor([0.5]), torch.tensor([0.50001])), agree(torch.tensor([0.5]), torch.tensor([0.501]))
        (True, False)
    """
    return difference(first, second) <= 1


def show(scores: Tensor) -> str:
    """Scores for a message.

    Example:
        >>> show(torch.tensor([0.123456, 2.0]))
        '0.1235, 2'
    """
    return ", ".join(f"{value:.4g}" for value in scores.flatten().tolist())


def first_line(error: BaseException) -> str:
    """The beginning of an error's text.

    Example:
        >>> first_line(ValueError("no such key"))
        'no such key'
    """
    lines = str(error).strip().splitlines()
    return lines[0][:160] if lines else ""
