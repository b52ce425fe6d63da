"""Checks of the metric as a module: its declaration, encode and compare, gradient, map, pickling, precision."""

from __future__ import annotations

import importlib
import pickle

import torch
from torch import Tensor

from iqa_registry.errors import UsageError
from iqa_registry.evaluation.features import map_features, select
from iqa_registry.metrics import DistributionMetric, FullReferenceMetric, NoReferenceMetric
from iqa_registry.testing import probes
from iqa_registry.testing.results import Failed, Skipped, require
from iqa_registry.testing.subject import Subject, agree, call, first_line, show

KINDS = {
    "full-reference": FullReferenceMetric,
    "no-reference": NoReferenceMetric,
    "distribution": DistributionMetric,
}
BF16_TOLERANCE = 0.05
"""How far a score in bfloat16 may be from the one in float32 (relative beyond 1)."""


def declaration(subject: Subject) -> str:
    """The declaration is complete, and what it says of the instance is true."""
    spec, metric = subject.spec, subject.metric
    spec.check()
    expected = KINDS[spec.kind]
    require(isinstance(metric, expected), f"declares kind={spec.kind!r}, but is no {expected.__name__}")
    require(
        metric.dimensions in spec.dimensions,
        f"declares dimensions={spec.dimensions}, works in {metric.dimensions}",
    )
    for name in ("summary", "validated_on", "license", "reference"):
        text = getattr(spec, name)
        require(bool(text.strip()) and "\n" not in text, f"{name} is {text!r}, expected one line of text")
    exceptions = metric.conformance_exceptions
    known = {name for name, reason in exceptions.items() if name in subject.checks and reason.strip()}
    wrong = sorted(set(exceptions) - known)
    require(not wrong, f"conformance_exceptions has no such check, or no reason: {', '.join(wrong)}")
    least = metric.minimum_size
    fits = least == spec.minimum_size or not subject.at_defaults
    require(fits, f"declares minimum_size={spec.minimum_size}, its default instance has {least}")
    module, _, attribute = spec.factory.partition(":")
    require(hasattr(importlib.import_module(module), attribute), f"there is no factory {spec.factory}")
    return "complete, and true of the instance"


def encode_compare(subject: Subject) -> str:
    """``forward`` is ``compare`` of two encodings, whose rows are independent and which it leaves as they are."""
    metric = subject.full_reference
    with torch.no_grad():
        first, second = metric.encode(subject.synthesized), metric.encode(subject.reference)
        _check_rows(metric, subject.reference, second)
        kept = map_features(second, Tensor.clone)
        scores = metric.compare(first, second).float()
        again = metric.compare(first, second).float()
        detailed = metric.compare_in_detail(first, second).scores.float()
        # One reference against many candidates, as the engine does it: encoded once, its rows repeated.
        index = torch.zeros(subject.count, dtype=torch.long)
        shared = metric.compare(first, select(metric.encode(subject.reference[:1]), index)).float()
    require(
        agree(scores, subject.base_scores),
        f"compare gives {show(scores)}, forward {show(subject.base_scores)}",
    )
    require(agree(again, scores) and _equal(second, kept), "compare alters the encodings that it is given")
    require(agree(detailed, scores), f"compare_in_detail gives {show(detailed)}, compare {show(scores)}")
    expected = subject.scores(subject.synthesized, subject.reference[:1].expand_as(subject.reference))
    require(agree(shared, expected), f"with a reference encoded once {show(shared)}, else {show(expected)}")
    return "forward is compare of two encodings, which are independent of each other"


def _check_rows(metric: FullReferenceMetric, images: Tensor, features: object) -> None:
    rows: list[Tensor] = []
    map_features(features, lambda tensor: _note(rows, tensor))
    for tensor in rows:
        count = tensor.shape[0] if tensor.ndim else None
        require(
            count == len(images), f"encode gives a tensor of {tuple(tensor.shape)} for {len(images)} images"
        )
    single: list[Tensor] = []
    map_features(metric.encode(images[1:2]), lambda tensor: _note(single, tensor))
    close = all(
        torch.allclose(whole[1:2].double(), alone.double(), rtol=1e-3, atol=1e-4, equal_nan=True)
        for whole, alone in zip(rows, single, strict=True)
    )
    require(close, "an image is encoded differently alone and in a batch")


def _note(found: list[Tensor], tensor: Tensor) -> Tensor:
    found.append(tensor)
    return tensor


def _equal(first: object, second: object) -> bool:
    found: tuple[list[Tensor], list[Tensor]] = ([], [])
    for features, rows in zip((first, second), found, strict=True):
        map_features(features, lambda tensor, rows=rows: _note(rows, tensor))  # type: ignore[misc]
    return all(torch.equal(a.nan_to_num(), b.nan_to_num()) for a, b in zip(*found, strict=True))


