"""Stage two (Algorithm 2): score networks learn the ratings from the descriptors of frozen encoders.

The encoders do not change any more, so the descriptors of all rated pairs are computed once, and a step costs next
to nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import lightning
import torch
from torch import Tensor, nn
from torch.utils.data import Dataset as TorchDataset

from iqa_kcross.metric import KCross
from iqa_kcross.model import KCrossModel
from iqa_kcross.training.config import StageTwoConfig
from iqa_kcross.training.images import BATCH, Progress, whole
from iqa_registry.evaluation.encoding import Encoded, Encoder, Failure
from iqa_registry.evaluation.items import Item
from iqa_registry.evaluation.loader import Loader
from iqa_registry.evaluation.options import Options
from iqa_registry.evaluation.plan import make_batches
from iqa_registry.plugin import ImageError
from iqa_registry.statistics.inconsistency import inconsistency


@dataclass(slots=True)
class RatedDescriptors(TorchDataset[dict[str, Any]]):
    """What stage two learns from.

    Attributes:
        descriptors: for each branch ``(N, D)``.
        applies: for each branch whether it applies, ``(N,)``.
        ratings: ``(N,)``, 0 the worst and 1 the best.
    """

    descriptors: dict[str, Tensor]
    applies: dict[str, Tensor]
    ratings: Tensor

    def __len__(self) -> int:
        return len(self.ratings)

    def __getitems__(self, numbers: list[int]) -> RatedDescriptors:
        """A batch at once: taking rows one by one would cost more than the step."""
        return self.rows(torch.tensor(numbers))

    def rows(self, rows: Tensor) -> RatedDescriptors:
        """Some of the pairs, by index or by a boolean mask."""
        return RatedDescriptors(
            {name: values[rows] for name, values in self.descriptors.items()},
            {name: values[rows] for name, values in self.applies.items()},
            self.ratings[rows],
        )

    def pairs(self) -> dict[str, tuple[Tensor, Tensor]]:
        """As :meth:`iqa_kcross.model.KCrossModel.descriptors` gives them."""
        return {name: (values, self.applies[name]) for name, values in self.descriptors.items()}

    def to(self, device: torch.device) -> RatedDescriptors:
        """On another device."""
        return RatedDescriptors(
            {name: values.to(device) for name, values in self.descriptors.items()},
            {name: values.to(device) for name, values in self.applies.items()},
            self.ratings.to(device),
        )


@torch.no_grad()
def describe_pairs(
    metric: KCross,
    items: Sequence[Item],
    options: Options,
    progress: Progress = lambda done, total: None,
) -> dict[str, tuple[Tensor, Tensor]]:
    """Descriptors of pairs and whether each branch applies, in the order of the items.

    Args:
        metric: encodes the images and finds their lesions, as in scoring.
        items: what to describe.
        options: how images are read.
        progress: told the pairs done.

    Raises:
        ImageError: an image that cannot be read, or a pair without reference.
    """
    rows: dict[int, dict[str, tuple[Tensor, Tensor]]] = {}
    encoder = Encoder([metric], next(metric.parameters()).device)
    for batch in Loader(options, metric.uses_labels).batches(make_batches(items, BATCH)):
        for stack in encoder.stacks([whole(item) for item in batch]):
            described = encoder.apply(metric, stack, partial(_describe, metric))
            for item, found in zip(stack.loaded, described, strict=True):
                if isinstance(found, Failure):
                    raise ImageError(f"{item.item.pair_id}: {found.message}")
                rows[item.item.order] = found
        progress(len(rows), len(items))
    ordered = [rows[item.order] for item in items]
    return {
        name: (torch.stack([row[name][0] for row in ordered]), torch.stack([row[name][1] for row in ordered]))
        for name in metric.model.branches
    }


def _describe(metric: KCross, encoded: Encoded) -> list[dict[str, tuple[Tensor, Tensor]]]:
    described = metric.model.descriptors(encoded.synthesized, encoded.reference)
    return [
        {name: (values[number].cpu(), applies[number].cpu()) for name, (values, applies) in described.items()}
        for number in range(len(encoded.stack.loaded))
    ]


SMALL = 0.1
"""Share of a number's mean over the training pairs from which on its logarithm is taken."""


def standardize(model: KCrossModel, data: RatedDescriptors) -> None:
    """Keep scale, mean and deviation of each branch's descriptors over the pairs that it applies to."""
    for name, branch in model.branches.items():
        values = data.descriptors[name][data.applies[name]]
        if len(values) > 1:
            branch.scale.copy_((SMALL * values.mean(dim=0)).clamp_min(1e-9))
            values = branch.compress(values)
            branch.mean.copy_(values.mean(dim=0))
            branch.deviation.copy_(values.std(dim=0).clamp_min(1e-6))


