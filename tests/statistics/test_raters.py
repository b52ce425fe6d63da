"""Rater statistics against pingouin, krippendorff, published examples, and simulations with known components."""

import warnings

import krippendorff
import numpy as np
import pandas as pd
import pingouin
import pytest
import scipy.stats
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from iqa_registry.errors import UsageError
from iqa_registry.statistics.raters import (
    FORMS,
    bias,
    icc,
    krippendorff_alpha,
    trimmed_mean,
)

SHROUT_FLEISS = [[9, 2, 5, 8], [6, 1, 3, 2], [8, 4, 6, 8], [7, 1, 2, 6], [10, 5, 6, 9], [6, 2, 4, 7]]
PUBLISHED = {"1,1": 0.17, "2,1": 0.29, "3,1": 0.71, "1,k": 0.44, "2,k": 0.62, "3,k": 0.91}
PINGOUIN = {"1,1": "ICC(1,1)", "2,1": "ICC(A,1)", "3,1": "ICC(C,1)"} | {
    "1,k": "ICC(1,k)",
    "2,k": "ICC(A,k)",
    "3,k": "ICC(C,k)",
}
NAN = float("nan")


def sample(images=40, raters=6, missing=0.0, seed=0, components=(1.0, 0.5, 0.5)):
    """Ratings with known variances of images, raters and error."""
    generator = np.random.default_rng(seed)
    s, r, e = np.sqrt(components)
    table = s * generator.normal(size=(images, 1)) + r * generator.normal(size=raters)
    table = table + e * generator.normal(size=(images, raters))
    table[generator.random(table.shape) < missing] = np.nan
    return table


def by_pingouin(table):
    rows = [(i, j, value) for i, row in enumerate(table) for j, value in enumerate(row)]
    data = pd.DataFrame(rows, columns=["image", "rater", "rating"])
    with warnings.catch_warnings():
        # What pingouin does with pandas is not ours to mend.
        warnings.simplefilter("ignore")
        found = pingouin.intraclass_corr(data, "image", "rater", "rating")
    return dict(zip(found["Type"], found["ICC"], strict=True))


def test_the_trimmed_mean_is_scipys():
    table = sample(raters=10)
    np.testing.assert_allclose(trimmed_mean(table), scipy.stats.trim_mean(table, 0.1, axis=1), rtol=1e-12)
    np.testing.assert_allclose(trimmed_mean(table, drop=3), scipy.stats.trim_mean(table, 0.3, axis=1))
    np.testing.assert_allclose(trimmed_mean(table, drop=0), table.mean(axis=1), rtol=1e-12)


def test_the_trimmed_mean_with_missing_ratings():
    table = [
        [NAN, 1.0, 9.0, 2.0],
        [NAN, 1.0, 9.0, NAN],
        [NAN, NAN, 7.0, NAN],
        [NAN] * 4,
        [5.0, 1.0, 2.0, 9.0],
    ]
    np.testing.assert_array_equal(trimmed_mean(table), [2.0, 5.0, 7.0, NAN, 3.5])


@given(arrays(np.float64, (5, 6), elements=st.floats(0, 1) | st.just(NAN)), st.integers(0, 4))
def test_the_trimmed_mean_lies_between_the_ratings_and_ignores_the_raters_order(table, drop):
    found = trimmed_mean(table, drop)
    np.testing.assert_allclose(found, trimmed_mean(table[:, ::-1], drop), atol=1e-12)
    for row, mean in zip(table, found, strict=True):
        known = row[~np.isnan(row)]
        assert np.isnan(mean) if known.size == 0 else known.min() - 1e-12 <= mean <= known.max() + 1e-12


@pytest.mark.parametrize("form", FORMS)
def test_icc_gives_the_example_of_shrout_and_fleiss(form):
    result = icc(SHROUT_FLEISS, form)
    assert round(result.value, 2) == PUBLISHED[form]
    assert result.name.startswith(f"ICC({form}): ")
    assert (result.images, result.raters, result.ratings, result.k) == (6, 4, 24, 4)


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize(("images", "raters"), [(5, 2), (40, 6), (6, 12)])
def test_icc_equals_pingouin(form, images, raters):
    # With these seeds some components are negative: they must not be cut off at 0.
    for seed, components in enumerate([(1.0, 0.5, 0.5), (0.5, 2.0, 0.1), (0.3, 0.001, 2.0)]):
        table = sample(images, raters, seed=seed, components=components)
        expected = by_pingouin(table)[PINGOUIN[form]]
        assert icc(table, form).value == pytest.approx(expected, abs=1e-10, rel=1e-10)


