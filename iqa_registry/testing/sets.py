"""Checks of metrics of sets: features, summaries that can be merged, the least number of images."""

from __future__ import annotations

import torch

from iqa_registry.errors import UsageError
from iqa_registry.testing.results import require
from iqa_registry.testing.subject import Subject, agree, show


def set_features(subject: Subject) -> str:
    """``encode`` gives one row of features per image, which depends on that image alone."""
    metric, images = subject.distribution, subject.reference
    with torch.no_grad():
        features = metric.encode(images)
        single = torch.cat([metric.encode(images[row : row + 1]) for row in range(3)])
    shape = tuple(features.shape)
    require(len(shape) == 2 and shape[0] == len(images), f"encode gives {shape} for {len(images)} images")
    require(bool(features.isfinite().all()), "encode gives features that are not finite")
    close = torch.allclose(features[:3], single, rtol=1e-3, atol=1e-4)
    require(close, "an image is encoded differently alone and in a batch")
    return f"{shape[1]} features an image"


def set_merge(subject: Subject) -> str:
    """Summaries of parts, merged, give the score of the whole; merging leaves the parts as they are."""
    metric = subject.distribution
    with torch.no_grad():
        features = metric.encode(subject.synthesized)
        reference = metric.summarize(metric.encode(subject.reference))
        parts = [metric.summarize(part) for part in features.split([1, 3, len(features) - 4])]
        forward = parts[0].merge(parts[1]).merge(parts[2])
        backward = parts[2].merge(parts[1].merge(parts[0]))
        scores = [torch.tensor([metric.compare(merged, reference)]) for merged in (forward, backward)]
    require(forward.count == len(features), f"{len(features)} images merged count as {forward.count}")
    for score in scores:
        same = agree(score, subject.base_scores)
        require(same, f"merged from three parts {show(score)}, in one {show(subject.base_scores)}")
    return "summaries of parts merge into that of the whole"


def set_count(subject: Subject) -> str:
    """``minimum_count`` images have a score; fewer are rejected by UsageError."""
    least = subject.distribution.minimum_count
    scores = subject.scores(subject.synthesized[:least], subject.reference[:least])
    require(bool(scores.isfinite().all()), f"{least} images, the declared least, give {show(scores)}")
    if least > 1:
        few = subject.reference[: least - 1]
        for name, sets in {
            "synthesized": (few, subject.reference),
            "reference": (subject.reference, few),
        }.items():
            fault = subject.refusal(UsageError, *sets)
            require(fault is None, f"{least - 1} {name} images: {fault}")
    return f"{least} images have a score, fewer are rejected"
