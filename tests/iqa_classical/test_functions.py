"""Each metric is a plain function too, and gives what the class gives, bit for bit."""

from __future__ import annotations

import importlib

import pytest
import torch

from iqa_classical.piq_bridge import TABLE, piq_score
from iqa_classical.plugin import METRICS

PARAMETERS = {
    "nrmse": {"normalization": "min-max"},
    "ssim": {"window": 7, "sigma": 2.0, "k1": 0.02, "k2": 0.05, "downsample": True},
    "ms_ssim": {"window": 7, "sigma": 2.0, "k1": 0.02, "k2": 0.05},
    "gmsd": {"c": 0.01},
    "fsim": {"scales": 3, "orientations": 6},
    "vif": {"noise_variance": 0.4},
    "nlpd": {"far_neighbor": True},
}
NAMES = [spec.name for spec in METRICS]


@pytest.fixture(scope="module")
def images():
    generator = torch.Generator().manual_seed(0)
    reference = torch.rand(2, 3, 390, 401, generator=generator)
    return (reference + 0.1 * torch.randn(reference.shape, generator=generator)).clamp(0, 1), reference


@pytest.mark.parametrize("name", [name for name in NAMES if name not in TABLE])
def test_function_equals_the_class(name, images):
    module = importlib.import_module(f"iqa_classical.{name}")
    function = getattr(module, name)
    made = next(getattr(module, item) for item in dir(module) if item == name.replace("_", "").upper())
    mask = torch.zeros(2, 1, *images[0].shape[2:], dtype=torch.bool)
    mask[..., 20:380, 3:-3] = True
    for options in ({}, PARAMETERS.get(name, {})):
        assert torch.equal(function(*images, **options), made(**options)(*images))
        assert torch.equal(function(*images, mask=mask, **options), made(**options)(*images, mask))


@pytest.mark.parametrize("name", TABLE)
def test_bridged_function_equals_the_class(name):
    images = torch.rand(2, 2, 1, 170, 180, generator=torch.Generator().manual_seed(0))
    made = getattr(importlib.import_module("iqa_classical.piq_bridge"), name)()
    assert torch.equal(piq_score(*images, TABLE[name]), made(*images))
