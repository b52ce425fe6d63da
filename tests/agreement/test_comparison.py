"""Comparison of metrics: size of its tests, what a study can see, what is practically equal, how firm the order is."""

import numpy as np
import pytest

from iqa_registry.agreement.judging import Settings
from iqa_registry.agreement.study import judge
from simulated_studies import draw, rated, truth_of


def study(seed, noises, subjects=40, images=4, **settings):
    data = draw(subjects, images, np.random.default_rng(seed), noises)
    return judge(rated(*data), settings=Settings(**{"resamples": 400, **settings}))[0]


def test_a_margin_tells_what_is_practically_equal():
    group = study(0, (0.5, 0.5, 1.5), equal_within=0.15)
    rows = {frozenset((row["first"], row["second"])): row for row in group.comparisons}
    same, other = rows[frozenset(("m0", "m1"))], rows[frozenset(("m0", "m2"))]
    assert same["practically_equal"]
    assert same["equal_within"] < 0.15
    assert not other["practically_equal"]
    assert other["distinguishable"]
    assert all(row["practically_equal"] == (row["equal_within"] < 0.15) for row in rows.values())
    assert "practically_equal" not in study(0, (0.5, 0.6)).comparisons[0]


def test_more_subjects_see_smaller_differences():
    few, many = (study(1, (0.5, 0.6), subjects).comparisons[0] for subjects in (20, 80))
    assert many["visible"] == pytest.approx(few["visible"] / 2, rel=0.35)
    # What is significant at the level of the comparison is not far below what could be seen.
    assert few["visible"] > 2.8 * (few["difference_high"] - few["difference_low"]) / 4.6


def test_a_clearly_better_metric_is_always_the_best():
    group = study(2, (0.2, 1.0, 1.0, 1.0, 3.0))
    rows = {judged.metric: judged.row for judged in group.judged}
    assert rows["m0"]["best_share"] == 1
    assert rows["m4"]["top3_share"] == 0
    assert sum(row["best_share"] for row in rows.values()) == pytest.approx(1)
    assert sum(row["top3_share"] for row in rows.values()) == pytest.approx(3, abs=0.05)
    assert rows["m0"]["rank_high"] == 1
    assert rows["m4"]["rank_low"] == 5


def test_twins_share_the_first_place():
    scores, ratings, subjects = draw(30, 3, np.random.default_rng(3), (0.5,))
    group = judge(rated(np.repeat(scores, 2, axis=1), ratings, subjects), settings=Settings(resamples=200))[0]
    assert [judged.row["best_share"] for judged in group.judged] == [0.5, 0.5]


@pytest.mark.slow
def test_sizes_of_both_tests():
    """Equal metrics are called different in 5 % of studies, and metrics at the margin equal in no more than 5 %."""
    scores, ratings, _ = draw(100_000, 4, np.random.default_rng(9), (0.5, 0.7))
    true = [truth_of(scores[:, number], ratings)["inconsistency"] for number in (0, 1)]
    margin = true[1] - true[0]
    different = equal = 0
    for seed in range(500):
        different += study(seed, (0.6, 0.6)).comparisons[0]["distinguishable"]
        equal += study(seed, (0.5, 0.7), equal_within=margin).comparisons[0]["practically_equal"]
    assert 0.03 < different / 500 < 0.07
    assert 0.025 < equal / 500 < 0.075


@pytest.mark.slow
def test_the_visible_difference_is_seen_in_four_of_five_studies():
    scores, ratings, _ = draw(100_000, 4, np.random.default_rng(9), (0.5, 0.62))
    true = [truth_of(scores[:, number], ratings)["inconsistency"] for number in (0, 1)]
    size = 60
    rows = [study(seed, (0.5, 0.62), size).comparisons[0] for seed in range(300)]
    # Scaled to the number of subjects at which the true difference is the visible one.
    visible = np.mean([row["visible"] for row in rows])
    needed = round(size * (visible / (true[1] - true[0])) ** 2)
    seen = [study(1000 + seed, (0.5, 0.62), needed).comparisons[0]["distinguishable"] for seed in range(400)]
    assert np.mean(seen) == pytest.approx(0.8, abs=0.06)
