"""One table: how long our metrics take, and their peers relative to that, in one run.

Absolute times drift from machine to machine, so each round times ours and every peer in turn and only ratios of
medians are to be quoted. A ratio above 1 says that the peer takes longer.

    python benchmarks/ratios.py [--device cuda] [--rounds 15] [--size 256] [--batch 16] [--json FILE]
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import time
import warnings
from collections.abc import Callable
from pathlib import Path

import torch
from tabulate import tabulate
from torch import Tensor

from iqa_registry.errors import IQAError
from iqa_registry.metrics import FullReferenceMetric
from iqa_registry.registry import Registry, build_registry
from peers import PEERS

OURS = (
    "mae",
    "mse",
    "psnr",
    "ssim",
    "ms_ssim",
    "gmsd",
    "fsim",
    "nlpd",
    "vif",
    "lpips",
    "lpips:net=vgg",
    "dists",
)


def images(size: int, batch: int, device: str) -> tuple[Tensor, Tensor]:
    """Smooth gray images with structure, and noisy versions of them."""
    generator = torch.Generator().manual_seed(0)
    coarse = torch.rand(batch, 1, size // 16, size // 16, generator=generator)
    reference = torch.nn.functional.interpolate(coarse, size=(size, size), mode="bicubic").clamp(0, 1)
    noisy = (reference + 0.05 * torch.randn(reference.shape, generator=generator)).clamp(0, 1)
    return noisy.to(device), reference.to(device)


def clock(function: Callable[[], object], device: str) -> float:
    """Seconds of one call, the device having finished."""
    if device.startswith("cuda"):
        torch.cuda.synchronize()
    start = time.perf_counter()
    function()
    if device.startswith("cuda"):
        torch.cuda.synchronize()
    return time.perf_counter() - start


def contenders(
    registry: Registry, name: str, device: str, peers: dict
) -> dict[str, Callable[[Tensor, Tensor], object]]:
    """Ours, ours with the reference encoded beforehand, and each peer."""
    metric = registry.metric(name, device)
    if not isinstance(metric, FullReferenceMetric):
        raise TypeError(f"{name} is no full-reference metric")
    kept: dict[int, object] = {}

    def cached(synthesized: Tensor, reference: Tensor) -> object:
        if id(reference) not in kept:
            kept[id(reference)] = metric.encode(reference)
        return metric.compare(metric.encode(synthesized), kept[id(reference)])

    def plain(synthesized: Tensor, reference: Tensor) -> object:
        return metric.compare(metric.encode(synthesized), metric.encode(reference))

    found = {"ours": plain, "ours, reference cached": cached}
    return found | {peer: functions[name] for peer, functions in peers.items() if name in functions}


def measure(name: str, registry: Registry, options: argparse.Namespace, peers: dict) -> dict[str, object]:
    """Median milliseconds a pair of each contender, in turns."""
    batch = min(options.batch, 4) if "vgg" in name or name == "dists" else options.batch
    synthesized, reference = images(options.size, batch, options.device)
    functions = contenders(registry, name, options.device, peers)
    times: dict[str, list[float]] = {key: [] for key in functions}
    with torch.inference_mode():
        for function in functions.values():
            function(synthesized, reference)
        for _ in range(options.rounds):
            for key, function in functions.items():
                times[key].append(
                    clock(lambda function=function: function(synthesized, reference), options.device)
                )
    medians = {key: 1000 * statistics.median(values) / batch for key, values in times.items()}
    row: dict[str, object] = {"metric": name, "ours ms/pair": round(medians.pop("ours"), 3)}
    ours = float(row["ours ms/pair"]) or 1e-9
    return row | {f"{key} (ratio)": round(value / ours, 2) for key, value in medians.items()}


def main() -> int:
    """Print the table; exit code 1 if piq is faster than one of ours."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--size", type=int, default=256)
    parser.add_argument("--batch", type=int, default=16)
    parser.add_argument("--only", nargs="*", default=list(OURS))
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    warnings.simplefilter("ignore")
    torch.manual_seed(0)
    registry = build_registry()
    peers = {name: make(registry, options.device) for name, make in PEERS.items()}
    rows = []
    for name in options.only:
        try:
            rows.append(measure(name, registry, options, peers))
        except IQAError as error:
            print(f"{name}: left out: {error}", file=sys.stderr)
    columns = list(dict.fromkeys(key for row in rows for key in row))
    setting = f"batch {options.batch}, {torch.get_num_threads()} threads, {options.device}"
    print(f"{options.size}x{options.size} gray, {setting}")
    print(
        tabulate([[row.get(key, "") for key in columns] for row in rows], headers=columns, tablefmt="github")
    )
    if options.json:
        options.json.write_text(json.dumps(rows, indent=2))
    slower = [row["metric"] for row in rows if float(row.get("piq (ratio)", 1)) < 1]
    if slower:
        print(f"slower than piq: {', '.join(map(str, slower))}", file=sys.stderr)
    return 1 if slower else 0


if __name__ == "__main__":
    raise SystemExit(main())
