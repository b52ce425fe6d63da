"""AUCs of the metrics of a group: acceptable or not, and the pairs of images that the raters tell apart."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np

from iqa_registry.statistics.acceptability import RatedPairs, Separation
from iqa_registry.statistics.bootstrap import cluster_counts, index_of, percentile_interval

if TYPE_CHECKING:
    from iqa_registry.agreement.judging import Judged, Settings
    from iqa_registry.agreement.study import Group

AUCS = ("auc", "auc_different", "auc_better")
"""Acceptable or not; different or alike pairs; which of a different pair is better."""


def add_aucs(group: Group, settings: Settings) -> None:
    """Add the AUCs that the settings ask for to the rows of the metrics, with their samples and intervals.

    Draws are those of the other statistics, so AUCs are compared like these.
    """
    pairs: dict[bytes, RatedPairs] = {}
    for judged in group.judged:
        order = np.argsort(judged.rows)
        rows, scores = judged.rows[order], judged.scores[order]
        index, number = index_of(group.clusters[rows], len(rows))
        found: dict[str, Separation] = {}
        if settings.acceptable is not None:
            positive = judged.ratings[order] >= settings.acceptable
            found["auc"] = Separation(scores, positive, index)
            judged.row["acceptable"] = int(positive.sum())
        if settings.rated_pairs and group.panel is not None:
            of = pairs.setdefault(rows.tobytes(), RatedPairs(group.panel.single[rows], index))
            found["auc_different"], found["auc_better"] = of.separations(scores)
            judged.row |= {"pairs": len(of.images), "different_pairs": int(of.different.sum())}
            judged.row["order_correct"] = of.order_correct(scores)
        judged.row |= {name: separation.auc() for name, separation in found.items()}
        if settings.resamples and number > 1:
            _add_samples(judged, found, number, settings)


def _add_samples(judged: Judged, found: Mapping[str, Separation], number: int, settings: Settings) -> None:
    for name, separation in found.items():
        drawn = [
            separation.samples(counts) for counts in cluster_counts(number, settings.resamples, settings.seed)
        ]
        judged.samples[name] = np.concatenate(drawn)
        low, high = percentile_interval(judged.samples[name], number, settings.level)
        judged.row[f"{name}_low"], judged.row[f"{name}_high"] = low, high
