"""Metrics with one defect each, and the checks of the conformance kit that must find it; no other may fail."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from iqa_registry import DistributionMetric, FullReferenceMetric, MetricSpec, NoReferenceMetric, hookimpl
from iqa_registry.plugins import Candidate
from iqa_registry.specs import Origin

SPEC = {
    "summary": "a toy", "kind": "full-reference", "dimensions": (2,), "higher_is_better": False,
    "score_range": (0.0, 1.0), "identity_score": 0.0, "minimum_size": 1, "mask_support": "none",
    "supports_gradient": True, "symmetric": True, "validated_on": "nothing", "licence": "MIT", "reference": "none",
}  # fmt: skip
MASKS = {"mask_support": "exact"}
OPEN = {"score_range": (0.0, float("inf"))}
NO_GRADIENT = {"supports_gradient": False}
SET = {"kind": "distribution", **NO_GRADIENT}
SINGLE = {
    "kind": "no-reference", "identity_score": None, "symmetric": False, "higher_is_better": True,
    "score_range": (-1.0, 1.0),
}  # fmt: skip


def mean(values: Tensor) -> Tensor:
    return values.flatten(1).mean(dim=1)


class Good(FullReferenceMetric):
    """Mean squared error, masks exact."""

    def compare(self, synthesized, reference, mask=None):
        errors = (synthesized - reference).square()
        if mask is None:
            return mean(errors)
        return torch.where(mask, errors, 0).flatten(1).sum(dim=1) / mask.flatten(1).sum(dim=1)


class Volumetric(Good):
    def __init__(self, dimensions: Literal[2, 3] = 2) -> None:
        super().__init__()
        self.dimensions = dimensions


class Offset(Good):
    def compare(self, synthesized, reference, mask=None):
        return super().compare(synthesized, reference) + 0.2


class BatchMean(Good):
    def compare(self, synthesized, reference, mask=None):
        scores = super().compare(synthesized, reference)
        return 0.9 * scores + 0.1 * scores.mean()


class Position(Good):
    def compare(self, synthesized, reference, mask=None):
        return super().compare(synthesized, reference) * (1 + 0.01 * torch.arange(len(synthesized)))


class OverVariance(Good):
    def compare(self, synthesized, reference, mask=None):
        return super().compare(synthesized, reference) / reference.var(dim=(1, 2, 3))


class OverPower(Good):
    def compare(self, synthesized, reference, mask=None):
        return super().compare(synthesized, reference) / (mean(reference.square()) + 0.1)


class Unpicklable(Good):
    def __init__(self) -> None:
        super().__init__()
        self.power = lambda values: values.square()


class ForgetsInPickle(Good):
    def __init__(self) -> None:
        super().__init__()
        self.factor = 0.5

    def __setstate__(self, state):
        super().__setstate__(state)
        self.factor = 1.0

    def compare(self, synthesized, reference, mask=None):
        return self.factor * super().compare(synthesized, reference)


class MaskIgnored(Good):
    def compare(self, synthesized, reference, mask=None):
        return mean((synthesized - reference).square())


class MaskZeroes(Good):
    def compare(self, synthesized, reference, mask=None):
        return mean((synthesized - reference).square() * (1 if mask is None else mask))


class MaskCount(Good):
    def compare(self, synthesized, reference, mask=None):
        scores = super().compare(synthesized, reference, mask)
        if mask is None:
            return scores
        count = mask.flatten(1).sum(dim=1)
        return scores * count / count.float().mean()


class MaskInverted(Good):
    def compare(self, synthesized, reference, mask=None):
        whole = mask is None or bool(mask.all())
        inverted = None if whole else ~mask & mask.flatten(1).any(dim=1)[:, None, None, None]
        return super().compare(synthesized, reference, inverted)


class MaskRaisesScore(Good):
    def compare(self, synthesized, reference, mask=None):
        return super().compare(synthesized, reference, mask) * (1 if mask is None else 1.01)


class MaskAsFloat(Good):
    def _check_mask(self, mask, images):
        return mask.bool().expand(len(images), -1, -1, -1) if mask.shape[2:] == images.shape[2:] else None


class MaskGradient(Good):
    def compare(self, synthesized, reference, mask=None):
        scores = super().compare(synthesized, reference, mask)
        return scores if mask is None else scores + 0 * (synthesized - synthesized.detach()).sqrt().sum()


class Detached(Good):
    def compare(self, synthesized, reference, mask=None):
        return super().compare(synthesized, reference).detach()


class Stepwise(Good):
    def compare(self, synthesized, reference, mask=None):
        return super().compare((synthesized * 255).round() / 255, (reference * 255).round() / 255)


class Root(Good):
    def compare(self, synthesized, reference, mask=None):
        return super().compare(synthesized, reference).sqrt()


class BackwardGradient(Good):
    def compare(self, synthesized, reference, mask=None):
        scores = super().compare(synthesized, reference)
        return 2 * scores.detach() - scores


class BatchEncoding(Good):
    # What all images of the batch share cancels in the difference, so the scores stay right.
    def encode(self, images):
        return images + len(images)


class AltersEncodings(Good):
    def encode(self, images):
        return images.clone()

    def compare(self, synthesized, reference, mask=None):
        if not synthesized.requires_grad:
            reference -= synthesized
            return mean(reference.square())
        return super().compare(synthesized, reference)


class AltersInput(Good):
    def forward(self, synthesized, reference, mask=None):
        scores = super().forward(synthesized, reference, mask)
        reference.mul_(0.5)
        return scores


class RandomWeight(Good):
    def __init__(self) -> None:
        super().__init__()
        self.weight = torch.rand(()).item()

    def compare(self, synthesized, reference, mask=None):
        return super().compare(synthesized, reference) * self.weight


class Blocks(Good):
    def compare(self, synthesized, reference, mask=None):
        blocks = (synthesized - reference).unfold(2, 8, 4).unfold(3, 8, 4)
        return blocks.square().flatten(1).mean(dim=1)


class OtherMinimum(Good):
    @property
    def minimum_size(self):
        return 9


class Forgiving(Good):
    def forward(self, synthesized, reference, mask=None):
        if isinstance(synthesized, Tensor) and synthesized.is_floating_point():
            synthesized, reference = (item.nan_to_num().clamp(0, 1) for item in (synthesized, reference))
        return super().forward(synthesized, reference, mask)


class Cropping(Good):
    def forward(self, synthesized, reference, mask=None):
        synthesized, reference = (
            synthesized[..., : reference.shape[-1]],
            reference[..., : synthesized.shape[-1]],
        )
        return super().forward(synthesized, reference, mask)


class GreyOnly(Good):
    def encode(self, images):
        if images.shape[1] == 3:
            raise RuntimeError("expected one channel")
        return images


class DoubleScores(Good):
    def forward(self, synthesized, reference, mask=None):
        return super().forward(synthesized, reference, mask).double()


class HalfArithmetic(Good):
    def check_images(self, images, role):
        checked = super().check_images(images, role)
        return images if images.dtype == torch.float16 else checked

    def compare(self, synthesized, reference, mask=None):
        return super().compare(synthesized * 1000, reference * 1000) / 1e6


class WrongMap(Good):
    def local_map(self, synthesized, reference):
        return (synthesized - reference).square()[..., 1:]


class FineMap(Good):
    def local_map(self, synthesized, reference):
        return (synthesized - reference).square()


class KeepsTensor(Good):
    def __init__(self) -> None:
        super().__init__()
        self.weight = torch.ones(1)  # no buffer, so it stays where it is when the metric moves

    def compare(self, synthesized, reference, mask=None):
        return super().compare(synthesized, reference) * self.weight


class FailsToStart(Good):
    def __init__(self) -> None:
        raise OSError("no such table")


class LosesBits(Good):
    allows_bf16 = True

    def compare(self, synthesized, reference, mask=None):
        unit = torch.eye(synthesized.shape[-1])
        return mean(((synthesized + 100) @ unit - (reference + 100) @ unit).square())


class Sharpness(NoReferenceMetric):
    """Mean magnitude of the horizontal steps."""

    sign = 1

    def score(self, images):
        if images.shape[-1] == 1:
            return 0 * mean(images)
        return self.sign * mean((images[..., 1:] - images[..., :-1]).abs())


class Insensitive(NoReferenceMetric):
    def score(self, images):
        return 0 * mean(images) + 0.5


@dataclass
class Mean:
    count: int
    total: Tensor

    def merge(self, other):
        return Mean(self.count + other.count, self.total + other.total)


class SetMean(DistributionMetric):
    """Distance of the means of two features: brightness and mean horizontal step."""

    def encode(self, images):
        steps = images.diff(dim=-1).abs() if images.shape[-1] > 1 else 0 * images
        return torch.stack([mean(images), mean(steps)], dim=1)

    def summarize(self, features):
        return Mean(len(features), features.double().sum(dim=0))

    def compare(self, synthesized, reference):
        return float((synthesized.total / synthesized.count - reference.total / reference.count).norm())


class MergesAverages(SetMean):
    def summarize(self, features):
        summary = super().summarize(features)
        summary.merge = lambda other: Mean(
            summary.count + other.count,
            (summary.total / summary.count + other.total / other.count) / 2 * (summary.count + other.count),
        )
        return summary


class BatchFeatures(SetMean):
    def encode(self, images):
        features = super().encode(images)
        return features * len(images)

    def compare(self, synthesized, reference):
        return min(1.0, super().compare(synthesized, reference))


class FirstCountsTwice(SetMean):
    def summarize(self, features):
        return super().summarize(torch.cat([features[:1], features]))


class TooFew(SetMean):
    minimum_count = 5

    def forward(self, synthesized, reference):
        sets = self.check_images(synthesized, "synthesized"), self.check_images(reference, "reference")
        return self.compare(*(self.summarize(self.encode(images)) for images in sets))


CASES = {
    "good": (Good, {}, set()),
    "good-masks": (Good, MASKS, set()),
    "good-volumes": (Volumetric, {"dimensions": (2, 3), **MASKS}, set()),
    "good-asymmetric": (OverPower, {"symmetric": False, **OPEN}, set()),
    "good-map": (FineMap, {"provides_map": True}, set()),
    "good-single": (Sharpness, SINGLE, set()),
    "good-set": (SetMean, SET, set()),
    "blank-licence": (Good, {"licence": " "}, {"declaration"}),
    "other-minimum": (OtherMinimum, {}, {"declaration"}),
    "offset": (Offset, {}, {"identity"}),
    "wrong-direction": (Good, {"higher_is_better": True}, {"direction"}),
    "asymmetric": (OverPower, OPEN, {"symmetry"}),
    "symmetric": (Good, {"symmetric": False}, {"symmetry"}),
    "batch-mean": (BatchMean, {}, {"batch size"}),
    "position": (Position, {}, {"order", "batch size"}),
    "narrow-range": (Good, {"score_range": (0.0, 0.1)}, {"score range"}),
    "over-variance": (
        OverVariance,
        {"symmetric": False, "minimum_size": 8, **OPEN, **NO_GRADIENT},
        {"constant images"},
    ),
    "alters-input": (AltersInput, {}, {"determinism"}),
    "random-weight": (RandomWeight, {}, {"determinism"}),
    "unpicklable": (Unpicklable, {}, {"pickling"}),
    "forgets-in-pickle": (ForgetsInPickle, {}, {"pickling"}),
    "blocks": (Blocks, {"minimum_size": 4}, {"small images"}),
    "forgiving": (Forgiving, {}, {"wrong values"}),
    "cropping": (Cropping, {}, {"wrong shapes"}),
    "grey-only": (GreyOnly, {}, {"color"}),
    "flat-only": (Good, {"dimensions": (2, 3)}, {"volumes"}),
    "double-scores": (DoubleScores, {}, {"dtype"}),
    "half-arithmetic": (HalfArithmetic, {}, {"dtype"}),
    "detached": (Detached, {}, {"gradient", "gradient at identity"}),
    "stepwise": (Stepwise, {}, {"gradient"}),
    "backward-gradient": (BackwardGradient, {}, {"gradient"}),
    "root": (Root, {}, {"gradient at identity"}),
    "batch-encoding": (BatchEncoding, {}, {"encode compare"}),
    "alters-encodings": (AltersEncodings, {}, {"encode compare"}),
    "wrong-map": (WrongMap, {"provides_map": True}, {"local map"}),
    "undeclared-map": (FineMap, {}, {"local map"}),
    "loses-bits": (LosesBits, {}, {"bf16"}),
    "mask-ignored": (MaskIgnored, MASKS, {"mask outside", "mask place", "mask empty", "mask gradient"}),
    "mask-zeroes": (MaskZeroes, MASKS, {"mask empty"}),
    "mask-count": (MaskCount, MASKS, {"mask batch", "mask empty"}),
    "mask-inverted": (MaskInverted, MASKS, {"mask outside", "mask place", "mask gradient"}),
    "mask-raises-score": (MaskRaisesScore, MASKS, {"mask full"}),
    "mask-as-float": (MaskAsFloat, MASKS, {"mask refused"}),
    "mask-gradient": (MaskGradient, MASKS, {"mask gradient"}),
    "undeclared-mask-refusal": (MaskAsFloat, {}, {"mask refused"}),
    "single-insensitive": (Insensitive, {**SINGLE, **NO_GRADIENT}, {"direction"}),
    "set-merges-averages": (MergesAverages, SET, {"set merge"}),
    "set-batch-features": (BatchFeatures, SET, {"set features"}),
    "set-first-counts-twice": (FirstCountsTwice, SET, {"order", "set merge"}),
    "set-too-few": (TooFew, SET, {"set count"}),
}
"""Name, then class, what its declaration has of its own, and the checks that it must fail."""

FURTHER = {
    "keeps-tensor": (KeepsTensor, {}, {"device"}),
    "fails-to-start": (FailsToStart, {}, {"construction"}),
}
"""Likewise; for the first a CUDA device is needed, and the second cannot be checked at all."""


class Plugin:
    @hookimpl
    def iqa_register_metrics(self, register):
        for name, (factory, declared, _) in (CASES | FURTHER).items():
            register(
                MetricSpec(name=name, factory=f"broken_metrics:{factory.__name__}", **{**SPEC, **declared})
            )


class _Point:
    name = "broken"

    def load(self):
        return Plugin()


def candidate() -> Candidate:
    return Candidate(_Point(), Origin("broken-metrics", "1.0", "broken"))
