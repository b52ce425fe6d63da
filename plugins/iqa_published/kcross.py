"""Table II of K-CROSS (arXiv:2307.04296) recomputed from the scores and ratings that its authors published.

For each data set and model: the public code's arithmetic with the rows in the authors' order, Algorithm 4 as the paper
describes it, the min-max alignment, chance, and what a constant score reaches.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from iqa_published.numbers import SCORED, Key, kcross_log, kcross_table2
from iqa_registry.plugin import UsageError
from iqa_registry.statistics.arrays import Array, Index
from iqa_registry.statistics.inconsistency import chance, constant, inconsistency

if TYPE_CHECKING:
    import polars as pl

    from iqa_registry.plugin import Ranker, Registry

EPOCHS = 40
"""Those of the paper."""
ORDERS = 1_000
"""How many random orders of the rows the public arithmetic is given."""
COLUMNS = ("dataset", "modality", "model", "epoch", "slice_id", "rating", *(name.lower() for name in SCORED))
HIGHER_IS_BETTER = {"MAE": False, "PSNR": True, "SSIM": True}

MODALITIES = {"ixi": ("t2", "pd"), "brats2021": ("t1", "t2", "flair")}
SLICES = {
    "ixi": (
        "IXI086-Guys-0728-slice-60", "IXI246-Guys-0840-slice-68", "IXI623-Guys-1076-slice-69",
        "IXI457-Guys-0984-slice-57", "IXI450-Guys-1093-slice-55", "IXI158-Guys-0783-slice-76",
        "IXI556-HH-2452-slice-69", "IXI305-IOP-0871-slice-55", "IXI580-IOP-1157-slice-69",
        "IXI633-HH-2689-slice-66",
    ),
    "brats2021": (
        "BraTS2021_01701-slice-75", "BraTS2021_01765-slice-70", "BraTS2021_01798-slice-77",
        "BraTS2021_00079-slice-78", "BraTS2021_00114-slice-67", "BraTS2021_00129-slice-54",
        "BraTS2021_00027-slice-79", "BraTS2021_01709-slice-67", "BraTS2021_01767-slice-76",
        "BraTS2021_00119-slice-58",
    ),
}  # fmt: skip
"""The order in which the authors' machine listed the folders of the slices.

