"""What a command that reads images was asked for: the pairs, and the settings by which they are read."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from iqa_registry.cli import render
from iqa_registry.errors import UsageError

if TYPE_CHECKING:
    from iqa_registry.datasets import Dataset
    from iqa_registry.evaluation.options import Options
    from iqa_registry.images.pairs import Pair
    from iqa_registry.metrics import Metric
    from iqa_registry.registry import Registry

LABELS_OF_DATASET = "dataset"
"""What ``--lesions`` takes in place of labels."""


class Request:
    """Where the pairs come from."""

    def __init__(
        self,
        synthesized: str | None,
        reference: str | None,
        pairs: Path | None,
        dataset: str | None,
        mask: Path | None,
    ) -> None:
        self.given = {"images": synthesized, "--pairs": pairs, "--dataset": dataset}
        self.synthesized, self.reference, self.pairs, self.dataset = synthesized, reference, pairs, dataset
        self.mask = mask
        self._opened: Dataset | None = None
        named = [name for name, value in self.given.items() if value is not None]
        if len(named) > 1:
            raise UsageError(f"{' and '.join(named)} contradict each other; choose one.")
        if mask is not None and synthesized is None:
            raise UsageError("--mask goes with two images or folders; a manifest has a column for it.")

    def arguments(self) -> dict[str, Any]:
        """What the run record keeps."""
        return {
            "synthesized": _absolute(self.synthesized),
            "reference": _absolute(self.reference),
            "pairs": _absolute(self.pairs),
            "mask": _absolute(self.mask),
            "dataset": self.dataset,
        }

    def collect(self, registry: Registry) -> tuple[list[Pair], list[str]]:
        """The pairs, and what was left unmatched."""
        from iqa_registry.images.pairs import pair_paths, read_manifest

        dataset = self._open(registry)
        if dataset is not None:
            pairs = list(dataset.pairs())
            return pairs, list(dataset.left_out)
        if self.pairs is not None:
            found = read_manifest(self.pairs)
        elif self.synthesized is not None:
            found = pair_paths(self.synthesized, self.reference, self.mask)
        else:
            from iqa_registry.sample import MANIFEST, NOTICE

            render.warn(NOTICE)
            found = read_manifest(MANIFEST)
        return list(found.pairs), list(found.unmatched)

    def lesions(self, text: str | None, registry: Registry) -> tuple[int, ...] | None:
        """The labels that ``--lesions`` names.

        Raises:
            UsageError: no labels, labels where there are no masks, or the word for those of a dataset where there is
                no dataset or it declares none.
        """
        from iqa_registry.evaluation.options import parse_lesions

        if text is None:
            return None
        if text.strip() != LABELS_OF_DATASET:
            labels = parse_lesions(text)
            if self.synthesized is not None and self.mask is None:
                raise UsageError("--lesions names labels of a mask; give it with --mask.")
            return labels
        dataset = self._open(registry)
        if dataset is None:
            raise UsageError(
                f"--lesions {text}: goes with --dataset; name the labels instead, say --lesions 1,4."
            )
        if not dataset.lesion_labels:
            raise UsageError(f"--lesions {text}: {self.dataset} declares no labels of lesions; name them.")
        return tuple(dataset.lesion_labels)

    def _open(self, registry: Registry) -> Dataset | None:
        """The dataset, opened once."""
        if self._opened is None and self.dataset is not None:
            self._opened = registry.dataset(self.dataset)
        return self._opened


def _absolute(path: str | Path | None) -> str | None:
    """A path as the run record keeps it: the same from whatever folder the command is given again."""
    return None if path is None else str(Path(path).resolve())


def read_options(given: Mapping[str, Any]) -> Options:
    """Settings from command-line options as they were typed.

    Raises:
        UsageError: a value that an option does not take.
    """
    from iqa_registry.evaluation.options import make_options
    from iqa_registry.images.masks import parse_regions

    values = dict(given) | {"regions": parse_regions(given["regions"])}
    if given["resample"] not in (None, "reference"):
        raise UsageError(f"--resample {given['resample']!r}: the one choice is `reference`.")
    values["resample"] = given["resample"] is not None
    if "batch_size" in given:
        size = given["batch_size"]
        if size != "auto" and not size.isdigit():
            raise UsageError(f"--batch-size {size!r}: expected auto or a number of at least 1.")
        values["batch_size"] = None if size == "auto" else int(size)
    return make_options(values)


def warn_of_lesions(options: Options, metrics: Iterable[Metric]) -> None:
    """Say on stderr that ``--lesions`` was given for nothing."""
    from iqa_registry.metrics import FullReferenceMetric

    looking = any(isinstance(metric, FullReferenceMetric) and metric.takes_lesions for metric in metrics)
    if options.lesions is not None and not looking:
        render.warn("warning: --lesions changes nothing here: none of the metrics looks at lesions.")
