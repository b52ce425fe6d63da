"""What an experiment is made on: rated pairs of a dataset or a manifest, and the models that score them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from iqa_kcross.checkpoint import History, read_settings
from iqa_kcross.model import ModelSettings
from iqa_kcross.pairs import LESIONS, is_simulated, open_pairs, other_modality, table_of
from iqa_registry.agreement.ratings import Rated, rate
from iqa_registry.agreement.scores import ID, Scores, select
from iqa_registry.agreement.study import SIMULATED
from iqa_registry.evaluation.options import Options
from iqa_registry.evaluation.plan import plan_items
from iqa_registry.images.regions import parse_labels
from iqa_registry.plugin import Pair, Registry, UsageError, WeightsError
from iqa_registry.tables.reading import column_of

LABELS, NNUNET = "labels", "nnunet"


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """Where rated pairs come from, and how their images are read.

    Attributes:
        data: a dataset or a manifest.
        ratings: a table of ratings; by default they are in the dataset or the manifest.
        where: conditions that the pairs must meet, see :func:`iqa_registry.agreement.scores.select`.
        columns: columns that the experiment needs.
        lesions: labels of the masks that are lesion, for the segmenter ``labels``; by default the dataset's.
        intensity: the intensity rule, the automatic one by default.
        slices: slices of volumes; the dataset's by default.
        device: where is computed.
        workers: threads that read images ahead.
    """

    data: str
    ratings: Path | None = None
    where: Sequence[str] = ()
    columns: Sequence[str] = ()
    lesions: str | None = None
    intensity: str | None = None
    slices: str | None = None
    device: str = "auto"
    workers: int = 2


@dataclass(frozen=True, slots=True)
class Opened:
    """Rated pairs.

    Attributes:
        place: what the user named.
        pairs: those of which an image is rated.
        rated: one row an image with its columns and its rating, no scores yet.
        options: how images are read; lesions are told by :meth:`options_for`.
        labels: labels that are lesion, for the segmenter ``labels``.
        notes: what was passed over, a line each.
    """

    place: str
    pairs: Sequence[Pair]
    rated: Rated
    options: Options
    labels: tuple[int, ...]
    notes: Sequence[str]

    @property
    def simulated(self) -> bool:
        """Whether images and raters are this project's simulation."""
        return bool(self.rated.scores.table[ID].str.starts_with(SIMULATED).all()) or is_simulated(self.place)

    def options_for(self, segmenter: str) -> Options:
        """The settings of a run with a segmenter: ``labels`` takes lesions from the masks, all others look themselves.

        Raises:
            UsageError: there are no masks, or it is not known which labels are lesion.
        """
        if segmenter != LABELS:
            return self.options
        if not self.labels:
            raise UsageError(
                f"{self.place}: says not which labels are lesion, which the segmenter 'labels' must know; "
                "name them with --lesions LABEL,LABEL."
            )
        if all(pair.labels is None for pair in self.pairs):
            raise UsageError(
                f"{self.place}: has no label maps, which the segmenter 'labels' takes the lesions from; "
                "add a column 'labels', or choose another with --segmenter."
            )
        return replace(self.options, label_names={LESIONS: self.labels}, use_labels=True)


@dataclass(frozen=True, slots=True)
class Model:
    """A model that scores.

    Attributes:
        weights: name or path, as the user gave it.
        path: its file.
        settings: what it is built from.
        history: what it was trained on.
    """

    weights: str
    path: Path
    settings: ModelSettings
    history: History

    @property
    def modalities(self) -> str:
        """Say ``t1 to t2``."""
        return f"{self.settings.branch.source} to {self.settings.branch.target}"

    @property
    def trained_on(self) -> str:
        """The dataset that it was trained on, as its file says."""
        return self.history.rated or self.history.data or "unknown data"


def read_model(weights: str, registry: Registry) -> Model:
    """Read what a model says of itself.

    Raises:
        WeightsError: no such weights, or not a model of K-CROSS.
    """
    file = registry.weights.open(weights)
    return Model(weights, file.path, *read_settings(file))


def check_modalities(model: Model, opened: Opened) -> None:
    """Pairs that say what they are must be what the model is for.

    Raises:
        WeightsError: they are not; the message names file and pair.
    """
    branch = model.settings.branch
    other = other_modality(opened.pairs, branch.source, branch.target)
    if other is not None:
        name, role, got, wanted = other
        raise WeightsError(
            f"{model.path}: is for {model.modalities}, but the {role} of {name} in {opened.place} is {got}; "
            f"choose other weights, or the pairs with --where {role}={wanted}."
        )


def open_source(source: Source, registry: Registry) -> Opened:
    """Find the rated pairs; nothing is scored, no image is read.

    Raises:
        UsageError: no pairs, no ratings, no rated pair, a column that is not there.
    """
    given = None if source.lesions == "dataset" else source.lesions
    labels = None if given is None else parse_labels(given, LESIONS)
    inputs = open_pairs(source.data, registry)
    pairs = inputs.pairs
    if not pairs:
        raise UsageError(f"{source.data}: has no pairs; name a dataset or a manifest that has.")
    options = Options(
        intensity=source.intensity,
        slices=source.slices,
        device=source.device,
        workers=source.workers,
        components=True,
        check_shift=False,
    )
    items = plan_items(pairs, options, {2})
    found = Scores(table_of(items), {}, source.data)
    for name in source.columns:
        column_of(found.table, name, source.data, "--group-by, --cluster")
    rated = rate(select(found, source.where), source.ratings, among=found)
    wanted = set(rated.scores.table[ID])
    kept = {id(item.pair) for item in items if item.pair_id in wanted}
    chosen = [pair for pair in pairs if id(pair) in kept]
    declared = inputs.label_names.get(LESIONS, ())
    notes = [*inputs.left_out, *rated.notes]
    return Opened(source.data, chosen, rated, options, labels or declared, notes)
