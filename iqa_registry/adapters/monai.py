"""Metrics in the form of :mod:`monai.metrics`, for MONAI's evaluators and loops (extra ``monai``)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from iqa_registry.adapters.building import ready, score_batch
from iqa_registry.errors import MissingExtraError, UsageError
from iqa_registry.metrics import DistributionMetric, Metric

try:
    from monai.config import TensorOrList
    from monai.metrics import CumulativeIterationMetric, do_metric_reduction
except ImportError as error:
    raise MissingExtraError(
        'The adapter needs monai, which is not installed. Run: pip install "iqa-registry[monai]"'
    ) from error


class ImageQualityMetric(CumulativeIterationMetric):
    """Scores of all images seen so far, over all processes, aggregated as MONAI's metrics are.

    Pairs to which the metric does not apply (an empty mask, an image that is too small) are NaN in the buffer and left
    out of the aggregate; ``get_not_nans=True`` returns the number of the others too. If none is left, the aggregate is
    NaN, where MONAI's own metrics give 0.

    Args:
        metric: a name with parameters, such as ``lpips:net=vgg``, or a metric of pairs or single images.
        reduction: ``mean``, ``sum``, ``none`` and the others of MONAI.
        get_not_nans: whether :meth:`aggregate` returns the number of scores as well.
        value_range: lowest and highest value of the images, [0, 1] by default; ``(-1, 1)`` for the output of tanh.
        check: whether NaN and values outside the range are rejected; they are by default.

    Raises:
        UsageError: a metric of image sets.
        IQAError: a metric that is not there or cannot be built; see :func:`iqa_registry.metric`.

    Example:
        >>> quality = ImageQualityMetric("mae")
        >>> quality(y_pred=torch.full((2, 1, 8, 8), 0.5), y=torch.zeros(2, 1, 8, 8)).tolist()
        [[0.5], [0.5]]
        >>> quality.aggregate().item()
        0.5
    """

    def __init__(
        self,
        metric: str | Metric,
        reduction: str = "mean",
        get_not_nans: bool = False,
        value_range: tuple[float, float] | None = None,
        check: bool | None = None,
    ) -> None:
        super().__init__()
        self.metric = ready(metric, value_range, check).eval()
        if isinstance(self.metric, DistributionMetric):
            raise UsageError(
                f"{self.metric.label} compares sets of images, which MONAI's buffer cannot hold."
            )
        self.reduction = reduction
        self.get_not_nans = get_not_nans

    def _compute_list(self, y_pred: TensorOrList, y: TensorOrList | None = None, **kwargs: Any) -> Tensor:
        # MONAI's own method stops at the shorter list, and the images that are left over would count for nothing.
        count, mask = len(y_pred), kwargs.pop("mask", None)
        for name, others in (("y", y), ("mask", mask)):
            if others is not None and len(others) != count:
                raise UsageError(f"y_pred has {count} images, {name} has {len(others)}.")
        rows = [
            self._compute_tensor(
                y_pred[index][None],
                None if y is None else y[index][None],
                mask=None if mask is None else mask[index][None],
                labels=_row(kwargs.get("labels"), index),
            )
            for index in range(count)
        ]
        return torch.cat(rows)

    @torch.no_grad()
    def _compute_tensor(self, y_pred: Tensor, y: Tensor | None = None, **kwargs: Any) -> Tensor:
        unknown = set(kwargs) - {"mask", "labels"}
        if unknown:
            raise UsageError(
                f"{self.metric.label} does not take {sorted(unknown)[0]!r}. It takes mask and labels."
            )
        return score_batch(self.metric, y_pred, y, **kwargs)[:, None]

    def aggregate(self, reduction: str | None = None) -> Tensor | tuple[Tensor, Tensor]:
        """The reduced scores, float32, with the number of scores if ``get_not_nans``.

        Args:
            reduction: another one than that of the constructor.

        Raises:
            UsageError: no image has been scored yet.
        """
        scores = self.get_buffer()
        if not isinstance(scores, Tensor) or not len(scores):
            raise UsageError(f"{self.metric.label} has not scored any image yet. Call it before aggregate().")
        reduced, count = do_metric_reduction(scores.clone(), reduction or self.reduction)
        if scores.isnan().all():
            reduced = torch.full_like(reduced, torch.nan)
        return (reduced, count) if self.get_not_nans else reduced


def _row(labels: Mapping[str, TensorOrList] | None, index: int) -> dict[str, Tensor] | None:
    """The labels of one image."""
    return None if labels is None else {name: where[index][None] for name, where in labels.items()}
