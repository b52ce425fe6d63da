"""Stage one (Algorithm 1): encoders and decoders learn to reconstruct, all branches at once."""

from __future__ import annotations

from typing import TYPE_CHECKING

import lightning
import torch
from torch import Tensor, nn

from iqa_kcross.branch import LossSettings, TrainingBatch
from iqa_kcross.model import KCrossModel
from iqa_kcross.training.config import StageOneConfig

if TYPE_CHECKING:
    from iqa_registry.plugin import Registry


class StageOne(lightning.LightningModule):
    """The sum of all branches' losses over both modalities (Eq. 19), minimized with Adam.

    Args:
        model: built with its training networks.
        config: weights, learning rate and so on.
        perceptual: frozen distance ``(N,)`` of two batches of images, or ``None``.
    """

    def __init__(
        self, model: KCrossModel, config: StageOneConfig, perceptual: nn.Module | None = None
    ) -> None:
        super().__init__()
        self.model = model
        self.config = config
        # Not a submodule: it is frozen, large, and has no place in checkpoints.
        self._perceptual = [perceptual]

    def losses(self, batch: dict[str, Tensor]) -> dict[str, Tensor]:
        """Each loss by name."""
        perceptual = self._perceptual[0]
        if perceptual is not None:
            perceptual = perceptual.to(self.device)
        config = self.config
        settings = LossSettings(config.focal, config.bandwidths, config.levels, perceptual)
        laid_out = {
            name: images.contiguous(memory_format=torch.channels_last) for name, images in batch.items()
        }
        tensors = TrainingBatch(**laid_out, settings=settings)
        found: dict[str, Tensor] = {}
        for branch in self.model.branches.values():
            found |= branch.losses(tensors)
        return found

    def training_step(self, batch: dict[str, Tensor], index: int) -> Tensor:
        """One step; the loss and its parts are logged."""
        return self._total(self._mirrored(batch) if self.config.flip else batch, "train")

    def validation_step(self, batch: dict[str, Tensor], index: int) -> None:
        """The same on subjects that nothing is learned from."""
        self._total(batch, "held_out")

    def _total(self, batch: dict[str, Tensor], prefix: str) -> Tensor:
        losses = self.losses(batch)
        weighted = [self.config.weights.get(name, 1.0) * loss for name, loss in losses.items()]
        total = torch.stack([loss.to(self.device) for loss in weighted]).sum()
        logged = {f"{prefix}_{name}": loss.detach() for name, loss in losses.items()}
        self.log_dict(logged | {f"{prefix}_loss": total.detach()}, batch_size=len(batch["source"]))
        return total

    def _mirrored(self, batch: dict[str, Tensor]) -> dict[str, Tensor]:
        """Half of the subjects mirrored, left to right, in all their images alike."""
        chosen = torch.rand(len(batch["source"]), device=batch["source"].device) < 0.5
        where = chosen[:, None, None, None]
        return {name: torch.where(where, images.flip(-1), images) for name, images in batch.items()}

    def configure_optimizers(self) -> torch.optim.Optimizer:
        """Adam over what stage one trains: everything but score networks and projections."""
        return torch.optim.Adam(trained_in_stage_one(self.model), lr=self.config.learning_rate)


def trained_in_stage_one(model: KCrossModel) -> list[nn.Parameter]:
    """The parameters of encoders and decoders."""
    return [
        parameter
        for branch in model.branches.values()
        for name, parameter in branch.named_parameters()
        if not name.startswith("projection.")
    ]


def freeze_for_stage_one(model: KCrossModel) -> None:
    """Let gradients reach encoders and decoders only; several GPUs need to know it."""
    model.requires_grad_(False)
    for parameter in trained_in_stage_one(model):
        parameter.requires_grad_(True)


def make_perceptual(registry: Registry, text: str) -> nn.Module | None:
    """The frozen perceptual distance, ``none`` for none.

    Raises:
        WeightsError: its weights cannot be had.
    """
    if text == "none":
        return None
    # Channels last: a fifth faster on CPUs, and what tensor cores want.
    return registry.metric(text).to(memory_format=torch.channels_last)
