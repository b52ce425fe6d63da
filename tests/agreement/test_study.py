"""Metrics against ratings in groups: the published scores, invariances, degenerate studies, paired comparison."""

from pathlib import Path

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from iqa_registry.agreement.caveats import caveats
from iqa_registry.agreement.comparison import compare
from iqa_registry.agreement.judging import Settings
from iqa_registry.agreement.ratings import Rated, rate
from iqa_registry.agreement.report import comparison_rows, metric_rows
from iqa_registry.agreement.scores import Scores, read_scores, select
from iqa_registry.agreement.study import judge
from iqa_registry.errors import UsageError
from iqa_registry.ranker import LevelRanker
from iqa_registry.registry import build_registry

NIRPS = Path(__file__).parents[2].parent / "shared/data/nirps/ixi-scores.csv.gz"
PUBLISHED = {  # what the authors' published scores give for epochs 1 to 40: LevelRanker mae, psnr, ssim, and chance
    "cyclegan": ((0.1488, 0.1383, 0.2082), 0.3176),
    "munit": ((0.1492, 0.1592, 0.1875), 0.1822),
    "unit": ((0.1745, 0.1892, 0.2070), 0.2382),
}
MINMAX = {
    ("cyclegan", 40): (0.3767, 0.2575, 0.5051), ("munit", 40): (0.2181, 0.1571, 0.2649),
    ("unit", 40): (0.3301, 0.2169, 0.3614), ("cyclegan", 50): (0.4417, 0.2547, 0.5225),
    ("unit", 50): (0.3131, 0.2038, 0.3426),
}  # fmt: skip
HALF = 5.1e-5
"""Half of the last printed digit."""


@pytest.fixture(scope="module")
def registry():
    return build_registry()


def nirps(registry, model, epochs, ranker="levels"):
    if not NIRPS.exists():
        pytest.skip("the published scores are not here")
    scores = select(read_scores(f"nirps:{NIRPS}", registry), [f"model={model}", f"epoch=1:{epochs + 1}"])
    (group,) = judge(rate(scores), registry.ranker(ranker), Settings(resamples=0))
    return {judged.metric: judged.row for judged in group.judged}


@pytest.mark.parametrize("model", PUBLISHED)
def test_the_published_scores_by_levels(registry, model):
    rows = nirps(registry, model, 40)
    expected, chance = PUBLISHED[model]
    assert [rows[name]["inconsistency"] for name in ("mae", "psnr", "ssim")] == pytest.approx(
        expected, abs=HALF
    )
    assert rows["mae"]["chance"] == pytest.approx(chance, abs=HALF)


@pytest.mark.parametrize(("model", "epochs"), MINMAX)
def test_the_published_scores_by_minmax(registry, model, epochs):
    rows = nirps(registry, model, epochs, "minmax")
    found = [rows[name]["inconsistency"] for name in ("mae", "psnr", "ssim")]
    assert found == pytest.approx(MINMAX[model, epochs], abs=HALF)


def study(scores, ratings, higher=True, **settings):
    """One metric against ratings; the row that is reported."""
    columns = {
        "pair_id": [f"image {number}" for number in range(len(scores))],
        "m": np.asarray(scores, float),
    }
    rated = Rated(Scores(pl.DataFrame(columns), {"m": higher}, "here"), np.asarray(ratings, float))
    return judge(rated, settings=Settings(**{"resamples": 0, "folds": 2, **settings}))[0].judged[0].row


LEVELS = st.integers(0, 9).map(lambda level: level / 10)
STUDIES = st.integers(2, 20).flatmap(
    lambda rows: st.tuples(
        arrays(np.float64, rows, elements=st.integers(-50, 50).map(float)),
        arrays(np.float64, rows, elements=LEVELS),
        st.permutations(range(rows)),
    )
)
SAME = ("inconsistency", "skill", "srocc", "krocc", "pairwise_accuracy", "chance", "constant")


def same(first, second, names=SAME):
    for name in names:
        assert first[name] == pytest.approx(second[name], abs=1e-9, nan_ok=True), name


@settings(max_examples=25, deadline=None)
@given(STUDIES)
def test_the_order_of_the_rows_does_not_matter(example):
    scores, ratings, order = example
    same(study(scores, ratings), study(scores[list(order)], ratings[list(order)]), (*SAME, "plcc_raw"))


