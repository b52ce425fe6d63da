"""The training loop: Dice and cross-entropy, AdamW, a rate that falls to zero along a cosine."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Generator, Tensor, nn
from torch.nn import functional as F

from iqa_segmentation.frames import nonzero_box, pad_to, standardize
from iqa_segmentation.training.augment import augment
from iqa_segmentation.training.samples import Samples

SMOOTH = 100.0
"""Pixels that steady the Dice coefficient of a single slice."""


@dataclass(frozen=True, slots=True)
class Recipe:
    """How to train.

    Attributes:
        steps: how many batches.
        batch: slices in each.
        rate: the highest learning rate.
        seed: of the weights, the order and the augmentation.
        dice: see :func:`dice_and_entropy`.
        precision: ``fp32``, or ``bf16`` for automatic mixed precision.
        device: ``cpu``, ``cuda`` ...
    """

    steps: int
    batch: int = 8
    rate: float = 2e-3
    seed: int = 0
    dice: str = "batch"
    precision: str = "fp32"
    device: str = "cpu"


def train(
    network: nn.Module, samples: Samples, recipe: Recipe, progress: Callable[[float, int], None] | None = None
) -> float:
    """Train a network in place and leave it in evaluation mode on the CPU.

    Args:
        network: from ``(N, 1, S, S)``, normalized by :func:`normalize`, to ``(N, 2, S, S)``.
        samples: the slices.
        recipe: how.
        progress: called with the number of steps done and in all.

    Returns:
        Seconds.
    """
    start = time.monotonic()
    device = torch.device(recipe.device)
    network.to(device).to(memory_format=torch.channels_last).train()
    optimizer = torch.optim.AdamW(network.parameters(), recipe.rate, weight_decay=1e-4)
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimizer, recipe.rate, total_steps=max(2, recipe.steps), pct_start=0.1, cycle_momentum=False
    )
    draw = Generator().manual_seed(recipe.seed)
    for step in range(recipe.steps):
        images, lesions = _batch(samples, recipe.batch, draw)
        images = images.to(device, memory_format=torch.channels_last)
        with torch.autocast(device.type, torch.bfloat16, enabled=recipe.precision == "bf16"):
            logits = network(images)
        loss = dice_and_entropy(logits.float(), lesions.to(device), recipe.dice)
        optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(network.parameters(), 1.0)
        optimizer.step()
        schedule.step()
        if progress is not None:
            progress(step + 1, recipe.steps)
    network.to("cpu").to(memory_format=torch.contiguous_format).eval()
    return time.monotonic() - start


def _batch(samples: Samples, count: int, draw: Generator) -> tuple[Tensor, Tensor]:
    chosen = torch.randint(len(samples), (count,), generator=draw)
    images, lesions = augment(samples.images[chosen, None] / 255, samples.lesions[chosen, None], draw)
    pairs = [normalize(image[0], lesion[0]) for image, lesion in zip(images, lesions, strict=True)]
    return torch.stack([image[None] for image, _ in pairs]), torch.stack([lesion for _, lesion in pairs])


def normalize(image: Tensor, lesion: Tensor) -> tuple[Tensor, Tensor]:
    """Prepare a slice as nnU-Net does: crop to what is not zero, mean 0 and deviation 1, pad with 0 to its size.

    Args:
        image: ``(S, S)``.
        lesion: ``(S, S)``, boolean.

    Example:
        >>> image = F.pad(torch.arange(1.0, 5).view(2, 2), (0, 2, 0, 2))
        >>> [round(float(value), 4) for value in normalize(image, image > 2)[0][1]]
        [0.0, -1.3416, -0.4472, 0.0]
    """
    box = nonzero_box(image)
    if not image[box].numel():
        return torch.zeros_like(image), torch.zeros_like(lesion)
    padded, _ = pad_to(standardize(image[box]), image.shape)
    return padded, pad_to(lesion[box], image.shape)[0]


def dice_and_entropy(logits: Tensor, lesions: Tensor, dice: str = "batch") -> Tensor:
    """Cross-entropy less the soft Dice coefficient of the lesions.

    Args:
        logits: ``(N, 2, S, S)``.
        lesions: ``(N, S, S)``, boolean.
        dice: ``batch``, one coefficient over the whole batch as in nnU-Net, or ``image``, the mean over the slices, so
            that faint lesions count as much as bright ones. There :data:`SMOOTH` pixels are added to overlap and area:
            in a slice without lesion that many false pixels halve its coefficient.

    Example:
        >>> perfect = torch.tensor([[-20.0, 20.0], [20.0, -20.0]]).view(1, 2, 1, 2).flip(1)
        >>> round(float(dice_and_entropy(perfect, torch.tensor([[[False, True]]]))), 4)
        -1.0
    """
    target = lesions.long()
    probability = logits.softmax(dim=1)[:, 1]
    axes, smooth = ((0, 1, 2), 1e-5) if dice == "batch" else ((1, 2), SMOOTH)
    overlap = (probability * target).sum(dim=axes)
    area = probability.sum(dim=axes) + target.sum(dim=axes)
    return F.cross_entropy(logits, target) - ((2 * overlap + smooth) / (area + smooth)).mean()
