"""What the adapters share: building the metric, and scoring a batch with NaN where the metric does not apply."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from iqa_registry.api import metric as build
from iqa_registry.errors import NotApplicableError, UsageError
from iqa_registry.metrics import Metric, NoReferenceMetric


def ready(
    metric: str | Metric, value_range: tuple[float, float] | None = None, check: bool | None = None
) -> Metric:
    """The metric that is meant, for images in ``value_range``.

    Args:
        metric: a name with parameters, such as ``lpips:net=vgg``, or a metric.
        value_range: lowest and highest value of the images, [0, 1] by default.
        check: whether values outside the range are rejected; they are by default.

    Raises:
        UnknownNameError, ParameterError, WeightsError, MissingExtraError: see :func:`iqa_registry.metric`.

    Example:
        >>> ready("ssim", (-1, 1)).value_range
        (-1.0, 1.0)
    """
    if isinstance(metric, str):
        return build(metric, value_range=value_range, check=check)
    return metric.in_range(value_range, check)


def score_batch(
    metric: Metric,
    synthesized: Tensor,
    reference: Tensor | None,
    mask: Tensor | None = None,
    labels: Mapping[str, Tensor] | None = None,
) -> Tensor:
    """Scores ``(N,)`` of a batch; NaN where the metric does not apply, for example because an image is too small.

    Args:
        metric: of pairs or of single images.
        synthesized: ``(N, C, H, W)`` in the metric's value range.
        reference: the same shape; not looked at by a metric of one image.
        mask: boolean ``(N, 1, H, W)``.
        labels: boolean ``(N, 1, H, W)`` by name; those that the metric does not look at are left out.

    Raises:
        UsageError: the reference is missing, or shapes and types do not fit.
        ImageError: values that are not finite or lie outside the range.

    Example:
        >>> score_batch(ready("ssim"), torch.zeros(2, 1, 5, 5), torch.zeros(2, 1, 5, 5)).tolist()
        [nan, nan]
    """
    images = _plain(synthesized)
    try:
        if isinstance(metric, NoReferenceMetric):
            scores: Tensor = metric(images)
            return scores
        if reference is None:
            raise UsageError(f"{metric.label} compares images, and the reference is missing.")
        known = {name: _plain(where) for name, where in (labels or {}).items() if name in metric.uses_labels}
        masks = () if mask is None else (_plain(mask),)
        scores = metric(images, _plain(reference), *masks, **known)
    except NotApplicableError:
        return torch.full((len(images),), torch.nan, device=images.device)
    return scores


def _plain(images: Tensor) -> Tensor:
    """Without MONAI's metadata, which every operation would otherwise carry along."""
    return images.as_tensor() if hasattr(images, "as_tensor") else images
