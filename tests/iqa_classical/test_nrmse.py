"""NRMSE of references that leave nothing to normalize by."""

from __future__ import annotations

import pytest
import torch

from iqa_classical.nrmse import NRMSE

FORMS = ["euclidean", "min-max", "mean"]


@pytest.mark.parametrize("form", FORMS)
def test_black_reference_gives_the_plain_rmse(form):
    score = NRMSE(normalization=form)(torch.full((1, 1, 4, 4), 0.5), torch.zeros(1, 1, 4, 4))
    assert score.tolist() == [0.5]


def test_constant_reference_has_no_range_to_normalize_by():
    synthesized, reference = torch.full((1, 1, 4, 4), 0.5), torch.full((1, 1, 4, 4), 0.25)
    scores = {form: NRMSE(normalization=form)(synthesized, reference).item() for form in FORMS}
    assert scores == {"euclidean": 1.0, "min-max": 0.25, "mean": 1.0}
