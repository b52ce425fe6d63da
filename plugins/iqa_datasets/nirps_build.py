"""Writing a tree like NIRPS: 2-D images, scores and ratings, one folder an image.

The scores are those of the 2-D images as they are written, 8 bit, each divided by 255: so whoever scores the tree's
2-D images again gets the numbers in the tree. MAE is a mean of absolute differences on [0, 1], PSNR is in decibels to a
peak of 1. The published numbers go together with that: in all 3,000 rows of the IXI half the root mean square error
that PSNR tells, at a peak of 1, is 1.11 to 2.57 times the MAE (never below it, as it must be on one scale).
"""

from __future__ import annotations

import os
import re
import shutil
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from iqa_datasets._nirps_files import IMAGE, OWN, RATING_FILE, REFERENCE, parse_number, read_cells
from iqa_registry.images.geometry import check_sizes
from iqa_registry.images.intensity import (
    IntensityRule,
    apply_limits,
    check_scales,
    parse_intensity,
    resolve_limits,
)
from iqa_registry.plugin import (
    Array,
    Image,
    ImageError,
    IQAError,
    Pair,
    UsageError,
    natural,
    pair_paths,
    read_image,
)

if TYPE_CHECKING:
    from iqa_registry.plugin import Metric, Registry

ROOT = "nirps_dataset"
Models = dict[tuple[str, int], Path]
"""Model and epoch to the folder of its slices."""
Progress = Callable[[float, int], None]

_NAME = re.compile(r"[A-Za-z0-9][\w.+-]*")
_EPOCH = re.compile(r"epoch_(\d+)")


@dataclass(slots=True)
class Made:
    """What was written, and what was not."""

    folder: Path
    images: int = 0
    rated: int = 0
    left_out: list[str] = field(default_factory=list)


def parse_models(texts: Iterable[str]) -> Models:
    """Parse ``MODEL:EPOCH=FOLDER``.

    Raises:
        UsageError: another form, or a model and epoch given twice.

    Example:
        >>> parse_models(["munit:1=out/munit-1"])
        {('munit', 1): PosixPath('out/munit-1')}
    """
    found: Models = {}
    for text in texts:
        match = re.fullmatch(r"(?P<model>[^:=]+):(?P<epoch>\d+)=(?P<folder>.+)", text)
        if match is None:
            raise UsageError(f"--synthesized {text!r}: expected MODEL:EPOCH=FOLDER, say munit:1=out/munit-1.")
        key = (check_name(match["model"], "model"), int(match["epoch"]))
        if key in found:
            raise UsageError(f"--synthesized {text!r}: {key[0]}, epoch {key[1]} is given twice.")
        found[key] = Path(match["folder"])
    return found


def find_models(folder: Path) -> Models:
    """The ``MODEL/epoch_K`` folders below a folder.

    Raises:
        UsageError: there is none.
    """
    found: Models = {}
    for path in sorted(folder.glob("*/epoch_*"), key=lambda item: natural(str(item))):
        match = _EPOCH.fullmatch(path.name)
        if match and path.is_dir():
            found[(check_name(path.parent.name, "model"), int(match[1]))] = path
    if not found:
        raise UsageError(
            f"{folder}: holds no MODEL/epoch_K folder; name them with --synthesized MODEL:EPOCH=FOLDER."
        )
    return found


def check_name(text: str, what: str) -> str:
    """A name that can be a folder of the tree.

    Raises:
        UsageError: it cannot.
    """
    if not _NAME.fullmatch(text) or text == "gt":
        raise UsageError(f"{what} {text!r}: expected a name of letters, digits and . _ + -, other than gt.")
    return text