@settings(max_examples=25, deadline=None)
@given(STUDIES)
def test_what_depends_on_the_order_of_the_scores_survives_any_increasing_function(example):
    scores, ratings, _ = example
    same(study(scores, ratings), study(np.arctan(scores / 7) + scores**3, ratings))


@settings(max_examples=25, deadline=None)
@given(STUDIES)
def test_a_metric_and_its_negative_with_the_direction_turned_are_one(example):
    scores, ratings, _ = example
    same(study(scores, ratings), study(-scores, ratings, higher=False), (*SAME, "plcc", "rmse"))


@settings(max_examples=25, deadline=None)
@given(STUDIES)
def test_bounds(example):
    scores, ratings, _ = example
    row = study(scores, ratings)
    assert 0 <= row["inconsistency"] <= np.ptp(ratings)
    assert row["chance"] / 2 - 1e-12 <= row["constant"] <= row["chance"] + 1e-12
    assert np.isnan(row["srocc"]) or -1 <= row["srocc"] <= 1


def test_a_perfect_metric_and_its_reverse():
    ratings = np.arange(10) / 10
    perfect, reverse = study(ratings, ratings), study(-ratings, ratings)
    assert (perfect["inconsistency"], perfect["skill"], perfect["pairwise_accuracy"]) == (0, 1, 1)
    assert (perfect["srocc"], reverse["srocc"]) == pytest.approx((1, -1))
    assert reverse["pairwise_accuracy"] == pytest.approx(0, abs=1e-12)
    assert reverse["inconsistency"] == pytest.approx(0.5)
    assert reverse["skill"] < 0


def test_a_constant_metric_is_better_than_chance_though_it_knows_nothing():
    ratings = np.array([0.0, 0.0, 0.1, 0.3, 0.9])
    row = study(np.full(5, 0.7), ratings)
    assert row["inconsistency"] == pytest.approx(row["constant"])
    assert row["constant"] < row["chance"]
    assert np.isnan(row["srocc"])
    assert row["pairwise_accuracy"] == 0.5


def test_one_level_of_ratings_tells_nothing_apart():
    row = study([1.0, 2.0, 3.0], [0.5, 0.5, 0.5])
    assert row["inconsistency"] == row["chance"] == 0
    assert all(np.isnan(row[name]) for name in ("skill", "srocc", "krocc", "plcc_raw", "pairwise_accuracy"))


def test_one_image_and_two():
    one = study([1.0], [0.5], resamples=50)
    assert (one["inconsistency"], one["n"]) == (0, 1)
    assert np.isnan(one["skill"])
    assert "inconsistency_low" not in one
    two = study([1.0, 2.0], [0.9, 0.1], resamples=50)
    assert two["inconsistency"] == pytest.approx(0.8)
    assert two["srocc"] == pytest.approx(-1)


def test_infinite_psnr_is_the_best_and_counts_as_the_largest_where_distances_count():
    ratings = [0.1, 0.3, 0.5, 0.9]
    row = study([20.0, 25.0, 30.0, np.inf], ratings)
    assert (row["inconsistency"], row["srocc"], row["infinite"]) == (0, 1, 1)
    assert row["plcc_raw"] == pytest.approx(study([20.0, 25.0, 30.0, 30.0], ratings)["plcc_raw"])


