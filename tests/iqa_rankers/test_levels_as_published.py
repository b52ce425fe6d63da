"""The public K-CROSS code's arithmetic: its published table comes out, and only for one order of the rows."""

from pathlib import Path

import numpy as np
import polars as pl
import pytest

from iqa_rankers.levels_as_published import LevelsAsPublishedRanker
from iqa_registry.ranker import LevelRanker

SCORES = Path(__file__).parents[3] / "shared" / "data" / "nirps" / "ixi-scores.csv.gz"
LISTED = (
    "IXI086-Guys-0728-slice-60",
    "IXI246-Guys-0840-slice-68",
    "IXI623-Guys-1076-slice-69",
    "IXI457-Guys-0984-slice-57",
    "IXI450-Guys-1093-slice-55",
    "IXI158-Guys-0783-slice-76",
    "IXI556-HH-2452-slice-69",
    "IXI305-IOP-0871-slice-55",
    "IXI580-IOP-1157-slice-69",
    "IXI633-HH-2689-slice-66",
)
"""The order in which the authors' machine listed the folders: the only one that gives their numbers."""
PUBLISHED = {
    ("cyclegan", 30): (0.3113, 0.3177, 0.3087),
    ("cyclegan", 40): (0.3127, 0.3387, 0.3333),
    ("cyclegan", 50): (0.3136, 0.2710, 0.3132),
    ("munit", 40): (0.1807, 0.1832, 0.1957),
    ("unit", 40): (0.2462, 0.2387, 0.2523),
}
LEVELS = {
    "cyclegan": (0.1488, 0.1383, 0.2082),
    "munit": (0.1492, 0.1592, 0.1875),
    "unit": (0.1745, 0.1892, 0.2070),
}
METRICS = {"mae": False, "psnr": True, "ssim": True}
needs_scores = pytest.mark.skipif(not SCORES.exists(), reason="needs the published NIRPS scores")


def as_listed(model, epochs):
    """The rows in the order of the authors' machine: t2 before pd, then epoch, then slice."""
    table = pl.read_csv(SCORES).filter(pl.col("model") == model, pl.col("epoch") <= epochs)
    place = {name: number for number, name in enumerate(LISTED)}
    key = pl.col("slice_id").replace_strict(place)
    table = table.sort(pl.col("modality") != "t2", "epoch", key)
    assert table.height == 2 * epochs * len(LISTED)
    return table


def results(table, make):
    ratings = table["rating"].to_numpy()
    turned = {name: table[name].to_numpy() * (1 if up else -1) for name, up in METRICS.items()}
    return [
        np.abs(make(METRICS[name]).align(scores, ratings) - ratings).mean() for name, scores in turned.items()
    ]


@needs_scores
@pytest.mark.parametrize(("model", "epochs"), PUBLISHED)
def test_the_published_numbers_come_out(model, epochs):
    found = results(as_listed(model, epochs), LevelsAsPublishedRanker)
    np.testing.assert_allclose(found, PUBLISHED[model, epochs], atol=5.1e-5)


@needs_scores
@pytest.mark.parametrize("model", LEVELS)
def test_another_order_of_the_rows_changes_them_but_not_algorithm_4(model):
    table = as_listed(model, 40)
    shuffled = table.sample(fraction=1.0, shuffle=True, seed=0)
    published = [results(rows, LevelsAsPublishedRanker) for rows in (table, shuffled)]
    assert (np.abs(np.subtract(*published)) > 1e-4).all()
    levels = [results(rows, lambda _: LevelRanker()) for rows in (table, shuffled)]
    np.testing.assert_allclose(levels[0], levels[1], rtol=1e-12)
    np.testing.assert_allclose(levels[0], LEVELS[model], atol=5.1e-5)


def by_loops(raw, ratings):
    """The definition, position by position."""
    levels = sorted(set(ratings))
    runs = [number / len(levels) for number, level in enumerate(levels) for r in ratings if r == level]
    order = sorted(range(len(raw)), key=lambda index: raw[index])
    return [runs[index] for index in order]


@pytest.mark.parametrize("seed", range(3))
def test_it_is_the_definition(seed):
    generator = np.random.default_rng(seed)
    raw, ratings = generator.normal(size=30), generator.integers(0, 10, 30) / 10
    np.testing.assert_array_equal(LevelsAsPublishedRanker().align(raw, ratings), by_loops(raw, ratings))
    turned_back = LevelsAsPublishedRanker(higher_is_better=False).align(-raw, ratings)
    np.testing.assert_array_equal(turned_back, by_loops(raw, ratings))


def test_it_is_right_only_where_the_rows_are_sorted_already():
    ratings = np.arange(10) / 10
    order = np.roll(np.arange(10), 3)
    ranker = LevelsAsPublishedRanker()
    np.testing.assert_allclose(ranker.align(ratings, ratings), ratings)
    assert np.abs(ranker.align(ratings[order], ratings[order]) - ratings[order]).mean() > 0.1


def test_equal_scores_stand_in_the_order_of_their_rows():
    found = LevelsAsPublishedRanker().align([1.0, 1.0, 1.0, 1.0], [0.9, 0.1, 0.5, 0.5])
    np.testing.assert_allclose(found, [0, 1 / 3, 1 / 3, 2 / 3])