@dataclass(frozen=True, slots=True)
class Build:
    """A tree to write.

    Attributes:
        out: the folder that gets :data:`ROOT`.
        dataset: name in the tree.
        modality: name in the tree.
        metrics: what is scored.
        intensity: how stored numbers become [0, 1]; see :func:`iqa_registry.images.intensity.parse_intensity`.
    """

    out: Path
    dataset: str
    modality: str
    metrics: Sequence[str]
    intensity: str | None = None

    def run(
        self,
        registry: Registry,
        reference: Path,
        models: Models,
        ratings: Path | None,
        force: bool = False,
        progress: Progress = lambda done, total: None,
    ) -> Made:
        """Write the tree; the modality appears in it when all of it is there.

        Raises:
            UsageError: a name or a table that cannot be used, nothing to pair, or the modality is there already.
        """
        self._check_names()
        final = self.out / ROOT / self.dataset / self.modality
        if final.exists() and not force:
            raise UsageError(f"{final}: is there already; give --force to replace it.")
        writer = _Writer(
            metrics={name: _metric(registry, name) for name in self.metrics},
            rule=parse_intensity(self.intensity),
            ratings=read_ratings(ratings, self.dataset, self.modality) if ratings else {},
            made=Made(final),
        )
        work = final.with_name(f".{self.modality}.{os.getpid()}.tmp")
        try:
            writer.write(work, reference, models, progress)
            if not writer.made.images:
                raise UsageError(f"nothing could be written: {'; '.join(writer.made.left_out[:3])}")
            if final.exists():
                shutil.rmtree(final)
            work.replace(final)
        except OSError as error:
            raise UsageError(f"{final}: cannot be written ({error.strerror}).") from error
        finally:
            shutil.rmtree(work, ignore_errors=True)
        return writer.made

    def _check_names(self) -> None:
        check_name(self.dataset, "dataset")
        check_name(self.modality, "modality")
        for name in self.metrics:
            if not _NAME.fullmatch(name) or name in (*OWN, RATING_FILE):
                raise UsageError(
                    f"--metric {name!r}: becomes a file's name, so it cannot have parameters; "
                    "give the configuration a name in iqa.toml."
                )


def _metric(registry: Registry, name: str) -> Metric:
    metric = registry.metric(name)
    if metric.spec is not None and metric.spec.kind == "distribution":
        raise UsageError(f"--metric {name}: scores whole sets, and the tree keeps a score of each image.")
    return metric


def read_ratings(path: Path, dataset: str, modality: str) -> dict[tuple[str, int, str], float]:
    """Ratings by model, epoch and slice; rows of other data sets and modalities are passed over.

    Raises:
        UsageError: it cannot be read, lacks a column, rates an image twice, or has something else for a number.
    """
    found: dict[tuple[str, int, str], float] = {}
    for number, row in enumerate(read_cells(path, ("model", "epoch", "slice_id", "rating")), start=1):
        if row.get("dataset", dataset) != dataset or row.get("modality", modality) != modality:
            continue
        epoch, rating = (parse_number(row[name], finite=True) for name in ("epoch", "rating"))
        if epoch is None or rating is None:
            raise UsageError(f"{path}: row {number} has no number for epoch or rating; leave such rows out.")
        key = (str(row["model"]), int(epoch), str(row["slice_id"]))
        if key in found:
            raise UsageError(f"{path}: row {number} rates {'/'.join(map(str, key))} again; keep one.")
        found[key] = rating
    return found


