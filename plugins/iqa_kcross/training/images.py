"""The images of a training run: read by the engine's loader, so that they are on the scale that scoring sees."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor
from torch.utils.data import Dataset as TorchDataset

from iqa_kcross.pairs import LESIONS
from iqa_kcross.training.config import DataConfig
from iqa_registry.evaluation.items import Failed, Item, Loaded
from iqa_registry.evaluation.loader import Loader
from iqa_registry.evaluation.options import Options
from iqa_registry.evaluation.plan import plan_items
from iqa_registry.images.geometry import center_fit
from iqa_registry.images.regions import parse_labels
from iqa_registry.plugin import Dataset, ImageError, Pair, Segmenter, Subject, UsageError, read_image

Progress = Callable[[float, int], None]
BATCH = 8


@dataclass(slots=True)
class SubjectImages(TorchDataset[dict[str, Tensor]]):
    """Slices of subjects in both modalities, held in memory in half precision.

    Attributes:
        source: ``(N, 1, H, W)`` in [0, 1].
        target: the same.
        source_lesions: boolean ``(N, 1, H, W)``.
        target_lesions: the same.
        subjects: the subject of each slice.
    """

    source: Tensor
    target: Tensor
    source_lesions: Tensor
    target_lesions: Tensor
    subjects: Sequence[str]

    def __len__(self) -> int:
        return len(self.source)

    def __getitem__(self, number: int) -> dict[str, Tensor]:
        return {
            "source": self.source[number].float(),
            "target": self.target[number].float(),
            "source_lesions": self.source_lesions[number],
            "target_lesions": self.target_lesions[number],
        }

    def part(self, subjects: set[str], inside: bool) -> SubjectImages:
        """The slices of some subjects, or of all others."""
        rows = torch.tensor([(name in subjects) == inside for name in self.subjects])
        kept = [name for name, keep in zip(self.subjects, rows.tolist(), strict=True) if keep]
        masks = self.source_lesions[rows], self.target_lesions[rows]
        return SubjectImages(self.source[rows], self.target[rows], *masks, kept)

    @classmethod
    def join(cls, parts: Sequence[SubjectImages]) -> SubjectImages:
        """The slices of several parts behind each other."""
        return cls(
            torch.cat([part.source for part in parts]),
            torch.cat([part.target for part in parts]),
            torch.cat([part.source_lesions for part in parts]),
            torch.cat([part.target_lesions for part in parts]),
            [name for part in parts for name in part.subjects],
        )


def read_subjects(
    dataset: Dataset,
    config: DataConfig,
    segmenter: Segmenter | None,
    progress: Progress = lambda done, total: None,
) -> SubjectImages:
    """Read all subjects of a dataset in the two modalities and find their lesions.

    Raises:
        UsageError: a modality that the dataset lacks, or no subjects.
        ImageError: an image that cannot be read.
    """
    pairs = [_as_pair(subject, config) for subject in dataset.subjects()]
    if not pairs:
        raise UsageError(f"{config.data}: has no subjects to train on. Name another dataset.")
    options = options_of(config, dataset, each=True)
    if options.rule.kind == "auto":
        options = replace(options, intensity=_each_on_its_own_scale(pairs[0]))
    items = plan_items(pairs, options, {2})
    parts: list[SubjectImages] = []
    loader = Loader(options, (LESIONS,))
    for done, batch in enumerate(loader.batches(_chunks(items)), start=1):
        parts.append(_stack([whole(item) for item in batch], config.size, segmenter))
        progress(min(done * BATCH, len(items)), len(items))
    return SubjectImages.join(parts)


def _each_on_its_own_scale(pair: Pair) -> str:
    """The automatic rule for two modalities: percentiles of the reference would be another modality's limits."""
    sources = [pair.synthesized, *([] if pair.reference is None else [pair.reference])]
    known = all(read_image(image).full_scale is not None for image in sources)
    return "dtype" if known else "each-percentile"


def _as_pair(subject: Subject, config: DataConfig) -> Pair:
    """A subject as the engine's loader takes it: source modality against target modality."""
    images, name = subject.images, subject.name
    for modality in (config.source, config.target):
        if modality not in images:
            raise UsageError(
                f"{name}: has no {modality} image, only {', '.join(images)}. Choose with --source and --target."
            )
    groups = {"subject": name}
    pair = (name, images[config.source], images[config.target])
    return Pair(*pair, groups=groups, slices=subject.slices, labels=subject.labels)


def options_of(config: DataConfig, dataset: Dataset | None, each: bool = False) -> Options:
    """How images are read.

    Args:
        config: intensity, slices and lesion labels.
        dataset: knows its lesion labels.
        each: whether two modalities are compared, which have no common scale.
    """
    names: dict[str, tuple[int, ...]] = {}
    if config.lesions == "dataset":
        if dataset is None or LESIONS not in dataset.label_names:
            raise UsageError(
                "data.lesions = 'dataset': this data has no labels called lesions. Name them, such as '1,4'."
            )
        names = {LESIONS: dataset.label_names[LESIONS]}
    elif config.lesions:
        names = {LESIONS: parse_labels(config.lesions, LESIONS)}
    rule = config.intensity or None
    if each and rule and rule.startswith("reference-percentile"):
        rule = rule.replace("reference", "each", 1)
    return Options(
        intensity=rule,
        slices=config.slices or None,
        label_names=names,
        use_labels=bool(names),
        allow_scale_mismatch=each,
        check_shift=False,
    )


def _chunks(items: Sequence[Item]) -> list[Sequence[Item]]:
    return [items[start : start + BATCH] for start in range(0, len(items), BATCH)]


def whole(item: Loaded | Failed) -> Loaded:
    """What was loaded; raises :class:`ImageError` if it could not be."""
    if isinstance(item, Failed):
        raise ImageError(item.message)
    return item


def _gray(image: Tensor) -> Tensor:
    """``(C, H, W)`` as ``(1, H, W)``: the mean of the channels."""
    return image.mean(dim=0, keepdim=True)


def _square(image: Tensor, size: int) -> Tensor:
    """Of ``size`` rows and columns, cropped or padded with zeros around the center."""
    return torch.from_numpy(center_fit(image.numpy(), (size, size)))


def _stack(batch: Sequence[Loaded], size: int, segmenter: Segmenter | None) -> SubjectImages:
    source = torch.stack([_square(_gray(item.synthesized), size) for item in batch])
    references = [item.reference for item in batch]
    target = torch.stack([_square(_gray(item), size) for item in references if item is not None])
    given = [item.labels.get(LESIONS) for item in batch]
    masks = lesions_of(source, given, size, segmenter), lesions_of(target, given, size, segmenter)
    names = [str(item.item.subject) for item in batch]
    return SubjectImages(source.half(), target.half(), *masks, names)


def lesions_of(
    images: Tensor, given: Sequence[Tensor | None], size: int, segmenter: Segmenter | None
) -> Tensor:
    """Lesion masks ``(N, 1, H, W)``: those that are given, the segmenter's for the others."""
    absent = [number for number, mask in enumerate(given) if mask is None]
    masks = torch.zeros_like(images, dtype=torch.bool)
    for number, mask in enumerate(given):
        if mask is not None:
            masks[number] = _square(mask, size) > 0
    if absent and segmenter is not None:
        masks[absent] = segmenter.mask(images[absent])
    return masks