def several(rows=120, seed=0):
    """Three metrics of known order on images of twelve subjects and two models."""
    generator = np.random.default_rng(seed)
    ratings = np.round(generator.random(rows), 1)
    table = pl.DataFrame(
        {
            "pair_id": [f"image {number}" for number in range(rows)],
            "subject": [f"subject {number % 12}" for number in range(rows)],
            "model": ["x", "y"] * (rows // 2),
            "poor": ratings + 2 * generator.normal(size=rows),
            "good": ratings + 0.05 * generator.normal(size=rows),
            "fair": ratings + 0.4 * generator.normal(size=rows),
        }
    )
    return Rated(Scores(table, dict.fromkeys(("poor", "good", "fair"), True), "here"), ratings)


def test_metrics_come_in_the_order_of_their_inconsistency_and_differ_where_they_do():
    (group,) = judge(several(), settings=Settings(resamples=500))
    assert [judged.metric for judged in group.judged] == ["good", "fair", "poor"]
    assert [judged.row["best"] for judged in group.judged] == [True, False, False]
    assert all(row["difference_high"] < 0 and row["distinguishable"] for row in group.comparisons)
    assert {judged.row["clusters"] for judged in group.judged} == {12}


def test_a_metric_is_not_distinguishable_from_itself_under_another_name():
    rated = several()
    table = rated.scores.table.with_columns(twin=pl.col("good") * 3)
    scores = Scores(table, {"good": True, "twin": True}, "here")
    (group,) = judge(Rated(scores, rated.ratings), settings=Settings(resamples=200))
    assert all(judged.row["best"] for judged in group.judged)
    assert group.comparisons[0]["p_value"] == 1
    assert group.comparisons[0]["difference"] == 0


def test_a_paired_interval_is_narrower_than_the_two_would_let_one_think():
    rated = several()
    table = rated.scores.table.with_columns(near=pl.col("fair") + 0.02 * pl.col("poor"))
    scores = Scores(table, {"fair": True, "near": True}, "here")
    (group,) = judge(Rated(scores, rated.ratings), settings=Settings(resamples=500))
    row, single = group.comparisons[0], group.judged[0].row
    assert (
        row["difference_high"] - row["difference_low"]
        < single["inconsistency_high"] - single["inconsistency_low"]
    )


def test_skill_and_inconsistency_have_intervals_of_the_same_resamples():
    generator = np.random.default_rng(3)
    ratings = generator.random(60)
    row = study(ratings + 0.2 * generator.normal(size=60), ratings, resamples=800)
    # Where chance hardly varies, one interval is the other one turned over.
    assert row["skill_low"] == pytest.approx(1 - row["inconsistency_high"] / row["chance"], abs=0.03)
    assert row["skill_high"] == pytest.approx(1 - row["inconsistency_low"] / row["chance"], abs=0.03)


def test_each_group_is_judged_by_itself():
    rated = several()
    groups = judge(rated, settings=Settings(group_by=("model",), resamples=0))
    rows = metric_rows(groups)
    assert [row["model"] for row in rows] == ["x"] * 3 + ["y"] * 3
    kept = rated.scores.table["model"].to_numpy() == "y"
    alone = study(rated.scores.table["good"].to_numpy()[kept], rated.ratings[kept])
    assert rows[3]["inconsistency"] == alone["inconsistency"]


def test_groups_are_called_by_their_values_and_where_these_say_little_by_the_column_too():
    rated = several()
    table = rated.scores.table.with_columns(lesion=pl.col("model").replace({"x": "True", "y": None}))
    rated = Rated(Scores(table, rated.scores.higher_is_better, "here"), rated.ratings)
    groups = judge(rated, settings=Settings(group_by=("model", "lesion"), resamples=0))
    assert [group.name for group in groups] == ["x, lesion=True", "y, lesion=none"]


def test_simulated_images_are_called_so():
    rated = several()
    table = rated.scores.table.with_columns(pl.format("sim-{}", "pair_id").alias("pair_id"))
    rated = Rated(Scores(table, rated.scores.higher_is_better, "here"), rated.ratings)
    groups = judge(rated, settings=Settings(group_by=("model",), resamples=0))
    assert [group.name for group in groups] == [
        f"{model} (simulated, with simulated raters)" for model in "xy"
    ]


def test_regions_are_groups():
    rated = several()
    table = rated.scores.table.with_columns(region=pl.Series(["image", "mask"] * 60))
    groups = judge(
        Rated(Scores(table, rated.scores.higher_is_better, "here"), rated.ratings),
        settings=Settings(resamples=0),
    )
    assert [group.name for group in groups] == ["image", "mask"]


def test_by_default_all_metrics_are_judged_on_the_same_images():
    rated = several()
    table = rated.scores.table.with_columns(pl.when(pl.col("model") == "x").then("fair").alias("fair"))
    rated = Rated(Scores(table, rated.scores.higher_is_better, "here"), rated.ratings)
    (group,) = judge(rated, settings=Settings(resamples=0))
    assert {judged.row["n"] for judged in group.judged} == {60}
    assert "60 of 120 images are left out because not every metric scored them (fair: 60)" in group.notes[0]
    (each,) = judge(rated, settings=Settings(resamples=100, each=True))
    assert {judged.metric: judged.row["n"] for judged in each.judged} == {
        "good": 120,
        "fair": 60,
        "poor": 120,
    }
    assert {(row["first"], row["second"]) for row in each.comparisons} == {("good", "poor")}


def test_a_metric_that_scored_nothing_is_named_and_takes_nothing_from_the_others():
    rated = several()
    table = rated.scores.table.with_columns(fair=pl.lit(None, dtype=pl.Float64))
    (group,) = judge(
        Rated(Scores(table, rated.scores.higher_is_better, "here"), rated.ratings),
        settings=Settings(resamples=0),
    )
    assert {judged.row["n"] for judged in group.judged} == {120}
    assert group.notes == ["fair scored no image here"]


def test_a_group_without_scores_takes_nothing_from_the_others():
    rated = several()
    blank = [pl.when(pl.col("model") == "y").then(name).alias(name) for name in rated.scores.metrics]
    scores = Scores(rated.scores.table.with_columns(blank), rated.scores.higher_is_better, "here")
    x, y = judge(Rated(scores, rated.ratings), settings=Settings(group_by=("model",), resamples=50))
    assert (len(x.judged), len(y.judged), x.notes, y.notes) == (0, 3, ["no image is scored"], [])
    split = rated.scores.table.with_columns(
        blank[0], pl.when(pl.col("model") == "x").then("good").alias("good")
    )
    with pytest.raises(UsageError, match="here: no image is scored by all metrics; --own-images"):
        judge(Rated(Scores(split, rated.scores.higher_is_better, "here"), rated.ratings))


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (Settings(group_by=("modell",)), r"no column 'modell' \(--group-by\). Did you mean 'model'"),
        (Settings(cluster="patient"), r"no column 'patient' \(--cluster\)"),
    ],
)
def test_columns_that_are_not_there(settings, message):
    with pytest.raises(UsageError, match=message):
        judge(several(), settings=settings)