@dataclass(slots=True)
class _Writer:
    metrics: Mapping[str, Metric]
    rule: IntensityRule
    ratings: Mapping[tuple[str, int, str], float]
    made: Made
    references: dict[str, bytes] = field(default_factory=dict)

    def write(self, folder: Path, reference: Path, models: Models, progress: Progress) -> None:
        pairs = {key: self._pairs(place, reference) for key, place in models.items()}
        total, done = sum(map(len, pairs.values())), 0
        for (model, epoch), chosen in pairs.items():
            for name, pair in chosen.items():
                try:
                    self._write_image(folder, (model, epoch, name), pair)
                except IQAError as error:
                    self.made.left_out.append(f"{model}/epoch_{epoch}/{name}: {error}")
                done += 1
                progress(done, total)
        known = {(*key, name) for key, chosen in pairs.items() for name in chosen}
        for key in self.ratings:
            if key not in known:
                self.made.left_out.append(f"{'/'.join(map(str, key))}: is rated, and there is no such image")

    def _pairs(self, synthesized: Path, reference: Path) -> dict[str, Pair]:
        """The pairs by the name that their slice has in the tree: subfolders are joined by dashes."""
        for folder in (synthesized, reference):
            if not folder.is_dir():
                raise UsageError(f"{folder}: no such folder.")
        found = pair_paths(synthesized, reference)
        # The references that one model lacks are another's business.
        self.made.left_out += [line for line in found.unmatched if line.startswith(f"{synthesized}{os.sep}")]
        names = Counter(pair.pair_id.replace("/", "-") for pair in found.pairs)
        repeated = [name for name, count in names.items() if count > 1]
        if repeated:
            raise UsageError(f"{synthesized}: several slices would be called {repeated[0]}; rename one.")
        return {pair.pair_id.replace("/", "-"): pair for pair in found.pairs}

    def _write_image(self, folder: Path, key: tuple[str, int, str], pair: Pair) -> None:
        model, epoch, name = key
        synthesized, reference = self._eight_bit(pair)
        if self.references.setdefault(name, reference.tobytes()) != reference.tobytes():
            raise ImageError(
                "its reference comes out otherwise than for the models before; give --intensity."
            )
        scores = self._scores(synthesized, reference)
        place = folder / model / f"epoch_{epoch}" / name
        place.mkdir(parents=True)
        _write_png(place / IMAGE, synthesized)
        _write_png(folder / "gt" / name / REFERENCE, reference)
        for metric, score in scores.items():
            (place / f"{metric}.txt").write_text(f"{score!r}\n", encoding="ascii")
        if key in self.ratings:
            (place / f"{RATING_FILE}.txt").write_text(f"{self.ratings[key]!r}\n", encoding="ascii")
            self.made.rated += 1
        self.made.images += 1

    def _eight_bit(self, pair: Pair) -> tuple[Array, Array]:
        if pair.reference is None:
            raise ImageError(f"{pair.pair_id}: has no reference.")
        synthesized, reference = read_image(pair.synthesized), read_image(pair.reference)
        for image in (synthesized, reference):
            if image.is_volume:
                raise ImageError(f"{image.name}: is a volume; save its slices as 2-D images or .npy arrays.")
        check_sizes(synthesized, reference)
        if synthesized.pixels.shape != reference.pixels.shape:
            raise ImageError(f"{synthesized.name}: is color against gray; bring both to one.")
        check_scales(synthesized, reference, self.rule)
        limits = resolve_limits(self.rule, synthesized, reference)
        return _rounded(synthesized, limits.synthesized), _rounded(reference, limits.reference)

    def _scores(self, synthesized: Array, reference: Array) -> dict[str, float]:
        import torch

        first, second = (
            torch.from_numpy(image[None].astype(np.float32) / 255) for image in (synthesized, reference)
        )
        scores = {}
        with torch.inference_mode():
            for name, metric in self.metrics.items():
                of_pairs = metric.spec is None or metric.spec.kind == "full-reference"
                scores[name] = float(metric(first, second) if of_pairs else metric(first))
        return scores


def _rounded(image: Image, limits: tuple[float, float]) -> Array:
    scaled, _ = apply_limits(image.pixels, limits)
    return np.rint(scaled * 255).astype(np.uint8)


def _write_png(path: Path, pixels: Array) -> None:
    from PIL import Image as Picture

    path.parent.mkdir(parents=True, exist_ok=True)
    Picture.fromarray(pixels[0] if len(pixels) == 1 else np.moveaxis(pixels, 0, -1)).save(path)
