"""LevelRanker, folds, and alignment of rows that a ranker has not seen."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from iqa_registry.errors import UsageError
from iqa_registry.ranker import FOLDS, LevelRanker, Ranker, align_out_of_sample, fold_of
from iqa_registry.statistics.inconsistency import inconsistency

ROWS = st.lists(
    st.tuples(st.integers(-5, 5) | st.just(np.inf) | st.just(-np.inf), st.integers(0, 9)),
    min_size=1,
    max_size=30,
)
CLUSTERS = st.lists(st.integers(0, 12), min_size=1, max_size=60)


def align(scores, ratings):
    return LevelRanker().align(np.asarray(scores, dtype=np.float64), np.asarray(ratings, dtype=np.float64))


class Spy(Ranker):
    """Notes the rows of each fit and of each alignment; scores are the numbers of the rows."""

    def __init__(self):
        self.fitted, self.aligned = [], []

    def fit(self, scores, ratings):
        assert (ratings == scores / 10).all()
        self.fitted.append(set(scores.tolist()))

    def align(self, scores, ratings):
        self.aligned.append(set(scores.tolist()))
        return -scores


def by_counting(scores, ratings):
    """Algorithm 4 row by row: the mean of the sorted ratings at the positions that a score's ties take."""
    ordered = sorted(ratings)
    below = [sum(other < score for other in scores) for score in scores]
    same = [scores.count(score) for score in scores]
    return [np.mean(ordered[start : start + size]) for start, size in zip(below, same, strict=True)]


@given(ROWS)
def test_it_is_algorithm_4(rows):
    scores, ratings = map(list, zip(*rows, strict=True))
    np.testing.assert_allclose(align(scores, ratings), by_counting(scores, ratings), rtol=1e-12)


@given(ROWS, st.randoms(use_true_random=False))
def test_the_order_of_the_rows_does_not_matter(rows, random):
    numbers = list(range(len(rows)))
    random.shuffle(numbers)
    scores, ratings = np.array(rows, dtype=np.float64).T
    np.testing.assert_allclose(
        align(scores[numbers], ratings[numbers]), align(scores, ratings)[numbers], rtol=1e-12
    )


@given(ROWS)
def test_a_strictly_increasing_function_of_the_scores_changes_nothing(rows):
    scores, ratings = np.array(rows, dtype=np.float64).T
    for function in (np.arctan, np.exp2, lambda x: 3 * x - 7, lambda x: x**3):
        np.testing.assert_array_equal(align(function(scores), ratings), align(scores, ratings))


@given(ROWS)
def test_ties_keep_the_sum_of_the_ratings_and_equal_scores_get_equal_values(rows):
    scores, ratings = np.array(rows, dtype=np.float64).T
    found = align(scores, ratings)
    assert found.sum() == pytest.approx(ratings.sum())
    for score in np.unique(scores):
        assert np.ptp(found[scores == score]) == 0


def test_one_image_and_two():
    np.testing.assert_array_equal(align([7.0], [0.3]), [0.3])
    np.testing.assert_array_equal(align([2.0, 1.0], [0.3, 0.8]), [0.8, 0.3])
    np.testing.assert_array_equal(align([2.0, 2.0], [0.3, 0.8]), [0.55, 0.55])


def test_equal_images_with_infinite_psnr_are_the_best_and_tie():
    found = align([30.0, np.inf, 25.0, np.inf], [0.2, 0.9, 0.1, 0.7])
    np.testing.assert_allclose(found, [0.2, 0.8, 0.1, 0.8])


def test_the_level_ranker_learns_nothing():
    scores, ratings = np.array([3.0, 1.0, 2.0]), np.array([0.1, 0.5, 0.9])
    ranker = LevelRanker()
    ranker.fit(ratings, scores)
    found = align_out_of_sample(ranker, scores, ratings, ["a", "a", "a"])
    np.testing.assert_array_equal(found, align(scores, ratings))
    assert inconsistency(found, ratings) == pytest.approx(1.6 / 3)


@given(CLUSTERS, st.integers(2, 7))
def test_folds_keep_clusters_whole_and_none_is_empty(clusters, folds):
    fold = fold_of(clusters, folds)
    assert len(set(zip(clusters, fold.tolist(), strict=True))) == len(set(clusters))
    assert set(fold) == set(range(min(folds, len(set(clusters)))))


@given(CLUSTERS, st.integers(2, 7))
def test_folds_are_about_equally_large(clusters, folds):
    rows = np.bincount(fold_of(clusters, folds))
    assert rows.max() - rows.min() <= np.bincount(clusters).max()


def test_folds_depend_on_the_labels_not_on_the_order_of_the_rows():
    subjects = np.array(["s1", "s2", "s3", "s1", "s4", "s5", "s2", "s6"])
    order = np.random.default_rng(0).permutation(subjects.size)
    np.testing.assert_array_equal(fold_of(subjects[order]), fold_of(subjects)[order])


@given(CLUSTERS.filter(lambda clusters: len(set(clusters)) > 1))
def test_no_ranker_is_applied_to_rows_or_clusters_of_its_fit(clusters):
    rows = np.arange(len(clusters), dtype=np.float64)
    spy = Spy()
    found = align_out_of_sample(spy, rows, rows / 10, clusters)
    np.testing.assert_array_equal(found, -rows)
    assert len(spy.fitted) == len(spy.aligned) == min(FOLDS, len(set(clusters)))
    for fitted, aligned in zip(spy.fitted, spy.aligned, strict=True):
        assert fitted | aligned == set(rows.tolist())
        assert not {clusters[int(row)] for row in fitted} & {clusters[int(row)] for row in aligned}


def test_without_clusters_each_row_is_one():
    rows = np.arange(10.0)
    spy = Spy()
    align_out_of_sample(spy, rows, rows / 10, folds=10)
    assert sorted(map(len, spy.aligned)) == [1] * 10


def test_one_cluster_is_too_few_for_a_ranker_that_fits():
    with pytest.raises(UsageError, match=r"ranker 'Spy' .* at least two subjects"):
        align_out_of_sample(Spy(), [1.0, 2.0], [0.1, 0.2], ["a", "a"])
    with pytest.raises(UsageError, match="one length"):
        align_out_of_sample(Spy(), [1.0, 2.0], [0.1])
