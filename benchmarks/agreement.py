"""How long agreement takes: a million images by ten metrics, and 10,000 bootstrap samples of 10,000 images.

    python benchmarks/agreement.py

Prints seconds, and what part is scipy's and numpy's own: the ratio to sorting the scores once says what this project's
code adds on whatever machine it runs.
"""

import tempfile
import time
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import polars as pl

from iqa_registry.agreement.judging import Settings
from iqa_registry.agreement.ratings import rate
from iqa_registry.agreement.report import metric_rows
from iqa_registry.agreement.scores import read_scores
from iqa_registry.agreement.study import judge
from iqa_registry.registry import build_registry

METRICS = 10


@contextmanager
def timed(label):
    start = time.perf_counter()
    yield
    print(f"{time.perf_counter() - start:8.1f} s  {label}")


def simulated(images):
    """A long table of simulated scores, ten metrics of growing error, 50 images a subject."""
    generator = np.random.default_rng(0)
    ratings = np.round(9 * generator.random(images)) / 10
    names = [f"image {number}" for number in range(images)]
    subjects = [f"subject {number // 50}" for number in range(images)]
    frames = [
        pl.DataFrame(
            {
                "pair_id": names,
                "subject": subjects,
                "metric": [f"m{number}"] * images,
                "score": ratings + 0.1 * (number + 1) * generator.normal(size=images),
                "status": ["ok"] * images,
                "higher_is_better": [True] * images,
                "rating": ratings,
            }
        )
        for number in range(METRICS)
    ]
    return pl.concat(frames)


def main():
    registry = build_registry()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "scores.parquet"
        simulated(1_000_000).write_parquet(path)
        with timed("1,000,000 images by 10 metrics: read"):
            rated = rate(read_scores(path, registry))
        with timed("... sorted once, by numpy"):
            for name in rated.scores.metrics:
                np.argsort(rated.scores.table[name].to_numpy(), kind="stable")
        with timed("... aligned and summarized, without bootstrap"):
            rows = metric_rows(judge(rated, settings=Settings(resamples=0)))
    print(f"            inconsistency {rows[0]['inconsistency']:.4f} to {rows[-1]['inconsistency']:.4f}")
    few = simulated(10_000)
    few.filter(pl.col("metric") == "m3").write_parquet(
        Path(tempfile.gettempdir()) / "agreement-benchmark.parquet"
    )
    rated = rate(read_scores(Path(tempfile.gettempdir()) / "agreement-benchmark.parquet", registry))
    for cluster, label in (("none", "10,000 images by themselves"), ("subject", "200 subjects")):
        with timed(f"10,000 bootstrap samples of 10,000 images, one metric, all statistics: {label}"):
            judge(rated, settings=Settings(resamples=10_000, cluster=cluster))


if __name__ == "__main__":
    main()
