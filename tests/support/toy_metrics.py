"""Small metrics whose scores are known in closed form, for tests of the engine."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Literal

import torch
from torch import Tensor

from iqa_registry.errors import NotApplicableError
from iqa_registry.hookspecs import hookimpl
from iqa_registry.metrics import (
    Comparison,
    DistributionMetric,
    FullReferenceMetric,
    NoReferenceMetric,
    Summary,
)
from iqa_registry.plugins import Candidate
from iqa_registry.specs import MetricSpec, Origin
from iqa_registry.weights import open_file

encoded: list[int] = []
"""Number of images in each call of ``CountingMetric.encode``; tests clear it."""

encoded_with_lesions: list[tuple[int, bool]] = []
"""Number of images in each call of ``LesionGap.encode``, and whether it was told where the lesions are."""

finder_weights: list[Path] = []
"""Weight files that ``LesionGap`` opens; a test may change it."""


class CountingMetric(FullReferenceMetric):
    """Mean absolute difference of the images' means; counts what it encodes."""

    def encode(self, images: Tensor) -> Tensor:
        encoded.append(len(images))
        return images.mean(dim=(1, 2, 3))

    def compare(self, synthesized: Tensor, reference: Tensor, mask: Tensor | None = None) -> Tensor:
        return (synthesized - reference).abs()


class SharingMetric(CountingMetric):
    """Two of these in a run share one pass of ``encode``."""

    encoder_id = "toy-mean"


class LesionGap(FullReferenceMetric):
    """Absolute difference of the means inside the lesions: where an image exceeds one half, if nobody says."""

    uses_labels = ("lesions",)

    def __init__(self, *, dimensions: Literal[2, 3] = 2) -> None:
        super().__init__()
        self.dimensions = dimensions
        for file in finder_weights:
            open_file(file, file.name)

    def encode(self, images: Tensor, lesions: Tensor | None = None) -> tuple[Tensor, Tensor]:
        encoded_with_lesions.append((len(images), lesions is not None))
        inside = images > 0.5 if lesions is None else lesions
        means = (images * inside).flatten(1).sum(dim=1) / inside.flatten(1).sum(dim=1)
        return means, torch.ones_like(images[:, :1])

    def compare(
        self,
        synthesized: tuple[Tensor, Tensor],
        reference: tuple[Tensor, Tensor],
        mask: Tensor | None = None,
    ) -> Tensor:
        return (synthesized[0] - reference[0]).abs()

    def local_map(
        self, synthesized: tuple[Tensor, Tensor], reference: tuple[Tensor, Tensor], size: tuple[int, ...]
    ) -> Tensor:
        return reference[1] * self.compare(synthesized, reference).view(-1, 1, 1, 1)


class SharingLesionGap(LesionGap):
    """Two of these in a run share one pass of ``encode``."""

    encoder_id = "toy-lesions"


class PartsMetric(FullReferenceMetric):
    """A score with two parts, one of which does not apply where the images are equal."""

    def compare_in_detail(
        self, synthesized: Tensor, reference: Tensor, mask: Tensor | None = None
    ) -> Comparison:
        difference = (synthesized - reference).mean(dim=(1, 2, 3))
        second = torch.where(difference == 0, torch.nan, difference * 2)
        return Comparison(difference, {"first": difference, "second": second})


class PickyMetric(FullReferenceMetric):
    """Fails for a batch that contains a black synthesized image; has no value for a white one."""

    def compare_in_detail(
        self, synthesized: Tensor, reference: Tensor, mask: Tensor | None = None
    ) -> Comparison:
        means = synthesized.mean(dim=(1, 2, 3))
        if (means == 0).any():
            raise RuntimeError("cannot take a black image")
        white = means == 1
        reasons = {int(index): "the image is white" for index in white.nonzero()}
        return Comparison(torch.where(white, torch.nan, means), {}, reasons)


class NanMetric(FullReferenceMetric):
    """Gives NaN without a reason: a defect that the engine must not pass on silently."""

    def compare(self, synthesized: Tensor, reference: Tensor, mask: Tensor | None = None) -> Tensor:
        return synthesized.mean(dim=(1, 2, 3)) * torch.nan


class Brightness(NoReferenceMetric):
    """Mean of the image."""

    def score(self, images: Tensor) -> Tensor:
        return images.mean(dim=(1, 2, 3))


class Moments(Summary):
    def __init__(self, count: int, total: float) -> None:
        self.count, self.total = count, total

    def merge(self, other: Summary) -> Moments:
        assert isinstance(other, Moments)
        return Moments(self.count + other.count, self.total + other.total)


class MeanGap(DistributionMetric):
    """Difference of the two sets' mean brightness."""

    def encode(self, images: Tensor) -> Tensor:
        return images.mean(dim=(2, 3))[:, :1]

    def summarize(self, features: Tensor) -> Moments:
        return Moments(len(features), float(features.sum()))

    def compare(self, synthesized: Summary, reference: Summary) -> float:
        assert isinstance(synthesized, Moments)
        assert isinstance(reference, Moments)
        return synthesized.total / synthesized.count - reference.total / reference.count


class BrokenGap(MeanGap):
    """Fails at the end, with an error that is none of the project's."""

    def compare(self, synthesized: Summary, reference: Summary) -> float:
        raise ZeroDivisionError("no covariance")


def unstartable() -> FullReferenceMetric:
    raise NotApplicableError("its weights are not here")


def spec(name: str, factory: str, kind: str = "full-reference", mask: str = "none") -> MetricSpec:
    return MetricSpec(
        name=name, summary="toy", kind=kind, dimensions=(2,), higher_is_better=False,
        score_range=(-2.0, 2.0), identity_score=0.0, minimum_size=4, mask_support=mask, supports_gradient=True,
        symmetric=True, validated_on="none", license="MIT", reference="none", factory=f"toy_metrics:{factory}",
    )  # fmt: skip


@hookimpl
def iqa_register_metrics(register):
    register(spec("toy-count", "CountingMetric"))
    register(spec("toy-share-a", "SharingMetric"))
    register(spec("toy-share-b", "SharingMetric"))
    register(spec("toy-parts", "PartsMetric"))
    register(spec("toy-picky", "PickyMetric"))
    register(spec("toy-nan", "NanMetric"))
    register(spec("toy-brightness", "Brightness", kind="no-reference"))
    register(spec("toy-gap", "MeanGap", kind="distribution"))
    register(spec("toy-broken-set", "BrokenGap", kind="distribution"))
    register(spec("toy-unstartable", "unstartable"))
    register(replace(spec("toy-lesions", "LesionGap"), provides_map=True))
    register(spec("toy-lesions-a", "SharingLesionGap"))
    register(spec("toy-lesions-b", "SharingLesionGap"))


class Point:
    """An entry point that is already imported."""

    def __init__(self, name: str, plugin: object) -> None:
        self.name, self._plugin = name, plugin

    def load(self) -> object:
        return self._plugin


def candidate() -> Candidate:
    import toy_metrics

    return Candidate(Point("toy", toy_metrics), Origin("toy-package", "1.0", "toy"))