def gradient(subject: Subject) -> str:
    """Where declared, the gradient is finite and not zero, and a small step along it improves the score."""
    _needs_gradient(subject)
    slope = _gradient(subject, subject.synthesized)
    require(bool(slope.isfinite().all()), "the gradient is not finite")
    if subject.spec.kind != "distribution":
        zero = [int(row) for row in (slope.flatten(1).abs().amax(dim=1) == 0).nonzero()]
        require(not zero, f"the gradient is zero for pair {zero[:1]}")
    require(bool((slope != 0).any()), "the gradient is zero")
    uphill = slope if subject.spec.higher_is_better else -slope
    largest = uphill.abs().amax(dim=tuple(range(1, uphill.ndim)), keepdim=True).clamp_min(1e-30)
    stepped = (subject.synthesized + 2e-3 * uphill / largest).clamp(0, 1)
    before, after = subject.base_scores, subject.scores(stepped, subject.reference)
    better = after > before if subject.spec.higher_is_better else after < before
    require(bool(better.all()), f"a step along the gradient turns {show(before)} into {show(after)}")
    return "finite, not zero, and a step along it improves the score"


def gradient_at_identity(subject: Subject) -> str:
    """Where declared, the gradient is finite for equal and for constant images, and for one against the other."""
    _needs_gradient(subject)
    _, like = subject.some(2)
    flat = {
        "black": torch.zeros_like(like),
        "gray": torch.full_like(like, 0.5),
        "white": torch.ones_like(like),
    }
    pairs = {"equal images": (like, like)}
    for name, images in flat.items():
        pairs |= {f"a {name} image against a {other} one": (images, there) for other, there in flat.items()}
        pairs |= {f"a {name} image against a normal one": (images, like)}
        pairs |= {f"a normal image against a {name} one": (like, images)}
    for name, (images, reference) in pairs.items():
        slope = _gradient(subject, images, reference)
        require(bool(slope.isfinite().all()), f"the gradient is not finite for {name}")
    return "finite for equal and for constant images"


def autocast(subject: Subject) -> str:
    """Under autocast scores and, where declared, gradients are finite; without ``allows_bf16`` scores stay the same."""
    synthesized, reference = subject.some(2)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        scores = subject.scores(synthesized, reference)
        require(bool(scores.isfinite().all()), f"the scores are {show(scores)}")
        if subject.spec.supports_gradient:
            for name, images in {"a degraded image": synthesized, "equal images": reference}.items():
                slope = _gradient(subject, images, reference)
                require(bool(slope.isfinite().all()), f"the gradient is not finite for {name}")
    if subject.metric.allows_bf16:
        return f"finite scores, {show(scores[:1])}"
    expected = subject.scores(synthesized, reference)
    require(agree(scores, expected), f"scores {show(scores)}, without autocast {show(expected)}")
    return "the same scores as without autocast"


def _needs_gradient(subject: Subject) -> None:
    if not subject.spec.supports_gradient:
        raise Skipped("declares no gradient")


def _gradient(subject: Subject, images: Tensor, reference: Tensor | None = None) -> Tensor:
    images = images.clone().requires_grad_()
    try:
        subject.run(images, subject.reference if reference is None else reference).sum().backward()
    except RuntimeError as error:
        raise Failed(f"declares a gradient, but: {first_line(error)}") from error
    if images.grad is None:
        raise Failed("no gradient reaches the synthesized image")
    return images.grad


def local_map(subject: Subject) -> str:
    """Where declared, the map has the size of the image and is NaN at the border at most."""
    metric = subject.full_reference
    with torch.no_grad():
        features = metric.encode(subject.synthesized), metric.encode(subject.reference)
        if not subject.spec.provides_map:
            try:
                metric.local_map(*features, subject.sides)
            except UsageError:
                raise Skipped("declares no map") from None
            raise Failed("declares provides_map=False, but local_map gives a map")
        values = metric.local_map(*features, subject.sides)
    expected = (subject.count, 1, *subject.sides)
    require(tuple(values.shape) == expected, f"the map is {tuple(values.shape)}, expected {expected}")
    least = min(subject.sides)
    require(
        bool(probes.crop(values, max(1, least // 4)).isfinite().all()), "the map is not finite at the center"
    )
    require(bool((values[0] != values[1]).any()), "two different pairs have the same map")
    return f"a map of {' x '.join(map(str, subject.sides))} pixels"


def pickling(subject: Subject) -> str:
    """The metric survives pickling, as worker processes need it, with the same scores."""
    try:
        copy = pickle.loads(pickle.dumps(subject.metric))
    except Exception as error:
        raise Failed(f"cannot be pickled: {type(error).__name__}: {first_line(error)}") from error
    require(copy.spec == subject.spec, "the copy out of a pickle has another declaration")
    with torch.no_grad():
        scores = call(copy, subject.synthesized, subject.reference)
    require(
        agree(scores, subject.base_scores), f"the copy gives {show(scores)}, not {show(subject.base_scores)}"
    )
    return "the copy out of a pickle gives the same scores"


def bf16(subject: Subject) -> str:
    """A metric that sets ``allows_bf16`` has nearly the same scores in bfloat16."""
    if not subject.metric.allows_bf16:
        raise Skipped("does not allow bfloat16")
    with torch.autocast("cpu", dtype=torch.bfloat16):
        scores = subject.scores(subject.synthesized, subject.reference)
    allowed = BF16_TOLERANCE * subject.base_scores.abs().clamp_max(1.0)
    close = (scores - subject.base_scores).abs() <= allowed + 1e-3
    require(bool(close.all()), f"bfloat16 gives {show(scores)}, float32 {show(subject.base_scores)}")
    return f"bfloat16 gives {show(scores[:1])}, float32 {show(subject.base_scores[:1])}"
