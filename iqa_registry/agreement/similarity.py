"""Which metrics say the same: their rank correlations with each other, and clusters of those that agree.

The distance of two metrics is ``1 - |rho|``, rho Spearman's correlation of their scores, so that the direction of a
metric does not matter. Clusters are joined by average linkage (scipy); those closer than :data:`NEAR` are one group: to
report several of a group is to report one thing several times.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl

from iqa_registry.agreement.drawing import WIDTH, ink_on, new_figure
from iqa_registry.errors import UsageError
from iqa_registry.statistics.agreement import srocc
from iqa_registry.statistics.arrays import Array
from iqa_registry.statistics.correlation import complete

if TYPE_CHECKING:
    from matplotlib.figure import Figure

NEAR = 0.1
"""Metrics whose clusters are closer than this, an average |rho| of 0.9, are one group."""
FEWEST = 4


@dataclass(frozen=True, slots=True)
class Similarity:
    """How alike metrics are.

    Attributes:
        metrics: in the order of the tree, so that alike ones are neighbors.
        correlations: ``(m, m)`` Spearman's, signed; NaN where a metric is constant or images in common are few.
        images: ``(m, m)`` images behind each.
        groups: ``(m,)`` number of the group of each metric, from 1.
        tree: ``(m - 1, 4)`` linkage of :mod:`scipy.cluster.hierarchy`, of the metrics as they were given.
        given: the metrics as they were given.
    """

    metrics: tuple[str, ...]
    correlations: Array
    images: Array
    groups: tuple[int, ...]
    tree: Array
    given: tuple[str, ...]

    def rows(self) -> list[dict[str, Any]]:
        """One row for each two metrics."""
        return [
            {
                "first": self.metrics[i],
                "second": self.metrics[j],
                "n": int(self.images[i, j]),
                "spearman": float(self.correlations[i, j]),
                "same_group": self.groups[i] == self.groups[j],
            }
            for i in range(len(self.metrics))
            for j in range(i + 1, len(self.metrics))
        ]


def similarity(table: pl.DataFrame, metrics: Sequence[str]) -> Similarity:
    """Correlate metrics with each other over images or systems, and cluster them.

    Args:
        table: one row per image or system, one column per metric.
        metrics: the columns, two at least.

    Raises:
        UsageError: fewer than two metrics.

    Example:
        >>> table = pl.DataFrame({"a": [1, 2, 3, 4, 5], "b": [3, 1, 5, 2, 4], "c": [-1, -2, -3, -4, -5]})
        >>> found = similarity(table, ["a", "b", "c"])
        >>> found.metrics, found.groups
        (('b', 'a', 'c'), (1, 2, 2))
    """
    from scipy.cluster.hierarchy import fcluster, leaves_list, linkage
    from scipy.spatial.distance import squareform

    if len(metrics) < 2:
        raise UsageError("metrics are compared with each other, and there is one. Name another one.")
    columns = [table[name].cast(pl.Float64).fill_null(math.nan).to_numpy() for name in metrics]
    m = len(columns)
    correlations, images = np.eye(m), np.zeros((m, m))
    for i in range(m):
        for j in range(i, m):
            value, n = _spearman(columns[i], columns[j])
            correlations[i, j] = correlations[j, i] = 1.0 if i == j else value
            images[i, j] = images[j, i] = n
    distances = np.clip(1 - np.abs(np.nan_to_num(correlations)), 0, 1)
    np.fill_diagonal(distances, 0)
    tree = linkage(squareform(distances, checks=False), "average")
    order = leaves_list(tree)
    groups = fcluster(tree, NEAR, "distance")[order]
    return Similarity(
        tuple(metrics[at] for at in order),
        correlations[np.ix_(order, order)],
        images[np.ix_(order, order)],
        tuple(list(dict.fromkeys(groups.tolist())).index(group) + 1 for group in groups.tolist()),
        np.asarray(tree, dtype=np.float64),
        tuple(metrics),
    )


def _spearman(first: Array, second: Array) -> tuple[float, int]:
    from scipy.stats import rankdata

    x, y = complete(first, second)
    # Ranks, because infinite values keep their place on both sides.
    return (math.nan if x.size < FEWEST else srocc(x, rankdata(y))), x.size


def draw_similarity(found: Similarity, title: str = "") -> Figure:
    """The tree of the metrics above the matrix of their correlations."""
    from matplotlib import colormaps
    from scipy.cluster.hierarchy import dendrogram

    m = len(found.metrics)
    figure = new_figure(min(WIDTH, 2.6 + 0.62 * m), 2.9 + 0.42 * m)
    above, panel = figure.subplots(2, 1, height_ratios=[1, max(1.5, 0.28 * m)])
    dendrogram(found.tree, ax=above, no_labels=True, color_threshold=NEAR, above_threshold_color="0.4")
    above.axhline(NEAR, color="0.6", linewidth=0.8, linestyle=":")
    above.set_ylabel("1 - |Spearman|", fontsize=8.5)
    above.spines[["top", "right", "bottom"]].set_visible(False)
    colors = colormaps["PuOr_r"]
    panel.set_facecolor("0.85")
    panel.imshow(found.correlations, cmap=colors, vmin=-1, vmax=1, aspect="auto")
    for i in range(m):
        for j in range(m):
            value = float(found.correlations[i, j])
            if not math.isnan(value):
                ink = ink_on(colors((value + 1) / 2))
                panel.text(j, i, f"{value:.2f}", ha="center", va="center", color=ink, fontsize=8)
    panel.set_xticks(range(m), found.metrics, rotation=40, ha="right", fontsize=8.5)
    panel.set_yticks(range(m), found.metrics, fontsize=8.5)
    panel.tick_params(length=0)
    figure.suptitle(", ".join(filter(None, ("Spearman's correlation of the metrics", title))), fontsize=11)
    return figure