def test_an_estimated_variance_below_zero_gives_no_icc():
    """The plain formula divides two negative numbers here, and pingouin reports an ICC above 1."""
    table = next(
        table
        for seed in range(3)
        if by_pingouin(table := sample(3, 2, seed=seed, components=(0.3, 0.001, 2.0)))["ICC(A,k)"] > 1
    )
    result = icc(table, "2,k")
    assert result.var_images + (result.var_raters + result.var_error) / 2 < 0
    assert np.isnan(result.value)


def test_negative_components_stay():
    table = sample(8, 3, seed=0, components=(0.0, 0.0, 1.0))
    result = icc(table - table.mean(axis=1, keepdims=True) * 0.9, "2,1")
    assert result.var_images < 0
    assert result.value < 0


def quadratic_expectations(rated):
    """Coefficients of the components in R(image | .), R(rater | .) and SSE, from projections on the full designs."""
    image, rater = np.nonzero(rated)
    designs = [np.eye(size)[index] for index, size in zip((image, rater), rated.shape, strict=True)]
    project = [x @ np.linalg.pinv(x) for x in (*designs, np.hstack(designs))]
    forms = (project[2] - project[1], project[2] - project[0], np.eye(image.size) - project[2])
    return [[np.trace(x.T @ form @ x) for x in (*designs, np.eye(image.size))] for form in forms], forms


@pytest.mark.parametrize("seed", range(3))
def test_components_with_missing_ratings_equal_hendersons_by_plain_matrices(seed):
    table = sample(12, 5, missing=0.4, seed=seed)
    table = table[np.isfinite(table).any(axis=1)]
    rated = np.isfinite(table)
    coefficients, forms = quadratic_expectations(rated)
    (a, b), n = rated.shape, rated.sum()
    np.testing.assert_allclose(
        coefficients, [[n - b, 0, a - 1], [0, n - a, b - 1], [0, 0, n - a - b + 1]], atol=1e-8
    )
    expected = np.linalg.solve(coefficients, [table[rated] @ form @ table[rated] for form in forms])
    result = icc(table, "2,1")
    np.testing.assert_allclose([result.var_images, result.var_raters, result.var_error], expected, atol=1e-10)
    assert result.value == pytest.approx(expected[0] / expected.sum(), abs=1e-10)


@pytest.mark.parametrize("form", ["1,1", "2,1"])
def test_components_with_missing_ratings_are_unbiased(form):
    # In the one-way model each image has raters of its own, so their variance is part of the error.
    components = (1.0, 0.5, 0.7) if form == "2,1" else (1.0, 0.0, 1.2)
    found = []
    for seed in range(600):
        result = icc(sample(15, 6, missing=0.35, seed=seed, components=components), form)
        found.append([result.var_images, np.nan_to_num(result.var_raters), result.var_error])
    mean, error = np.mean(found, axis=0), np.std(found, axis=0) / np.sqrt(len(found))
    assert (np.abs(mean - components) <= 3.5 * error).all()
    assert (error < 0.05).all()


def test_images_and_raters_without_a_rating_change_nothing():
    table = sample(10, 4, missing=0.2)
    padded = np.full((12, 5), NAN)
    padded[1:11, :4] = table
    for form in FORMS:
        assert icc(padded, form).value == icc(table, form).value
    for level in ("interval", "ordinal", "nominal"):
        assert krippendorff_alpha(padded, level) == pytest.approx(krippendorff_alpha(table, level), abs=1e-12)


def test_k_is_the_harmonic_mean_number_of_ratings():
    table = np.array([[1.0, 2.0, 3.0], [2.0, 2.0, NAN], [5.0, 6.0, 5.0], [1.0, NAN, NAN]])
    result = icc(table, "3,k")
    assert result.k == pytest.approx(4 / (1 / 3 + 1 / 2 + 1 / 3 + 1))
    assert result.value == result.var_images / (result.var_images + result.var_error / result.k)


def test_icc_where_there_is_no_variance_or_no_error():
    assert np.isnan(icc(np.full((4, 3), 0.1)).value)
    assert icc(np.arange(4.0)[:, None] + np.zeros(3)).value == pytest.approx(1)
    assert icc(np.arange(4.0)[:, None] + np.arange(3.0), "3,k").value == pytest.approx(1)
    # All images have the same mean: the mean square between them, the denominator of ICC(3,k), is 0.
    assert np.isnan(icc([[0.0, 1.0, 2.0], [1.0, 2.0, 0.0], [2.0, 0.0, 1.0]], "3,k").value)


