"""Rated pairs: found before anything is scored, scored as `iqa evaluate` does."""

import numpy as np
import polars as pl
import pytest

import iqa_registry as iqa
from iqa_registry.agreement.pairs import find_rated, score_rated
from iqa_registry.agreement.study import judge
from iqa_registry.errors import IQAError, UsageError
from iqa_registry.evaluation.options import Options
from iqa_registry.images.pair import Pair
from iqa_registry.inputs import Inputs
from iqa_registry.plugin import as_volume
from iqa_registry.registry import build_registry

OPTIONS = Options(check_shift=False)


@pytest.fixture(scope="module")
def registry():
    return build_registry()


def images(number):
    return np.random.default_rng(number).integers(0, 256, (2, 24, 24), dtype=np.uint8)


@pytest.fixture
def inputs():
    """Five pairs with a mask, four of them rated; the pairs have a column that is called as a metric."""
    mask = np.ones((24, 24), np.uint8)
    ratings = [0.1, 0.9, None, 0.5, 0.3]
    return Inputs(
        [
            Pair(
                f"p{number}",
                *images(number),
                mask=mask,
                groups={"rating": rating, "model": "unit", "psnr": 1.0},
            )
            for number, rating in enumerate(ratings)
        ],
        ["a.png has no reference"],
    )


def test_only_rated_pairs_are_kept(inputs):
    found = find_rated(inputs, "here", OPTIONS)
    names = ["p0", "p1", "p3", "p4"]
    assert [pair.pair_id for pair in found.inputs.pairs] == [item.pair_id for item in found.items] == names
    assert found.rated.ratings.tolist() == [0.1, 0.9, 0.5, 0.3]
    assert found.notes == ["a.png has no reference", "1 images have no rating: p2"]


def test_scores_are_those_of_an_evaluation_and_can_be_judged(inputs, registry):
    rated, failures = score_rated(find_rated(inputs, "here", OPTIONS), ["psnr", "mae"], OPTIONS, registry)
    expected = iqa.evaluate(inputs.pairs, ["psnr"]).filter(pl.col("region") == "image")["score"].to_list()
    assert rated.scores.table["psnr"].to_list() == [expected[number] for number in (0, 1, 3, 4)]
    assert rated.scores.higher_is_better == {"psnr": True, "mae": False}
    assert rated.scores.table["model"].to_list() == ["unit"] * 4
    assert not failures
    (group,) = judge(rated)
    assert {judged.metric for judged in group.judged} == {"psnr", "mae"}


def test_slices_are_chosen_by_a_condition_and_keep_their_ratings(registry):
    volumes = [as_volume(image.repeat(3, 0).reshape(24, 24, 3)) for image in images(1).reshape(2, 24, 24)]
    pairs = [Pair("scan", *volumes, groups={"rating": 0.5})]
    found = find_rated(Inputs(pairs), "here", OPTIONS, where=["slice=1:3"])
    assert [item.slice for item in found.items] == [1, 2]
    rated, _ = score_rated(found, ["mae"], OPTIONS, registry)
    assert rated.scores.table["slice"].to_list() == [1, 2]
    assert rated.scores.table["mae"].null_count() == 0


def test_an_image_that_cannot_be_scored_is_named(inputs, registry):
    pairs = [Pair("bad", "absent.png", "absent.png", groups={"rating": 1.0}), *inputs.pairs]
    rated, failures = score_rated(find_rated(Inputs(pairs), "here", OPTIONS), ["mae"], OPTIONS, registry)
    assert rated.scores.table["mae"].null_count() == 1
    assert len(failures) == 1
    assert "absent.png" in failures[0]
    with pytest.raises(IQAError, match=r"here: no image was scored: .*absent.png"):
        score_rated(find_rated(Inputs(pairs[:1]), "here", OPTIONS), ["mae"], OPTIONS, registry)


def test_what_is_missing_is_reported_before_anything_is_scored(inputs):
    with pytest.raises(UsageError, match=r"here: has no pairs\. Name"):
        find_rated(Inputs([]), "here", OPTIONS)
    with pytest.raises(UsageError, match="here: has no column 'site'"):
        find_rated(inputs, "here", OPTIONS, columns=["site"])
    with pytest.raises(UsageError, match="model=munit: no image"):
        find_rated(inputs, "here", OPTIONS, where=["model=munit"])
