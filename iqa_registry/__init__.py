"""A registry of image-quality metrics for medical image synthesis and translation.

The names below are imported when they are first used, so that ``import iqa_registry`` stays fast.

Example:
    >>> import torch, iqa_registry as iqa
    >>> image = torch.linspace(0, 1, 64 * 64).reshape(1, 1, 64, 64)
    >>> round(float(iqa.metric("ssim")(image, image)), 4)
    1.0
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from iqa_registry.api import agree, evaluate, metric
    from iqa_registry.evaluation.summary import summarize
    from iqa_registry.hookspecs import hookimpl
    from iqa_registry.images.formats import read_image
    from iqa_registry.metrics import DistributionMetric, FullReferenceMetric, NoReferenceMetric
    from iqa_registry.registry import Registry, build_registry
    from iqa_registry.specs import Configuration, MetricSpec

_PLACES = {
    "Configuration": "iqa_registry.specs",
    "DistributionMetric": "iqa_registry.metrics",
    "FullReferenceMetric": "iqa_registry.metrics",
    "MetricSpec": "iqa_registry.specs",
    "NoReferenceMetric": "iqa_registry.metrics",
    "Registry": "iqa_registry.registry",
    "agree": "iqa_registry.api",
    "build_registry": "iqa_registry.registry",
    "evaluate": "iqa_registry.api",
    "hookimpl": "iqa_registry.hookspecs",
    "metric": "iqa_registry.api",
    "read_image": "iqa_registry.images.formats",
    "summarize": "iqa_registry.evaluation.summary",
}

__all__ = [
    "Configuration",
    "DistributionMetric",
    "FullReferenceMetric",
    "MetricSpec",
    "NoReferenceMetric",
    "Registry",
    "agree",
    "build_registry",
    "evaluate",
    "hookimpl",
    "metric",
    "read_image",
    "summarize",
]


def __getattr__(name: str) -> Any:
    if name == "__version__":
        from importlib.metadata import version

        return version("iqa-registry")
    if name in _PLACES:
        return getattr(import_module(_PLACES[name]), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return [*__all__, "__version__"]
