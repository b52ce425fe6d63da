"""The short way for slices: nnU-Net's preprocessing and network without its machinery for files and volumes.

It serves 2-D models where nothing has to be resampled and no slice is larger than the patch, so that nnU-Net's sliding
window has one position. Crop, normalization (nnU-Net's own class), padding, network and the half-precision average of
the window are the same, and so are the labels; a test holds that.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from iqa_segmentation.frames import Box, nonzero_box, pad_to
from iqa_segmentation.nnunet_folder import ModelFolder
from iqa_segmentation.nnunet_predictor import load_weights, unchanged

_ON_GPU = 8
"""Slices that a GPU takes at once. The number never varies, since an image's labels must not depend on the rest of the
batch, and kernels differ with its size; a CPU takes one at a time, which costs no time there."""


@dataclass(slots=True)
class SliceReader:
    """Segments slices.

    Attributes:
        network: from ``(N, 1, *patch)`` to ``(N, classes, *patch)``.
        normalization: nnU-Net's own object.
        patch: rows and columns.
        spacing: of rows and columns, mm.
    """

    network: nn.Module
    normalization: Any
    patch: tuple[int, ...]
    spacing: tuple[float, ...]
    lock: threading.Lock = field(default_factory=threading.Lock)

    def __reduce__(self) -> tuple[Any, ...]:
        # A lock cannot be pickled; a copy gets one of its own.
        return SliceReader, (self.network, self.normalization, self.patch, self.spacing)

    def fits(self, shape: Sequence[int], spacing: Sequence[float]) -> bool:
        """Whether slices of this shape need neither resampling nor several windows."""
        return all(
            length <= limit and round(length * own / wanted) == length
            for length, limit, own, wanted in zip(shape, self.patch, spacing, self.spacing, strict=True)
        )

    @torch.inference_mode()
    def segment(self, images: Sequence[Tensor]) -> list[NDArray[np.uint8]]:
        """Label maps of slices ``(H, W)`` on one device."""
        found = [np.zeros(tuple(image.shape), np.uint8) for image in images]
        full = [number for number, image in enumerate(images) if image.any()]
        step = 1 if not images or images[0].device.type == "cpu" else _ON_GPU
        for start in range(0, len(full), step):
            chosen = full[start : start + step]
            prepared = [self._prepare(images[number]) for number in chosen]
            batch = torch.zeros(step, 1, *self.patch, device=images[0].device)
            batch[: len(chosen), 0] = torch.stack([padded for padded, _, _ in prepared])
            classes = self._classes(batch)
            for number, (_, box, place), labels in zip(chosen, prepared, classes, strict=False):
                found[number][box] = labels[place]
        return found

    def _prepare(self, image: Tensor) -> tuple[Tensor, Box, Box]:
        box = nonzero_box(image)
        part = image[box].cpu().numpy().copy()
        # nnU-Net marks what is zero by -1. It fills holes first, but a slice is a volume one voxel thick to it, in
        # which no hole is enclosed.
        outside = np.where(part != 0, 0, -1).astype(np.int8)
        normalized = torch.from_numpy(self.normalization.run(part, outside)).to(image.device)
        padded, place = pad_to(normalized, self.patch)
        return padded, box, place

    def _classes(self, batch: Tensor) -> NDArray[np.uint8]:
        # Mixed precision where nnU-Net uses it: on a GPU.
        with self.lock, torch.autocast(batch.device.type, enabled=batch.device.type == "cuda"):
            logits = self.network.to(batch.device)(batch)
        window = _window(self.patch, batch.device)
        logits = (logits * window).half() / window
        return logits.argmax(dim=1).to(torch.uint8).cpu().numpy()


def _window(patch: tuple[int, ...], device: torch.device) -> Tensor:
    from nnunetv2.inference.sliding_window_prediction import compute_gaussian

    window: Tensor = compute_gaussian(patch, sigma_scale=1 / 8, value_scaling_factor=10, device=device)
    return window


def read_slices(folder: ModelFolder) -> SliceReader | None:
    """The short way for a model, or ``None`` where only nnU-Net's predictor does."""
    settings = folder.settings
    plain = (
        folder.dimensions == 2
        and folder.checkpoint["trainer_name"] == "nnUNetTrainer"
        and "architecture" in settings
        and settings["preprocessor_name"] == "DefaultPreprocessor"
        and settings["resampling_fn_data"] == "resample_data_or_seg_to_shape"
        and settings["resampling_fn_probabilities"] == "resample_data_or_seg_to_shape"
        and folder.plans["transpose_forward"] == [0, 1, 2]
        and sorted(map(str, folder.dataset["labels"].values()))
        == sorted(map(str, range(len(folder.dataset["labels"]))))
        and "ignore" not in folder.dataset["labels"]
    )
    return _make(folder, settings) if plain else None


def _normalize_in_place(network: nn.Module) -> None:
    """Instance norms as group norms of one channel a group: the same numbers without changing the memory format.

    torch brings images to channels first for an instance norm and back, which took a third of the network's time.
    """
    for name, child in network.named_children():
        if isinstance(child, nn.InstanceNorm2d) and child.affine and not child.track_running_stats:
            channels = child.num_features
            norm = nn.GroupNorm(channels, channels, child.eps)
            norm.weight, norm.bias = child.weight, child.bias
            setattr(network, name, norm)
        else:
            _normalize_in_place(child)


def _make(folder: ModelFolder, settings: dict[str, Any]) -> SliceReader:
    with unchanged():
        from nnunetv2.preprocessing.normalization import default_normalization_schemes as schemes
        from nnunetv2.utilities.get_network_from_plans import get_network_from_plans

        architecture = settings["architecture"]
        network = get_network_from_plans(
            architecture["network_class_name"],
            architecture["arch_kwargs"],
            architecture["_kw_requires_import"],
            1,
            len(folder.dataset["labels"]),
            deep_supervision=False,
        )
    load_weights(network, folder)
    _normalize_in_place(network)
    intensities = folder.plans.get("foreground_intensity_properties_per_channel", {}).get("0", {})
    normalization = getattr(schemes, settings["normalization_schemes"][0])(
        use_mask_for_norm=settings["use_mask_for_norm"][0], intensityproperties=intensities
    )
    return SliceReader(
        # Channels last: twice as fast on CPUs with few channels.
        network.eval().requires_grad_(False).to(memory_format=torch.channels_last),
        normalization,
        tuple(settings["patch_size"]),
        tuple(settings["spacing"]),
    )
