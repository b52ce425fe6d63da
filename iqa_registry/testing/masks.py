"""Checks of masks: exact, approximate or none, as declared."""

from __future__ import annotations

import torch
from torch import Tensor

from iqa_registry.errors import UsageError
from iqa_registry.testing import probes
from iqa_registry.testing.results import Failed, Skipped, require
from iqa_registry.testing.subject import Subject, agree, show

APPROXIMATE_TOLERANCE = 1e-3
"""How far, relatively, a full mask may move the score of a metric whose masks are approximate."""

LEAK = 1e-6
"""Largest gradient outside an exact mask, as a fraction of the largest inside: rounding."""


def mask_rejected(subject: Subject) -> str:
    """A metric without masks rejects one; one with masks rejects what is no boolean mask of the image's size."""
    images = subject.reference[:2]
    full = torch.ones_like(images, dtype=torch.bool)
    if subject.spec.mask_support == "none":
        fault = subject.refusal(UsageError, images, images, full)
        require(fault is None, f"a mask, though none are declared: {fault}")
        return "a mask is rejected, as declared"
    wrong = {"of floats": full.float(), "of another size": full[..., 1:], "of another number": full[:1]}
    for name, mask in wrong.items():
        fault = subject.refusal(UsageError, images, images, mask)
        require(fault is None, f"a mask {name}: {fault}")
    return "masks of a wrong type or size are rejected"


def mask_full(subject: Subject) -> str:
    """A mask that is true everywhere gives the score of the whole image."""
    _needs_masks(subject)
    full = torch.ones_like(subject.reference, dtype=torch.bool)
    scores, whole = subject.scores(subject.synthesized, subject.reference, full), subject.base_scores
    same = agree(scores, whole)
    if subject.spec.mask_support == "approximate":
        same = bool(torch.isclose(scores, whole, rtol=APPROXIMATE_TOLERANCE, atol=1e-5).all())
    require(same, f"a full mask gives {show(scores)}, no mask {show(whole)}")
    return "a full mask gives the score of the whole image"


def mask_outside(subject: Subject) -> str:
    """Where masks are exact, what lies outside has no influence on the score, nor on its gradient."""
    _needs_masks(subject)
    if subject.spec.mask_support != "exact":
        raise Skipped("masks are declared approximate")
    synthesized, reference, mask = _masked_pair(subject)
    scores = subject.scores(synthesized, reference, mask)
    require(bool(scores.isfinite().all()), f"a mask of {_extent(mask)} pixels gives {show(scores)}")
    other = torch.rand(reference.shape, generator=torch.Generator().manual_seed(3))
    changed = {
        "synthesized": (torch.where(mask, synthesized, other), reference),
        "reference": (synthesized, torch.where(mask, reference, other)),
    }
    for role, pair in changed.items():
        moved = subject.scores(*pair, mask)
        same = agree(moved, scores)
        require(same, f"other {role} pixels outside the mask change {show(scores)} to {show(moved)}")
    return "pixels outside the mask have no influence"


def mask_place(subject: Subject) -> str:
    """The score inside a mask follows the errors that lie inside it."""
    _needs_masks(subject)
    synthesized, reference, mask = _masked_pair(subject)
    # Row 0 looks at the left half and row 1 at the right one, and only the left half is degraded.
    half = reference.shape[-1] // 2
    synthesized = torch.cat([synthesized[..., :half], reference[..., half:]], dim=-1)[:1].expand_as(reference)
    bad, good = subject.scores(synthesized, reference[:1].expand_as(reference), mask).tolist()
    worse = bad < good if subject.spec.higher_is_better else bad > good
    require(worse, f"errors inside the mask score {bad:.4g}, no errors inside it {good:.4g}")
    return f"errors inside the mask score {bad:.4g}, none inside it {good:.4g}"


def mask_batch(subject: Subject) -> str:
    """Each pair of a batch is scored by its own mask."""
    _needs_masks(subject)
    synthesized, reference, mask = _masked_pair(subject)
    together = subject.scores(synthesized, reference, mask)
    triples = zip(synthesized.split(1), reference.split(1), mask.split(1), strict=True)
    single = torch.cat([subject.scores(*triple) for triple in triples])
    require(
        agree(together, single), f"with its mask a pair scores {show(single)}, in a batch {show(together)}"
    )
    return "each pair is scored by its own mask"


def mask_empty(subject: Subject) -> str:
    """An empty mask gives NaN, never a number or a crash, and leaves the other pairs alone."""
    _needs_masks(subject)
    synthesized, reference, mask = _masked_pair(subject)
    alone = subject.scores(synthesized[1:], reference[1:], mask[1:])
    mask = torch.cat([torch.zeros_like(mask[:1]), mask[1:]])
    scores = subject.scores(synthesized, reference, mask)
    require(bool(scores[0].isnan()), f"an empty mask gives {show(scores[:1])}, expected NaN")
    require(
        agree(scores[1:], alone),
        f"beside an empty mask a pair scores {show(scores[1:])}, alone {show(alone)}",
    )
    return "an empty mask gives NaN"


def mask_gradient(subject: Subject) -> str:
    """With a mask the gradient is finite; where masks are exact, it is zero outside."""
    _needs_masks(subject)
    if not subject.spec.supports_gradient:
        raise Skipped("declares no gradient")
    synthesized, reference, mask = _masked_pair(subject)
    images = synthesized.clone().requires_grad_()
    subject.run(images, reference, mask).sum().backward()
    gradient = images.grad
    if gradient is None:
        raise Failed("no gradient reaches the synthesized image")
    require(bool(gradient.isfinite().all()), "the gradient inside a mask is not finite")
    outside, largest = (float(part.abs().max()) for part in (gradient[~mask], gradient))
    exact = subject.spec.mask_support == "exact"
    leak = exact and outside > LEAK * largest
    require(not leak, f"masks are declared exact, but outside the gradient reaches {outside:.3g}")
    return "the gradient inside a mask is finite"


def _needs_masks(subject: Subject) -> None:
    if subject.spec.mask_support == "none":
        raise Skipped("declares no masks")


def _masked_pair(subject: Subject) -> tuple[Tensor, Tensor, Tensor]:
    """Two pairs wide enough for a box in each half, each box three times the minimum size or so; their masks."""
    side = max(3 * subject.metric.minimum_size, 64 if subject.metric.dimensions == 2 else 24)
    sides = (*(side,) * (subject.metric.dimensions - 1), 2 * side)
    reference = probes.head_images(2, sides, seed=4)
    return probes.degraded(reference), reference, torch.cat(probes.box_masks(sides))


def _extent(mask: Tensor) -> str:
    rows = mask[0, 0].nonzero()
    return " x ".join(str(int(side)) for side in rows.amax(dim=0) - rows.amin(dim=0) + 1)
