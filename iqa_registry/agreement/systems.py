"""Metrics against a downstream score, over systems: which of them orders methods as, for example, Dice does.

The systems of a table are its rows: translation methods, checkpoints, scanners. Each metric is correlated with each
target, within groups, by :mod:`iqa_registry.statistics.correlation`; what so few systems can show is computed too.
After Figure 2 of Konz et al., "Rethinking Perceptual Metrics for Medical Image Translation", arXiv:2404.07318.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from iqa_registry.errors import UsageError, nearest
from iqa_registry.naming import chosen as chosen_columns
from iqa_registry.statistics.correlation import (
    FEWEST,
    MONTE_CARLO,
    Correlation,
    pearson,
    spearman,
)

if TYPE_CHECKING:
    import polars as pl

LEVEL = 0.95


@dataclass(frozen=True, slots=True)
class Columns:
    """What the columns of a table are.

    Attributes:
        targets: downstream scores.
        metrics: what is correlated with them.
        groups: correlations are taken within the rows that share these.
        system: names the rows; none by default.
    """

    targets: tuple[str, ...]
    metrics: tuple[str, ...]
    groups: tuple[str, ...] = ()
    system: str | None = None


@dataclass(frozen=True, slots=True)
class SystemCorrelation:
    """One metric against one target in one group.

    Attributes:
        group: value of each group column.
        target: downstream score.
        metric: what is correlated with it.
        pearson: of the values.
        spearman: of the ranks.
    """

    group: dict[str, Any]
    target: str
    metric: str
    pearson: Correlation
    spearman: Correlation

    def row(self) -> dict[str, Any]:
        """The correlation as one flat row."""
        row = {**self.group, "target": self.target, "metric": self.metric, "n": self.pearson.n}
        for name, found in (("pearson", self.pearson), ("spearman", self.spearman)):
            values = asdict(found)
            row |= {name: values["value"], f"{name}_low": values["low"], f"{name}_high": values["high"]}
            row[f"{name}_p"] = values["p_value"]
        return row | {"p_method": "exact" if self.pearson.exact else f"Monte Carlo ({MONTE_CARLO:,})"}


@dataclass(frozen=True, slots=True)
class Correlations:
    """What :func:`correlate` found.

    Attributes:
        found: by group and target, the strongest correlation first.
        left_out: groups with too few systems, one line each.
    """

    found: list[SystemCorrelation]
    left_out: list[str]

    def tables(self) -> list[list[SystemCorrelation]]:
        """What was found, a list for each group and target."""
        tables: dict[tuple[str, str], list[SystemCorrelation]] = {}
        for item in self.found:
            tables.setdefault((group_label(item.group), item.target), []).append(item)
        return list(tables.values())


def choose_columns(
    table: pl.DataFrame,
    targets: Sequence[str],
    metrics: Sequence[str] = (),
    groups: Sequence[str] = (),
    system: str | None = None,
) -> Columns:
    """Check the columns that are named, and find the others.

    Args:
        table: one row per system.
        targets: downstream scores.
        metrics: by default all other columns that hold numbers.
        groups: see :class:`Columns`.
        system: by default the first column of text that is not a group.

    Raises:
        UsageError: a column is missing or does not hold numbers, a metric is a target, or there is no metric.

    Example:
        >>> import polars as pl
        >>> table = pl.DataFrame({"method": ["a", "b"], "dice": [0.1, 0.2], "fid": [3, 4]})
        >>> choose_columns(table, ["dice"])
        Columns(targets=('dice',), metrics=('fid',), groups=(), system='method')
    """
    import polars as pl

    metrics = chosen_columns(metrics, table.columns)
    for name in (*targets, *metrics, *groups, *([system] if system else [])):
        if name not in table.columns:
            hint = nearest(name, table.columns)
            raise UsageError(f"there is no column {name!r}. There are {', '.join(table.columns)}.{hint}")
    for name in (*targets, *metrics):
        _check_numeric(table[name])
    if both := set(targets) & set(metrics):
        raise UsageError(f"--metric {both.pop()!r} is the target itself. Name another column.")
    taken = {*targets, *groups, system}
    others = [name for name in table.columns if name not in taken]
    if system is None:
        system = next((name for name in others if table[name].dtype == pl.String), None)
    chosen = tuple(dict.fromkeys(metrics)) or tuple(name for name in others if table[name].dtype.is_numeric())
    if not chosen:
        raise UsageError("the target is the only column of numbers. Name the metrics with --metric.")
    return Columns(tuple(dict.fromkeys(targets)), chosen, tuple(groups), system)


def _check_numeric(column: pl.Series) -> None:
    import polars as pl

    if column.dtype.is_numeric():
        return
    if column.dtype == pl.String:
        wrong = column.filter(column.cast(pl.Float64, strict=False).is_null() & column.is_not_null())
        example = f" ({wrong[0]!r})" if len(wrong) else " (all are empty)"
    else:
        example = f" ({column.dtype})"
    raise UsageError(f"column {column.name!r} does not hold only numbers{example}. Leave such cells empty.")


def correlate(table: pl.DataFrame, columns: Columns, order: str = "spearman", seed: int = 0) -> Correlations:
    """Correlate each metric with each target within each group.

    A target without any value in a group is left out of that group, and so is a metric.

    Args:
        table: one row per system.
        columns: see :func:`choose_columns`.
        order: ``spearman`` or ``pearson``: what the metrics are sorted by, the strongest first.
        seed: of the random pairings, where there are many systems.

    Raises:
        UsageError: a system is listed twice in a group.

    Example:
        >>> import polars as pl
        >>> table = pl.DataFrame({"dice": [0.1, 0.2, 0.4, 0.3], "fid": [9, 7, 2, 4], "kid": [1, 3, 2, 4]})
        >>> found = correlate(table, choose_columns(table, ["dice"])).found
        >>> [(item.metric, round(item.spearman.value, 2)) for item in found]
        [('fid', -1.0), ('kid', 0.4)]
    """
    found: list[SystemCorrelation] = []
    left_out: list[str] = []
    for group, rows in _grouped(table, columns.groups):
        _check_unique(rows, columns.system, group)
        metrics = [name for name in columns.metrics if rows[name].count()]
        for target in columns.targets:
            n = _known(rows, target)
            if 0 < n < FEWEST:
                place = f" in {group_label(group)}" if group else ""
                left_out.append(f"{target}{place}: {n} system{'s' * (n > 1)}, a correlation needs {FEWEST}.")
            if n >= FEWEST:
                items = [_one(rows, group, target, metric, seed) for metric in metrics]
                found += sorted(items, key=lambda item: _strength(item, order))
    return Correlations(found, left_out)


def _one(rows: pl.DataFrame, group: dict[str, Any], target: str, metric: str, seed: int) -> SystemCorrelation:
    import polars as pl

    x, y = (rows[name].cast(pl.Float64).to_numpy() for name in (metric, target))
    return SystemCorrelation(group, target, metric, pearson(x, y, LEVEL, seed), spearman(x, y, LEVEL, seed))


def _strength(item: SystemCorrelation, order: str) -> tuple[float, float]:
    """For sorting: what is not defined comes last."""
    first, second = (abs(found.value) for found in (item.spearman, item.pearson))
    keys = [0.0 if math.isnan(value) else -round(value, 9) for value in (first, second)]
    return (keys[1], keys[0]) if order == "pearson" else (keys[0], keys[1])


def _known(rows: pl.DataFrame, name: str) -> int:
    import polars as pl

    return int(rows[name].cast(pl.Float64).drop_nulls().is_not_nan().sum())


def _grouped(table: pl.DataFrame, groups: tuple[str, ...]) -> list[tuple[dict[str, Any], pl.DataFrame]]:
    if not groups:
        return [({}, table)]
    return [
        (dict(zip(groups, key, strict=True)), rows)
        for key, rows in table.group_by(list(groups), maintain_order=True)
    ]


def _check_unique(rows: pl.DataFrame, system: str | None, group: dict[str, Any]) -> None:
    if system is None:
        return
    names = rows[system].drop_nulls()
    twice = names.filter(names.is_duplicated())
    if len(twice):
        place = f" of {group_label(group)}" if group else ""
        raise UsageError(
            f"{twice[0]!r} is listed {int((names == twice[0]).sum())} times in column {system!r}{place}.\n"
            "Name the column of systems (--system) or of groups (--group-by), or average the rows of a system first."
        )


def group_label(group: dict[str, Any]) -> str:
    """The group in words.

    Example:
        >>> group_label({"task": "mri-ct", "fold": 2})
        'task mri-ct, fold 2'
    """
    return ", ".join(f"{name} {'(none)' if value is None else value}" for name, value in group.items())
