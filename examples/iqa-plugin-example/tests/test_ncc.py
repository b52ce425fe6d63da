"""NCC does what it declares, and is what NumPy computes."""

import iqa_registry as iqa
import numpy as np
import torch
from iqa_registry.plugin import conformance_tests


def correlation(x, y, mask=...):
    return np.corrcoef(x[mask].ravel(), y[mask].ravel())[0, 1]


test_ncc = conformance_tests("ncc", reference=correlation, atol=1e-5)
test_ssim_7 = conformance_tests("ssim-7")


def test_gain_and_offset_change_nothing_and_inverted_contrast_gives_minus_one():
    image = torch.rand(1, 1, 32, 48, generator=torch.Generator().manual_seed(0))
    ncc = iqa.metric("ncc")
    assert abs(ncc(0.5 * image + 0.2, image).item() - 1) < 1e-6
    assert abs(ncc(1 - image, image).item() + 1) < 1e-6
