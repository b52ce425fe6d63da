"""Figure 2 of Konz et al. (arXiv:2404.07318) recomputed from the numbers of their Table 1, and their text checked.

The figure shows absolute correlations of FID, KID, SWD and IS with Dice over five systems in two tasks as a 2-D image;
the paper prints no numbers for it. So its claims are what the recomputed numbers are compared with.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from iqa_published.numbers import read
from iqa_registry.agreement.systems import Columns, SystemCorrelation, correlate
from iqa_registry.statistics.correlation import critical_value

TARGETS = ("Dice breast", "Dice FGT", "Dice bone")
METRICS = ("FID", "KID", "SWD", "IS")


@dataclass(frozen=True, slots=True)
class Claim:
    """A claim of the text.

    Attributes:
        claim: in the paper's words, shortened.
        pearson: whether Pearson's correlations bear it out.
        spearman: whether Spearman's do.
        numbers: those that decide.
    """

    claim: str
    pearson: bool
    spearman: bool
    numbers: str

    def as_dict(self) -> dict[str, Any]:
        """The claim by the names of its fields."""
        return asdict(self)


def figure2() -> list[SystemCorrelation]:
    """The correlations of Figure 2, by task and target, the strongest first.

    Example:
        >>> first = figure2()[0]
        >>> first.target, first.metric, round(first.pearson.value, 2), round(first.spearman.value, 2)
        ('Dice breast', 'SWD', -0.93, -0.82)
    """
    import polars as pl

    rows = [{name: value or None for name, value in row.items()} for row in read("translation_table1")]
    table = pl.DataFrame(rows).with_columns(pl.col(*TARGETS, *METRICS).cast(pl.Float64))
    return correlate(table, Columns(TARGETS, METRICS, ("task",), "method")).found


def claims(found: Sequence[SystemCorrelation]) -> list[Claim]:
    """What the paper says about its figure, and whether the recomputed correlations bear it out.

    Args:
        found: see :func:`figure2`.

    Example:
        >>> [(claim.pearson, claim.spearman) for claim in claims(figure2())]
        [(True, True), (True, True), (True, True), (True, False)]
    """
    kinds = [_strengths(found, "pearson"), _strengths(found, "spearman")]
    limit = critical_value(found[0].pearson.n)
    return [
        _make(
            "no single metric reliably correlates in both tasks", kinds, lambda r: _none_reliable(r, limit)
        ),
        _make("SWD correlates better than FID, KID and IS for breast MRI", kinds, _swd_best),
        _make("SWD fails for MRI to CT", kinds, lambda r: _swd_fails(r, limit)),
        _make("FID is especially inconsistent", kinds, _fid_worst),
    ]


Strengths = dict[tuple[str, str], float]
"""Metric and target to absolute correlation."""


def _strengths(found: Sequence[SystemCorrelation], kind: str) -> Strengths:
    return {(item.metric, item.target): abs(getattr(item, kind).value) for item in found}


def _make(text: str, kinds: list[Strengths], check: Any) -> Claim:
    (pearson, first), (spearman, second) = (check(strengths) for strengths in kinds)
    return Claim(text, pearson, spearman, f"Pearson {first}; Spearman {second}")


def _none_reliable(strengths: Strengths, limit: float) -> tuple[bool, str]:
    """Reliable would be a metric that passes the 5 % level with every target."""
    weakest = {metric: min(strengths[metric, target] for target in TARGETS) for metric in METRICS}
    text = ", ".join(f"{metric} {value:.2f}" for metric, value in weakest.items())
    return max(weakest.values()) < limit, f"weakest |r| over the targets {text} (5 % level: {limit:.2f})"


def _swd_best(strengths: Strengths) -> tuple[bool, str]:
    best = {target: max(METRICS, key=lambda metric: strengths[metric, target]) for target in TARGETS[:2]}
    text = ", ".join(f"{target}: {metric} {strengths[metric, target]:.2f}" for target, metric in best.items())
    return set(best.values()) == {"SWD"}, f"highest |r| {text}"


def _swd_fails(strengths: Strengths, limit: float) -> tuple[bool, str]:
    target = TARGETS[2]
    best = max(METRICS, key=lambda metric: strengths[metric, target])
    text = f"SWD {strengths['SWD', target]:.2f}, the highest is {best} {strengths[best, target]:.2f}"
    return strengths["SWD", target] < limit, text


def _fid_worst(strengths: Strengths) -> tuple[bool, str]:
    means = {
        metric: sum(strengths[metric, target] for target in TARGETS) / len(TARGETS) for metric in METRICS
    }
    text = ", ".join(f"{metric} {value:.2f}" for metric, value in means.items())
    return min(means, key=lambda metric: means[metric]) == "FID", f"mean |r| over the targets {text}"
