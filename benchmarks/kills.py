"""Kill a run at random moments and compare what it ends with against an uninterrupted run.

    python benchmarks/kills.py --kills 100

A run is started, killed with SIGKILL and started again on the same folder until it ends; then the tables are compared
and the next round begins with a new folder. Each run is forked from a process that has imported torch already, so that
the kills fall into the run and not into the imports. Prints the figures as JSON; exit code 1 if a table differs.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import signal
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from PIL import Image

METRICS = ("mae", "psnr", "ssim", "gmsd")


def write_pairs(folder: Path, count: int, scale: int = 8) -> Path:
    """A manifest of ``count`` pairs of small images of two models, ten to a reference of 16 x 16 squares."""
    generator = np.random.default_rng(0)
    lines = ["synthesized,reference,model"]
    for number in range(count):
        if number % 10 == 0:
            reference = (
                generator.integers(0, 256, (16, 16)).astype(np.uint8).repeat(scale, 0).repeat(scale, 1)
            )
            Image.fromarray(reference).save(folder / f"r{number // 10}.png")
        noisy = np.clip(reference + generator.normal(0, 20, reference.shape), 0, 255).astype(np.uint8)
        Image.fromarray(noisy).save(folder / f"s{number}.png")
        lines.append(f"s{number}.png,r{number // 10}.png,{'ab'[number % 2]}")
    path = folder / "pairs.csv"
    path.write_text("\n".join(lines))
    return path


def start(manifest: Path, output: Path) -> int:
    """Fork a run of ``iqa evaluate``; gives the process id."""
    child = os.fork()
    if child:
        return child
    code = 1
    try:
        null = os.open(os.devnull, os.O_WRONLY)
        os.dup2(null, 1)
        os.dup2(null, 2)
        from iqa_registry.cli import main

        metrics = [f"--metric={name}" for name in METRICS]
        sys.argv = ["iqa", "evaluate", "--pairs", str(manifest), *metrics, "--batch-size", "10"]
        sys.argv += ["-o", str(output)]
        main()
    except SystemExit as stop:
        code = stop.code if isinstance(stop.code, int) else int(stop.code is not None)
    finally:
        os._exit(code)


def killed(child: int, seconds: float) -> bool:
    """Whether the process was killed after ``seconds``; if not, it had ended before."""
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        done, status = os.waitpid(child, os.WNOHANG)
        if done:
            if os.waitstatus_to_exitcode(status):
                raise SystemExit(f"the run ended with exit code {os.waitstatus_to_exitcode(status)}")
            return False
        time.sleep(0.002)
    os.kill(child, signal.SIGKILL)
    return os.WIFSIGNALED(os.waitpid(child, 0)[1])


def attack(manifest: Path, folder: Path, kills: int, seed: int) -> tuple[list[Path], dict[str, int]]:
    """Run until ``kills`` kills have hit; gives the finished folders and what was there at each kill."""
    begun = time.monotonic()
    if killed(start(manifest, folder / "whole"), 600):
        raise SystemExit("the uninterrupted run took more than ten minutes")
    whole = time.monotonic() - begun
    total = len(list((folder / "whole").glob("scores/part-*.parquet")))
    generator, finished = random.Random(seed), [folder / "whole"]
    counts = {"kills": 0, "no_part": 0, "some_parts": 0, "all_parts": 0, "leftovers": 0}
    while True:
        output = folder / f"run{len(finished)}"
        # After the last kill the run may end.
        limit = generator.uniform(0.02, 1.1) * whole if counts["kills"] < kills else 600
        if not killed(start(manifest, output), limit):
            finished.append(output)
            if counts["kills"] >= kills:
                return finished, counts
            continue
        parts = len(list(output.glob("scores/part-*.parquet")))
        counts["kills"] += 1
        counts["no_part" if not parts else "some_parts" if parts < total else "all_parts"] += 1
        counts["leftovers"] += bool(list(output.rglob("*.tmp")))


def main() -> None:
    """See the module."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=100)
    parser.add_argument("--pairs", type=int, default=300)
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    import torch

    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        manifest = write_pairs(folder, given.pairs)
        finished, counts = attack(manifest, folder, given.kills, given.seed)
        # Only now: polars has threads, which do not outlive a fork.
        from iqa_registry.evaluation.store import read_run

        tables = [read_run(path).drop("seconds") for path in finished]
        differing = sum(not table.equals(tables[0]) for table in tables[1:])
        left = [path for run in finished for path in run.rglob("*") if path.name.endswith((".tmp", ".lock"))]
    figures = counts | {"finished_runs": len(tables) - 1, "rows": tables[0].height}
    print(json.dumps(figures | {"tables_that_differ": differing, "files_left": len(left)}))
    sys.exit(bool(differing or left))


if __name__ == "__main__":
    main()
