"""What this plugin contributes; nothing heavy is imported here."""

from __future__ import annotations

from collections.abc import Callable

from iqa_registry.plugin import RankerSpec, hookimpl

RANKERS = (
    RankerSpec(
        name="levels",
        summary="Algorithm 4 of K-CROSS: the k-th smallest score receives the k-th smallest rating; ties share",
        reference="arXiv:2307.04296",
        factory="iqa_registry.ranker:LevelRanker",
    ),
    RankerSpec(
        name="minmax",
        summary="scores scaled to [0, 1] within the group; the code of K-CROSS calls it regression",
        reference="arXiv:2307.04296",
        factory="iqa_rankers.minmax:MinMaxRanker",
    ),
    RankerSpec(
        name="logistic",
        summary="the logistic mapping of quality studies, fitted on other rows (parameters=4 or parameters=5)",
        reference="ITU-T P.1401; doi:10.1109/TIP.2006.881959",
        factory="iqa_rankers.logistic:LogisticRanker",
    ),
    RankerSpec(
        name="isotonic",
        summary="the best non-decreasing mapping, fitted on other rows",
        reference="doi:10.1214/aoms/1177728423",
        factory="iqa_rankers.isotonic:IsotonicRanker",
    ),
    RankerSpec(
        name="levels-as-published",
        summary="the arithmetic of the public K-CROSS code, for comparison only: near chance",
        reference="arXiv:2307.04296",
        factory="iqa_rankers.levels_as_published:LevelsAsPublishedRanker",
    ),
)


@hookimpl
def iqa_register_rankers(register: Callable[[RankerSpec], None]) -> None:
    """Algorithm 4 of K-CROSS, three mappings, and the arithmetic of the published code."""
    for spec in RANKERS:
        register(spec)
