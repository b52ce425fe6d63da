"""``pool=`` and ``units=`` of the Python interface."""

import warnings

import numpy as np
import pytest

import iqa_registry
from iqa_registry.errors import OptionError, UsageError


@pytest.fixture
def pairs():
    rng = np.random.default_rng(0)
    references = [rng.uniform(-900, 900, (12, 12, 4)).astype(np.float32) for _ in range(2)]
    return [
        {"pair_id": f"{model}-{n}", "subject": f"s{n}", "model": model,
         "synthesized": np.abs(image + gap) - gap, "reference": image}
        for n, image in enumerate(references) for model, gap in (("unit", 50), ("munit", 200))
    ]  # fmt: skip


def evaluate(pairs, metrics, **options):
    return iqa_registry.evaluate(pairs, metrics, intensity="range=-1000,1000", layout="XYZ", **options)


def error(pair):
    return float(np.abs(pair["synthesized"] - pair["reference"]).mean())


def test_pooled_rows_follow_those_of_slices(pairs):
    table = evaluate(pairs, "mae", pool="volume")
    assert table.filter(level="slice").height == 16
    rows = table.filter(level="volume")
    for pair, row in zip(pairs, rows.iter_rows(named=True), strict=True):
        assert (row["pair_id"], row["model"]) == (pair["pair_id"], pair["model"])
        assert row["score"] == pytest.approx(error(pair) / 2000, rel=1e-4)


def test_native_units_are_those_of_the_stored_values(pairs):
    with pytest.warns(UserWarning, match="no native unit for ssim"):
        table = evaluate(pairs, ["mae", "ssim"], pool="volume", units="native")
    assert set(table["metric"]) == {"mae"}
    found = table.filter(level="volume")["score"].to_list()
    assert found == pytest.approx([error(pair) for pair in pairs], rel=1e-4)


def test_a_metric_without_native_unit_has_none_when_it_is_pooled(pairs):
    table = evaluate(pairs, ["ssim"], pool="volume")
    assert table["score"].null_count() == 0
    assert table["score_native"].null_count() == table.height


def test_models_of_a_subject_are_kept_apart_on_request(pairs):
    with pytest.warns(UserWarning, match="pooled over its values of model"):
        mixed = evaluate(pairs, "mae", pool="subject").filter(level="subject")
    assert mixed["score"][0] == pytest.approx((error(pairs[0]) + error(pairs[1])) / 4000, rel=1e-4)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        apart = evaluate(pairs, "mae", pool="subject", group_by="model").filter(level="subject")
    assert apart.select("pair_id", "model").rows() == [
        ("s0", "unit"), ("s0", "munit"), ("s1", "unit"), ("s1", "munit"),
    ]  # fmt: skip


def test_rows_without_a_score_stay_in_native_units(pairs):
    pairs[0]["synthesized"] = pairs[0]["synthesized"] * np.nan
    table = evaluate(pairs, "mae", units="native")
    assert table.filter(status="error")["score"].null_count() == table.filter(status="error").height > 0


def test_wrong_words_are_rejected_before_anything_is_scored(pairs):
    for wrong in ({"pool": "patient"}, {"units": "hu"}):
        with pytest.raises(OptionError, match="is not one of"):
            evaluate([], "mae", **wrong)
    with pytest.raises(UsageError, match="no column 'modle'"):
        evaluate(pairs, "mae", group_by="modle")
