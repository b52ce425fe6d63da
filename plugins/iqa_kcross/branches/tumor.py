"""The tumor branch: a U-Net for each modality, on the lesions alone (arXiv:2307.04296).

Each image is masked with its own lesions, so that a lost and an invented lesion both count, and encoding stays a
matter of one image.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import TypedDict

import torch
from torch import Tensor, nn

from iqa_kcross.branch import Branch, BranchSettings, Context, LossSettings, TrainingBatch
from iqa_kcross.losses import laplacian_loss
from iqa_kcross.networks.descriptor import describe, unit_maps
from iqa_kcross.networks.unet import Decoder, Encoder, fuse_for_scoring

MARGIN = 8
"""Pixels around the lesions that the perceptual loss still looks at."""
SMALLEST = 64
"""Minimum size in pixels of what the perceptual loss looks at; VGG16 halves it four times."""


class TumorFeatures(TypedDict):
    """What the branch keeps of images.

    Attributes:
        maps: feature maps at unit length.
        present: whether there is a lesion, ``(N,)``.
    """

    maps: tuple[Tensor, ...]
    present: Tensor


class TumorBranch(Branch):
    """Compares the lesions of two images; applies where at least one of them has any.

    Example:
        >>> _ = torch.manual_seed(0)
        >>> branch, images = TumorBranch(BranchSettings(width=4)).eval(), torch.rand(2, 1, 64, 64)
        >>> lesions = torch.zeros(2, 1, 64, 64, dtype=torch.bool)
        >>> lesions[0, :, 20:30, 20:30] = True
        >>> with_lesion, without = (branch.encode(images[i : i + 1], Context(lesions[i : i + 1])) for i in (0, 1))
        >>> branch.applies(with_lesion, without).item(), branch.applies(without, without).item()
        (True, False)
    """

    name = "tumor"
    summary = "lesions: each image inside its own lesion mask"
    needs_lesions = True
    absence = "has nothing to look at: neither image shows a lesion"
    conformance_exceptions = MappingProxyType(
        dict.fromkeys(
            ("direction", "constant images"), "the probes have no lesions, and it looks at nothing else"
        )
    )

    def __init__(self, settings: BranchSettings) -> None:
        super().__init__(settings, settings.channels)
        self.encoder = Encoder(settings.width)

    def add_training_networks(self) -> None:
        """The source modality's encoder, and both decoders."""
        width = self.settings.width
        self.training_networks = nn.ModuleDict(
            {"source_encoder": Encoder(width), "source_decoder": Decoder(width), "decoder": Decoder(width)}
        )

    def encode(self, images: Tensor, context: Context) -> TumorFeatures:
        """Feature maps of the lesions, and whether there are any."""
        lesions = context.lesions
        if lesions is None:
            lesions = torch.zeros_like(images, dtype=torch.bool)
        present = lesions.flatten(1).any(dim=1)
        if present.all():
            return {"maps": self._maps(images * lesions), "present": present}
        # Images without lesions are all the same to this branch: one black image stands for them.
        maps = self._maps(torch.cat([images[present] * lesions[present], torch.zeros_like(images[:1])]))
        index = torch.where(present, present.cumsum(0) - 1, len(maps[0]) - 1)
        return {"maps": tuple(item[index] for item in maps), "present": present}

    def _maps(self, masked: Tensor) -> tuple[Tensor, ...]:
        maps: Sequence[Tensor] = self.encoder(masked)
        return unit_maps(maps if self.settings.descriptor == "layers" else maps[-1:])

    def descriptor(self, first: TumorFeatures, second: TumorFeatures) -> Tensor:
        """Mean absolute differences of the channels."""
        return describe(first["maps"], second["maps"])

    def applies(self, first: TumorFeatures, second: TumorFeatures) -> Tensor:
        """Where one of the two images has a lesion."""
        return first["present"] | second["present"]

    def losses(self, batch: TrainingBatch) -> Mapping[str, Tensor]:
        """Laplacian and perceptual loss of both modalities, of the people who have lesions."""
        present = (batch.source_lesions | batch.target_lesions).flatten(1).any(dim=1)
        if int(present.sum()) < 2:
            # A batch norm learns nothing from one image; a loss of zero still reaches every parameter.
            return {"tumor": sum((p.sum() * 0 for p in self._networks().parameters()), torch.zeros(()))}
        networks = self.training_networks
        source = batch.source[present] * batch.source_lesions[present]
        target = batch.target[present] * batch.target_lesions[present]
        first = _loss(source, networks["source_decoder"](networks["source_encoder"](source)), batch.settings)
        second = _loss(target, networks["decoder"](self.encoder(target)), batch.settings)
        return {"tumor": first + second}

    def _networks(self) -> nn.ModuleList:
        return nn.ModuleList([self.encoder, self.training_networks])

    def finish(self) -> None:
        """Fold the batch norms in."""
        fuse_for_scoring(self.encoder)


def _loss(images: Tensor, reconstruction: Tensor, settings: LossSettings) -> Tensor:
    loss = laplacian_loss(reconstruction.float(), images, settings.levels)
    if settings.perceptual is None:
        return loss
    windows = lesion_windows(images)
    rebuilt = _cut(reconstruction.float().clamp(0, 1), windows)
    return loss + settings.perceptual(rebuilt, _cut(images, windows)).mean()


def _cut(images: Tensor, windows: Sequence[tuple[slice, slice]]) -> Tensor:
    return torch.stack(
        [image[:, rows, columns] for image, (rows, columns) in zip(images, windows, strict=True)]
    )


def lesion_windows(masked: Tensor) -> list[tuple[slice, slice]]:
    """For each masked image the rows and columns that hold its lesions, with a margin; equally large for all.

    Outside, the images are black, and the perceptual loss would look at nothing for most of its time.

    Args:
        masked: ``(N, 1, H, W)``.

    Example:
        >>> masked = torch.zeros(2, 1, 256, 256)
        >>> masked[0, :, 100:140, 30:120] = 1
        >>> masked[1, :, 200:256, 128:132] = 1
        >>> lesion_windows(masked)[0]
        (slice(64, 176, None), slice(19, 131, None))
        >>> lesion_windows(masked)[1]
        (slice(144, 256, None), slice(74, 186, None))
    """
    spans = [(_extent(image.any(dim=1)), _extent(image.any(dim=0))) for image in masked[:, 0] > 0]
    longest = max(last - first for span in spans for first, last in span) + 2 * MARGIN
    side = max(SMALLEST, -(-longest // 16) * 16)
    height, width = masked.shape[2:]
    return [(_window(rows, side, height), _window(columns, side, width)) for rows, columns in spans]


def _extent(line: Tensor) -> tuple[int, int]:
    places = line.nonzero()
    return (int(places[0]), int(places[-1]) + 1) if len(places) else (0, len(line))


def _window(extent: tuple[int, int], side: int, length: int) -> slice:
    """A slice of ``side`` (at most ``length``) with the extent in its middle, moved inwards at the border."""
    side = min(side, length)
    start = min(max(0, (sum(extent) - side) // 2), length - side)
    return slice(start, start + side)
