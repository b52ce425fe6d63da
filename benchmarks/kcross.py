"""What K-CROSS costs: scoring against LPIPS with VGG16, and stage one of training with and without what speeds it up.

    python benchmarks/kcross.py [--threads 2] [--rounds 5] [--batch 4] [--size 256]

Ours and theirs are timed in turn in each round, and ratios of medians are what is to be quoted. K-CROSS has the paper's
width 64 here, with random weights, which cost what trained ones do; its segmenter is the one that ships.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable, Mapping
from contextlib import ExitStack, contextmanager
from typing import Any
from unittest import mock

import torch
from tabulate import tabulate
from torch import Tensor

from iqa_kcross import tumor_branch
from iqa_kcross.branch import BranchSettings
from iqa_kcross.metric import KCross
from iqa_kcross.model import KCrossModel, ModelSettings
from iqa_kcross.training.config import StageOneConfig
from iqa_kcross.training.stage_one import (
    StageOne,
    freeze_for_stage_one,
    make_perceptual,
    trained_in_stage_one,
)
from iqa_registry.metrics import FullReferenceMetric
from iqa_registry.registry import Registry, build_registry

STEPS = 100


def phantom(registry: Registry, count: int, size: int) -> tuple[Tensor, Tensor, Tensor]:
    """Synthesized, reference and lesions of simulated pairs, half of the subjects with lesions."""
    dataset = registry.dataset(f"phantom:pairs={count},per_subject=1,seed=5,size={size}")
    pairs = list(dataset.pairs())
    stacks = [
        torch.stack([torch.from_numpy(getattr(pair, name).make().pixels.copy()).float() for pair in pairs])
        for name in ("synthesized", "reference", "mask")
    ]
    synthesized, reference, labels = (stack.view(count, 1, size, size) for stack in stacks)
    return synthesized / 255, reference / 255, labels >= 4


def alternate(functions: Mapping[str, Callable[[], object]], rounds: int) -> dict[str, float]:
    """Median seconds of each function, all of them in every round."""
    for function in functions.values():
        function()
    found: dict[str, list[float]] = {name: [] for name in functions}
    for _ in range(rounds):
        for name, function in functions.items():
            start = time.perf_counter()
            function()
            found[name].append(time.perf_counter() - start)
    return {name: statistics.median(values) for name, values in found.items()}


def scoring(registry: Registry, given: argparse.Namespace) -> None:
    synthesized, reference, _ = phantom(registry, given.batch, given.size)
    torch.manual_seed(0)
    segmenter = registry.segmenter("nnunet")
    metrics: dict[str, FullReferenceMetric] = {"lpips:net=vgg": registry.metric("lpips:net=vgg")}  # type: ignore[dict-item]
    for width in (16, 64):
        metrics[f"kcross, width {width}"] = KCross(
            KCrossModel(ModelSettings(branch=BranchSettings(width=width))), segmenter
        )
    healthy = KCrossModel(ModelSettings(("complex", "structure")))
    metrics["kcross-healthy, width 64"] = KCross(healthy)

    def scores(metric: FullReferenceMetric) -> Callable[[], object]:
        def run() -> Tensor:
            with torch.inference_mode():
                return metric(synthesized, reference)

        return run

    times = alternate({name: scores(metric) for name, metric in metrics.items()}, given.rounds)
    base = times["lpips:net=vgg"]
    rows = [[name, 1000 * seconds / given.batch, seconds / base] for name, seconds in times.items()]
    print(f"scoring {given.batch} pairs of {given.size} x {given.size}, {torch.get_num_threads()} threads")
    print(tabulate(rows, ["", "ms a pair", "of LPIPS-VGG"], floatfmt=("", ".1f", ".3f")), "\n")


@contextmanager
def whole_images() -> Any:
    """The perceptual loss looks at whole images instead of the lesions' windows."""

    def windows(masked: Tensor) -> list[tuple[slice, slice]]:
        return [(slice(None), slice(None))] * len(masked)

    with mock.patch.object(tumor_branch, "lesion_windows", windows):
        yield


SETTINGS: dict[str, dict[str, bool]] = {
    "32 bit, whole images, channels first": {},
    "+ windows around lesions": {"windows": True},
    "+ channels last": {"windows": True, "channels_last": True},
    "+ bf16": {"windows": True, "channels_last": True, "bf16": True},
}
"""What is compared, each with what it changes."""


def training(registry: Registry, given: argparse.Namespace) -> None:
    size, batch = 128, 8
    source, target, lesions = phantom(registry, batch, size)
    rows = []
    plain = {"windows": False, "channels_last": False, "bf16": False}
    for name, changes in SETTINGS.items():
        how = plain | changes
        torch.manual_seed(0)
        layout = torch.channels_last if how["channels_last"] else torch.contiguous_format
        model = KCrossModel(ModelSettings(branch=BranchSettings(width=16)), training=True).to(
            memory_format=layout
        )
        freeze_for_stage_one(model)
        perceptual = make_perceptual(registry, "lpips:net=vgg")
        assert perceptual is not None
        module = StageOne(model, StageOneConfig(), perceptual.to(memory_format=layout))
        optimizer = torch.optim.Adam(trained_in_stage_one(model), lr=5e-4)
        data = {"source": source, "target": target, "source_lesions": lesions, "target_lesions": lesions}

        def step(
            module: StageOne = module, optimizer: Any = optimizer, how: Any = how, data: Any = data
        ) -> None:
            with ExitStack() as stack:
                if not how["windows"]:
                    stack.enter_context(whole_images())
                stack.enter_context(torch.autocast("cpu", torch.bfloat16, enabled=how["bf16"]))
                loss = torch.stack(list(module.losses(data).values())).sum()
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()

        seconds = alternate({"step": step}, given.rounds)["step"]
        rows.append([name, STEPS * seconds])
    for row in rows:
        row.append(row[1] / rows[0][1])
    print(f"stage one, width 16, {batch} subjects of {size} x {size}, {torch.get_num_threads()} threads")
    print(tabulate(rows, ["", "seconds per 100 steps", "of the first"], floatfmt=("", ".1f", ".2f")))


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--batch", type=int, default=4)
    parser.add_argument("--size", type=int, default=256, choices=(128, 256))
    given = parser.parse_args()
    torch.set_num_threads(given.threads)
    registry = build_registry()
    scoring(registry, given)
    training(registry, given)


if __name__ == "__main__":
    main()
