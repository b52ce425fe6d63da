"""NRMSE against scikit-image (1e-6 of the value)."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from skimage.metrics import normalized_root_mse

from iqa_classical.nrmse import NRMSE

FORMS = ["euclidean", "min-max", "mean"]


@pytest.mark.parametrize("form", FORMS)
def test_equals_skimage(pair, form):
    synthesized, reference = (images.double().numpy() for images in pair)
    expected = normalized_root_mse(reference, synthesized, normalization=form)
    np.testing.assert_allclose(NRMSE(normalization=form)(*pair).numpy(), expected, rtol=1e-6)


@pytest.mark.parametrize("form", FORMS)
def test_volume_equals_skimage(volume_pair, form):
    synthesized, reference = (images.double().numpy() for images in volume_pair)
    expected = normalized_root_mse(reference, synthesized, normalization=form)
    np.testing.assert_allclose(
        NRMSE(dimensions=3, normalization=form)(*volume_pair).numpy(), expected, rtol=1e-6
    )


@pytest.mark.parametrize("form", FORMS)
def test_black_reference_gives_the_plain_rmse(form):
    score = NRMSE(normalization=form)(torch.full((1, 1, 4, 4), 0.5), torch.zeros(1, 1, 4, 4))
    assert score.tolist() == [0.5]


def test_constant_reference_has_no_range_to_normalize_by():
    synthesized, reference = torch.full((1, 1, 4, 4), 0.5), torch.full((1, 1, 4, 4), 0.25)
    scores = {form: NRMSE(normalization=form)(synthesized, reference).item() for form in FORMS}
    assert scores == {"euclidean": 1.0, "min-max": 0.25, "mean": 1.0}
