"""Metrics as :class:`torchmetrics.Metric`, for PyTorch Lightning and its loggers (extra ``torchmetrics``)."""

from __future__ import annotations

import re
import warnings
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from iqa_registry.adapters.building import ready, score_batch
from iqa_registry.errors import MissingExtraError, UsageError
from iqa_registry.metrics import DistributionMetric, Metric

try:
    import torchmetrics
except ImportError as error:
    raise MissingExtraError(
        'The adapter needs torchmetrics, which is not installed. Run: pip install "iqa-registry[torchmetrics]"'
    ) from error


class _Adapter(torchmetrics.Metric):
    full_state_update = False

    def __init__(self, metric: Metric, **options: Any) -> None:
        super().__init__(**options)
        self.metric = metric.eval()
        # A collection takes metrics with equal states for one metric, and MAE and MSE of equal images are both 0. Names
        # of their own keep the states apart.
        low, high = metric.value_range
        text = f"{metric.configuration or metric.label}_{low:g}_{high:g}"
        self.key = re.sub(r"\W", "_", text)

    @property
    def higher_is_better(self) -> bool | None:  # type: ignore[override]
        """The direction that the metric declares."""
        return self.metric.spec.higher_is_better if self.metric.spec else None

    @property
    def is_differentiable(self) -> bool | None:  # type: ignore[override]
        """Whether the value that a call returns has a gradient."""
        return self.metric.spec.supports_gradient if self.metric.spec else None

    def _state(self, name: str) -> str:
        return f"{name}_{self.key}"

    def train(self, mode: bool = True) -> _Adapter:
        """Set the mode of this module; the metric itself stays in evaluation mode."""
        super().train(mode)
        self.metric.eval()
        return self


class ImageQuality(_Adapter):
    """The mean score of all images seen so far, over all processes.

    Pairs to which the metric does not apply (an empty mask, an image that is too small) are left out of the mean;
    :attr:`skipped` counts them, and :meth:`compute` warns about them. For metrics of image sets see
    :class:`SetQuality`.

    Args:
        metric: a name with parameters, such as ``lpips:net=vgg``, or a metric.
        value_range: lowest and highest value of the images, [0, 1] by default; ``(-1, 1)`` for the output of tanh.
        check: whether NaN and values outside the range are rejected; they are by default.
        **options: of :class:`torchmetrics.Metric`.

    Raises:
        UsageError: a metric of image sets.
        IQAError: a metric that is not there or cannot be built; see :func:`iqa_registry.metric`.

    Example:
        >>> quality = ImageQuality("mae")
        >>> quality.update(torch.full((1, 1, 8, 8), 0.5), torch.zeros(1, 1, 8, 8))
        >>> quality.update(torch.full((3, 1, 8, 8), 0.1), torch.zeros(3, 1, 8, 8))
        >>> round(quality.compute().item(), 4), quality.higher_is_better
        (0.2, False)
    """

    def __init__(
        self,
        metric: str | Metric,
        value_range: tuple[float, float] | None = None,
        check: bool | None = None,
        **options: Any,
    ) -> None:
        built = ready(metric, value_range, check)
        if isinstance(built, DistributionMetric):
            raise UsageError(f"{built.label} compares sets of images. Use SetQuality.")
        super().__init__(built, **options)
        # Sums in double precision: float32 would lose digits after some ten thousand images.
        self.add_state(self._state("total"), torch.zeros((), dtype=torch.float64), dist_reduce_fx="sum")
        self.add_state(self._state("count"), torch.zeros((), dtype=torch.long), dist_reduce_fx="sum")
        self.add_state(self._state("skipped"), torch.zeros((), dtype=torch.long), dist_reduce_fx="sum")

    def update(
        self,
        preds: Tensor,
        target: Tensor | None = None,
        mask: Tensor | None = None,
        labels: Mapping[str, Tensor] | None = None,
    ) -> None:
        """Score a batch.

        Args:
            preds: synthesized images ``(N, C, H, W)`` in the value range.
            target: references of the same shape; not needed by a metric of one image.
            mask: boolean ``(N, 1, H, W)``.
            labels: boolean ``(N, 1, H, W)`` by name, for metrics that look at labels.

        Raises:
            UsageError: shapes and types that do not fit, or a mask that the metric cannot take.
            ImageError: values that are not finite or lie outside the range.
        """
        scores = score_batch(self.metric, preds, target, mask, labels).double()
        left_out = scores.isnan()
        self._add("total", torch.where(left_out, 0.0, scores).sum())
        self._add("count", (~left_out).sum())
        self._add("skipped", left_out.sum())

    def _add(self, name: str, value: Tensor) -> None:
        name = self._state(name)
        setattr(self, name, getattr(self, name) + value)

    @property
    def skipped(self) -> int:
        """How many images or pairs the metric did not apply to, in this process until :meth:`compute` gathers them."""
        return int(getattr(self, self._state("skipped")))

    def compute(self) -> Tensor:
        """The mean score, a float32 scalar; NaN if there is none."""
        count = getattr(self, self._state("count"))
        if self.skipped:
            warnings.warn(
                f"{self.metric.label} did not apply to {self.skipped} of {self.skipped + int(count)} images, "
                "which are left out of the mean.",
                stacklevel=2,
            )
        mean: Tensor = (getattr(self, self._state("total")) / count).float()
        return mean


class SetQuality(_Adapter):
    """The score of all synthesized images against all references, over all processes.

    Args:
        metric: a name with parameters, or a metric of image sets.
        value_range: lowest and highest value of the images, [0, 1] by default.
        check: whether NaN and values outside the range are rejected; they are by default.
        **options: of :class:`torchmetrics.Metric`.

    Raises:
        UsageError: a metric that scores images one by one.
    """

    def __init__(
        self,
        metric: str | Metric,
        value_range: tuple[float, float] | None = None,
        check: bool | None = None,
        **options: Any,
    ) -> None:
        built = ready(metric, value_range, check)
        if not isinstance(built, DistributionMetric):
            raise UsageError(f"{built.label} scores images one by one. Use ImageQuality.")
        super().__init__(built, **options)
        self.metric: DistributionMetric = built
        self.add_state(self._state("synthesized"), [], dist_reduce_fx="cat")
        self.add_state(self._state("reference"), [], dist_reduce_fx="cat")

    def update(self, preds: Tensor, target: Tensor) -> None:
        """Encode a batch of each set, ``(N, C, H, W)`` and ``(M, C, H, W)`` in the value range; no pairs are needed."""
        for name, images in (("synthesized", preds), ("reference", target)):
            features = self.metric.encode(self.metric.check_images(images, name))
            getattr(self, self._state(name)).append(features.detach())

    def compute(self) -> Tensor:
        """The score, a scalar.

        Raises:
            UsageError: fewer images than the metric needs.
        """
        sets = []
        for name in ("synthesized", "reference"):
            parts = getattr(self, self._state(name))
            features = torch.cat(parts) if isinstance(parts, list) and parts else parts
            if len(features) < self.metric.minimum_count:
                raise UsageError(
                    f"{self.metric.label} needs at least {self.metric.minimum_count} images, got {len(features)}."
                )
            sets.append(self.metric.summarize(features))
        return torch.tensor(self.metric.compare(*sets))
