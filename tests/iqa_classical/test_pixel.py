"""What the pixel metrics share: means under masks, gradients, reasons, one encoding."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from iqa_classical.mae import MAE
from iqa_classical.mse import MSE
from iqa_classical.nrmse import NRMSE
from iqa_classical.pixel import masked_mean
from iqa_classical.psnr import PSNR

METRICS = [MAE, MSE, PSNR, NRMSE, lambda **kw: NRMSE(normalization="min-max", **kw)]


def test_masked_mean_is_numpys():
    rng = np.random.default_rng(0)
    values, mask = rng.random((3, 3, 9, 7), dtype=np.float32), rng.random((3, 1, 9, 7)) < 0.4
    expected = [values[n][:, mask[n, 0]].astype(np.float64).mean() for n in range(3)]
    got = masked_mean(torch.from_numpy(values), torch.from_numpy(mask))
    np.testing.assert_allclose(got.numpy(), expected, rtol=1e-6)


@pytest.mark.parametrize("make", METRICS)
def test_empty_mask_gives_nan_with_a_reason(make):
    images = torch.rand(2, 1, 4, 4)
    mask = torch.ones(2, 1, 4, 4, dtype=torch.bool)
    mask[1] = False
    outcome = make().compare_in_detail(images, images, mask)
    assert torch.isnan(outcome.scores).tolist() == [False, True]
    assert outcome.reasons == {1: "the mask is empty"}


@pytest.mark.parametrize("make", METRICS)
@pytest.mark.parametrize("value", [None, 0.0, 0.5])
def test_gradient_is_finite_at_equality_and_for_constant_images(make, value):
    reference = torch.rand(2, 1, 5, 5) if value is None else torch.full((2, 1, 5, 5), value)
    synthesized = reference.clone().requires_grad_()
    scores = make()(synthesized, reference)
    scores[scores.isfinite()].sum().backward()
    assert synthesized.grad is None or torch.isfinite(synthesized.grad).all()
    shifted = (reference * 0.5 + 0.25).requires_grad_()
    make()(shifted, reference).sum().backward()
    assert torch.isfinite(shifted.grad).all()


def test_pixel_metrics_share_one_encoding_per_number_of_dimensions():
    identifiers = {make(dimensions=dimensions).encoder_id for make in METRICS for dimensions in (2, 3)}
    assert identifiers == {"iqa_classical.pixels-2d", "iqa_classical.pixels-3d"}
