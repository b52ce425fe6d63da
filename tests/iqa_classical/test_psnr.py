"""PSNR against scikit-image (1e-6 of the value)."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from skimage.metrics import peak_signal_noise_ratio

from iqa_classical.psnr import PSNR


def test_equals_skimage(pair):
    synthesized, reference = (images.double().numpy() for images in pair)
    expected = peak_signal_noise_ratio(reference, synthesized, data_range=1)
    np.testing.assert_allclose(PSNR()(*pair).numpy(), expected, rtol=1e-6)


def test_volume_equals_skimage(volume_pair):
    synthesized, reference = (images.double().numpy() for images in volume_pair)
    expected = peak_signal_noise_ratio(reference, synthesized, data_range=1)
    np.testing.assert_allclose(PSNR(dimensions=3)(*volume_pair).numpy(), expected, rtol=1e-6)


def test_equal_images_score_infinity_and_others_in_the_batch_do_not():
    reference = torch.rand(2, 1, 4, 4)
    synthesized = reference.clone()
    synthesized[1] = (reference[1] * 0.9).clamp(0, 1)
    scores = PSNR()(synthesized, reference)
    assert torch.isposinf(scores).tolist() == [True, False]


def test_no_floor_hides_small_errors():
    reference = torch.full((1, 1, 8, 8), 0.5)
    assert PSNR()(reference + 1e-5, reference).item() == pytest.approx(100, abs=0.1)
