"""Tiny models with random weights in nnU-Net's own format."""

import copy

import numpy as np
import pytest
import torch

from iqa_segmentation.plans import build_network, dataset_description, make_plans
from iqa_segmentation.training.saving import save_folder


def three_dimensional(plans):
    changed = copy.deepcopy(plans)
    settings = changed["configurations"]["2d"]
    settings |= {"patch_size": [8, 16, 16], "spacing": [2.0, 1.0, 1.0]}
    kwargs = settings["architecture"]["arch_kwargs"]
    kwargs |= {"conv_op": "torch.nn.modules.conv.Conv3d", "kernel_sizes": [[3, 3, 3]] * 2}
    kwargs |= {
        "strides": [[1, 1, 1], [2, 2, 2]],
        "norm_op": "torch.nn.modules.instancenorm.InstanceNorm3d",
    }
    return changed


@pytest.fixture
def folder(tmp_path):
    """``folder()`` writes a model folder and returns it; ``change`` alters the plans first."""

    def make(name="model", change=None, labels=("background", "lesion"), dimensions=2):
        plans = make_plans("Dataset001_Tiny", features=(4, 8), patch=64)
        plans = three_dimensional(plans) if dimensions == 3 else plans
        plans = change(plans) if change else plans
        dataset = dataset_description(1, "Dataset001_Tiny")
        dataset["labels"] = {label: number for number, label in enumerate(labels)}
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(3)
            network = build_network(plans, len(labels))
        save_folder(network, plans, dataset, tmp_path / name)
        return tmp_path / name

    return make


@pytest.fixture
def images():
    """Four images of 48 by 56 with different margins of zeros, the last one all zero."""
    pixels = torch.rand(4, 1, 48, 56, generator=torch.Generator().manual_seed(1))
    smooth = torch.nn.functional.avg_pool2d(pixels, 9, 1, 4)
    for number, margin in enumerate((0, 5, 11, 28)):
        mask = torch.zeros(48, 56)
        mask[margin : 48 - margin, margin : 56 - margin] = 1
        smooth[number] *= mask
    smooth[0, 0, 20:24, 20:24] = 0
    return smooth


@pytest.fixture
def volume(images):
    return np.stack([images[0, 0].numpy()] * 4 + [images[1, 0].numpy()] * 6)
