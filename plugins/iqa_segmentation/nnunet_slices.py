"""The short way for slices: what nnU-Net does with them, without its machinery for files and volumes.

It serves 2-D models where nothing has to be resampled. Crop, normalization, padding, the places of the sliding window,
network and the half-precision average of the windows are the same, and so are the labels; tests hold that. Plans of the
plain kind, the shipped model's among them, need no package of nnU-Net; others take its networks and normalizations.
"""

from __future__ import annotations

import itertools
import math
import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from iqa_segmentation.frames import Box, nonzero_box, pad_to
from iqa_segmentation.nnunet_folder import ModelFolder, described_by
from iqa_segmentation.nnunet_predictor import build_network, load_weights, need_nnunet, unchanged
from iqa_segmentation.plain_unet import is_plain

_ON_GPU = 8
"""Slices that a GPU takes at once. The number never varies, since an image's labels must not depend on the rest of the
batch, and kernels differ with its size; a CPU takes one at a time, which costs no time there."""

_LARGEST_PATCH = 1 << 14


@dataclass(slots=True)
class SliceReader:
    """Segments slices.

    Attributes:
        network: from ``(N, 1, *patch)`` to ``(N, classes, *patch)``.
        normalization: ``run(image, outside)`` of nnU-Net's own object, or of :class:`ZScore`.
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
        """Whether slices of this shape need no resampling."""
        return all(
            round(length * own / wanted) == length
            for length, own, wanted in zip(shape, spacing, self.spacing, strict=True)
        )

    @torch.inference_mode()
    def segment(self, images: Sequence[Tensor]) -> list[NDArray[np.uint8]]:
        """Label maps of slices ``(H, W)`` on one device."""
        found = [np.zeros(tuple(image.shape), np.uint8) for image in images]
        full = [number for number, image in enumerate(images) if image.any()]
        step = 1 if not images or images[0].device.type == "cpu" else _ON_GPU
        prepared = [self._prepare(images[number]) for number in full]
        windows = [
            (number, place)
            for number, (padded, _, _) in enumerate(prepared)
            for place in self._places(padded)
        ]
        sums = [_Sum.like(padded) for padded, _, _ in prepared]
        for start in range(0, len(windows), step):
            chosen = windows[start : start + step]
            batch = torch.zeros(step, 1, *self.patch, device=images[0].device)
            batch[: len(chosen), 0] = torch.stack([prepared[number][0][place] for number, place in chosen])
            weight, logits = _window(self.patch, batch.device), self._logits(batch)
            for (number, place), output in zip(chosen, logits, strict=False):
                sums[number].add(output, weight, place)
        for number, (_, box, place), total in zip(full, prepared, sums, strict=True):
            found[number][box] = total.labels()[place]
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

    def _places(self, padded: Tensor) -> Iterator[Box]:
        starts = itertools.starmap(_starts, zip(padded.shape, self.patch, strict=True))
        for corner in itertools.product(*starts):
            yield tuple(slice(start, start + size) for start, size in zip(corner, self.patch, strict=True))

    def _logits(self, batch: Tensor) -> Tensor:
        # Mixed precision where nnU-Net uses it: on a GPU.
        with self.lock, torch.autocast(batch.device.type, enabled=batch.device.type == "cuda"):
            logits: Tensor = self.network.to(batch.device)(batch)
        return logits


@dataclass(slots=True)
class _Sum:
    """Weighted sum of the windows of one slice, in half precision as nnU-Net keeps it."""

    weights: Tensor
    logits: Tensor | None = None

    @classmethod
    def like(cls, padded: Tensor) -> _Sum:
        return cls(torch.zeros(padded.shape, dtype=torch.half, device=padded.device))

    def add(self, output: Tensor, weight: Tensor, place: Box) -> None:
        if self.logits is None:
            self.logits = self.weights.new_zeros(len(output), *self.weights.shape)
        self.logits[(slice(None), *place)] += output * weight
        self.weights[place] += weight

    def labels(self) -> NDArray[np.uint8]:
        assert self.logits is not None  # noqa: S101 - every slice has a window
        found: NDArray[np.uint8] = (self.logits / self.weights).argmax(dim=0).to(torch.uint8).cpu().numpy()
        return found


def _starts(length: int, size: int) -> list[int]:
    """Where windows begin along an axis: steps of half a window or less."""
    last = math.ceil(2 * (length - size) / size)
    return [round(index * (length - size) / last) for index in range(last + 1)] if last else [0]


def _window(patch: tuple[int, ...], device: torch.device) -> Tensor:
    """Weights of a window's pixels: nearly Gaussian with a deviation of an eighth of the window, 10 in the middle."""
    from scipy.ndimage import gaussian_filter

    impulse = np.zeros(patch)
    impulse[tuple(length // 2 for length in patch)] = 1
    weights = gaussian_filter(impulse, [length / 8 for length in patch], mode="constant")
    window = torch.from_numpy(weights / (weights.max() / 10)).to(device, torch.half)
    return torch.where(window == 0, window[window != 0].min(), window)


@dataclass(frozen=True, slots=True)
class ZScore:
    """nnU-Net's ``ZScoreNormalization``.

    Attributes:
        masked: take mean and deviation where the image is not zero, and leave the rest.

    Example:
        >>> ZScore(False).run(np.array([1.0, 3.0], np.float32), np.zeros(2, np.int8)).tolist()
        [-1.0, 1.0]
    """

    masked: bool

    def run(self, image: NDArray[np.float32], outside: NDArray[np.int8]) -> NDArray[np.float32]:
        """The normalized image; ``outside`` is -1 where it is zero."""
        inside = outside >= 0 if self.masked else np.ones(image.shape, bool)
        values = image[inside] if self.masked else image
        result = image.copy()
        result[inside] = ((values - values.mean()) / max(values.std(), 1e-8)).ravel()
        return result


def read_slices(folder: ModelFolder) -> SliceReader | None:
    """The short way for a model, or ``None`` where only nnU-Net's predictor does."""
    with described_by(folder.path):
        return _read_slices(folder)


def _read_slices(folder: ModelFolder) -> SliceReader | None:
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
    rows, columns = (int(side) for side in settings["patch_size"])
    spacing = tuple(float(size) for size in settings["spacing"])
    if not (
        0 < min(rows, columns) <= max(rows, columns) <= _LARGEST_PATCH
        and len(spacing) == 2
        and min(spacing) > 0
    ):
        raise ValueError(f"patch_size {settings['patch_size']}, spacing {settings['spacing']}")
    made_of = (settings["architecture"], len(folder.dataset["labels"]), str(folder.path))
    if is_plain(settings["architecture"]):
        # First without memory: plans may ask for more than there is, the weights tell what is meant.
        with unchanged(), torch.device("meta"):
            load_weights(build_network(*made_of), folder)
    network = build_network(*made_of)
    load_weights(network, folder)
    _normalize_in_place(network)
    return SliceReader(
        # Channels last: twice as fast on CPUs with few channels.
        network.eval().requires_grad_(False).to(memory_format=torch.channels_last),
        _normalization(folder, settings),
        (rows, columns),
        spacing,
    )


def _normalization(folder: ModelFolder, settings: dict[str, Any]) -> Any:
    scheme, masked = settings["normalization_schemes"][0], settings["use_mask_for_norm"][0]
    if scheme == "ZScoreNormalization":
        return ZScore(masked)
    need_nnunet(f"{scheme} of {folder.path}")
    with unchanged():
        from nnunetv2.preprocessing.normalization import default_normalization_schemes as schemes

    intensities = folder.plans.get("foreground_intensity_properties_per_channel", {}).get("0", {})
    return getattr(schemes, scheme)(use_mask_for_norm=masked, intensityproperties=intensities)