def test_clusters_can_be_chosen():
    for cluster, number in ((None, 12), ("none", 120), ("model", 2)):
        (group,) = judge(several(), settings=Settings(cluster=cluster, resamples=20))
        assert group.judged[0].row["clusters"] == number


def test_a_ranker_that_fits_needs_two_clusters(registry):
    rated = several()
    table = rated.scores.table.with_columns(model=pl.lit("x"))
    rated = Rated(Scores(table, rated.scores.higher_is_better, "here"), rated.ratings)
    with pytest.raises(UsageError, match="needs at least two subjects"):
        judge(rated, registry.ranker("isotonic"), Settings(cluster="model"))


def test_the_same_seed_gives_the_same_study():
    first, second = (metric_rows(judge(several(), settings=Settings(resamples=100))) for _ in range(2))
    assert first == second


def test_rankers_other_than_levels_have_intervals_too(registry):
    (group,) = judge(several(), registry.ranker("logistic"), Settings(resamples=200))
    row = group.judged[0].row
    assert row["inconsistency_low"] < row["inconsistency"] < row["inconsistency_high"]


def test_what_readers_must_know_is_said(registry):
    rated = several()
    table = rated.scores.table.with_columns(
        fair=pl.col("good").round(0), poor=pl.when(pl.col("poor") > 2).then(np.inf).otherwise("poor")
    )
    rated = Rated(Scores(table, rated.scores.higher_is_better, "here"), rated.ratings)
    ranker = registry.ranker("levels-as-published")
    lines = caveats(judge(rated, ranker, Settings(resamples=20)), ranker, Settings(resamples=20))
    text = "\n".join(lines)
    for expected in ("order of the rows", "fair gives 9", "poor is infinite for", "12 clusters only"):
        assert expected in text, expected
    assert (
        caveats(judge(several(), settings=Settings(resamples=0)), LevelRanker(), Settings(resamples=0)) == []
    )


def test_comparisons_have_a_row_for_each_pair():
    (group,) = judge(several(), settings=Settings(resamples=50))
    rows = comparison_rows([group])
    assert [(row["first"], row["second"]) for row in rows] == [
        ("good", "fair"),
        ("good", "poor"),
        ("fair", "poor"),
    ]
    assert compare(group.judged[:1]) == []
