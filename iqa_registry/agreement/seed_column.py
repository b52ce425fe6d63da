"""Score tables with a column ``seed``: each seed of a learned metric becomes a metric ``NAME:seed=SEED``."""

from __future__ import annotations

from collections.abc import Sequence

import polars as pl

from iqa_registry.tables.schema import METRIC, PAIR_ID, REGION

SEED = "seed"


def named(metric: str, seed: object) -> str:
    """The metric with its seed.

    Example:
        >>> named("ours", 3), named("ours:depth=2", 3)
        ('ours:seed=3', 'ours:depth=2,seed=3')
    """
    return f"{metric}{',' if ':' in metric else ':'}{SEED}={seed}"


def spread_long(table: pl.DataFrame) -> tuple[pl.DataFrame, dict[str, list[str]]]:
    """A long table whose metrics have their seeds in their names, where there are several.

    Returns:
        The table without the column, and metric to its names.

    Example:
        >>> columns = {"pair_id": ["a", "a"], "metric": ["ours", "ours"], "score": [0.1, 0.2], "seed": [1, 2]}
        >>> spread_long(pl.DataFrame(columns))[1]
        {'ours': ['ours:seed=1', 'ours:seed=2']}
    """
    names: dict[str, list[str]] = {}
    rows = zip(table[METRIC].to_list(), table[SEED].to_list(), strict=True)
    for metric, seed in dict.fromkeys(rows):
        if seed is not None:
            names.setdefault(metric, []).append(named(metric, seed))
    names = {metric: found for metric, found in names.items() if len(found) > 1}
    renamed = [
        named(metric, seed) if metric in names and seed is not None else metric
        for metric, seed in zip(table[METRIC], table[SEED], strict=True)
    ]
    return table.with_columns(pl.Series(METRIC, renamed)).drop(SEED), names


def spread_wide(table: pl.DataFrame, metrics: Sequence[str]) -> tuple[pl.DataFrame, dict[str, list[str]]]:
    """A wide table with one row per image and one column per metric and seed.

    A metric that gives an image one score whatever the seed (PSNR, repeated in each row) stays one column.

    Example:
        >>> columns = {"pair_id": ["a", "a"], "psnr": [20.0, 20.0], "ours": [0.1, 0.2], "seed": [1, 2]}
        >>> spread_wide(pl.DataFrame(columns), ["psnr", "ours"])[0].columns
        ['pair_id', 'psnr', 'ours:seed=1', 'ours:seed=2']
    """
    keys = [PAIR_ID, *([REGION] if REGION in table.columns else [])]
    wide = table.unique(keys, keep="first", maintain_order=True).drop(SEED)
    names: dict[str, list[str]] = {}
    for metric in metrics:
        values = table.group_by(keys).agg(pl.col(metric).drop_nulls().n_unique().alias("_different"))
        if (values["_different"] <= 1).all():
            continue
        by_seed = table.select(*keys, pl.col(SEED).cast(pl.String), metric).drop_nulls(SEED)
        columns = by_seed.pivot(SEED, index=keys, values=metric, maintain_order=True)
        found = {seed: named(metric, seed) for seed in columns.columns if seed not in keys}
        wide = wide.drop(metric).join(
            columns.rename(found), on=keys, how="left", maintain_order="left", nulls_equal=True
        )
        names[metric] = list(found.values())
    return wide, names
