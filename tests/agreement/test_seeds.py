"""Seeds of a learned metric as one metric and as a source of variation."""

import numpy as np
import polars as pl
import pytest

from iqa_registry.agreement.judging import Settings
from iqa_registry.agreement.ratings import Rated
from iqa_registry.agreement.scores import Scores, Wanted, make_scores
from iqa_registry.agreement.seeds import without_seed
from iqa_registry.agreement.study import judge
from iqa_registry.registry import build_registry
from simulated_studies import draw


def study(noises, names, seed=0, **settings):
    scores, ratings, subjects = draw(40, 3, np.random.default_rng(seed), noises, shared=0.9)
    columns = {"pair_id": [str(row) for row in range(120)], "subject": [str(at) for at in subjects]}
    columns |= {name: scores[:, at] for at, name in enumerate(names)}
    found = Scores(pl.DataFrame(columns), dict.fromkeys(names, True), "here")
    return judge(Rated(found, ratings), settings=Settings(resamples=300, **settings))[0]


def test_seeds_are_one_metric_with_the_mean_of_their_statistics():
    names = ("ours:seed=1", "ours:seed=2", "psnr")
    group = study((0.5, 1.2, 0.8), names)
    rows = {judged.metric: judged.row for judged in group.judged}
    assert set(rows) == {"ours (2 seeds)", "psnr"}
    parts = study((0.5, 1.2, 0.8), ("a1", "b1", "psnr"))
    single = {judged.metric: judged.row for judged in parts.judged}
    row = rows["ours (2 seeds)"]
    assert row["srocc"] == pytest.approx((single["a1"]["srocc"] + single["b1"]["srocc"]) / 2)
    assert row["seeds"] == 2
    assert row["srocc_low"] < row["srocc"] < row["srocc_high"]


def test_seeds_that_differ_widen_intervals_and_comparisons():
    names = ("ours:seed=1", "ours:seed=2", "ours:seed=3", "psnr")
    alike, apart = (study(noises, names) for noises in ((0.8, 0.8, 0.8, 0.9), (0.3, 0.8, 1.6, 0.9)))

    def width(group):
        (row,) = (judged.row for judged in group.judged if "seeds" in judged.row)
        return row["skill_high"] - row["skill_low"]

    assert width(apart) > 1.5 * width(alike)
    assert apart.comparisons[0]["visible"] > 1.5 * alike.comparisons[0]["visible"]


def test_names_without_seeds():
    assert without_seed("ours:depth=2,seed=3,width=[a:seed=1]") == "ours:depth=2,width=[a:seed=1]"
    assert without_seed("ours:reseed=3") == "ours:reseed=3"


@pytest.mark.parametrize("form", ["long", "wide"])
def test_a_column_of_seeds(form):
    wide = pl.DataFrame(
        {
            "pair_id": ["a", "b", "a", "b"],
            "seed": [1, 1, 2, 2],
            "psnr": [20.0, 30.0, 20.0, 30.0],
            "ours": [0.1, 0.2, 0.3, 0.4],
        }
    )
    table = wide
    if form == "long":
        table = wide.unpivot(["ours"], index=["pair_id", "seed"], variable_name="metric", value_name="score")
        psnr = wide.head(2).select(
            "pair_id", metric=pl.lit("psnr"), score="psnr", seed=pl.lit(None, pl.Int64)
        )
        table = pl.concat([table, psnr.select(table.columns)])
    wanted = Wanted(["psnr", "ours"], directions={"ours": True, "psnr": True})
    found = make_scores(table, build_registry(), wanted)
    assert set(found.metrics) == {"psnr", "ours:seed=1", "ours:seed=2"}
    rows = {row["pair_id"]: row for row in found.table.to_dicts()}
    assert rows["b"]["ours:seed=2"] == 0.4
    assert rows["a"]["ours:seed=1"] == 0.1
    assert rows["b"]["psnr"] == 30.0
    assert len(rows) == 2
