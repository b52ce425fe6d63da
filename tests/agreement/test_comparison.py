"""Comparison of metrics: size of its tests, what a study can see, what is practically equal, how firm the order is."""

import numpy as np
import pytest

from iqa_registry.agreement.judging import Settings
from iqa_registry.agreement.study import judge
from iqa_registry.statistics.bootstrap import two_sided_p_value
from iqa_registry.statistics.power import equivalence_p_value, standard_error, visible_ratio
from simulated_studies import draw, paired, rated, truth_of


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


def drawn(seed, noises, subjects=40):
    data = draw(subjects, 4, np.random.default_rng(seed), noises)
    difference, samples = paired(*data)
    return difference, samples, standard_error(samples, subjects), subjects - 1


def margin(noises):
    scores, ratings, _ = draw(100_000, 4, np.random.default_rng(9), noises)
    first, second = (truth_of(scores[:, number], ratings)["inconsistency"] for number in (0, 1))
    return second - first


@pytest.mark.slow
def test_sizes_of_both_tests():
    """Equal metrics are called different, and metrics at the margin equal, in no more than 5 % of studies."""
    different = equal = 0
    true = margin((0.5, 0.7))
    for seed in range(600):
        difference, samples, _, df = drawn(seed, (0.6, 0.6))
        different += two_sided_p_value(samples, difference, df + 1) < 0.05
        difference, _, error, df = drawn(seed, (0.5, 0.7))
        equal += equivalence_p_value(difference, error, df, true) < 0.05
    assert 0.01 < different / 600 < 0.07
    assert 0.01 < equal / 600 < 0.07


@pytest.mark.slow
def test_the_visible_difference_is_seen_in_four_of_five_studies():
    noises = (0.5, 0.8)
    visible = np.mean(
        [error * visible_ratio(df) for _, _, error, df in (drawn(s, noises) for s in range(200))]
    )
    # The number of subjects at which the true difference is the visible one.
    needed = round(40 * (visible / margin(noises)) ** 2)
    seen = []
    for seed in range(1000, 1600):
        difference, samples, _, df = drawn(seed, noises, needed)
        seen.append(two_sided_p_value(samples, difference, df + 1) < 0.05)
    assert np.mean(seen) == pytest.approx(0.82, abs=0.07)
