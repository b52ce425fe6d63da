"""Plans and dataset description of a small 2-D network in nnU-Net's own format.

nnU-Net plans a network from the images that it finds; here the plan is written down, with few features, and its files
are the same: ``dataset.json``, ``plans.json`` and ``fold_0/checkpoint_final.pth``.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from torch import nn

from iqa_registry.plugin import UsageError
from iqa_segmentation.nnunet_predictor import build_network as make

CONFIGURATION = "2d"
TRAINER = "nnUNetTrainer"
FEATURES = (8, 16, 32, 64, 64, 64)
"""Channels of each stage: 1.8 MB of weights."""
_NONE: dict[str, Any] = {}


def dataset_description(count: int, name: str) -> dict[str, Any]:
    """What nnU-Net keeps in ``dataset.json``: one channel, background and lesion."""
    return {
        "name": name,
        "channel_names": {"0": "MR"},
        "labels": {"background": 0, "lesion": 1},
        "numTraining": count,
        "file_ending": ".nii.gz",
    }


def make_plans(
    name: str,
    features: Sequence[int] = FEATURES,
    patch: int = 256,
    spacing: float = 1.0,
    batch: int = 8,
) -> dict[str, Any]:
    """What nnU-Net keeps in ``plans.json``, with one configuration, ``2d``.

    Args:
        name: of the dataset.
        features: channels of each stage.
        patch: side of what the network sees, in pixels; a multiple of 2 to the number of stages less one.
        spacing: side of a pixel in mm.
        batch: images a step in training.

    Raises:
        UsageError: the patch cannot be halved as often as there are stages.

    Example:
        >>> make_plans("phantom", features=(4, 8), patch=64)["configurations"]["2d"]["patch_size"]
        [64, 64]
    """
    if patch % 2 ** (len(features) - 1):
        raise UsageError(
            f"a patch of {patch} pixels cannot be halved {len(features) - 1} times; "
            f"use a multiple of {2 ** (len(features) - 1)} or fewer features."
        )
    return {
        "dataset_name": name,
        "plans_name": "nnUNetPlans",
        "original_median_spacing_after_transp": [999.0, spacing, spacing],
        "original_median_shape_after_transp": [1, patch, patch],
        "image_reader_writer": "SimpleITKIO",
        "transpose_forward": [0, 1, 2],
        "transpose_backward": [0, 1, 2],
        "configurations": {CONFIGURATION: _configuration(features, patch, spacing, batch)},
        "experiment_planner_used": "ExperimentPlanner",
        "label_manager": "LabelManager",
        "foreground_intensity_properties_per_channel": {"0": _NONE},
    }


def _configuration(features: Sequence[int], patch: int, spacing: float, batch: int) -> dict[str, Any]:
    linear = {"order": 3, "order_z": 0, "force_separate_z": None}
    nearest = {"order": 1, "order_z": 0, "force_separate_z": None, "is_seg": True}
    return {
        "data_identifier": "nnUNetPlans_2d",
        "preprocessor_name": "DefaultPreprocessor",
        "batch_size": batch,
        "patch_size": [patch, patch],
        "median_image_size_in_voxels": [float(patch), float(patch)],
        "spacing": [spacing, spacing],
        "normalization_schemes": ["ZScoreNormalization"],
        "use_mask_for_norm": [False],
        "resampling_fn_data": "resample_data_or_seg_to_shape",
        "resampling_fn_seg": "resample_data_or_seg_to_shape",
        "resampling_fn_data_kwargs": linear | {"is_seg": False},
        "resampling_fn_seg_kwargs": nearest,
        "resampling_fn_probabilities": "resample_data_or_seg_to_shape",
        "resampling_fn_probabilities_kwargs": linear | {"order": 1, "is_seg": False},
        "architecture": _architecture(features),
        "batch_dice": True,
    }


def _architecture(features: Sequence[int]) -> dict[str, Any]:
    stages = len(features)
    return {
        "network_class_name": "dynamic_network_architectures.architectures.unet.PlainConvUNet",
        "arch_kwargs": {
            "n_stages": stages,
            "features_per_stage": list(features),
            "conv_op": "torch.nn.modules.conv.Conv2d",
            "kernel_sizes": [[3, 3]] * stages,
            "strides": [[1, 1]] + [[2, 2]] * (stages - 1),
            # One convolution at full resolution, where most of the time goes.
            "n_conv_per_stage": [1] + [2] * (stages - 1),
            "n_conv_per_stage_decoder": [1] * (stages - 1),
            "conv_bias": True,
            "norm_op": "torch.nn.modules.instancenorm.InstanceNorm2d",
            "norm_op_kwargs": {"eps": 1e-05, "affine": True},
            "dropout_op": None,
            "dropout_op_kwargs": None,
            "nonlin": "torch.nn.LeakyReLU",
            "nonlin_kwargs": {"inplace": True},
        },
        "_kw_requires_import": ["conv_op", "norm_op", "dropout_op", "nonlin"],
    }


def build_network(plans: dict[str, Any], classes: int = 2) -> nn.Module:
    """The network of the plans, one channel in; deep supervision off."""
    architecture = plans["configurations"][CONFIGURATION]["architecture"]
    return make(architecture, classes, plans["plans_name"])
