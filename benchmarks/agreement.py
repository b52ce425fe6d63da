"""How long agreement takes: a million images by ten metrics, and 10,000 bootstrap samples of 10,000 images.

    python benchmarks/agreement.py

Absolute times drift from machine to machine, so each is also given relative to what it is measured against in the same
run: sorting the scores once by numpy, and the bootstrap with each sample written out and handed to scipy.
"""

import tempfile
import time
from pathlib import Path

import numpy as np
import polars as pl

from iqa_registry.agreement.judging import Settings
from iqa_registry.agreement.ratings import rate
from iqa_registry.agreement.scores import make_scores, read_scores
from iqa_registry.agreement.study import judge
from iqa_registry.ranker import LevelRanker
from iqa_registry.registry import build_registry
from iqa_registry.statistics import agreement, inconsistency
from iqa_registry.statistics.bootstrap import cluster_counts

METRICS = 10
WRITTEN_OUT = 20
"""So many samples are enough to time those that are written out."""


def seconds(work, *arguments):
    start = time.perf_counter()
    result = work(*arguments)
    return time.perf_counter() - start, result


def simulated(images):
    """A long table of simulated scores, ten metrics of growing error, 50 images a subject."""
    generator = np.random.default_rng(0)
    ratings = np.round(9 * generator.random(images)) / 10
    shared = {
        "pair_id": [f"image {number}" for number in range(images)],
        "subject": [f"subject {number // 50}" for number in range(images)],
        "status": ["ok"] * images,
        "higher_is_better": [True] * images,
        "rating": ratings,
    }
    frames = [
        pl.DataFrame(shared).with_columns(
            metric=pl.lit(f"m{number}"), score=ratings + 0.1 * (number + 1) * generator.normal(size=images)
        )
        for number in range(METRICS)
    ]
    return pl.concat(frames)


def summarizing(registry):
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "scores.parquet"
        simulated(1_000_000).write_parquet(path)
        reading, rated = seconds(lambda: rate(read_scores(path, registry)))
    columns = [rated.scores.table[name].to_numpy() for name in rated.scores.metrics]
    sorting, _ = seconds(lambda: [np.argsort(column, kind="stable") for column in columns])
    judging, _ = seconds(lambda: judge(rated, settings=Settings(resamples=0)))
    print(
        f"1,000,000 images by {METRICS} metrics, no bootstrap: read {reading:.1f} s, judged {judging:.1f} s"
    )
    print(f"  judged: {judging / sorting:.1f} times what sorting the scores once takes ({sorting:.1f} s)")


def written_out(scores, ratings, counts):
    """The statistics of bootstrap samples, each sample built and handed to scipy."""
    for sample in counts:
        rows = np.repeat(np.arange(len(scores)), sample)
        drawn, against = scores[rows], ratings[rows]
        inconsistency.inconsistency(LevelRanker().align(drawn, against), against)
        inconsistency.chance(against)
        for statistic in (agreement.srocc, agreement.krocc, agreement.plcc):
            statistic(drawn, against)


def resampling(registry):
    table = simulated(10_000).filter(pl.col("metric") == "m3")
    rated = rate(make_scores(table, registry))
    scores = rated.scores.table["m3"].to_numpy()
    counts = next(cluster_counts(len(scores), WRITTEN_OUT))
    slow, _ = seconds(written_out, scores, rated.ratings, counts)
    slow *= 10_000 / WRITTEN_OUT
    for cluster, label in (("none", "10,000 clusters"), ("subject", "200 clusters")):
        settings = Settings(resamples=10_000, cluster=cluster)
        fast, _ = seconds(lambda settings=settings: judge(rated, settings=settings))
        print(
            f"10,000 bootstrap samples of 10,000 images, {label}: {fast:.1f} s for all statistics of one metric"
        )
        print(f"  samples written out and handed to scipy: {slow / fast:.1f} times as long")


def main():
    registry = build_registry()
    summarizing(registry)
    resampling(registry)


if __name__ == "__main__":
    main()
