"""Metrics with one defect each, and the checks of the conformance kit that must find it; no other may fail."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

import broken_pairs as pairs
from broken_pairs import mean
from iqa_registry import DistributionMetric, MetricSpec, NoReferenceMetric, hookimpl
from iqa_registry.plugins import Candidate
from iqa_registry.specs import Origin

SPEC = {
    "summary": "a toy", "kind": "full-reference", "dimensions": (2,), "higher_is_better": False,
    "score_range": (0.0, 1.0), "identity_score": 0.0, "minimum_size": 1, "mask_support": "none",
    "supports_gradient": True, "symmetric": True, "validated_on": "nothing", "license": "MIT", "reference": "none",
}  # fmt: skip
MASKS = {"mask_support": "exact"}
OPEN = {"score_range": (0.0, float("inf"))}
NO_GRADIENT = {"supports_gradient": False}
SET = {"kind": "distribution", **NO_GRADIENT}
SINGLE = {
    "kind": "no-reference", "identity_score": None, "symmetric": False, "higher_is_better": True,
    "score_range": (-1.0, 1.0),
}  # fmt: skip


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
    "good": (pairs.Good, {}, set()),
    "good-masks": (pairs.Good, MASKS, set()),
    "good-volumes": (pairs.Volumetric, {"dimensions": (2, 3), **MASKS}, set()),
    "good-asymmetric": (pairs.OverPower, {"symmetric": False, **OPEN}, set()),
    "good-map": (pairs.FineMap, {"provides_map": True}, set()),
    "good-single": (Sharpness, SINGLE, set()),
    "good-set": (SetMean, SET, set()),
    "blank-license": (pairs.Good, {"license": " "}, {"declaration"}),
    "other-minimum": (pairs.OtherMinimum, {}, {"declaration"}),
    "offset": (pairs.Offset, {}, {"identity"}),
    "exempt-offset": (pairs.ExemptOffset, {}, set()),
    "wrong-direction": (pairs.Good, {"higher_is_better": True}, {"direction"}),
    "asymmetric": (pairs.OverPower, OPEN, {"symmetry"}),
    "symmetric": (pairs.Good, {"symmetric": False}, {"symmetry"}),
    "batch-mean": (pairs.BatchMean, {}, {"batch size"}),
    "position": (pairs.Position, {}, {"order", "batch size"}),
    "narrow-range": (pairs.Good, {"score_range": (0.0, 0.1)}, {"score range"}),
    "over-variance": (
        pairs.OverVariance,
        {"symmetric": False, "minimum_size": 8, **OPEN, **NO_GRADIENT},
        {"constant images"},
    ),
    "alters-input": (pairs.AltersInput, {}, {"determinism"}),
    "prints": (pairs.Prints, {}, {"surroundings"}),
    "sets-seed": (pairs.SetsSeed, {}, {"surroundings"}),
    "sets-threads": (pairs.SetsThreads, {}, {"surroundings"}),
    "random-weight": (pairs.RandomWeight, {}, {"determinism"}),
    "unpicklable": (pairs.Unpicklable, {}, {"pickling"}),
    "forgets-in-pickle": (pairs.ForgetsInPickle, {}, {"pickling"}),
    "blocks": (pairs.Blocks, {"minimum_size": 4}, {"small images"}),
    "forgiving": (pairs.Forgiving, {}, {"wrong values"}),
    "cropping": (pairs.Cropping, {}, {"wrong shapes"}),
    "grey-only": (pairs.GreyOnly, {}, {"color"}),
    "flat-only": (pairs.Good, {"dimensions": (2, 3)}, {"volumes"}),
    "double-scores": (pairs.DoubleScores, {}, {"dtype"}),
    "half-arithmetic": (pairs.HalfArithmetic, {}, {"dtype"}),
    "detached": (pairs.Detached, {}, {"gradient", "gradient at identity", "autocast"}),
    "stepwise": (pairs.Stepwise, {}, {"gradient"}),
    "backward-gradient": (pairs.BackwardGradient, {}, {"gradient"}),
    "root": (pairs.Root, {}, {"gradient at identity", "autocast"}),
    "flat-root": (pairs.FlatRoot, {}, {"gradient at identity"}),
    "ignores-precision": (pairs.IgnoresPrecision, {}, {"autocast"}),
    "batch-encoding": (pairs.BatchEncoding, {}, {"encode compare"}),
    "alters-encodings": (pairs.AltersEncodings, {}, {"encode compare"}),
    "wrong-map": (pairs.WrongMap, {"provides_map": True}, {"local map"}),
    "undeclared-map": (pairs.FineMap, {}, {"local map"}),
    "loses-bits": (pairs.LosesBits, {}, {"bf16"}),
    "mask-ignored": (pairs.MaskIgnored, MASKS, {"mask outside", "mask place", "mask empty", "mask gradient"}),
    "mask-zeroes": (pairs.MaskZeroes, MASKS, {"mask empty"}),
    "mask-count": (pairs.MaskCount, MASKS, {"mask batch", "mask empty"}),
    "mask-inverted": (pairs.MaskInverted, MASKS, {"mask outside", "mask place", "mask gradient"}),
    "mask-raises-score": (pairs.MaskRaisesScore, MASKS, {"mask full"}),
    "mask-as-float": (pairs.MaskAsFloat, MASKS, {"mask rejected"}),
    "mask-gradient": (pairs.MaskGradient, MASKS, {"mask gradient"}),
    "undeclared-mask-refusal": (pairs.MaskAsFloat, {}, {"mask rejected"}),
    "single-insensitive": (Insensitive, {**SINGLE, **NO_GRADIENT}, {"direction"}),
    "set-merges-averages": (MergesAverages, SET, {"set merge"}),
    "set-batch-features": (BatchFeatures, SET, {"set features"}),
    "set-first-counts-twice": (FirstCountsTwice, SET, {"order", "set merge"}),
    "set-too-few": (TooFew, SET, {"set count"}),
}
"""Name, then class, what its declaration has of its own, and the checks that it must fail."""

FURTHER = {
    "keeps-tensor": (pairs.KeepsTensor, {}, {"device"}),
    "fails-to-start": (pairs.FailsToStart, {}, {"construction"}),
}
"""Likewise; for the first a CUDA device is needed, and the second cannot be checked at all."""


class Plugin:
    @hookimpl
    def iqa_register_metrics(self, register):
        for name, (factory, declared, _) in (CASES | FURTHER).items():
            register(
                MetricSpec(
                    name=name, factory=f"{factory.__module__}:{factory.__name__}", **{**SPEC, **declared}
                )
            )


class _Point:
    name = "broken"

    def load(self):
        return Plugin()


def candidate() -> Candidate:
    return Candidate(_Point(), Origin("broken-metrics", "1.0", "broken"))
