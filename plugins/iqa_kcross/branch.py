"""The interface of a branch: one view of an image that K-CROSS scores, and learns to.

Branches are plugins of this plugin. A package contributes one by a module under the entry-point group ``iqa_kcross``
that implements the hook :func:`iqa_kcross.hookspecs.kcross_branches`. A branch depends on one image until two
encodings meet in its descriptor, so a reference is encoded once however many images are compared with it.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import ClassVar, Literal

import torch
from torch import Tensor, nn

from iqa_kcross.networks.layers import ComplexLinear
from iqa_kcross.networks.score import DESCRIPTOR, ScoreNetworks
from iqa_kcross.networks.unet import widths
from iqa_registry.plugin import Features

DescriptorKind = Literal["layers", "code"]


@dataclass(frozen=True, slots=True)
class BranchSettings:
    """What all branches of a model are built with.

    Attributes:
        width: channels of the first feature map; the paper's networks have 64.
        descriptor: ``layers`` describes a pair by all five feature maps, ``code`` by the last.
        source: modality that is translated, for example ``t1``.
        target: modality of the images that are scored.
    """

    width: int = 64
    descriptor: DescriptorKind = "layers"
    source: str = "t1"
    target: str = "t2"

    @property
    def channels(self) -> int:
        """Channels that the descriptor looks at."""
        return widths(self.width)[-1] if self.descriptor == "code" else sum(widths(self.width))


@dataclass(frozen=True, slots=True)
class Context:
    """What is known of a batch of images beside the images.

    Attributes:
        lesions: where the lesions of each image are, boolean ``(N, 1, H, W)``; ``None`` if nobody looked.
    """

    lesions: Tensor | None = None


@dataclass(frozen=True, slots=True)
class LossSettings:
    """Parameters of the losses of stage one.

    Attributes:
        focal: exponent of the focal weight of the frequency loss, 0 for none.
        bandwidths: of the kernels of the similarity loss, see :func:`iqa_kcross.losses.mmd_loss`.
        levels: of the Laplacian pyramid.
        perceptual: distance ``(N,)`` of two batches of images, LPIPS in the paper; ``None`` for none.
    """

    focal: float = 0.0
    bandwidths: tuple[float, ...] = (0.25, 0.5, 1.0, 2.0, 4.0)
    levels: int = 5
    perceptual: Callable[[Tensor, Tensor], Tensor] | None = None


@dataclass(frozen=True, slots=True)
class TrainingBatch:
    """Real images of some people in both modalities.

    Attributes:
        source: ``(N, 1, H, W)`` in [0, 1].
        target: the same people, same shape.
        source_lesions: boolean ``(N, 1, H, W)``.
        target_lesions: the same for the target images.
        settings: parameters of the losses.
    """

    source: Tensor
    target: Tensor
    source_lesions: Tensor
    target_lesions: Tensor
    settings: LossSettings = field(default_factory=LossSettings)


class Branch(nn.Module, ABC):
    """One branch of K-CROSS.

    A branch that has networks keeps those that scoring needs in its own attributes and those that only stage one
    needs (decoders, the source modality's networks) in :attr:`training_networks`, which an exported model lacks.

    Args:
        settings: see :class:`BranchSettings`.
        size: length of the descriptor; complex numbers count once.

    Example:
        >>> class Mean(Branch):
        ...     name = "mean"
        ...     def __init__(self, settings):
        ...         super().__init__(settings, size=1)
        ...     def encode(self, images, context):
        ...         return images.mean(dim=(1, 2, 3))
        ...     def descriptor(self, first, second):
        ...         return (first - second).abs()[:, None]
        >>> branch = Mean(BranchSettings())
        >>> dark, bright = torch.zeros(1, 1, 8, 8), torch.ones(1, 1, 8, 8)
        >>> branch.descriptor(branch.encode(dark, Context()), branch.encode(bright, Context())).item()
        1.0
    """

    name: ClassVar[str]
    """What users type after ``branches=``."""
    summary: ClassVar[str] = ""
    """One line: what it looks at."""
    score_network: ClassVar[Literal["natural", "complex"]] = "natural"
    """Which of the two score networks it uses; the descriptor of ``complex`` has real parts first."""
    needs_lesions: ClassVar[bool] = False
    """Whether :attr:`Context.lesions` is looked at; no segmenter is asked where no branch does."""
    absence: ClassVar[str] = "has nothing to look at in this pair"
    """Why it gives no score where it does not apply; follows the branch's name in a message."""
    conformance_exceptions: ClassVar[Mapping[str, str]] = {}
    """Checks that K-CROSS with this branch alone may fail, with the reason."""
    scale: Tensor
    mean: Tensor
    deviation: Tensor

    def __init__(self, settings: BranchSettings, size: int) -> None:
        super().__init__()
        self.settings = settings
        self.training_networks = nn.ModuleDict()
        is_complex = self.score_network == "complex"
        # Of the training pairs' descriptors: what is small, and then mean and deviation of their logarithms.
        self.register_buffer("scale", torch.ones(size * (1 + is_complex)))
        self.register_buffer("mean", torch.zeros(size * (1 + is_complex)))
        self.register_buffer("deviation", torch.ones(size * (1 + is_complex)))
        linear = ComplexLinear if is_complex else nn.Linear
        self.projection = nn.Identity() if size == DESCRIPTOR else linear(size, DESCRIPTOR)

    def add_training_networks(self) -> None:
        """Build what only stage one needs; nothing by default."""

    @abstractmethod
    def encode(self, images: Tensor, context: Context) -> Features:
        """All that depends on one image; ``images`` is ``(N, 1, H, W)`` in [0, 1], of the target modality."""

    @abstractmethod
    def descriptor(self, first: Features, second: Features) -> Tensor:
        """How two encodings differ, not negative: ``(N, size)``, or ``(N, 2 size)`` with the real parts first."""

    def applies(self, first: Features, second: Features) -> Tensor:
        """Boolean ``(N,)``: whether the branch has something to look at in the pair. Always, by default."""
        count = self.descriptor(first, second).shape[0]
        return torch.ones(count, dtype=torch.bool, device=self.mean.device)

    def losses(self, batch: TrainingBatch) -> Mapping[str, Tensor]:
        """The losses of stage one by name, scalars; none by default."""
        return {}

    def score(self, descriptor: Tensor, networks: ScoreNetworks) -> Tensor:
        """Scores ``(N,)`` in [0, 1], higher is better."""
        standard = (self.compress(descriptor) - self.mean) / self.deviation
        return networks(self.projection(standard), self.score_network)

    def compress(self, descriptor: Tensor) -> Tensor:
        """``log(1 + d / scale)``: differences span decades, and a network sees small ones too; 0 stays 0."""
        return torch.log1p(descriptor / self.scale)

    def finish(self) -> None:
        """Make the branch fast for scoring; it is not trained afterwards. Nothing by default."""
