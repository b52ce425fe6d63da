"""Metrics of pairs, good ones and ones with a single defect; their declarations stand in ``broken_metrics``."""

from __future__ import annotations

import contextlib
from typing import Literal

import torch
from torch import Tensor

from iqa_registry import FullReferenceMetric


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


class ExemptOffset(Offset):
    conformance_exceptions = {"identity": "it counts from 0.2"}  # noqa: RUF012


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
    def local_map(self, synthesized, reference, size):
        return (synthesized - reference).square()[..., 1:]


class FineMap(Good):
    def local_map(self, synthesized, reference, size):
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


class IgnoresPrecision(LosesBits):
    allows_bf16 = False

    def in_its_precision(self, device):
        return contextlib.nullcontext()


class FlatRoot(Good):
    """Has an infinite gradient only where the synthesized image is constant."""

    def compare(self, synthesized, reference, mask=None):
        spread = (synthesized - synthesized.mean(dim=(1, 2, 3), keepdim=True)).square().mean(dim=(1, 2, 3))
        return super().compare(synthesized, reference) + 0 * spread.sqrt()


class Prints(Good):
    def compare(self, synthesized, reference, mask=None):
        print("scoring")  # noqa: T201
        return super().compare(synthesized, reference, mask)


class SetsSeed(Good):
    def compare(self, synthesized, reference, mask=None):
        torch.manual_seed(0)
        return super().compare(synthesized, reference, mask)


class SetsThreads(Good):
    def compare(self, synthesized, reference, mask=None):
        torch.set_num_threads(3)
        return super().compare(synthesized, reference, mask)
