"""Learned metrics that were trained several times: their seeds as one metric, and as a source of variation.

Metrics that differ in the parameter ``seed`` alone (``ours:seed=1``, ``ours:seed=2``) are judged one by one and
reported as one: the mean over the seeds, with intervals and comparisons that hold for other seeds too. One good
training is otherwise taken for the method.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from iqa_registry.agreement.judging import STATISTICS, Judged, Settings, add_intervals
from iqa_registry.agreement.separating import AUCS
from iqa_registry.statistics.sources import DRAWS, Source, unit_draws

_OUTER_COMMA = re.compile(r",(?![^\[]*\])")


def without_seed(name: str) -> str:
    """The name without its seed.

    Example:
        >>> without_seed("ours:seed=3"), without_seed("ours:depth=2,seed=3"), without_seed("ours")
        ('ours', 'ours:depth=2', 'ours')
    """
    metric, colon, parameters = name.partition(":")
    kept = [part for part in _OUTER_COMMA.split(parameters) if not part.startswith("seed=")]
    return f"{metric}{colon}{','.join(kept)}".rstrip(":")


def merge_seeds(judged: Sequence[Judged], settings: Settings) -> list[Judged]:
    """The metrics, those of several seeds as one.

    Args:
        judged: metrics of one group. Seeds are merged where all of them were judged on the same images.
        settings: how they were judged.
    """
    by_name: dict[str, list[Judged]] = {}
    for item in judged:
        by_name.setdefault(without_seed(item.metric), []).append(item)
    merged = []
    for name, items in by_name.items():
        first = np.sort(items[0].rows)
        alike = all(np.array_equal(first, np.sort(item.rows)) for item in items)
        merged += [_mean(name, items, settings)] if len(items) > 1 and alike else items
    return merged


def _mean(name: str, items: Sequence[Judged], settings: Settings) -> Judged:
    """One metric of several seeds; figures draw the first of them."""
    label = f"{name} ({len(items)} seeds)"
    ends = ("_low", "_high")
    row = {key: value for key, value in items[0].row.items() if not key.endswith(ends)}
    row |= {key: float(np.mean([item.row[key] for item in items])) for key in STATISTICS}
    row |= {"metric": label, "seeds": len(items)}
    row |= {key: float(np.mean([item.row[key] for item in items])) for key in AUCS if key in row}
    result = replace(items[0], metric=label, row=row, samples={}, sources={})
    for key in items[0].samples:
        samples = np.stack([item.samples[key] for item in items])
        result.samples[key] = samples.mean(axis=0)
        values = np.array([item.row[key] for item in items])
        draws = unit_draws(len(items), min(DRAWS, samples.shape[1]), settings.seed)
        both = samples[draws, np.arange(len(draws))[:, None]].mean(axis=1)
        result.sources[key] = [Source(values[draws].mean(axis=1), both, len(items), shared=False)]
        for parts in zip(*(item.sources.get(key, ()) for item in items), strict=True):
            alone, together = (
                np.mean([getattr(part, at) for part in parts], axis=0) for at in ("alone", "both")
            )
            result.sources[key].append(Source(alone, together, parts[0].units))
    if result.samples:
        add_intervals(result, result.row["clusters"], settings)
    return result
