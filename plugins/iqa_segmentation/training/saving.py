"""Writing what was trained: a folder as nnU-Net has it, or a safetensors file."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import torch
from torch import nn

from iqa_registry.plugin import write_atomically
from iqa_segmentation.plans import CONFIGURATION, TRAINER


def save_folder(network: nn.Module, plans: dict[str, Any], dataset: dict[str, Any], path: Path) -> None:
    """Write a trained-model folder that nnU-Net's predictor reads, with plain types only in the checkpoint."""
    checkpoint = {
        # No copies: the network has most tensors under several names, and the file holds each once.
        "network_weights": dict(network.state_dict()),
        "trainer_name": TRAINER,
        "init_args": {"configuration": CONFIGURATION, "fold": 0},
        "inference_allowed_mirroring_axes": (0, 1),
    }
    content = io.BytesIO()
    torch.save(checkpoint, content)
    write_json(path / "dataset.json", dataset)
    write_json(path / "plans.json", plans)
    write_atomically(path / "fold_0" / "checkpoint_final.pth", content.getvalue())


def write_json(path: Path, content: dict[str, Any]) -> None:
    """Write readable JSON."""
    write_atomically(path, (json.dumps(content, indent=2) + "\n").encode())