It is written nowhere: of the 10! orders of each data set it is the only one in which the public arithmetic gives all
of the numbers in the authors' logs.
"""


@dataclass(frozen=True, slots=True)
class Row:
    """One metric on the images of one data set and model; what is not known is None.

    Attributes:
        dataset: ``ixi`` or ``brats2021``, or another.
        model: what made the images.
        metric: what is judged.
        n: images with a rating and a score.
        published: Table II (40 epochs), else the authors' log.
        log: the authors' log.
        authors_order: the public code's arithmetic with the rows in the authors' order.
        levels: Algorithm 4 as described.
        minmax: scores scaled to [0, 1].
        log_minmax: that in the authors' log.
        chance: a random order in expectation.
        constant: one score for all images.
        order_low: the public arithmetic over random orders of the rows, the lowest.
        order_median: their median.
        order_high: the highest.
        levels_spread: highest less lowest of Algorithm 4 over the same orders.
        unturned: Algorithm 4 if the metric's direction is ignored, as in the public code.
    """

    dataset: str
    model: str
    metric: str
    n: int = 0
    published: float | None = None
    log: float | None = None
    authors_order: float | None = None
    levels: float | None = None
    minmax: float | None = None
    log_minmax: float | None = None
    chance: float | None = None
    constant: float | None = None
    order_low: float | None = None
    order_median: float | None = None
    order_high: float | None = None
    levels_spread: float | None = None
    unturned: float | None = None

    def as_dict(self) -> dict[str, Any]:
        """The row by the names of its columns."""
        return asdict(self)


@dataclass(frozen=True, slots=True)
class Table2:
    """What :func:`compare` gives.

    Attributes:
        epochs: the first so many were taken.
        rows: by data set, model and metric.
        notes: why a column is empty, or rows were left out.
    """

    epochs: int
    rows: list[Row]
    notes: list[str]


@dataclass(frozen=True, slots=True)
class _Images:
    """The images of one data set and model with a score of one metric; scores turned so that larger is better."""

    scores: Array
    ratings: Array
    order: Index | None


def compare(table: pl.DataFrame, registry: Registry, epochs: int = EPOCHS, orders: int = ORDERS) -> Table2:
    """Recompute Table II.

    Args:
        table: one row an image, with the columns :data:`COLUMNS`.
        registry: has the rankers.
        epochs: the first so many are taken.
        orders: random orders of the rows, seeded.

    Raises:
        UsageError: a column is missing, or no image of these epochs has a rating.
    """
    import polars as pl

    missing = [name for name in COLUMNS if name not in table.columns]
    if missing:
        raise UsageError(f"has no {', '.join(missing)}; Table II needs {', '.join(COLUMNS)}.")
    chosen = table.filter(pl.col("epoch").is_between(1, epochs) & pl.col("rating").is_not_null())
    if chosen.is_empty():
        raise UsageError(f"has no rated image of the epochs 1 to {epochs}; choose others with --epochs.")
    rows: list[Row] = []
    notes = []
    if not kcross_log("levels", epochs):
        notes.append(
            f"Nothing was published for {epochs} epochs: Table II has 40, the authors' logs 30, 40 and 50."
        )
    if unrated := table.filter(pl.col("epoch").is_between(1, epochs)).height - chosen.height:
        notes.append(f"{unrated} images without a rating are left out.")
    for (dataset, model), images in chosen.group_by(["dataset", "model"], maintain_order=True):
        order = authors_order(images, str(dataset), epochs)
        if isinstance(order, str):
            notes.append(f"{dataset}, {model}: the authors' order of the rows does not apply: {order}.")
        key = str(dataset), str(model)
        rows += list(
            _rows(images, key, None if isinstance(order, str) else order, registry, (epochs, orders))
        )
    return Table2(epochs, rows, notes)


def authors_order(images: pl.DataFrame, dataset: str, epochs: int) -> Index | str:
    """Where the rows stood when the authors computed: by modality, epoch and slice; or why that is not known.

    Args:
        images: the rated images of one data set and model.
        dataset: which.
        epochs: how many.

    Returns:
        ``(n,)`` positions that bring the rows into that order, or the reason why there are none.
    """
    if dataset not in SLICES:
        return f"the paper has no data set {dataset!r}"
    modalities, slices = MODALITIES[dataset], SLICES[dataset]
    places = {
        (modality, epoch, name): number
        for number, (modality, epoch, name) in enumerate(
            (modality, epoch, name)
            for modality in modalities
            for epoch in range(1, epochs + 1)
            for name in slices
        )
    }
    keys = images.select("modality", "epoch", "slice_id").rows()
    if set(images["slice_id"]) - set(slices):
        return "there are other slices than the paper's ten"
    if len(keys) != len(places) or set(keys) != set(places):
        return f"it takes {len(places)} images ({epochs} epochs of ten slices in {', '.join(modalities)})"
    return np.argsort([places[key] for key in keys])


def _rows(
    images: pl.DataFrame,
    key: tuple[str, str],
    order: Index | None,
    registry: Registry,
    settings: tuple[int, int],
) -> Iterator[Row]:
    epochs, orders = settings
    table2 = kcross_table2() if epochs == EPOCHS else {}
    log, log_minmax = kcross_log("levels", epochs), kcross_log("minmax", epochs)
    for metric in SCORED:
        at: Key = (*key, metric)
        scored = _scored(images, metric, order)
        published = table2.get(at, log.get(at))
        row = Row(*at, scored.ratings.size, published, log.get(at), log_minmax=log_minmax.get(at))
        yield _judge(row, scored, registry, orders) if row.n else row
    for (dataset, model, metric), value in table2.items():
        if (dataset, model) == key and metric not in SCORED:
            yield Row(dataset, model, metric, published=value)


def _scored(images: pl.DataFrame, metric: str, order: Index | None) -> _Images:
    raw, ratings = (images[name].cast(float).to_numpy() for name in (metric.lower(), "rating"))
    known = ~np.isnan(raw)
    turned = raw if HIGHER_IS_BETTER[metric] else -raw
    return _Images(turned[known], ratings[known], order if known.all() else None)


def _judge(row: Row, images: _Images, registry: Registry, orders: int) -> Row:
    scores, ratings, order = images.scores, images.ratings, images.order
    levels = registry.ranker("levels")
    higher = HIGHER_IS_BETTER[row.metric]
    public = registry.ranker(f"levels-as-published:higher_is_better={str(higher).lower()}")
    generator = np.random.default_rng(0)
    shuffled = [generator.permutation(ratings.size) for _ in range(orders)]
    seen = np.array([_inconsistency(public, scores[rows], ratings[rows]) for rows in shuffled])
    same = np.array([_inconsistency(levels, scores[rows], ratings[rows]) for rows in shuffled])
    return replace(
        row,
        authors_order=None if order is None else _inconsistency(public, scores[order], ratings[order]),
        levels=_inconsistency(levels, scores, ratings),
        minmax=_inconsistency(registry.ranker("minmax"), scores, ratings),
        chance=chance(ratings),
        constant=constant(ratings),
        order_low=float(seen.min()),
        order_median=float(np.median(seen)),
        order_high=float(seen.max()),
        levels_spread=float(np.ptp(same)),
        unturned=_inconsistency(levels, scores if higher else -scores, ratings),
    )


def _inconsistency(ranker: Ranker, scores: Array, ratings: Array) -> float:
    return inconsistency(ranker.align(scores, ratings), ratings)
