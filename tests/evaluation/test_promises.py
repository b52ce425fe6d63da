"""What a metric may give: one real number per pair, for the score and for each component, or one for a set."""

import math
import re

import numpy as np
import pytest
import torch

from iqa_registry.errors import MetricError
from iqa_registry.evaluation.features import check_count
from iqa_registry.evaluation.promises import check_comparison, check_number, check_scores
from iqa_registry.metrics import Comparison


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32, torch.float64, torch.int64])
def test_real_numbers_are_scores(dtype):
    scores = torch.ones(3, dtype=dtype)
    assert check_scores(scores, 3, "m") is scores


@pytest.mark.parametrize(
    ("scores", "says"),
    [
        (torch.ones(1, 1), "m: gave scores of shape (1, 1) for 1 image, expected (1,)."),
        (torch.ones(()), "m: gave scores of shape () for 1 image, expected (1,)."),
        (torch.ones(0), "m: gave scores of shape (0,) for 1 image, expected (1,)."),
        (torch.ones(1, dtype=torch.complex64), "m: gave scores as complex numbers, expected real numbers."),
        (np.ones(1), "m: gave scores as ndarray, expected a tensor of shape (1,)."),
        (1.0, "m: gave scores as float, expected a tensor of shape (1,)."),
    ],
)
def test_all_else_is_none(scores, says):
    with pytest.raises(MetricError, match=f"^{re.escape(says)}$"):
        check_scores(scores, 1, "m")


def test_components_are_like_scores():
    good = Comparison(torch.ones(2), {"first": torch.ones(2)})
    assert check_comparison(good, 2, "m") is good
    with pytest.raises(MetricError, match=r"m: gave the component 'second' of shape \(2, 1\) for 2 images"):
        check_comparison(
            Comparison(torch.ones(2), {"first": torch.ones(2), "second": torch.ones(2, 1)}), 2, "m"
        )
    with pytest.raises(MetricError, match=r"m: gave scores of shape \(3,\) for 2 images"):
        check_comparison(Comparison(torch.ones(3)), 2, "m")
    with pytest.raises(
        MetricError, match=r"m: gave a tensor of shape \(2,\) \(float32\), expected a Comparison"
    ):
        check_comparison(torch.ones(2), 2, "m")


@pytest.mark.parametrize(
    "score", [2, 2.0, np.float32(2), np.int64(2), torch.tensor(2.0), torch.tensor([[2]])]
)
def test_one_number_is_the_score_of_a_set(score):
    found = check_number(score, "m")
    assert (found, type(found)) == (2.0, float)


def test_infinity_is_a_number():
    assert check_number(torch.tensor(-math.inf), "m") == -math.inf


@pytest.mark.parametrize(
    ("score", "says"),
    [
        (math.nan, "NaN, expected a number"),
        (torch.tensor([math.nan]), "NaN, expected a number"),
        (torch.ones(2), "a tensor of shape (2,) (float32), expected one real number"),
        (
            torch.ones(1, dtype=torch.complex64),
            "a tensor of shape (1,) (complex64), expected one real number",
        ),
        (np.ones(1), "ndarray, expected one real number"),
        ("2", "str, expected one real number"),
        (None, "NoneType, expected one real number"),
    ],
)
def test_what_is_no_score_of_a_set(score, says):
    with pytest.raises(MetricError, match=re.escape(f"m: gave {says}.")):
        check_number(score, "m")


def test_features_have_the_batch_as_first_dimension():
    check_count({"a": torch.ones(2, 3), "b": [torch.ones(2), (torch.ones(2, 1, 1), None)]}, 2, "m")
    for wrong in (torch.ones(1, 2), torch.ones(()), torch.ones(3)):
        with pytest.raises(
            MetricError, match=r"m: encode gave a tensor of shape .* for 2 images, expected \(2, \.\.\.\)"
        ):
            check_count({"a": torch.ones(2), "b": [wrong]}, 2, "m")
