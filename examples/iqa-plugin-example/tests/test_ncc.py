"""NCC keeps what it declares, and is what NumPy says it is."""

import iqa_registry as iqa
import numpy as np
import torch
from iqa_registry.testing import conformance_tests

test_conformance = conformance_tests("ncc", "ssim-7")


def test_ncc_is_the_correlation_coefficient():
    synthesized, reference = torch.rand(2, 1, 1, 32, 48, generator=torch.Generator().manual_seed(0))
    expected = np.corrcoef(synthesized.flatten(), reference.flatten())[0, 1]
    assert abs(iqa.metric("ncc")(synthesized, reference).item() - expected) < 1e-6


def test_a_gain_and_an_offset_change_nothing_and_inverted_contrast_gives_minus_one():
    image = torch.rand(1, 1, 32, 48, generator=torch.Generator().manual_seed(0))
    ncc = iqa.metric("ncc")
    assert abs(ncc(0.5 * image + 0.2, image).item() - 1) < 1e-6
    assert abs(ncc(1 - image, image).item() + 1) < 1e-6
