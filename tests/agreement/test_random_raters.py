"""Intervals and comparisons that hold for other raters too."""

import numpy as np
import pytest

from iqa_registry.agreement.judging import Settings
from iqa_registry.agreement.study import judge
from iqa_registry.statistics.bootstrap import cluster_counts, percentile_interval
from iqa_registry.statistics.resampling import Ratings, Resampled
from iqa_registry.statistics.sources import Source, stretched, unit_draws, widened
from simulated_studies import draw, rated, truth_of


def study(seed, taste, **settings):
    data = draw(30, 4, np.random.default_rng(seed), (0.7, 1.0), raters=5, taste=taste)
    return judge(rated(*data), settings=Settings(resamples=300, **settings))[0]


def width(row, name):
    return row[f"{name}_high"] - row[f"{name}_low"]


def test_raters_who_value_different_things_widen_the_intervals():
    for name in ("inconsistency", "skill", "srocc", "krocc", "plcc", "rmse"):
        fixed, drawn = (study(0, 0.6, random_raters=value).judged[0].row for value in (False, True))
        assert fixed[name] == drawn[name]
        assert width(drawn, name) > 1.2 * width(fixed, name), name


def test_raters_who_differ_by_noise_alone_hardly_do():
    fixed, drawn = (study(1, 0.0, random_raters=value).judged[0].row for value in (False, True))
    assert width(drawn, "srocc") < 1.3 * width(fixed, "srocc")


def test_a_difference_is_widened_by_what_the_raters_do_to_the_difference():
    fixed, drawn = (study(2, 0.6, random_raters=value).comparisons[0] for value in (False, True))
    assert drawn["difference"] == fixed["difference"]
    assert drawn["p_value"] >= fixed["p_value"]
    assert drawn["visible"] >= fixed["visible"]


def test_the_variances_add_up():
    generator = np.random.default_rng(0)
    subjects, raters, noise = generator.normal(size=(3, 4000))
    # Once, once and three times the interaction, as a bootstrap of either and of both shows it.
    first, alone = subjects + noise, raters + generator.normal(size=4000)
    both = subjects + raters + np.sqrt(3) * generator.normal(size=4000)
    factor, clusters = widened(first, [Source(alone, both, 1000)], 1000)
    assert factor == pytest.approx(np.sqrt(3 / 2), rel=0.05)
    assert clusters > 100
    assert widened(first, [], 50) == (1.0, 50.0)


def test_one_value_is_not_widened():
    flat = np.zeros(10)
    assert widened(flat, [Source(flat, flat, 3)], 5) == (1.0, 5.0)
    undefined = np.full(10, np.nan)
    assert widened(undefined, [Source(undefined, undefined, 3)], 5) == (1.0, 5.0)


def coverage(raters, taste, studies):
    """Shares of studies whose interval holds the mean over other panels, without and with raters drawn."""
    generator = np.random.default_rng(77)
    panels = [draw(3000, 4, generator, (0.7,), raters=raters, taste=taste) for _ in range(150)]
    truth = np.mean([truth_of(scores[:, 0], table.mean(axis=1))["srocc"] for scores, table, _ in panels])
    held = np.zeros(2)
    for seed in range(studies):
        scores, table, subjects = draw(40, 4, np.random.default_rng(seed), (0.7,), raters=raters, taste=taste)
        counts = next(cluster_counts(40, 400))

        def resampled(ratings, drawn, scores=scores, subjects=subjects):
            found = Resampled(scores[:, 0], Ratings(ratings, subjects), pairs=False)
            return found.evaluate(drawn)["srocc"]

        estimate = truth_of(scores[:, 0], table.mean(axis=1))["srocc"]
        samples = resampled(table.mean(axis=1), counts)
        both = np.array(
            [
                resampled(table[:, chosen].mean(axis=1), np.stack([np.ones_like(own), own]))
                for chosen, own in zip(unit_draws(raters, 300), counts, strict=False)
            ]
        )
        factor, clusters = widened(samples, [Source(both[:, 0], both[:, 1], raters)], 40)
        for at, (low, high) in enumerate(
            (
                percentile_interval(samples, 40),
                percentile_interval(stretched(samples, estimate, factor), clusters),
            )
        ):
            held[at] += low <= truth <= high
    return held / studies


@pytest.mark.slow
@pytest.mark.parametrize("raters", [5, 10])
def test_coverage_over_other_panels(raters):
    fixed, drawn = coverage(raters, 0.5, 300)
    assert fixed < 0.8
    assert 0.9 < drawn < 0.98
