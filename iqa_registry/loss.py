"""A metric as a loss: one number to minimize, whatever the direction of the metric.

:meth:`iqa_registry.metrics.Metric.as_loss` makes one. ``docs/loss.md`` shows training steps, compilation and mixed
precision.
"""

from __future__ import annotations

import copy
import math
from typing import TYPE_CHECKING, Literal, TypeVar

import torch
from torch import Tensor, nn

from iqa_registry.errors import UsageError

if TYPE_CHECKING:
    from iqa_registry.metrics import Metric

AnyMetric = TypeVar("AnyMetric", bound="Metric")
Reduction = Literal["mean", "sum", "none"]


class Loss(nn.Module):
    """A metric turned so that lower is better; :meth:`~iqa_registry.metrics.Metric.as_loss` makes it.

    A metric where lower is better is its own loss. One where higher is better gives ``identity_score - score``
    (``1 - score`` for SSIM), which is 0 for equal images; where an image against itself has no finite score (PSNR,
    K-CROSS, metrics of one image), the loss is ``-score``.

    With a mask, pairs to which the metric does not apply (the mask is empty) are left out of ``mean`` and ``sum``. If
    no pair is left, the loss is 0 with zero gradients. NaN pixels give a NaN loss, never a silent 0.

    The metric stays in evaluation mode when the loss is part of a module that is being trained.

    Args:
        metric: supports gradients.
        reduction: ``mean`` or ``sum`` of the batch, or ``none`` for one value per pair.

    Raises:
        UsageError: the metric has no gradient, or ``reduction`` is none of the three.
    """

    def __init__(self, metric: Metric, reduction: Reduction = "mean") -> None:
        super().__init__()
        spec = metric.spec
        if spec is None:
            raise UsageError(f"{metric.label} has no declaration. Build it by name with iqa.metric.")
        if not spec.supports_gradient or spec.kind == "distribution":
            raise UsageError(
                f"{metric.label} has no gradient, so it cannot be a loss. Use ssim, ms_ssim, gmsd, lpips or dists."
            )
        if reduction not in ("mean", "sum", "none"):
            raise UsageError(f"reduction is {reduction!r}. Use 'mean', 'sum' or 'none'.")
        self.metric = metric
        self.reduction = reduction
        self.sign = -1.0 if spec.higher_is_better else 1.0
        best = spec.identity_score
        known = spec.higher_is_better and best is not None and math.isfinite(best)
        self.offset = float(best) if known and best is not None else 0.0

    def forward(
        self,
        synthesized: Tensor,
        reference: Tensor | None = None,
        mask: Tensor | None = None,
        **labels: Tensor | None,
    ) -> Tensor:
        """The loss of a batch; the arguments are those of the metric.

        Args:
            synthesized: ``(N, C, H, W)`` in the value range.
            reference: the same shape; left out for a metric of one image.
            mask: boolean ``(N, 1, H, W)``, or ``None`` for the whole image.
            **labels: for metrics that look at labels.

        Returns:
            A scalar, or ``(N,)`` for ``reduction="none"``, where pairs that do not apply are NaN.

        Raises:
            UsageError: shapes or types that do not fit.
            ImageError: values that are not finite or lie outside the value range, if they are checked.
        """
        images = (synthesized,) if reference is None else (synthesized, reference)
        masked = () if mask is None else (mask,)
        scores = self.metric(*images, *masked, **labels)
        losses: Tensor = self.offset + self.sign * scores
        if self.reduction == "none":
            return losses
        if mask is None:
            return losses.mean() if self.reduction == "mean" else losses.sum()
        finite = torch.stack([image.detach().isfinite().flatten(1).all(dim=1) for image in images]).all(dim=0)
        left_out = losses.isnan() & finite
        total = torch.where(left_out, 0.0, losses).sum()
        return total / (~left_out).sum().clamp_min(1) if self.reduction == "mean" else total

    def train(self, mode: bool = True) -> Loss:
        """Set the mode of this module; the metric itself stays in evaluation mode."""
        super().train(mode)
        self.metric.eval()
        return self

    def extra_repr(self) -> str:
        """The reduction, for the representation."""
        return f"reduction={self.reduction!r}"


def with_range(metric: AnyMetric, value_range: tuple[float, float] | None, check: bool | None) -> AnyMetric:
    """The metric for images of another value range, or with another rule for checks; weights are shared.

    Args:
        metric: is not altered.
        value_range: lowest and highest value, ``None`` for what the metric has.
        check: whether ``forward`` checks the values, ``None`` for what the metric does.

    Raises:
        UsageError: a range that is empty or not finite.

    Example:
        >>> from iqa_registry.metrics import FullReferenceMetric
        >>> with_range(FullReferenceMetric(), (-1, 1), None).value_range
        (-1.0, 1.0)
    """
    if value_range is None and check is None:
        return metric
    changed = copy.copy(metric)
    if value_range is not None:
        low, high = map(float, value_range)
        if not (math.isfinite(low) and math.isfinite(high) and low < high):
            raise UsageError(
                f"value_range is {value_range!r}. Give the lowest and the highest value: (-1, 1)."
            )
        changed.value_range = (low, high)
    if check is not None:
        changed.checks_values = check
    return changed
