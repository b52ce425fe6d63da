"""The model: branches, score networks, and the score as the mean of the branches that apply."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field

import torch
from torch import Tensor, nn

from iqa_kcross.branch import Branch, BranchSettings, Context
from iqa_kcross.hookspecs import choose_branches
from iqa_kcross.networks.score import ScoreNetworks
from iqa_registry.plugin import Features

BRANCHES = ("complex", "tumor", "structure")


@dataclass(frozen=True, slots=True)
class ModelSettings:
    """What a model is built from; part of every checkpoint.

    Attributes:
        branches: names, see :func:`iqa_kcross.hookspecs.find_branches`.
        branch: settings of each of them.
    """

    branches: tuple[str, ...] = BRANCHES
    branch: BranchSettings = field(default_factory=BranchSettings)

    def as_dict(self) -> dict[str, object]:
        """Plain values, for a file."""
        return {"branches": list(self.branches), **asdict(self.branch)}

    @classmethod
    def from_dict(cls, values: Mapping[str, object]) -> ModelSettings:
        """The inverse of :meth:`as_dict`.

        Raises:
            KeyError, TypeError: values that are missing or unknown.
        """
        rest = dict(values)
        branches = rest.pop("branches")
        if not isinstance(branches, list):
            raise TypeError("branches must be a list")
        return cls(tuple(map(str, branches)), BranchSettings(**rest))  # type: ignore[arg-type]


class KCrossModel(nn.Module):
    """The networks of K-CROSS.

    Args:
        settings: see :class:`ModelSettings`.
        training: whether the networks that only stage one needs are built as well.
        dropout: of the score networks, in training.

    Raises:
        UnknownNameError: a branch that is not installed.

    Example:
        >>> _ = torch.manual_seed(0)
        >>> model = KCrossModel(ModelSettings(branch=BranchSettings(width=4))).eval()
        >>> images = torch.rand(2, 1, 64, 64)
        >>> first, second = (model.encode(image[None], Context()) for image in images)
        >>> parts = model.branch_scores(first, second)
        >>> {name: round(score.item(), 2) for name, score in parts.items()}
        {'complex': 0.5, 'tumor': nan, 'structure': 0.51}
    """

    def __init__(
        self, settings: ModelSettings = ModelSettings(), training: bool = False, dropout: float = 0.0
    ) -> None:
        super().__init__()
        self.settings = settings
        classes = choose_branches(list(settings.branches))
        self.branches: Mapping[str, Branch] = nn.ModuleDict(  # type: ignore[assignment]
            {name: branch(settings.branch) for name, branch in classes.items()}  # type: ignore[call-arg]
        )
        self.score_networks = ScoreNetworks(dropout)
        if training:
            for branch in self.branches.values():
                branch.add_training_networks()

    def encode(self, images: Tensor, context: Context) -> dict[str, Features]:
        """What each branch keeps of images ``(N, 1, H, W)`` in [0, 1] of the target modality."""
        return {name: branch.encode(images, context) for name, branch in self.branches.items()}

    def descriptors(
        self, first: Mapping[str, Features], second: Mapping[str, Features]
    ) -> dict[str, tuple[Tensor, Tensor]]:
        """For each branch the descriptors ``(N, D)`` and whether the branch applies, ``(N,)``."""
        return {
            name: (
                branch.descriptor(first[name], second[name]),
                branch.applies(first[name], second[name]),
            )
            for name, branch in self.branches.items()
        }

    def branch_scores(
        self, first: Mapping[str, Features], second: Mapping[str, Features]
    ) -> dict[str, Tensor]:
        """Scores ``(N,)`` of each branch in [0, 1], higher is better; NaN where a branch does not apply."""
        return self.scores_of(self.descriptors(first, second))

    def scores_of(self, descriptors: Mapping[str, tuple[Tensor, Tensor]]) -> dict[str, Tensor]:
        """The branches' scores from what :meth:`descriptors` gives."""
        scores = {}
        for name, (descriptor, applies) in descriptors.items():
            score = self.branches[name].score(descriptor, self.score_networks)
            scores[name] = torch.where(applies, score, torch.full_like(score, torch.nan))
        return scores

    def finish(self) -> KCrossModel:
        """Make the model fast for scoring; returns itself."""
        self.eval()
        for branch in self.branches.values():
            branch.finish()
        return self


def mean_of_active(scores: Sequence[Tensor]) -> Tensor:
    """The mean ``(N,)`` of the branches' scores that are not NaN; NaN where all are.

    Example:
        >>> mean_of_active([torch.tensor([0.2, 0.4]), torch.tensor([0.4, torch.nan])]).tolist()
        [0.30000001192092896, 0.4000000059604645]
    """
    return torch.stack(list(scores)).nanmean(dim=0)
