"""Correlations of metrics with each other and their clusters."""

import numpy as np
import polars as pl
import pytest
import scipy.stats

from iqa_registry.agreement.similarity import draw_similarity, similarity
from iqa_registry.errors import UsageError


@pytest.fixture(scope="module")
def table():
    generator = np.random.default_rng(0)
    first, second = generator.normal(size=(2, 60))
    columns = {
        "psnr": first,
        "mae": -first + 0.05 * generator.normal(size=60),
        "lpips": second,
        "dists": second + 0.1 * generator.normal(size=60),
        "odd": np.where(np.arange(60) < 30, np.nan, generator.normal(size=60)),
    }
    return pl.DataFrame(columns)


def test_metrics_that_agree_are_one_group_whatever_their_direction(table):
    found = similarity(table, table.columns)
    groups = dict(zip(found.metrics, found.groups, strict=True))
    assert groups["psnr"] == groups["mae"] != groups["lpips"] == groups["dists"]
    assert groups["odd"] not in (groups["psnr"], groups["lpips"])
    places = [found.metrics.index(name) for name in ("psnr", "mae")]
    assert abs(places[0] - places[1]) == 1


def test_each_correlation_is_that_of_the_images_both_scored(table):
    rows = {(row["first"], row["second"]): row for row in similarity(table, table.columns).rows()}
    row = rows.get(("psnr", "odd")) or rows["odd", "psnr"]
    known = table.filter(~pl.col("odd").is_nan())
    assert row["n"] == 30
    expected = scipy.stats.spearmanr(known["psnr"], known["odd"]).statistic
    assert row["spearman"] == pytest.approx(expected)
    assert len(rows) == 10


def test_the_figure_has_a_tree_and_every_number(table):
    figure = draw_similarity(similarity(table, table.columns), "here")
    tree, panel = figure.axes
    assert len(tree.collections) >= 1
    assert len(panel.texts) == 25
    assert [text.get_text() for text in panel.get_yticklabels()] == list(
        similarity(table, table.columns).metrics
    )


def test_a_constant_metric_and_a_single_one():
    found = similarity(pl.DataFrame({"a": [1.0, 2, 3, 4], "b": [1.0] * 4}), ["a", "b"])
    assert np.isnan(found.correlations[0, 1])
    with pytest.raises(UsageError, match="there is one"):
        similarity(pl.DataFrame({"a": [1.0]}), ["a"])
