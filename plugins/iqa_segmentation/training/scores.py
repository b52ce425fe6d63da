"""How well a segmenter finds lesions: Dice coefficients, and what it finds where there is nothing."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

from iqa_registry.plugin import Segmenter
from iqa_segmentation.training.samples import Samples


def measure(segmenter: Segmenter, samples: Samples) -> list[dict[str, Any]]:
    """One row for each modality, and one for all.

    Returns:
        Rows with ``modality``; ``slices`` with lesion and the mean of their Dice coefficients; slices without
        (``healthy``), the share of them where something is found, and the mean area found, in pixels. ``None`` where
        there is no such slice.
    """
    found = torch.cat([segmenter.mask(image[None, None] / 255)[:, 0].cpu() for image in samples.images])
    overlap = (found & samples.lesions).sum(dim=(1, 2)).double()
    areas = found.sum(dim=(1, 2)).double(), samples.lesions.sum(dim=(1, 2)).double()
    dice = (2 * overlap / (areas[0] + areas[1]).clamp_min(1)).numpy()
    ill, area = (areas[1] > 0).numpy(), areas[0].numpy()
    modalities = np.asarray(samples.modalities)
    rows = [_row(name, modalities == name, ill, dice, area) for name in dict.fromkeys(samples.modalities)]
    return [*rows, _row("all", np.full(len(samples), True), ill, dice, area)]


def _row(name: str, chosen: Any, ill: Any, dice: Any, area: Any) -> dict[str, Any]:
    healthy = area[chosen & ~ill]
    return {
        "modality": name,
        "slices": int((chosen & ill).sum()),
        "dice": _mean(dice[chosen & ill]),
        "healthy": len(healthy),
        "false_alarms": _mean(healthy > 0),
        "false_area": _mean(healthy),
    }


def _mean(values: Any) -> float | None:
    return round(float(np.mean(values)), 4) if len(values) else None
