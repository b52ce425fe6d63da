"""Do groups (sites, scanners) differ in how well metrics agree with the raters, or in which metric is better?

For each metric, its skill and SROCC in the groups are compared; for each two metrics, their difference (the interaction
of metric and group). The estimates of the groups have bootstrap errors of their own, so

- where no cluster is in two groups, the test is Welch's analysis of variance of the estimates;
- where each cluster is in every group, samples of the same draws give the covariance, and the test is Hotelling's T^2
  of the differences between groups.

Source: B. L. Welch, "On the comparison of several mean values", Biometrika 38 (1951), doi:10.1093/biomet/38.3-4.330.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from iqa_registry.agreement.comparison import holm
from iqa_registry.statistics.arrays import Array
from iqa_registry.statistics.power import standard_error

if TYPE_CHECKING:
    from iqa_registry.agreement.study import Group

STATISTICS = ("skill", "srocc")
"""Inconsistency grows with the spread of the ratings, so groups are not compared by it."""
FEWEST = 5
"""Clusters that a group needs."""


def welch(estimates: Array, errors: Array, clusters: Array) -> tuple[float, float, float]:
    """Welch's test that independent estimates are equal.

    Args:
        estimates: ``(g,)``.
        errors: ``(g,)`` standard errors, above 0.
        clusters: ``(g,)`` that each is of.

    Returns:
        F, its second degrees of freedom (the first are g - 1), and the p-value.

    Example:
        >>> f, df, p = welch(np.array([0.5, 0.8]), np.array([0.1, 0.1]), np.array([20, 20]))
        >>> round(f, 2), round(df, 1), round(p, 3)
        (4.5, 38.0, 0.04)
    """
    from scipy.stats import f as f_distribution

    weights, g = 1 / errors**2, estimates.size
    mean = (weights * estimates).sum() / weights.sum()
    between = float((weights * (estimates - mean) ** 2).sum()) / (g - 1)
    rest = float(((1 - weights / weights.sum()) ** 2 / (clusters - 1)).sum())
    value = between / (1 + 2 * (g - 2) / (g**2 - 1) * rest)
    df = (g**2 - 1) / (3 * rest)
    return value, df, float(f_distribution.sf(value, g - 1, df))


def hotelling(estimates: Array, samples: Array, clusters: int) -> tuple[float, float, float]:
    """Test that estimates of the same clusters are equal.

    Args:
        estimates: ``(g,)``.
        samples: ``(g, B)`` bootstrap samples of the same draws.
        clusters: C.

    Returns:
        F, its second degrees of freedom (the first are g - 1), and the p-value; NaN where there are no more clusters
        than groups or the samples have no variance.

    Example:
        >>> samples = np.random.default_rng(0).normal(size=(2, 500))
        >>> f, df, p = hotelling(np.array([0.0, 3.0]), samples, 30)
        >>> round(f, 1), df, p < 0.05
        (4.6, 29, True)
    """
    from scipy.stats import f as f_distribution

    contrasts = samples[1:] - samples[0]
    contrasts = contrasts[:, ~np.isnan(contrasts).any(axis=0)]
    g, df = estimates.size, clusters - estimates.size + 1
    if df < 1 or contrasts.shape[1] < 2 * g:
        return math.nan, float(df), math.nan
    covariance = np.atleast_2d(np.cov(contrasts)) * clusters / (clusters - 1)
    if np.linalg.matrix_rank(covariance, hermitian=True) < g - 1:
        return math.nan, float(df), math.nan
    gap = estimates[1:] - estimates[0]
    value = float(gap @ np.linalg.solve(covariance, gap)) * df / ((g - 1) * (clusters - 1))
    return value, df, float(f_distribution.sf(value, g - 1, df))


def interactions(groups: Sequence[Group]) -> tuple[list[dict[str, Any]], str]:
    """Test each metric, and each two metrics, for differences between groups.

    Args:
        groups: judged with bootstrap samples.

    Returns:
        One row per test: ``metric``, ``other`` (empty for a metric by itself), ``statistic``, ``groups``, ``lowest``
        and ``highest`` (value and group), ``f``, ``df``, ``p_value``, and ``p_holm``, corrected for the tests of the
        same kind; and why there are none, or nothing.
    """
    known = [group for group in groups if any(item.samples for item in group.judged)]
    known = [group for group in known if int(group.clusters.max()) + 1 >= FEWEST]
    if len(known) < 2:
        return [], f"groups are not compared: fewer than two have {FEWEST} subjects"
    names = [group.labels for group in known]
    same = all(item == names[0] for item in names)
    if not same and any(first & second for first, second in itertools.combinations(names, 2)):
        return [], "groups are not compared: they share some subjects and not others"
    shared = [
        item.metric
        for item in known[0].judged
        if all(
            any(other.metric == item.metric and other.samples for other in group.judged) for group in known
        )
    ]
    singles = [(name, "") for name in shared]
    rows = []
    for tests in (singles, list(itertools.combinations(shared, 2))):
        for statistic in STATISTICS:
            of_kind = [_test(known, first, second, statistic, same) for first, second in tests]
            for row, value in zip(of_kind, holm([row["p_value"] for row in of_kind]), strict=True):
                row["p_holm"] = value
            rows += of_kind
    return rows, ""


def _test(groups: Sequence[Group], first: str, second: str, statistic: str, same: bool) -> dict[str, Any]:
    found = [_values(group, first, statistic) for group in groups]
    if second:
        others = [_values(group, second, statistic) for group in groups]
        found = [
            (own[0] - other[0], own[1] - other[1], own[2]) for own, other in zip(found, others, strict=True)
        ]
    estimates = np.array([value for value, _, _ in found])
    clusters = np.array([number for _, _, number in found])
    if same and np.ptp(clusters) == 0:
        value, df, p = hotelling(
            estimates, np.stack([samples for _, samples, _ in found]), int(clusters.min())
        )
    elif same:
        # A metric that did not score some of the clusters was drawn by itself.
        value = df = p = math.nan
    else:
        errors = np.array([standard_error(samples, number) for _, samples, number in found])
        usable = bool((errors > 0).all() and np.isfinite(estimates).all())
        value, df, p = welch(estimates, errors, clusters) if usable else (math.nan,) * 3
    row = {"metric": first, "other": second, "statistic": statistic, "groups": len(groups)}
    for name, at in (("lowest", int(np.nanargmin(estimates))), ("highest", int(np.nanargmax(estimates)))):
        row |= {name: float(estimates[at]), f"{name}_group": groups[at].name}
    return row | {"f": value, "df": df, "p_value": p}


def _values(group: Group, metric: str, statistic: str) -> tuple[float, Array, int]:
    item = next(item for item in group.judged if item.metric == metric)
    return item.row[statistic], item.samples[statistic], item.row["clusters"]
