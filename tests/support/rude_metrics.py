"""Metrics that break their interface or their surroundings, one way each, for tests of the engine."""

from __future__ import annotations

import os
import random
import sys
import warnings

import numpy as np
import torch

from iqa_registry.hookspecs import hookimpl
from iqa_registry.metrics import DistributionMetric, FullReferenceMetric, NoReferenceMetric, Summary
from iqa_registry.plugins import Candidate
from iqa_registry.specs import Origin
from toy_metrics import Point, spec


class Giving(FullReferenceMetric):
    """Mean absolute error, changed by what the parameter names."""

    def __init__(self, *, way: str = "column") -> None:
        super().__init__()
        self._way = way

    def compare(self, synthesized, reference, mask=None):
        scores = (synthesized - reference).abs().mean((1, 2, 3))
        count = len(scores)
        return {
            "column": lambda: scores[:, None],
            "more": lambda: scores.repeat(2)[: count + 3],
            "fewer": lambda: scores[:-1],
            "scalar": lambda: scores.mean(),
            "complex": lambda: scores + 0j,
            "list": scores.tolist,
            "none": lambda: None,
            "array": scores.numpy,
        }[self._way]()


class GivingOne(NoReferenceMetric):
    def score(self, images):
        return images.mean((2, 3))


class Encoding(FullReferenceMetric):
    """One encoding for the whole batch, which would be taken for that of each image."""

    def encode(self, images):
        return images.mean(0, keepdim=True)

    def compare(self, synthesized, reference, mask=None):
        return (synthesized - reference).abs().mean((1, 2, 3))


class Changing(FullReferenceMetric):
    """Mean absolute error of images that it inverts where they are."""

    def __init__(
        self, *, way: str = "method", where: str = "encode", fails: bool = False, skips: int = 0
    ) -> None:
        super().__init__()
        self._way, self._where, self._fails, self._skips = way, where, fails, skips

    def _invert(self, images):
        self._skips -= 1
        if self._skips >= 0:
            return
        if self._way == "method":
            images.neg_().add_(1)
        elif self._way == "data":
            images.data.neg_().add_(1)
        elif self._way == "numpy":
            pixels = images.numpy()
            np.subtract(1, pixels, out=pixels)
        else:  # upside down: the same values elsewhere
            pixels = images.numpy()
            pixels[:] = pixels[..., ::-1, :].copy()

    def encode(self, images):
        if self._where == "encode":
            self._invert(images)
        return images

    def compare(self, synthesized, reference, mask=None):
        if self._where == "compare":
            self._invert(reference)
        if self._fails:
            raise RuntimeError("too late")
        return (synthesized - reference).abs().mean((1, 2, 3))


class Sharing(FullReferenceMetric):
    """One of two that share their encodings; the first changes them."""

    encoder_id = "rude-shared"

    def __init__(self, *, spoils: bool = False) -> None:
        super().__init__()
        self._spoils = spoils

    def encode(self, images):
        return images * 2

    def compare(self, synthesized, reference, mask=None):
        scores = (synthesized - reference).abs().mean((1, 2, 3))
        if self._spoils:
            synthesized.zero_()
        return scores


def spoil_process() -> None:
    """Change whatever holds for the whole process."""
    torch.set_default_dtype(torch.float64)
    torch.set_grad_enabled(False)
    torch.use_deterministic_algorithms(True)
    torch.set_num_threads(torch.get_num_threads() + 1)
    torch.backends.cudnn.benchmark = not torch.backends.cudnn.benchmark
    torch.backends.mkldnn.set_flags(_enabled=False)
    torch.set_default_device("meta")
    torch.manual_seed(5)
    np.random.seed(5)
    random.seed(5)
    np.seterr(all="raise")
    warnings.filterwarnings("ignore")
    os.chdir(os.sep)


class Spoiling(FullReferenceMetric):
    """Changes the process while it is built, or while it scores."""

    def __init__(self, *, when: str = "scoring") -> None:
        super().__init__()
        self._when = when
        if when == "starting":
            spoil_process()

    def compare(self, synthesized, reference, mask=None):
        scores = (synthesized - reference).abs().mean((1, 2, 3))
        if self._when == "scoring":
            spoil_process()
        return scores


class Talking(FullReferenceMetric):
    """Prints in Python and to the descriptor of stdout, as libraries in C do."""

    def __init__(self) -> None:
        super().__init__()
        print("printed while starting")  # noqa: T201

    def compare(self, synthesized, reference, mask=None):
        print("printed while scoring")  # noqa: T201
        os.write(1, b"written while scoring\n")
        return (synthesized - reference).abs().mean((1, 2, 3))


class Leaving(FullReferenceMetric):
    """Ends the process, as a script does."""

    def compare(self, synthesized, reference, mask=None):
        sys.exit("bye")


def raising():
    raise ValueError("no such model\nlook elsewhere")


def nothing():
    return None


class Count(Summary):
    def __init__(self, count):
        self.count = count

    def merge(self, other):
        return Count(self.count + other.count)


class GivingForSets(DistributionMetric):
    """A set metric that gives, or raises, what the parameter names."""

    def __init__(self, *, way: str = "nan") -> None:
        super().__init__()
        self._way = way

    def encode(self, images):
        if self._way == "encode":
            raise RuntimeError("no features")
        return images.mean((2, 3))

    def summarize(self, features):
        if self._way == "summarize":
            raise KeyError("mean")
        return None if self._way == "no summary" else Count(len(features))

    def compare(self, synthesized, reference):
        if self._way == "exit":
            sys.exit(3)
        return {"nan": float("nan"), "none": None, "complex": 1j, "tensor": torch.tensor([0.5])}[self._way]


@hookimpl
def iqa_register_metrics(register):
    for name, factory in {
        "rude-giving": "Giving", "rude-encoding": "Encoding", "rude-changing": "Changing",
        "rude-sharing": "Sharing", "rude-spoiling": "Spoiling", "rude-talking": "Talking",
        "rude-leaving": "Leaving", "rude-raising": "raising", "rude-nothing": "nothing",
    }.items():  # fmt: skip
        register(_spec(name, factory))
    register(_spec("rude-one", "GivingOne", "no-reference"))
    register(_spec("rude-set", "GivingForSets", "distribution"))


def _spec(name, factory, kind="full-reference"):
    from dataclasses import replace

    return replace(spec(name, factory, kind), factory=f"rude_metrics:{factory}")


def candidate() -> Candidate:
    import rude_metrics

    return Candidate(Point("rude", rude_metrics), Origin("rude-package", "1.0", "rude"))
