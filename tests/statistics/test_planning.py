"""Planning: the model's formulas, how subjects, images and raters trade, and planned power in simulated studies."""

import math

import numpy as np
import pytest

from iqa_registry.errors import UsageError
from iqa_registry.statistics import agreement, inconsistency
from iqa_registry.statistics.bootstrap import cluster_counts, two_sided_p_value
from iqa_registry.statistics.planning import (
    Design,
    Model,
    correlation_of,
    model_of,
    plan_of,
    simulate,
    subjects_needed,
)
from iqa_registry.statistics.resampling import Ratings, Resampled


def test_the_formula_of_the_inconsistency_of_normal_variables():
    generator = np.random.default_rng(0)
    ratings = 3 * generator.normal(size=200_000)
    for correlation in (0.2, 0.7, 0.95):
        noise = math.sqrt(1 - correlation**2) * generator.normal(size=ratings.size)
        scores = correlation * ratings / 3 + noise
        aligned = inconsistency.align_to_levels(scores, ratings)
        found = inconsistency.inconsistency(aligned, ratings)
        assert found == pytest.approx(3 * math.sqrt(4 * (1 - correlation) / math.pi), rel=0.01)
        skill = 1 - found / inconsistency.chance(ratings)
        assert skill == pytest.approx(1 - math.sqrt(1 - correlation), abs=0.005)
        assert correlation_of(agreement.srocc(scores, ratings)) == pytest.approx(correlation, abs=0.005)


@pytest.mark.parametrize(("statistic", "difference"), [("srocc", 0.12), ("inconsistency", 0.2)])
def test_the_model_has_the_difference_that_it_was_made_for(statistic, difference):
    model = model_of(statistic, 0.7, difference, single=0.5, raters=4, spread=2.0, between=0.6)
    found = simulate(model, Design(400, 2, 4), statistic, 400)
    sign = -1 if statistic == "srocc" else 1
    assert sign * found.mean() == pytest.approx(difference, rel=0.04)


def test_more_raters_and_images_need_fewer_subjects():
    model = model_of("srocc", 0.6, 0.1, single=0.4, raters=2, between=0.6)
    needed = {
        (images, raters): subjects_needed(model, Design(40, images, raters), "srocc").design.subjects
        for images in (1, 4)
        for raters in (2, 8)
    }
    assert needed[4, 8] < needed[4, 2] < needed[1, 2]
    assert needed[4, 8] < needed[1, 8] < needed[1, 2]
    # Images of a subject are alike, so four times as many do not save three quarters of the subjects.
    assert needed[4, 2] > 1.15 * needed[1, 2] / 4


def test_higher_power_and_corrected_levels_need_more():
    model = model_of("inconsistency", 0.7, 0.1, single=0.5, raters=3)
    usual = subjects_needed(model, Design(40, 1, 3), "inconsistency")
    assert usual.power >= 0.8
    assert (
        subjects_needed(model, Design(40, 1, 3), "inconsistency", power=0.9).design.subjects
        > usual.design.subjects
    )
    assert (
        subjects_needed(model, Design(40, 1, 3), "inconsistency", alpha=0.005).design.subjects
        > usual.design.subjects
    )


def test_what_cannot_be_planned_is_an_error():
    with pytest.raises(UsageError, match="above what the noise of 1 raters"):
        model_of("srocc", 0.8, 0.1, single=0.4, raters=1)
    with pytest.raises(UsageError, match="no metric is worse"):
        model_of("inconsistency", 0.7, 9.0, single=0.5, raters=3)
    with pytest.raises(UsageError, match="cannot have these SROCC"):
        model_of("srocc", 0.85, 0.8, single=0.9, raters=3, between=0.95)
    with pytest.raises(UsageError, match="two equal metrics"):
        subjects_needed(Model(0.7, 0.7, errors=1.0), Design(40), "srocc")


def study(model, design, generator):
    """One study of the model, written out; the two metrics' scores, the mean ratings and the subjects."""
    subjects = np.repeat(np.arange(design.subjects), design.images)

    def normal(share):
        own = generator.normal(size=subjects.size)
        return (
            math.sqrt(share) * generator.normal(size=design.subjects)[subjects] + math.sqrt(1 - share) * own
        )

    quality, error, other = (normal(s) for s in (model.quality_share, model.error_share, model.error_share))
    other = model.errors * error + math.sqrt(1 - model.errors**2) * other
    noise = math.sqrt((1 - model.single) / model.single) * generator.normal(
        size=(subjects.size, design.raters)
    )
    scores = [c * quality + math.sqrt(1 - c**2) * e for c, e in ((model.first, error), (model.second, other))]
    return scores, model.spread * (quality + noise.mean(axis=1)), subjects


def seen(model, design, statistic, generator):
    """Whether `iqa agree` finds the difference at 5 %."""
    scores, ratings, subjects = study(model, design, generator)
    shared, samples, found = Ratings(ratings, subjects), [], []
    for values in scores:
        resampled = Resampled(values, shared)
        resampled._pairs = None
        drawn = [resampled.evaluate(counts)[statistic] for counts in cluster_counts(design.subjects, 400)]
        samples.append(np.concatenate(drawn))
        aligned = inconsistency.align_to_levels(values, ratings)
        found.append(
            agreement.srocc(values, ratings)
            if statistic == "srocc"
            else inconsistency.inconsistency(aligned, ratings)
        )
    return two_sided_p_value(samples[1] - samples[0], found[1] - found[0], design.subjects) < 0.05


@pytest.mark.slow
@pytest.mark.parametrize(
    ("statistic", "value", "difference", "settings", "images"),
    [
        ("srocc", 0.7, 0.1, {"single": 0.6, "raters": 3, "between": 0.7}, 3),
        ("inconsistency", 0.7, 0.1, {"single": 0.5, "raters": 4}, 2),
        ("inconsistency", 0.8, 0.12, {"single": 0.7, "raters": 3, "between": 0.7}, 5),
    ],
)
def test_the_planned_power_is_reached(statistic, value, difference, settings, images):
    model = model_of(statistic, value, difference, **settings)
    plan = subjects_needed(model, Design(40, images, settings["raters"]), statistic)
    generator = np.random.default_rng(1)
    reached = np.mean([seen(model, plan.design, statistic, generator) for _ in range(1500)])
    # The share of 1,500 studies has a standard error of 1 point itself.
    assert reached == pytest.approx(plan.power, abs=0.03)


def test_a_plan_of_a_design_tells_its_power():
    model = model_of("srocc", 0.7, 0.1, single=0.6, raters=3, between=0.7)
    powers = [
        plan_of(model, Design(subjects, 3, 3), "srocc", studies=1000).power for subjects in (30, 90, 300)
    ]
    assert powers == sorted(powers)
    assert powers[0] < 0.5 < powers[1] < 0.99 < powers[2]
