"""Checks of the input: what must be accepted, what must be rejected, and by which error."""

from __future__ import annotations

import copy

import torch
from torch import Tensor

from iqa_registry.errors import ImageError, IQAError, NotApplicableError, UsageError
from iqa_registry.testing import probes
from iqa_registry.testing.results import Failed, Skipped, require
from iqa_registry.testing.subject import Subject, agree, call, difference, first_line, show

DEVICE_UNITS = 20
"""How many times the tolerance the scores of two devices may be apart; their convolutions round otherwise."""


def dtype(subject: Subject) -> str:
    """Input of float64 and float16 is accepted or rejected by an IQAError; scores are float32."""
    got = subject.base_scores.dtype
    require(got == torch.float32, f"the scores are {got}, expected torch.float32")
    outcomes = [_score_as(subject, kind) for kind in (torch.float64, torch.float16)]
    for kind in (torch.uint8, torch.int64):
        images = (subject.reference * 255).to(kind)
        fault = subject.refusal(IQAError, *subject.arguments(images, images))
        require(fault is None, f"images of {kind}: {fault}")
    return f"float32 scores; {', '.join(outcomes)}; integers rejected"


def _score_as(subject: Subject, kind: torch.dtype) -> str:
    synthesized, reference = (images.to(kind) for images in subject.some(2))
    name = str(kind).removeprefix("torch.")
    try:
        scores = subject.scores(synthesized, reference)
    except IQAError:
        return f"{name} rejected"
    require(
        scores.dtype == torch.float32, f"{name} images give scores of {scores.dtype}, expected torch.float32"
    )
    expected = subject.scores(synthesized.float(), reference.float())
    require(
        agree(scores, expected), f"{name} images score {show(scores[:1])}, as float32 {show(expected[:1])}"
    )
    return f"{name} accepted"


def device(subject: Subject) -> str:
    """On a CUDA device the scores are the same, and stay there."""
    if not torch.cuda.is_available():
        raise Skipped("there is no CUDA device here")
    metric = copy.deepcopy(subject.metric).to("cuda")
    with torch.no_grad():
        scores = call(metric, subject.synthesized.cuda(), subject.reference.cuda())
    apart = difference(scores, subject.base_scores)
    require(apart <= DEVICE_UNITS, f"CUDA gives {show(scores)}, the CPU {show(subject.base_scores)}")
    return "the same on CUDA"


def wrong_values(subject: Subject) -> str:
    """NaN, infinite, negative and [0, 255] pixels are rejected by ImageError, in either image."""
    good = subject.reference
    bad = {"NaN": torch.nan, "infinite": torch.inf, "negative": -0.5, "[0, 255]": 255.0}
    for name, value in bad.items():
        images = good.clone()
        images[..., 3] = value
        cases = [subject.arguments(images, good)]
        if subject.spec.kind != "no-reference":
            cases.append((good, images))
        for arguments in cases:
            fault = subject.refusal(ImageError, *arguments)
            require(fault is None, f"{name} pixels: {fault}")
    return "NaN, infinite, negative and [0, 255] pixels are rejected"


def wrong_shapes(subject: Subject) -> str:
    """A wrong number of axes or channels, and two images that differ in size, are rejected by UsageError."""
    good = subject.reference
    shapes = {
        "no channel axis": good[:, 0],
        "two channels": good.expand(-1, 2, *good.shape[2:]),
        "four channels": good.expand(-1, 4, *good.shape[2:]),
        "no tensor": good.numpy(),
    }
    for name, images in shapes.items():
        fault = subject.refusal(UsageError, *subject.arguments(images, images))
        require(fault is None, f"{name}: {fault}")
    fault = subject.refusal(IQAError, *subject.arguments(good[:0], good[:0]))
    require(fault is None, f"an empty batch: {fault}")
    if subject.spec.kind == "full-reference":
        for name, images in {"sizes": good[..., 1:], "numbers": good[1:]}.items():
            fault = subject.refusal(UsageError, good, images)
            require(fault is None, f"images of different {name}: {fault}")
    return "wrong shapes are rejected"


def small_images(subject: Subject) -> str:
    """At ``minimum_size`` there is a score; one pixel less is rejected by NotApplicableError."""
    least = subject.metric.minimum_size
    synthesized, reference = (
        probes.crop(images, least) for images in (subject.synthesized, subject.reference)
    )
    scores = subject.scores(synthesized, reference)
    require(
        bool(scores.isfinite().all()),
        f"images of {least} pixels a side, the declared least, give {show(scores)}",
    )
    if least == 1:
        return "a single pixel has a score"
    synthesized, reference = (
        probes.crop(images, least - 1) for images in (subject.synthesized, subject.reference)
    )
    fault = subject.refusal(NotApplicableError, *subject.arguments(synthesized, reference))
    require(fault is None, f"images of {least - 1} pixels a side: {fault}")
    return f"{least} pixels a side have a score, {least - 1} are rejected"


def color(subject: Subject) -> str:
    """Images of three channels are accepted."""
    if subject.metric.dimensions == 3:
        raise Skipped("volumes have one channel")
    shades = torch.tensor([1.0, 0.9, 0.7]).reshape(1, 3, 1, 1)
    synthesized, reference = subject.some(2)
    try:
        scores = subject.scores(synthesized * shades, reference * shades)
    except IQAError as error:
        raise Failed(f"images of three channels are rejected: {first_line(error)}") from error
    require(bool(scores.isfinite().all()), f"images of three channels give {show(scores)}")
    return f"three channels are accepted; scores {show(scores[:1])}"


def volumes(subject: Subject) -> str:
    """Where three dimensions are declared, the parameter ``dimensions=3`` gives a metric of volumes."""
    if subject.metric.dimensions == 3:
        return "works on volumes; all checks ran on them"
    if 3 not in subject.spec.dimensions:
        raise Skipped("declares two dimensions only")
    if subject.rebuild is None:
        raise Skipped("needs a registry to be built with dimensions=3")
    metric = subject.rebuild({"dimensions": 3})
    require(metric.dimensions == 3, f"with dimensions=3 its attribute `dimensions` is {metric.dimensions}")
    # The checks of volumes in full are those of NAME:dimensions=3; here a small one, of which a half is altered.
    side = max(12, metric.minimum_size)
    count = 2 if subject.spec.kind != "distribution" else subject.count
    reference = probes.head_images(count, (side, side + 1, side + 2))
    altered = reference.clone()
    altered[:, :, side // 2 :] = probes.add_noise(reference, 0.1)[:, :, side // 2 :]
    with torch.no_grad():
        scores, same = call(metric, altered, reference), call(metric, reference, reference)
    return _compare_volumes(subject, scores, same, count)


def _compare_volumes(subject: Subject, scores: Tensor, same: Tensor, count: int) -> str:
    count = 1 if subject.spec.kind == "distribution" else count
    require(tuple(scores.shape) == (count,), f"{count} volumes give scores of shape {tuple(scores.shape)}")
    better = same > scores if subject.spec.higher_is_better else same < scores
    fine = subject.spec.kind == "no-reference" or bool(better.all())
    require(fine, f"a noisy volume scores {show(scores)}, the volume itself {show(same)}")
    return f"works on volumes with dimensions=3; a noisy one scores {show(scores[:1])}"
