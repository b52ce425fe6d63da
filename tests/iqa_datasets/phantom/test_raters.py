"""Simulated raters: ten levels, a trimmed mean, and the agreement that was asked for."""

import numpy as np
import pytest
from scipy import stats

from iqa_datasets.phantom.degradations import DEGRADATIONS
from iqa_datasets.phantom.raters import single_rater_icc
from iqa_datasets.phantom.study import Study
from iqa_registry.statistics.raters import trimmed_mean

COUNT = 400


def study(**changed):
    given = {"seed": 1, "lesions": 0.5, "per_subject": 8, "raters": 10, "panel": 0, "icc": 0.64}
    return Study(degradations=tuple(DEGRADATIONS), **(given | changed))


def scores(which, count=COUNT):
    return np.stack([which.ratings(number) for number in range(count)])


def test_scores_lie_on_ten_levels():
    found = np.unique(scores(study()))
    np.testing.assert_allclose(found, np.arange(10) / 10, atol=1e-12)


def test_trimmed_mean_is_that_of_scipy():
    table = scores(study())
    np.testing.assert_allclose(trimmed_mean(table), stats.trim_mean(table, 0.1, axis=1), atol=1e-12)


def test_rating_is_the_trimmed_mean_of_the_scores():
    which = study()
    assert which.rating(5) == pytest.approx(np.sort(which.ratings(5))[1:-1].mean())


@pytest.mark.parametrize("panel", range(4))
def test_raters_agree_by_default_as_people_do(panel):
    assert 0.6 < single_rater_icc(scores(study(panel=panel))) < 0.95


@pytest.mark.parametrize("icc", [0.4, 0.7, 0.9])
def test_agreement_is_as_asked_for(icc):
    assert single_rater_icc(scores(study(icc=icc))) == pytest.approx(icc, abs=0.05)


def test_icc_is_that_of_an_analysis_of_variance():
    """Shrout and Fleiss's table; pingouin and they give 0.29 for ICC(2,1)."""
    table = np.array(
        [[9, 2, 5, 8], [6, 1, 3, 2], [8, 4, 6, 8], [7, 1, 2, 6], [10, 5, 6, 9], [6, 2, 4, 7]], float
    )
    assert single_rater_icc(table) == pytest.approx(0.2898, abs=1e-4)
    assert single_rater_icc(np.ones((3, 2))) == 0


@pytest.mark.parametrize("name", DEGRADATIONS)
def test_worse_errors_are_rated_lower(name):
    which = study()
    severities = np.zeros((5, len(DEGRADATIONS)))
    severities[:, list(DEGRADATIONS).index(name)] = np.linspace(0, 1, 5)
    ratings = which._panel.rate(severities, np.zeros((5, 10))).mean(axis=1)
    assert (np.diff(ratings) <= 0).all()
    assert ratings[0] > ratings[-1] + 0.15


def test_another_panel_sees_the_same_images():
    first, other = study(panel=0), study(panel=1)
    assert [first.severities(n) for n in range(30)] == [other.severities(n) for n in range(30)]
    assert not np.array_equal(scores(first, 30), scores(other, 30))


def test_a_longer_study_begins_with_the_shorter():
    assert np.array_equal(scores(study(), 40)[:10], scores(study(), 10))


def test_no_image_has_two_errors_of_one_lesion():
    for number in range(300):
        errors = set(study(lesions=1.0).severities(number))
        assert len(errors & {"lost-lesion", "displaced-lesion", "lesion-brightness"}) <= 1
        assert 1 <= len(errors) <= 3


def test_healthy_subjects_have_no_errors_of_a_lesion():
    for number in range(200):
        assert not set(study(lesions=0.0).severities(number)) & {
            "lost-lesion",
            "displaced-lesion",
            "lesion-brightness",
        }
