"""Scoring: encodings become rows."""

import pytest
import torch

import toy_metrics
from iqa_registry.evaluation.items import Failed, Item, Loaded
from iqa_registry.evaluation.options import Options
from iqa_registry.evaluation.scoring import EMPTY_REGION, NO_MASK, Scorer
from iqa_registry.images.pair import Pair


@pytest.fixture
def score(registry):
    def run(batch, *names, **options):
        metrics = [registry.metric(name) for name in names]
        return Scorer(metrics, Options(check_shift=False, **options), "cpu").score(batch, metrics)

    return run


def load(number, value, **regions):
    image = torch.full((1, 16, 16), float(value))
    pair = Pair(str(number), "s", "r", None, {"model": "a"})
    return Loaded(
        Item(number, pair, ("r",)), image, image * 0 + 0.25, {"image": None, **regions}, {"clipped": 0.0}
    )


def test_a_row_tells_pair_metric_and_region(score):
    inside = torch.zeros(1, 16, 16, dtype=torch.bool)
    inside[:, :4] = True
    rows = score([load(3, 0.75, core=inside)], "mae")
    assert [(row["region"], row["region_fraction"], row["score"]) for row in rows] == [
        ("image", 1.0, 0.5),
        ("core", 0.25, 0.5),
    ]
    assert rows[0]["pair_id"] == "3"
    assert (rows[0]["metric"], rows[0]["component"], rows[0]["model"]) == ("mae", "", "a")
    assert (rows[0]["higher_is_better"], rows[0]["clipped"], rows[0]["dimensions"]) == (False, 0.0, 2)


def test_components_follow_their_score(score):
    batch = [load(0, 0.25), load(1, 0.75)]
    assert [row["component"] for row in score(batch, "toy-parts")] == ["", ""]
    rows = score(batch, "toy-parts", components=True)
    assert [(row["component"], row["score"], row["status"]) for row in rows] == [
        ("", 0.0, "ok"), ("first", 0.0, "ok"), ("second", None, "not_applicable"),
        ("", 0.5, "ok"), ("first", 0.5, "ok"), ("second", 1.0, "ok"),
    ]  # fmt: skip
    assert {row["metric"] for row in rows} == {"toy-parts"}


def test_what_could_not_be_loaded_is_an_error_row_for_each_metric(score):
    failed = Failed(load(0, 0.5).item, "a.png: truncated")
    rows = score([failed, load(1, 0.5)], "mae", "psnr")
    assert [(row["metric"], row["status"]) for row in rows if row["pair_id"] == "0"] == [
        ("mae", "error"),
        ("psnr", "error"),
    ]
    assert {row["message"] for row in rows if row["pair_id"] == "0"} == {"a.png: truncated"}
    assert {row["status"] for row in rows if row["pair_id"] == "1"} == {"ok"}


@pytest.mark.parametrize(("metric", "says"), [("mae", EMPTY_REGION), ("toy-brightness", NO_MASK)])
def test_a_region_that_cannot_be_scored_does_not_apply(score, metric, says):
    rows = score([load(0, 0.5, core=torch.zeros(1, 16, 16, dtype=torch.bool))], metric)
    assert [row["status"] for row in rows] == ["ok", "not_applicable"]
    assert says in rows[1]["message"] or "empty" in rows[1]["message"]


def test_nan_without_a_reason_is_a_defect(score):
    (row,) = score([load(0, 0.5)], "toy-nan")
    assert (row["score"], row["status"]) == (None, "error")
    assert "defect of the metric" in row["message"]


def test_steps_add_up_to_the_pairs(registry):
    metrics = [registry.metric(name) for name in ("mae", "psnr", "toy-count")]
    steps = []
    batch = [load(n, 0.5) for n in range(4)]
    Scorer(metrics, Options(), "cpu").score(batch, metrics, steps.append)
    assert sum(steps) == pytest.approx(4)
    assert len(toy_metrics.encoded) > 0


@pytest.mark.parametrize(
    ("ends", "native"),
    [
        ((0, 200, 0, 200), 100.0),
        ((0, 100, 0, 200), None),
        ((50, 200, 0, 200), None),
        ((-100, 300, -100, 300), 200.0),
    ],
)
def test_native_scores_need_equal_limits(score, ends, native):
    item = load(0, 0.75)
    names = ("synthesized_low", "synthesized_high", "reference_low", "reference_high")
    item.columns |= dict(zip(names, map(float, ends), strict=True))
    (row,) = score([item], "mae")
    assert (row["score"], row.get("score_native")) == (0.5, native)
