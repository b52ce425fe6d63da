"""The structure branch: one U-Net shared by both modalities, on the whole image (arXiv:2307.04296)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn

from iqa_kcross.branch import Branch, BranchSettings, Context, TrainingBatch
from iqa_kcross.losses import mmd_loss
from iqa_kcross.networks.descriptor import describe, unit_maps
from iqa_kcross.networks.unet import Decoder, Encoder, fuse_for_scoring


class StructureBranch(Branch):
    """Compares the anatomy of two images.

    Example:
        >>> _ = torch.manual_seed(0)
        >>> branch, images = StructureBranch(BranchSettings(width=4)).eval(), torch.rand(2, 1, 64, 64)
        >>> first, second = (branch.encode(image[None], Context()) for image in images)
        >>> tuple(branch.descriptor(first, second).shape), branch.descriptor(first, first).sum().item()
        ((1, 92), 0.0)
    """

    name = "structure"
    summary = "anatomy: the whole image"

    def __init__(self, settings: BranchSettings) -> None:
        super().__init__(settings, settings.channels)
        self.encoder = Encoder(settings.width)

    def add_training_networks(self) -> None:
        """The decoder, shared as the encoder is."""
        self.training_networks = nn.ModuleDict({"decoder": Decoder(self.settings.width)})

    def encode(self, images: Tensor, context: Context) -> tuple[Tensor, ...]:
        """Feature maps at unit length."""
        maps: Sequence[Tensor] = self.encoder(images)
        return unit_maps(maps if self.settings.descriptor == "layers" else maps[-1:])

    def descriptor(self, first: tuple[Tensor, ...], second: tuple[Tensor, ...]) -> Tensor:
        """Mean absolute differences of the channels."""
        return describe(first, second)

    def applies(self, first: tuple[Tensor, ...], second: tuple[Tensor, ...]) -> Tensor:
        """Always."""
        return torch.ones(len(first[0]), dtype=torch.bool, device=first[0].device)

    def losses(self, batch: TrainingBatch) -> Mapping[str, Tensor]:
        """L1 of the reconstructions, and the discrepancy of the two modalities' codes."""
        # One pass for both modalities: the encoder is shared, and so are the statistics of its batch norms.
        images = torch.cat([batch.source, batch.target])
        maps = self.encoder(images)
        reconstruction = self.training_networks["decoder"](maps)
        source, target = (codes(half) for half in maps[-1].chunk(2))
        return {
            # Each modality's mean counts, as in the paper's sum over both.
            "structure": 2 * (reconstruction - images).abs().mean(),
            "similarity": mmd_loss(source, target, batch.settings.bandwidths),
        }

    def finish(self) -> None:
        """Fold the batch norms in."""
        fuse_for_scoring(self.encoder)


def codes(maps: Tensor) -> Tensor:
    """The code of each position as a sample of its own: ``(N, C, h, w)`` to ``(N h w, C)``.

    Example:
        >>> codes(torch.arange(4.0).view(1, 2, 1, 2)).tolist()
        [[0.0, 2.0], [1.0, 3.0]]
    """
    return maps.permute(0, 2, 3, 1).flatten(0, 2)
