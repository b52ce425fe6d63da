"""Checks of what the scores mean: identity, direction, symmetry, range, and that each depends on its pair alone."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from itertools import pairwise

import torch
from torch import Tensor

from iqa_registry.testing import probes
from iqa_registry.testing.results import Failed, Skipped, require
from iqa_registry.testing.subject import Subject, agree, call, show

IDENTITY_TOLERANCE = 1e-4
"""How far the score of an image against itself may be from the declared one (relative beyond 1)."""
RANGE_TOLERANCE = 1e-6
"""How far a score may lie outside the declared range (relative beyond 1)."""


def identity(subject: Subject) -> str:
    """An image against itself gives the declared ``identity_score``."""
    scores = subject.scores(subject.reference, subject.reference)
    declared = subject.spec.identity_score
    require(not scores.isnan().any(), "an image against itself gives NaN")
    if declared is None:
        raise Skipped(f"no fixed value is declared; seen {show(scores[:1])}")
    tolerance = IDENTITY_TOLERANCE * max(1.0, abs(declared))
    close = (scores == declared) | ((scores - declared).abs() <= tolerance)
    require(bool(close.all()), f"declares identity_score={declared:g}, gives {show(scores[~close][:1])}")
    return f"an image against itself gives {show(scores[:1])}"


def direction(subject: Subject) -> str:
    """Growing noise and growing blur make the score worse, step by step."""
    _, images = subject.some(3)
    series = {
        "noise": _series(subject, images, probes.add_noise, probes.NOISE_LEVELS),
        "blur": _series(subject, images, probes.blur, probes.BLUR_LEVELS),
    }
    worse = {name: _gets_worse(values, subject.spec.higher_is_better) for name, values in series.items()}
    # What a score of one image, or of a set by itself, makes of noise and of blur depends on what it looks for:
    # one of the two must lower the quality. A comparison must see both.
    compares = subject.spec.kind == "full-reference" or (
        subject.spec.kind == "distribution" and subject.spec.identity_score is not None
    )
    if all(worse.values()) or (any(worse.values()) and not compares):
        return f"worse with growing {' and '.join(name for name, fine in worse.items() if fine)}"
    name = next(name for name, fine in worse.items() if not fine)
    declared = "higher" if subject.spec.higher_is_better else "lower"
    raise Failed(
        f"declares {declared} is better, but growing {name} gives {show(torch.tensor(series[name]))}"
    )


def _series(
    subject: Subject, images: Tensor, distort: Callable[[Tensor, float], Tensor], levels: Sequence[float]
) -> list[float]:
    changed = [images, *(distort(images, level) for level in levels)]
    return [subject.scores(item, images).double().mean().item() for item in changed]


def _gets_worse(values: Sequence[float], higher_is_better: bool) -> bool:
    return all(after < before if higher_is_better else after > before for before, after in pairwise(values))


def symmetry(subject: Subject) -> str:
    """Swapping the two images changes the score exactly where ``symmetric=False`` is declared."""
    forth = [subject.base_scores]
    back = [subject.scores(subject.reference, subject.synthesized)]
    if subject.spec.kind == "full-reference":
        others = subject.reference.roll(1, dims=0)
        forth.append(subject.scores(subject.reference, others))
        back.append(subject.scores(others, subject.reference))
    symmetric = agree(torch.cat(forth), torch.cat(back))
    seen = f"{show(forth[0][:1])} one way, {show(back[0][:1])} the other"
    if subject.spec.symmetric:
        require(symmetric, f"declares symmetric=True, but gives {seen}")
        return "the same both ways"
    require(not symmetric, "declares symmetric=False, but swapping the images never changes the score")
    return f"not symmetric, as declared: {seen}"


def batch_size(subject: Subject) -> str:
    """A pair has the same score in batches of 1, 2 and 7."""
    pairs = subject.synthesized, subject.reference
    for size in (1, 2):
        parts = zip(*(images.split(size) for images in pairs), strict=True)
        scores = torch.cat([subject.scores(*part) for part in parts])
        if not agree(scores, subject.base_scores):
            worst = int((scores - subject.base_scores).abs().nan_to_num(torch.inf).argmax())
            got, whole = scores[worst].item(), subject.base_scores[worst].item()
            raise Failed(
                f"a pair scores {got:.6g} in a batch of {size}, {whole:.6g} in a batch of {len(scores)}"
            )
    return f"the same in batches of 1, 2 and {subject.count}"


def order(subject: Subject) -> str:
    """The order of the batch does not matter; for sets, the order of the images."""
    permutation = torch.arange(subject.count).flip(0).roll(2)
    scores = subject.scores(subject.synthesized[permutation], subject.reference[permutation])
    expected = subject.base_scores
    if subject.spec.kind != "distribution":
        expected = expected[permutation]
    require(agree(scores, expected), f"another order gives {show(scores)} instead of {show(expected)}")
    return "the order of the images does not matter"


def determinism(subject: Subject) -> str:
    """Twice the same, whatever the state of the random generators, and so for a second instance; input unaltered."""
    with torch.random.fork_rng(devices=[]), torch.no_grad():
        torch.manual_seed(1)
        first = subject.run(subject.synthesized, subject.reference)
        torch.manual_seed(2)
        second = subject.run(subject.synthesized, subject.reference)
        require(_same(first, second), f"two calls give {show(first)} and {show(second)}")
        pair = subject.synthesized.clone(), subject.reference.clone()
        subject.metric(*subject.arguments(*pair))
        unaltered = torch.equal(pair[0], subject.synthesized) and torch.equal(pair[1], subject.reference)
        require(unaltered, "the metric alters the images that it is given")
        if subject.rebuild is None:
            return "twice the same"
        third = call(subject.rebuild({}), subject.synthesized, subject.reference)
    require(_same(first, third), f"a second instance gives {show(third)} instead of {show(first)}")
    return "twice the same, and from a second instance"


def _same(first: Tensor, second: Tensor) -> bool:
    return torch.equal(first.nan_to_num(-12345.0), second.nan_to_num(-12345.0))


def score_range(subject: Subject) -> str:
    """Good, bad, flat and absurd pairs score within the declared range."""
    synthesized, reference = subject.some(4)
    generator = torch.Generator().manual_seed(5)
    flat = torch.full_like(reference, 0.6)
    # Rounding alone tells the last pairs apart: a variance that cancels shows there.
    pairs = {
        "an image against itself": (reference, reference),
        "degraded images": (synthesized, reference),
        "inverted images": (1 - reference, reference),
        "other images": (reference.roll(1, dims=0), reference),
        "uniform noise": (torch.rand(reference.shape, generator=generator), reference),
        "strong noise": (probes.add_noise(reference, 0.5), reference),
        "flat images": (flat + 1e-7, flat),
        "almost white images": (1 - 1e-4 * reference, torch.ones_like(reference)),
    }
    low, high = subject.spec.score_range
    seen = []
    for name, (images, others) in pairs.items():
        scores = subject.scores(images, others)
        # Whether a metric applies to images without structure is the matter of another check.
        structured = others is reference
        require(not (structured and scores.isnan().any()), f"{name} give NaN")
        inside = (scores >= low - _slack(low)) & (scores <= high + _slack(high)) | scores.isnan()
        shown = show(scores[~inside][:1])
        require(bool(inside.all()), f"declares a range from {low:g} to {high:g}, but {name} give {shown}")
        seen.append(scores[~scores.isnan()])
    found = torch.cat(seen)
    return f"seen {found.min().item():.4g} to {found.max().item():.4g} within {low:g} to {high:g}"


def _slack(bound: float) -> float:
    return RANGE_TOLERANCE * max(1.0, abs(bound)) if math.isfinite(bound) else 0.0


def constant_images(subject: Subject) -> str:
    """Black, white and gray images give finite scores (or the declared infinity where both are equal)."""
    _, like = subject.some(1)
    flat = {
        "black": torch.zeros_like(like),
        "white": torch.ones_like(like),
        "gray": torch.full_like(like, 0.5),
    }
    infinite = subject.spec.identity_score
    for name, images in flat.items():
        scores = subject.scores(images, images)
        fine = scores.isfinite() | (scores == infinite if infinite is not None else False)
        require(bool(fine.all()), f"a {name} image against itself gives {show(scores[:1])}")
        others = {other: values for other, values in flat.items() if other != name} | {"normal": like}
        for other, values in others.items():
            scores = subject.scores(images, values)
            require(bool(scores.isfinite().all()), f"{name} against {other} gives {show(scores[:1])}")
            scores = subject.scores(values, images)
            require(bool(scores.isfinite().all()), f"{other} against {name} gives {show(scores[:1])}")
    return "black, white and gray images have finite scores"
