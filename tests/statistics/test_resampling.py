"""Statistics of bootstrap samples equal those of the samples written out; intervals cover what they say."""

import numpy as np
import pytest

from iqa_registry.ranker import LevelRanker
from iqa_registry.statistics import agreement, inconsistency
from iqa_registry.statistics.bootstrap import cluster_counts, percentile_interval, reflected
from iqa_registry.statistics.resampling import Ratings, Resampled

CASES = {
    "rows by themselves": (50, None, False),
    "clusters of unequal size, ties": (200, 13, True),
    "few rows, ties": (9, 4, True),
    "continuous ratings": (120, 30, False),
}


def example(rows, clusters, ties, seed=0):
    generator = np.random.default_rng(seed)
    ratings = generator.random(rows) if not ties and clusters else np.round(generator.random(rows), 1)
    scores = ratings + 0.3 * generator.normal(size=rows)
    labels = np.arange(rows) if clusters is None else generator.integers(0, clusters, rows)
    return np.round(scores, 1) if ties else scores, ratings, np.unique(labels, return_inverse=True)[1]


def written_out(scores, ratings, mapped):
    aligned = LevelRanker().align(scores, ratings)
    found = inconsistency.inconsistency(aligned, ratings)
    return {
        "inconsistency": found,
        "chance": inconsistency.chance(ratings),
        "skill": inconsistency.skill(found, inconsistency.chance(ratings)),
        "srocc": agreement.srocc(scores, ratings),
        "krocc": agreement.krocc(scores, ratings),
        "pairwise_accuracy": agreement.pairwise_accuracy(scores, ratings),
        "plcc_raw": agreement.plcc(scores, ratings),
        "plcc": agreement.plcc(mapped, ratings),
        "rmse": agreement.rmse(mapped, ratings),
    }


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_every_statistic_equals_that_of_the_sample_written_out(case):
    scores, ratings, clusters = example(*case)
    mapped = 0.4 * scores + 0.2
    number = clusters.max() + 1
    resampled = Resampled(scores, Ratings(ratings, clusters), mapped)
    for counts in cluster_counts(number, 12):
        found = resampled.evaluate(counts)
        for sample in range(12):
            rows = np.repeat(np.arange(len(scores)), counts[sample][clusters])
            expected = written_out(scores[rows], ratings[rows], mapped[rows])
            assert set(found) == set(expected)
            for name, value in expected.items():
                assert found[name][sample] == pytest.approx(value, abs=1e-7, nan_ok=True), name


def test_an_alignment_can_be_held_as_it_is():
    scores, ratings, clusters = example(60, 12, False)
    aligned = np.clip(scores, 0, 1)
    counts = next(cluster_counts(clusters.max() + 1, 5))
    found = Resampled(scores, Ratings(ratings, clusters), aligned=aligned).evaluate(counts)
    for sample in range(5):
        weights = counts[sample][clusters]
        expected = np.average(np.abs(aligned - ratings), weights=weights)
        assert found["inconsistency"][sample] == pytest.approx(expected)


def test_infinite_scores_keep_their_place():
    ratings = np.array([0.1, 0.3, 0.5, 0.9, 0.9])
    scores = np.array([20.0, 30.0, 25.0, np.inf, np.inf])
    counts = np.ones((1, 5), dtype=np.int64)
    found = Resampled(scores, Ratings(ratings, np.arange(5))).evaluate(counts)
    assert found["srocc"][0] == pytest.approx(agreement.srocc(scores, ratings))
    assert found["krocc"][0] == pytest.approx(agreement.krocc(scores, ratings))


def test_a_sample_of_equal_ratings_has_no_correlation_and_no_skill():
    scores, ratings = np.array([1.0, 2.0, 3.0]), np.array([0.5, 0.5, 0.9])
    found = Resampled(scores, Ratings(ratings, np.arange(3))).evaluate(np.array([[2, 1, 0]]))
    assert all(
        np.isnan(found[name][0]) for name in ("srocc", "krocc", "pairwise_accuracy", "skill", "plcc_raw")
    )
    assert found["inconsistency"][0] == 0


def test_beyond_a_number_of_rows_pairs_are_not_counted(monkeypatch):
    monkeypatch.setattr("iqa_registry.statistics.resampling.MOST_ROWS_FOR_PAIRS", 40)
    scores, ratings, clusters = example(50, None, False)
    found = Resampled(scores, Ratings(ratings, clusters)).evaluate(next(cluster_counts(50, 2)))
    assert "krocc" not in found
    assert "srocc" in found


def test_the_same_seed_draws_the_same_samples():
    first, second = (next(cluster_counts(20, 30, seed=3)) for _ in range(2))
    assert (first == second).all()
    assert (first.sum(axis=1) == 20).all()


def population(generator, clusters, rows=5):
    """Scores and ratings in which the images of a subject share their quality and the metric's error."""
    subject = np.repeat(np.arange(clusters), rows)
    quality = 0.7 * generator.normal(size=clusters)[subject] + 0.7 * generator.normal(size=clusters * rows)
    error = 0.6 * generator.normal(size=clusters)[subject] + 0.5 * generator.normal(size=clusters * rows)
    return quality + error, np.clip(np.floor(2.5 * (quality + 2)), 0, 9) / 10, subject


def covering(clustered, sets, resamples=400, clusters=60, seed=1):
    """How often the interval of each statistic holds the value of the population, over simulated studies."""
    generator = np.random.default_rng(seed)
    scores, ratings, _ = population(generator, 60_000)
    truth = written_out(scores, ratings, scores)
    hits = dict.fromkeys(("inconsistency", "skill", "srocc", "krocc", "plcc_raw", "pairwise_accuracy"), 0)
    for _ in range(sets):
        scores, ratings, subject = population(generator, clusters)
        labels = subject if clustered else np.arange(len(scores))
        resampled = Resampled(scores, Ratings(ratings, labels))
        parts = [resampled.evaluate(counts) for counts in cluster_counts(labels.max() + 1, resamples)]
        for name in hits:
            samples = np.concatenate([part[name] for part in parts])
            if name == "inconsistency":
                samples = reflected(samples, written_out(scores, ratings, scores)["inconsistency"])
            low, high = percentile_interval(samples, labels.max() + 1)
            hits[name] += low <= truth[name] <= high
    return {name: count / sets for name, count in hits.items()}


def test_intervals_by_cluster_cover_the_truth_as_often_as_they_say():
    found = covering(clustered=True, sets=300)
    assert all(0.92 <= share <= 0.98 for share in found.values()), found


def test_intervals_that_ignore_clusters_do_not():
    found = covering(clustered=False, sets=300)
    assert all(share < 0.88 for share in found.values()), found
