"""Simulated studies of metrics and raters whose true agreement is known, for tests of coverage, size and power."""

import numpy as np
import polars as pl

from iqa_registry.agreement.ratings import Rated
from iqa_registry.agreement.scores import Scores
from iqa_registry.statistics import agreement, inconsistency
from iqa_registry.statistics.bootstrap import cluster_counts
from iqa_registry.statistics.resampling import Ratings, Resampled


def draw(subjects, images, generator, noises=(0.6, 0.6), shared=0.5, raters=0, rater_noise=0.6, taste=0.0):
    """Scores of metrics and ratings of ``subjects`` with ``images`` each.

    Args:
        subjects: clusters.
        images: in each.
        generator: of the draws.
        noises: standard deviation of each metric's error.
        shared: share of the error's variance that the metrics have in common.
        raters: individual raters; 0 gives one rating per image.
        rater_noise: standard deviation of the noise of one rating.
        taste: standard deviation over raters of how much each values what the metrics share apart from the truth.

    Returns:
        ``(n, metrics)`` scores, ``(n,)`` ratings (``(n, raters)`` where there are raters), ``(n,)`` subjects.
    """
    index = np.repeat(np.arange(subjects), images)
    rows = subjects * images

    def normal():
        return 0.6 * generator.normal(size=subjects)[index] + 0.8 * generator.normal(size=rows)

    truth, common = normal(), normal()
    scores = [truth + noise * (np.sqrt(shared) * common + np.sqrt(1 - shared) * normal()) for noise in noises]
    if not raters:
        return np.stack(scores, axis=1), truth + rater_noise * generator.normal(size=rows), index
    tastes = taste * generator.normal(size=raters)
    noise = rater_noise * generator.normal(size=(rows, raters))
    return np.stack(scores, axis=1), truth[:, None] + tastes * common[:, None] + noise, index


def rated(scores, ratings, subjects):
    """The study as :func:`iqa_registry.agreement.study.judge` takes it; metrics are ``m0``, ``m1`` ..."""
    names = [f"m{number}" for number in range(scores.shape[1])]
    columns = {"pair_id": [str(row) for row in range(len(scores))], "subject": [str(at) for at in subjects]}
    columns |= {name: scores[:, number] for number, name in enumerate(names)}
    found = Scores(pl.DataFrame(columns), dict.fromkeys(names, True), "here")
    if ratings.ndim == 1:
        return Rated(found, ratings)
    raters = [f"rater_{number}" for number in range(ratings.shape[1])]
    return Rated(found, ratings.mean(axis=1), raters, ratings, pool="mean")


def truth_of(scores, ratings):
    """What a metric has in the whole population."""
    found = inconsistency.inconsistency(inconsistency.align_to_levels(scores, ratings), ratings)
    chance = inconsistency.chance(ratings)
    return {
        "inconsistency": found,
        "skill": 1 - found / chance,
        "srocc": agreement.srocc(scores, ratings),
    }


def paired(scores, ratings, subjects, statistic="inconsistency", resamples=300):
    """Difference of the first two metrics, first less second, and its bootstrap samples, without the slow rest."""
    shared, number = Ratings(ratings, subjects), int(subjects.max()) + 1
    found, samples = [], []
    for values in (scores[:, 0], scores[:, 1]):
        resampled = Resampled(values, shared)
        resampled._pairs = None
        drawn = [resampled.evaluate(counts)[statistic] for counts in cluster_counts(number, resamples)]
        samples.append(np.concatenate(drawn))
        found.append(truth_of(values, ratings)[statistic])
    return found[0] - found[1], samples[0] - samples[1]
