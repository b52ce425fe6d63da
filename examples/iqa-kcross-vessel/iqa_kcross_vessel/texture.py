"""The texture branch: an autoencoder of what a blur takes away."""

from __future__ import annotations

from collections.abc import Mapping

import torch.nn.functional as F
from iqa_kcross.branch import Branch, BranchSettings, Context, TrainingBatch
from torch import Tensor, nn

SIDE = 7


def fine(images: Tensor) -> Tensor:
    """The image minus its mean over a small window."""
    return images - F.avg_pool2d(images, SIDE, stride=1, padding=SIDE // 2, count_include_pad=False)


class TextureBranch(Branch):
    """Compares the texture of two images by features that stage one learns."""

    name = "texture"
    summary = "texture: what a blur takes away"

    def __init__(self, settings: BranchSettings) -> None:
        super().__init__(settings, size=settings.width)
        self.encoder = nn.Sequential(nn.Conv2d(1, settings.width, 5, stride=2, padding=2), nn.Tanh())

    def add_training_networks(self) -> None:
        """The decoder."""
        decoder = nn.ConvTranspose2d(self.settings.width, 1, 4, stride=2, padding=1)
        self.training_networks = nn.ModuleDict({"decoder": decoder})

    def encode(self, images: Tensor, context: Context) -> Tensor:
        """Features of the texture."""
        features: Tensor = self.encoder(fine(images))
        return features

    def descriptor(self, first: Tensor, second: Tensor) -> Tensor:
        """Mean absolute differences of the features."""
        return (first - second).abs().mean(dim=(-2, -1))

    def losses(self, batch: TrainingBatch) -> Mapping[str, Tensor]:
        """Squared error of the target images' texture."""
        texture = fine(batch.target)
        rebuilt = self.training_networks["decoder"](self.encoder(texture))
        return {"texture": (rebuilt - texture).square().mean()}
