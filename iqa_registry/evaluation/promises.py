"""Whether a metric gave what its interface promises: one real number per pair, or one for a set."""

from __future__ import annotations

import numbers
from typing import Any

from torch import Tensor

from iqa_registry.errors import MetricError
from iqa_registry.metrics import Comparison


def check_comparison(outcome: Any, count: int, name: str) -> Comparison:
    """The outcome of a comparison, its scores and components checked.

    Args:
        outcome: what ``compare_in_detail`` gave.
        count: how many pairs were compared.
        name: of the metric, for messages.

    Raises:
        MetricError: not a :class:`~iqa_registry.metrics.Comparison`, or scores that :func:`check_scores` rejects.
    """
    if not isinstance(outcome, Comparison):
        raise MetricError(f"{name}: gave {_kind(outcome)}, expected a Comparison.")
    check_scores(outcome.scores, count, name)
    for component, values in outcome.components.items():
        check_scores(values, count, name, f"the component {component!r}")
    return outcome


def check_scores(scores: Any, count: int, name: str, what: str = "scores") -> Tensor:
    """The scores of a batch, if there is one real number for each pair.

    Raises:
        MetricError: not a tensor of real numbers of shape ``(count,)``.

    Example:
        >>> import torch
        >>> check_scores(torch.zeros(4, 1), 4, "mymetric")
        Traceback (most recent call last):
        ...
        iqa_registry.errors.MetricError: mymetric: gave scores of shape (4, 1) for 4 images, expected (4,).
    """
    if not isinstance(scores, Tensor):
        raise MetricError(f"{name}: gave {what} as {_kind(scores)}, expected a tensor of shape ({count},).")
    if tuple(scores.shape) != (count,):
        images = "1 image" if count == 1 else f"{count} images"
        raise MetricError(
            f"{name}: gave {what} of shape {tuple(scores.shape)} for {images}, expected ({count},)."
        )
    if scores.is_complex():
        raise MetricError(f"{name}: gave {what} as complex numbers, expected real numbers.")
    return scores


def check_number(score: Any, name: str) -> float:
    """The score of a set.

    Raises:
        MetricError: not a real number, or NaN.

    Example:
        >>> check_number(0.5, "mymetric")
        0.5
        >>> check_number(float("nan"), "mymetric")
        Traceback (most recent call last):
        ...
        iqa_registry.errors.MetricError: mymetric: gave NaN, expected a number.
    """
    if isinstance(score, Tensor) and score.numel() == 1 and not score.is_complex():
        score = score.item()
    if not isinstance(score, numbers.Real):
        raise MetricError(f"{name}: gave {_kind(score)}, expected one real number.")
    if score != score:
        raise MetricError(f"{name}: gave NaN, expected a number.")
    return float(score)


def _kind(value: Any) -> str:
    """What something is, for a message."""
    if isinstance(value, Tensor):
        return f"a tensor of shape {tuple(value.shape)} ({str(value.dtype).removeprefix('torch.')})"
    return type(value).__name__
