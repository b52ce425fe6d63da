"""Slices along several axes in one run: each plane is what a run along that axis gives."""

import numpy as np
import pytest

import iqa_registry
from iqa_registry.errors import OptionError
from iqa_registry.evaluation.options import Options, make_options
from iqa_registry.evaluation.pooling import pool
from iqa_registry.evaluation.summary import summarize

PLANES = ("axial", "coronal", "sagittal")


@pytest.fixture
def pairs():
    rng = np.random.default_rng(3)
    # A cube: slices of all planes have one shape and share their indices.
    references = [rng.random((12, 12, 12)).astype(np.float32) for _ in range(2)]
    noise = [rng.normal(0, 0.1, (12, 12, 12)).astype(np.float32) for _ in range(2)]
    return [
        {"pair_id": name, "synthesized": (image + gap).clip(0, 1), "reference": image}
        for name, image, gap in zip("ab", references, noise, strict=True)
    ]


def evaluate(pairs, metrics=("ssim", "mae"), **options):
    return iqa_registry.evaluate(
        pairs, list(metrics), intensity="range=0,1", layout="XYZ", slices="2:9:3", **options
    )


def test_each_plane_is_a_run_of_its_own(pairs):
    table = evaluate(pairs, planes=PLANES)
    assert set(table["plane"]) == set(PLANES)
    for plane in PLANES:
        alone = evaluate(pairs, axis=plane)
        ours = table.filter(plane=plane)
        columns = [name for name in alone.columns if name != "seconds"]
        assert ours.select(columns).equals(alone.select(columns))
    scores = table.filter(metric="mae", slice=5, pair_id="a/coronal-005")["score"].item()
    gap = np.abs(pairs[0]["synthesized"] - pairs[0]["reference"])[:, 5]
    assert scores == pytest.approx(gap.mean(), abs=1e-6)


def test_the_summary_and_pooling_keep_planes_apart(pairs):
    table = evaluate(pairs, ["mae"], planes="axial+coronal")
    summary = summarize(table, resamples=0)
    assert summary.select("plane", "n").rows() == [("axial", 6), ("coronal", 6)]
    pooled = pool(table, "volume").filter(level="volume")
    assert pooled.select("pair_id", "plane").rows() == [
        ("a", "axial"), ("a", "coronal"), ("b", "axial"), ("b", "coronal"),
    ]  # fmt: skip
    for row in pooled.iter_rows(named=True):
        own = table.filter(plane=row["plane"], subject=row["pair_id"])["score"]
        assert row["score"] == pytest.approx(own.mean(), abs=1e-9)
    assert "plane" not in summarize(evaluate(pairs, ["mae"]), resamples=0).columns


def test_volumes_are_scored_once(pairs):
    table = evaluate(pairs, ["mae", "mae:dimensions=3"], planes=("coronal", "axial"))
    wholes = table.filter(dimensions=3)
    alone = evaluate(pairs, ["mae:dimensions=3"], axis="coronal")
    assert wholes["plane"].null_count() == wholes.height == 2
    assert wholes["score"].to_list() == alone["score"].to_list()


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ({"planes": "axial+up"}, "'up' is not one of axial, coronal, sagittal"),
        ({"planes": ("axial", "axial")}, "twice"),
        ({"planes": "axial", "axis": "axial"}, "contradicts axis"),
    ],
)
def test_what_cannot_be_planes(given, says):
    with pytest.raises(OptionError, match=says):
        make_options(given)


def test_the_record_names_planes_only_where_there_are_some():
    assert "planes" not in Options().recorded()
    assert Options(planes="coronal+axial").recorded()["planes"] == ("coronal", "axial")
    assert Options(planes="coronal+axial").axis == "coronal"


def test_sets_are_kept_apart(pairs, registry):
    pairs[0]["synthesized"][:, :5] *= 0.5
    table = evaluate(pairs, ["toy-gap"], registry=registry, planes=PLANES)
    assert table["plane"].to_list() == list(PLANES)
    for row in table.iter_rows(named=True):
        alone = evaluate(pairs, ["toy-gap"], registry=registry, axis=row["plane"])["score"].item()
        assert row["score"] == pytest.approx(alone, abs=1e-7)
    assert table["score"].n_unique() == 3