@pytest.mark.parametrize(
    ("table", "form", "message"),
    [
        ([[NAN, NAN], [NAN, NAN]], "2,1", "all are missing"),
        ([[1.0], [2.0], [3.0]], "2,1", "1 raters with 3 ratings"),
        ([[1.0], [2.0]], "1,1", "one of them with two ratings"),
        ([[1.0, 2.0]], "3,1", "got 1 images and 2 raters"),
        ([[1, 2, NAN, NAN], [2, 3, NAN, NAN], [NAN, NAN, 1, 4], [NAN, NAN, 1, 2]], "2,k", "not connected"),
        ([[1.0, 2.0], [2.0, 2.5]], "4,1", "forms of the ICC are 1,1; 1,k; 2,1; .*; got '4,1'"),
        ([1.0, 2.0], "2,1", r"got \(2,\)"),
        ([[1.0, np.inf], [2.0, 1.0]], "2,1", "1 ratings are infinite"),
    ],
)
def test_icc_says_what_it_lacks(table, form, message):
    with pytest.raises(UsageError, match=message):
        icc(table, form)


def test_raters_connected_over_a_third_are_enough():
    table = [[1, 2, NAN, NAN], [2, 4, NAN, NAN], [NAN, NAN, 1, 4], [NAN, 3, 1, 2], [1, 1, 1, 2]]
    assert np.isfinite(icc(table, "2,1").value)


@pytest.mark.parametrize("level", ["interval", "ordinal", "nominal"])
@pytest.mark.parametrize("seed", range(4))
def test_alpha_equals_krippendorff(level, seed):
    table = np.round(4 * sample(30, 5, missing=0.3, seed=seed)) / 4
    expected = krippendorff.alpha(table.T, level_of_measurement=level)
    assert krippendorff_alpha(table, level) == pytest.approx(expected, abs=1e-9)


def test_alpha_gives_krippendorffs_own_example():
    """Section C of Krippendorff 2011: nominal 0.743, ordinal 0.815, interval 0.849."""
    reliability = """
    1 2 3 3 2 1 4 1 2 . . .
    1 2 3 3 2 2 4 1 2 5 . 3
    . 3 3 3 2 3 4 2 2 5 1 .
    1 2 3 3 2 4 4 1 2 5 1 .
    """
    rows = [
        [NAN if cell == "." else float(cell) for cell in line.split()]
        for line in reliability.strip().splitlines()
    ]
    table = np.array(rows).T
    found = [round(krippendorff_alpha(table, level), 3) for level in ("nominal", "ordinal", "interval")]
    assert found == [0.743, 0.815, 0.849]


def test_alpha_where_ratings_are_equal_perfect_or_alone():
    assert np.isnan(krippendorff_alpha([[0.1, 0.1], [0.1, 0.1]]))
    for level in ("interval", "ordinal", "nominal"):
        assert krippendorff_alpha([[1, 1], [2, 2], [5, NAN]], level) == 1
    with pytest.raises(UsageError, match="there is none"):
        krippendorff_alpha([[1, NAN], [NAN, 2]])
    with pytest.raises(UsageError, match="got 'ratio'"):
        krippendorff_alpha([[1, 2], [3, 4]], "ratio")


def test_bias_is_what_was_put_in():
    truth = np.random.default_rng(0).normal(size=(30, 1))
    shift = np.array([0.3, -0.1, 0.0, 0.2])
    expected = shift - (shift.sum() - shift) / 3
    np.testing.assert_allclose(bias(truth + shift), expected, atol=1e-12)


def test_bias_by_loops_with_missing_ratings():
    table = sample(20, 4, missing=0.5, seed=3)
    for rater, found in enumerate(bias(table)):
        differences = [
            row[rater] - np.nanmean(np.delete(row, rater))
            for row in table
            if np.isfinite(row[rater]) and np.isfinite(np.delete(row, rater)).any()
        ]
        assert found == pytest.approx(np.mean(differences), abs=1e-12)


def test_a_rater_who_shares_no_image_has_no_bias():
    np.testing.assert_array_equal(bias([[1.0, 2.0, NAN], [NAN, NAN, 3.0]]), [-1.0, 1.0, NAN])
    with pytest.raises(UsageError, match="2 raters at least"):
        bias([[1.0], [2.0]])
