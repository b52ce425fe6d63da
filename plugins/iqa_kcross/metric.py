r"""K-CROSS: a learned metric of synthesized MRI with k-space, tumor and structure branches.

Each branch encodes both images, takes the spatial mean of how the encodings differ as the pair's descriptor, and a
score network turns it into a score on the raters' scale. The score is the mean over the branches that apply:

.. math:: s(x, y) = \frac{1}{|B|} \sum_{b \in B} S_b\left(\overline{|E_b(x) - E_b(y)|}\right)

Paper: G. Yang, J. Xie et al., "K-Space-Aware Cross-Modality Score for Synthesized Neuroimage Quality Assessment",
arXiv:2307.04296. What the paper leaves open, and how it was decided, is in docs/kcross.md.

The weights that ship were trained on simulated brain MRI with simulated raters: a working default and a starting point,
not a validated instrument.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Literal

import torch
from pydantic import Field
from torch import Tensor

from iqa_kcross.branch import Context
from iqa_kcross.checkpoint import load_model, read_settings
from iqa_kcross.model import KCrossModel, mean_of_active
from iqa_kcross.plugin import DEFAULT_WEIGHTS
from iqa_registry.plugin import Comparison, Features, FullReferenceMetric, WeightsError

if TYPE_CHECKING:
    from iqa_registry.plugin import Registry, Segmenter, WeightFile


class KCross(FullReferenceMetric):
    """K-CROSS with a given model; ``registry.metric("kcross")`` brings the shipped one.

    Scores are in [0, 1], higher is better, on the raters' scale. Images ``(N, 1 or 3, H, W)`` in [0, 1] of the model's
    target modality, color as the mean of its channels; at least 32 pixels a side.

    Args:
        model: a trained model.
        segmenter: finds lesions where none are given; ``None``: there are none.

    Example:
        >>> from iqa_kcross.branch import BranchSettings
        >>> from iqa_kcross.model import ModelSettings
        >>> _ = torch.manual_seed(0)
        >>> metric = KCross(KCrossModel(ModelSettings(branch=BranchSettings(width=4))))
        >>> first, second = torch.rand(2, 1, 1, 64, 64)
        >>> round(metric(first, second).item(), 1)
        0.5
    """

    allows_bf16 = True

    def __init__(self, model: KCrossModel, segmenter: Segmenter | None = None) -> None:
        super().__init__()
        self.model = model.finish().to(memory_format=torch.channels_last)
        self.segmenter = segmenter
        self._needs_lesions = any(branch.needs_lesions for branch in model.branches.values())
        if len(model.branches) == 1:
            (branch,) = model.branches.values()
            self.conformance_exceptions = dict(branch.conformance_exceptions)

    @property
    def uses_labels(self) -> tuple[str, ...]:
        """``lesions``, where a branch looks at them; else the encodings are shared more widely."""
        return ("lesions",) if self._needs_lesions else ()

    def encode(self, images: Tensor, lesions: Tensor | None = None) -> dict[str, Features]:
        """What the branches keep of images.

        Args:
            images: ``(N, 1 or 3, H, W)`` in [0, 1].
            lesions: boolean ``(N, 1, H, W)``; the segmenter finds them where they are not given.
        """
        images = images.float().mean(dim=1, keepdim=True)
        if lesions is None and self._needs_lesions and self.segmenter is not None:
            lesions = self.segmenter.mask(images.detach())
        return self.model.encode(images, Context(lesions))

    def compare(
        self, synthesized: dict[str, Features], reference: dict[str, Features], mask: Tensor | None = None
    ) -> Tensor:
        """Scores ``(N,)``; NaN where no branch applies."""
        return mean_of_active(list(self.model.branch_scores(synthesized, reference).values()))

    def compare_in_detail(
        self, synthesized: dict[str, Features], reference: dict[str, Features], mask: Tensor | None = None
    ) -> Comparison:
        """Scores, each branch's scores, and a reason where no branch applies."""
        parts = self.model.branch_scores(synthesized, reference)
        scores = mean_of_active(list(parts.values()))
        absences = {name: f"the {name} branch {self.model.branches[name].absence}" for name in parts}
        nowhere = scores.isnan().nonzero().flatten().tolist()
        return Comparison(scores, parts, dict.fromkeys(nowhere, "; ".join(absences.values())), absences)


def build(
    *,
    weights: Annotated[str, Field(description="name of shipped weights, or a model file")] = DEFAULT_WEIGHTS,
    branches: Annotated[
        list[str] | None, Field(min_length=1, description="joined by +; all of the model's by default")
    ] = None,
    width: Annotated[int | None, Field(ge=1, description="reject weights of another width")] = None,
    descriptor: Annotated[
        Literal["layers", "code"] | None, Field(description="reject weights with another descriptor")
    ] = None,
    source: Annotated[str | None, Field(description="reject weights for another source modality")] = None,
    target: Annotated[str | None, Field(description="reject weights for another target modality")] = None,
    segmenter: Annotated[
        str, Field(description="finds the lesions; with parameters in brackets: [nnunet:path=FOLDER,fold=0]")
    ] = "nnunet",
    registry: Registry,
) -> KCross:
    """K-CROSS with weights from a file.

    Raises:
        WeightsError: the weights are not available, are not a model of K-CROSS, or not the one that is asked for.
        UnknownNameError: a branch or a segmenter that is not installed.
    """
    file = registry.weights.open(weights)
    wanted = {"width": width, "descriptor": descriptor, "source": source, "target": target}
    _check(file, {name: value for name, value in wanted.items() if value is not None})
    model, _ = load_model(file, branches=branches)
    needs = any(branch.needs_lesions for branch in model.branches.values())
    return KCross(model, registry.segmenter(segmenter) if needs else None)


def _check(file: WeightFile, wanted: dict[str, object]) -> None:
    settings, _ = read_settings(file)
    for name, value in wanted.items():
        got = getattr(settings.branch, name)
        if got != value:
            raise WeightsError(
                f"{file.path}: {name} is {got}, not {value}. "
                "Choose other weights, or train them with `iqa kcross train`."
            )
