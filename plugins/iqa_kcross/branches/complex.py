"""The complex branch: a complex U-Net for each modality, on companded k-space (Fig. 3 of arXiv:2307.04296)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType

import torch
from torch import Tensor, nn
from torch.func import functional_call

from iqa_kcross.branch import Branch, BranchSettings, Context, TrainingBatch
from iqa_kcross.losses import frequency_loss
from iqa_kcross.networks.descriptor import describe, unit_maps
from iqa_kcross.networks.kspace import kspace_channels
from iqa_kcross.networks.unet import Decoder, Encoder, fuse_for_scoring


class ComplexBranch(Branch):
    """Compares two images in k-space.

    Example:
        >>> _ = torch.manual_seed(0)
        >>> branch, images = ComplexBranch(BranchSettings(width=4)).eval(), torch.rand(2, 1, 64, 64)
        >>> first, second = (branch.encode(image[None], Context()) for image in images)
        >>> tuple(branch.descriptor(first, second).shape), branch.descriptor(first, first).sum().item()
        ((1, 184), 0.0)
    """

    name = "complex"
    summary = "k-space: amplitudes and phases"
    score_network = "complex"
    conformance_exceptions = MappingProxyType(
        {"direction": "learned on brain slices, it is not monotone near the top for other textures"}
    )

    def __init__(self, settings: BranchSettings) -> None:
        super().__init__(settings, settings.channels)
        self.encoder = Encoder(settings.width, is_complex=True)

    def add_training_networks(self) -> None:
        """The source modality's encoder, and both decoders."""
        width = self.settings.width
        self.training_networks = nn.ModuleDict(
            {
                "source_encoder": Encoder(width, is_complex=True),
                "source_decoder": Decoder(width, is_complex=True),
                "decoder": Decoder(width, is_complex=True),
            }
        )

    def encode(self, images: Tensor, context: Context) -> tuple[Tensor, ...]:
        """Feature maps of the image's k-space at unit length."""
        maps: Sequence[Tensor] = self.encoder(kspace_channels(images))
        return unit_maps(maps if self.settings.descriptor == "layers" else maps[-1:])

    def descriptor(self, first: tuple[Tensor, ...], second: tuple[Tensor, ...]) -> Tensor:
        """Mean absolute differences of the real and of the imaginary parts."""
        return describe(first, second, is_complex=True)

    def applies(self, first: tuple[Tensor, ...], second: tuple[Tensor, ...]) -> Tensor:
        """Always."""
        return torch.ones(len(first[0]), dtype=torch.bool, device=first[0].device)

    def losses(self, batch: TrainingBatch) -> Mapping[str, Tensor]:
        """The frequency loss of both modalities."""
        networks = self.training_networks
        source = self._loss(batch.source, networks["source_encoder"], networks["source_decoder"], batch)
        return {"frequency": source + self._loss(batch.target, self.encoder, networks["decoder"], batch)}

    def _loss(self, images: Tensor, encoder: nn.Module, decoder: nn.Module, batch: TrainingBatch) -> Tensor:
        kspace = kspace_channels(images)
        maps = encoder(kspace)
        reconstruction = decoder(maps)
        # As a yardstick the encoder is held fixed: it would else learn not to see what the decoder gets wrong.
        fixed = {name: tensor.detach().clone() for name, tensor in encoder.state_dict().items()}
        rebuilt_maps = functional_call(encoder, fixed, (reconstruction,))
        yardstick = [item.detach() for item in maps]
        return frequency_loss(kspace, reconstruction, yardstick, rebuilt_maps, batch.settings.focal)

    def finish(self) -> None:
        """Assemble the kernels and fold the batch norms in."""
        fuse_for_scoring(self.encoder)
