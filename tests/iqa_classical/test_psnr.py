"""PSNR: equal images and small errors."""

from __future__ import annotations

import pytest
import torch

from iqa_classical.psnr import PSNR


def test_equal_images_score_infinity_and_others_in_the_batch_do_not():
    reference = torch.rand(2, 1, 4, 4)
    synthesized = reference.clone()
    synthesized[1] = (reference[1] * 0.9).clamp(0, 1)
    scores = PSNR()(synthesized, reference)
    assert torch.isposinf(scores).tolist() == [True, False]


def test_no_floor_hides_small_errors():
    reference = torch.full((1, 1, 8, 8), 0.5)
    assert PSNR()(reference + 1e-5, reference).item() == pytest.approx(100, abs=0.1)