class StageTwo(lightning.LightningModule):
    """Mean squared error between score and rating (Eqs. 18 and 20), over random sets of branches.

    Each pair of each step draws a random non-empty set of the branches that apply to it, so that every combination is
    on the raters' scale. Some pairs are an image against itself, with the top rating.

    Args:
        model: its encoders are not looked at.
        config: learning rate and so on.
    """

    def __init__(self, model: KCrossModel, config: StageTwoConfig) -> None:
        super().__init__()
        self.model = model
        self.config = config
        self._held_out: list[tuple[Tensor, Tensor]] = []

    def training_step(self, batch: RatedDescriptors, index: int) -> Tensor:
        """One step."""
        batch = self._with_identities(batch)
        scores = torch.stack(list(self.model.scores_of(batch.pairs()).values()))
        used = random_sets(~scores.isnan())
        total = torch.where(used, scores.nan_to_num(), 0).sum(dim=0) / used.sum(dim=0).clamp_min(1)
        some = used.any(dim=0)
        loss = (total - batch.ratings)[some].square().mean()
        self.log("train_loss", loss.detach(), batch_size=len(batch))
        return loss

    def _with_identities(self, batch: RatedDescriptors) -> RatedDescriptors:
        """Some pairs replaced by an image against itself: no difference anywhere, the top rating."""
        chosen = torch.rand(len(batch), device=batch.ratings.device) < self.config.identity_share
        descriptors = {
            name: torch.where(chosen[:, None], 0, values) for name, values in batch.descriptors.items()
        }
        return RatedDescriptors(descriptors, batch.applies, torch.where(chosen, 1, batch.ratings))

    def validation_step(self, batch: RatedDescriptors, index: int) -> None:
        """Collect the scores of subjects that nothing is learned from."""
        scores = torch.stack(list(self.model.scores_of(batch.pairs()).values())).nanmean(dim=0)
        there = ~scores.isnan()
        self._held_out.append((scores[there].cpu(), batch.ratings[there].cpu()))

    def on_validation_epoch_end(self) -> None:
        """Log the squared error and the inconsistency of all of them."""
        scores = torch.cat([item[0] for item in self._held_out])
        ratings = torch.cat([item[1] for item in self._held_out])
        self._held_out.clear()
        if len(scores):
            self.log("held_out_loss", (scores - ratings).square().mean())
            self.log(
                "held_out_inconsistency",
                float(inconsistency(scores.double().numpy(), ratings.double().numpy())),
            )

    def configure_optimizers(self) -> Any:
        """AdamW over score networks and projections, its rate falling along a cosine."""
        config = self.config
        optimizer = torch.optim.AdamW(
            trained_in_stage_two(self.model), lr=config.learning_rate, weight_decay=config.weight_decay
        )
        schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, config.steps)
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": schedule, "interval": "step"}}

    def transfer_batch_to_device(
        self, batch: RatedDescriptors, device: torch.device, dataloader_idx: int
    ) -> RatedDescriptors:
        """Move a batch."""
        return batch.to(device)


def random_sets(applies: Tensor) -> Tensor:
    """For each pair a random non-empty set of the branches that apply to it, all such sets equally likely.

    Args:
        applies: boolean ``(branches, N)``.

    Returns:
        Boolean, the same shape; empty only where no branch applies.

    Example:
        >>> _ = torch.manual_seed(0)
        >>> random_sets(torch.tensor([[True, True], [False, True]])).any(dim=0).tolist()
        [True, True]
    """
    used = torch.zeros_like(applies)
    empty = applies.any(dim=0)
    # Drawing again where the set came out empty keeps all other sets equally likely.
    while bool(empty.any()):
        used[:, empty] = applies[:, empty] & (
            torch.rand(applies[:, empty].shape, device=applies.device) < 0.5
        )
        empty = applies.any(dim=0) & ~used.any(dim=0)
    return used


def trained_in_stage_two(model: KCrossModel) -> list[nn.Parameter]:
    """The parameters of score networks and projections."""
    projections = [item for branch in model.branches.values() for item in branch.projection.parameters()]
    return [*model.score_networks.parameters(), *projections]


def freeze_for_stage_two(model: KCrossModel) -> None:
    """Let gradients reach score networks and projections only."""
    model.requires_grad_(False)
    for parameter in trained_in_stage_two(model):
        parameter.requires_grad_(True)


def as_it_is(batch: Any) -> Any:
    """What ``__getitems__`` gave is a batch already."""
    return batch
