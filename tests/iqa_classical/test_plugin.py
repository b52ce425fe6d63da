"""The declarations: complete, in order, light to import, and true to what they declare."""

from __future__ import annotations

import importlib
import subprocess
import sys

import pytest
import torch

from iqa_classical.plugin import METRICS, iqa_register_metrics

BY_NAME = {spec.name: spec for spec in METRICS}


def test_declarations_are_complete_and_in_alphabetical_order():
    registered = []
    iqa_register_metrics(registered.append)
    for spec in registered:
        spec.check()
    assert [spec.name for spec in registered] == sorted(BY_NAME)
    assert {"mae", "mse", "nrmse", "psnr", "ssim", "ms_ssim", "gmsd", "haarpsi", "iw_ssim"} <= BY_NAME.keys()


def test_importing_the_declarations_imports_neither_torch_nor_pydantic():
    program = (
        "import sys, iqa_classical.plugin; print(sorted({'torch', 'pydantic', 'numpy'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


@pytest.mark.parametrize("name", BY_NAME)
def test_factory_makes_a_metric_of_the_declared_least_size(name):
    module, factory = BY_NAME[name].factory.split(":")
    metric = getattr(importlib.import_module(module), factory)()
    metric.spec = BY_NAME[name]
    assert isinstance(metric, torch.nn.Module)
    assert metric.minimum_size == BY_NAME[name].minimum_size
