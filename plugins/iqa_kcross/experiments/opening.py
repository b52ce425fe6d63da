"""What an experiment is run on: rated pairs of a dataset or a manifest, and the models that score them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from iqa_kcross.checkpoint import ModelFile, read_settings
from iqa_kcross.pairs import LESIONS, is_simulated, open_pairs, other_modality
from iqa_registry.agreement.pairs import RatedPairs, find_rated
from iqa_registry.agreement.scores import ID
from iqa_registry.agreement.study import SIMULATED
from iqa_registry.evaluation.options import Options
from iqa_registry.plugin import Registry, UsageError, WeightsError

LABELS, NNUNET = "labels", "nnunet"


@dataclass(frozen=True, slots=True)
class Opened:
    """Rated pairs, and how their images are read."""

    pairs: RatedPairs
    options: Options

    @property
    def place(self) -> str:
        """What the user named."""
        return self.pairs.place

    @property
    def simulated(self) -> bool:
        """Whether images and raters are this project's simulation."""
        names = self.pairs.rated.scores.table[ID]
        return bool(names.str.starts_with(SIMULATED).all()) or is_simulated(self.place)

    def options_for(self, segmenter: str) -> Options:
        """The settings of a run with a segmenter: ``labels`` takes lesions from label maps, all others find them.

        Raises:
            UsageError: there are no label maps, or it is not known which labels are lesions.
        """
        if segmenter != LABELS:
            return self.options
        if LESIONS not in {*self.pairs.inputs.label_names, *self.options.label_names}:
            raise UsageError(
                f"{self.place}: does not name the labels of lesions, which the segmenter 'labels' needs. "
                "Name them with --lesions LABEL,LABEL."
            )
        if all(pair.labels is None for pair in self.pairs.inputs.pairs):
            raise UsageError(
                f"{self.place}: has no label maps, which the segmenter 'labels' takes the lesions from. "
                "Add a column 'labels', or choose another with --segmenter."
            )
        return replace(self.options, use_labels=True)


def open_rated(
    place: str,
    registry: Registry,
    options: Options | None = None,
    ratings: Path | None = None,
    where: Sequence[str] = (),
    columns: Sequence[str] = (),
) -> Opened:
    """Find the rated pairs of a dataset or a manifest; see :func:`iqa_registry.agreement.pairs.find_rated`."""
    options = replace(options or Options(), components=True, check_shift=False)
    pairs = find_rated(open_pairs(place, registry), place, options, ratings, where, columns)
    return Opened(pairs, options)


def read_model(weights: str, registry: Registry) -> ModelFile:
    """Read what a model says of itself.

    Raises:
        WeightsError: no such weights, or not a model of K-CROSS.
    """
    file = registry.weights.open(weights)
    return ModelFile(weights, file.path, *read_settings(file))


def check_modalities(model: ModelFile, opened: Opened) -> None:
    """Pairs that say their modalities must have those of the model.

    Raises:
        WeightsError: they do not; the message names file and pair.
    """
    branch = model.settings.branch
    other = other_modality(opened.pairs.inputs.pairs, branch.source, branch.target)
    if other is not None:
        name, role, got, wanted = other
        raise WeightsError(
            f"{model.path}: is for {model.modalities}, but the {role} of {name} in {opened.place} is {got}. "
            f"Choose other weights, or the pairs with --where {role}={wanted}."
        )
