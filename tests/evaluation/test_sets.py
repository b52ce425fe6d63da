"""Metrics of sets: one row, each reference once, a failure that costs only itself."""

import numpy as np
import pytest

from iqa_registry.evaluation.encoding import Encoder
from iqa_registry.evaluation.loader import Loader
from iqa_registry.evaluation.options import Options
from iqa_registry.evaluation.plan import make_batches, plan_items
from iqa_registry.evaluation.sets import ALL_PAIRS, score_set
from iqa_registry.images.pairs import make_pairs


@pytest.fixture
def score(registry):
    def run(pairs, name="toy-gap", batch=3):
        metric, options = registry.metric(name), Options(workers=0)
        batches = make_batches(plan_items(make_pairs(pairs), options, {2}), batch)
        return score_set(metric, batches, Loader(options), Encoder([metric]))

    return run


@pytest.mark.parametrize("batch", [1, 2, 9])
def test_the_row_compares_all_images_with_each_reference_once(score, grey, batch):
    first, second = grey(100), grey(101)
    candidates = [grey(n) for n in range(5)]
    row = score([(image, [first, second][n // 3]) for n, image in enumerate(candidates)], batch=batch)
    expected = (sum(image.mean() for image in candidates) / 5 - (first.mean() + second.mean()) / 2) / 255
    assert row["score"] == pytest.approx(expected, abs=1e-6)
    assert (row["pair_id"], row["status"], row["component"]) == (ALL_PAIRS, "ok", "")


def test_an_image_that_cannot_be_read_is_named(score, grey):
    row = score([(grey(0), grey(1)), ("absent.png", grey(2))])
    assert row["status"] == "error"
    assert "absent.png" in row["message"]


@pytest.mark.parametrize(
    ("name", "says"),
    [("toy-gap", "needs at least 2"), ("toy-broken-set", "ZeroDivisionError: no covariance")],
)
def test_a_failure_is_a_row(score, grey, name, says):
    pairs = [(grey(n), grey(9)) for n in range(1 if name == "toy-gap" else 3)]
    row = score(pairs if name == "toy-gap" else [(a, grey(10 + n)) for n, (a, _) in enumerate(pairs)], name)
    assert row["status"] == "error"
    assert says in row["message"]


def test_a_metric_of_sets_of_volumes_takes_whole_volumes(registry):
    metric = registry.metric("toy-gap")
    metric.dimensions = 3
    metric.encode = lambda volumes: volumes.mean(dim=(2, 3, 4))
    volumes = [np.full((6, 5, 4), value, np.float32) for value in (0.25, 0.5, 0.75, 1.0)]
    options = Options(workers=0, intensity="range=0,1")
    items = plan_items(make_pairs([(volumes[0], volumes[2]), (volumes[1], volumes[3])]), options, {2, 3})
    row = score_set(metric, make_batches(items, 2), Loader(options), Encoder([metric]))
    assert (row["status"], row.get("message")) == ("ok", None)
    assert row["score"] == pytest.approx(0.375 - 0.875, abs=1e-6)
    assert row["dimensions"] == 3
