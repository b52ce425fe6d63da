"""Tests that groups differ: Welch and Hotelling against scipy, and their size in simulated studies."""

import numpy as np
import polars as pl
import pytest
import scipy.stats

from iqa_registry.agreement.interactions import hotelling, interactions, welch
from iqa_registry.agreement.judging import Settings
from iqa_registry.agreement.ratings import Rated
from iqa_registry.agreement.scores import Scores
from iqa_registry.agreement.study import judge
from iqa_registry.statistics.power import standard_error
from simulated_studies import draw, paired


def sites(noises, subjects="own", seed=0):
    """A study of several sites, each with metrics of its own noises."""
    tables, ratings = [], []
    generator = np.random.default_rng(seed)
    for site, noise in enumerate(noises):
        scores, rating, index = draw(25, 3, generator, noise)
        prefix = f"{site}-" if subjects == "own" else ""
        columns = {
            "pair_id": [f"{site}-{row}" for row in range(len(rating))],
            "subject": [f"{prefix}{at:02d}" for at in index],
            "site": [f"site{site}"] * len(rating),
        }
        tables.append(pl.DataFrame(columns | {f"m{at}": scores[:, at] for at in range(scores.shape[1])}))
        ratings.append(rating)
    names = [name for name in tables[0].columns if name.startswith("m")]
    scores = Scores(pl.concat(tables), dict.fromkeys(names, True), "here")
    return judge(Rated(scores, np.concatenate(ratings)), settings=Settings(group_by=["site"], resamples=300))


def test_welch_is_that_of_scipy_for_means():
    generator = np.random.default_rng(0)
    groups = [generator.normal(size=n) * s for n, s in ((10, 1.0), (20, 2.0), (15, 0.5))]
    means = np.array([group.mean() for group in groups])
    errors = np.array([group.std(ddof=1) / np.sqrt(len(group)) for group in groups])
    value, _, p = welch(means, errors, np.array([10, 20, 15]))
    expected = scipy.stats.f_oneway(*groups, equal_var=False)
    assert (value, p) == pytest.approx((expected.statistic, expected.pvalue))
    _, _, p = welch(means[:2], errors[:2], np.array([10, 20]))
    assert p == pytest.approx(scipy.stats.ttest_ind(*groups[:2], equal_var=False).pvalue)


def test_hotelling_of_two_groups_is_the_paired_t_test():
    generator = np.random.default_rng(1)
    data = generator.normal(size=(2, 30)) + np.array([[0.0], [0.6]])
    drawn = generator.integers(0, 30, (20_000, 30))
    _, _, p = hotelling(data.mean(axis=1), data[:, drawn].mean(axis=2), 30)
    assert p == pytest.approx(scipy.stats.ttest_rel(*data).pvalue, rel=0.15)


def test_a_metric_that_fails_at_one_site_is_found():
    rows, why = interactions(sites([(0.3, 0.8), (3.0, 0.8), (0.3, 0.8)]))
    assert why == ""
    by = {(row["metric"], row["other"], row["statistic"]): row for row in rows}
    assert by["m0", "", "srocc"]["p_holm"] < 0.05
    assert by["m0", "", "srocc"]["lowest_group"] == "site1"
    assert by["m1", "", "srocc"]["p_holm"] > 0.05
    assert by["m0", "m1", "skill"]["p_holm"] < 0.01


def test_subjects_of_every_site_are_compared_with_themselves():
    rows, why = interactions(sites([(0.3, 0.8), (3.0, 0.8)], subjects="shared"))
    assert why == ""
    assert rows[0]["df"] == 24
    assert min(row["p_holm"] for row in rows) < 0.01


def test_sites_that_share_some_subjects_are_not_compared():
    first, second = sites([(0.3, 0.8), (0.3, 0.8)])
    second.labels = frozenset([*list(second.labels)[1:], next(iter(first.labels))])
    rows, why = interactions([first, second])
    assert rows == []
    assert "share some subjects" in why


@pytest.mark.slow
def test_size_of_the_interaction():
    found = 0
    for seed in range(400):
        generator = np.random.default_rng(seed)
        parts = [draw(subjects, 3, generator, (0.5, 0.9)) for subjects in (25, 40, 30)]
        drawn = [paired(*part, statistic="srocc") for part in parts]
        clusters = np.array([25, 40, 30])
        errors = [
            standard_error(samples, number) for (_, samples), number in zip(drawn, clusters, strict=True)
        ]
        found += welch(np.array([value for value, _ in drawn]), np.array(errors), clusters)[2] < 0.05
    assert 0.02 < found / 400 < 0.075
