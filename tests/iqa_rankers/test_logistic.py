import numpy as np
import pytest

from iqa_rankers.logistic import LogisticRanker
from iqa_registry.ranker import align_out_of_sample
from iqa_registry.statistics.mapping import fit_logistic


def sample(n=300, noise=0.05):
    generator = np.random.default_rng(0)
    scores = generator.normal(30, 4, n)
    return scores, 0.1 + 0.8 / (1 + np.exp(-(scores - 29) / 2)) + noise * generator.normal(size=n)


@pytest.mark.parametrize("parameters", [4, 5])
def test_it_applies_the_curve_of_its_fit(parameters):
    scores, ratings = sample()
    ranker = LogisticRanker(parameters)
    ranker.fit(scores[:200], ratings[:200])
    expected = fit_logistic(scores[:200], ratings[:200], parameters)
    np.testing.assert_array_equal(ranker.align(scores[200:], ratings[200:]), expected(scores[200:]))


@pytest.mark.parametrize("parameters", [4, 5])
def test_out_of_sample_it_comes_close_to_the_truth(parameters):
    scores, ratings = sample()
    found = align_out_of_sample(LogisticRanker(parameters), scores, ratings, np.arange(300) // 10)
    truth = 0.1 + 0.8 / (1 + np.exp(-(scores - 29) / 2))
    assert np.abs(found - truth).mean() < 0.02
    assert np.abs(found - ratings).mean() == pytest.approx(np.abs(truth - ratings).mean(), abs=0.003)


def test_a_wrongly_declared_direction_is_turned():
    scores, ratings = sample(noise=0.0)
    ranker = LogisticRanker()
    ranker.fit(-scores, ratings)
    np.testing.assert_allclose(ranker.align(-scores, ratings), ratings, atol=1e-6)


def test_infinite_held_out_scores_are_as_good_as_the_best_of_the_fit():
    scores, ratings = sample()
    ranker = LogisticRanker()
    ranker.fit(scores, ratings)
    best = ranker.align([scores.max()], [0.0])
    np.testing.assert_array_equal(ranker.align([np.inf, np.inf], [0.0, 0.0]), np.repeat(best, 2))
