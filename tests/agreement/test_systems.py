"""Correlations of a table of systems: columns, groups, notes."""

import numpy as np
import polars as pl
import pytest

from iqa_registry.agreement.system_report import power_note, readable_rows
from iqa_registry.agreement.systems import choose_columns, correlate
from iqa_registry.errors import UsageError


def table(n=6, **columns):
    values = np.random.default_rng(0).normal(size=(3, n))
    names = ("dice", "fid", "kid")
    return pl.DataFrame(
        {"method": [f"m{i}" for i in range(n)]} | dict(zip(names, values, strict=True)) | columns
    )


def test_columns_are_found():
    columns = choose_columns(table(fold=[1, 1, 1, 2, 2, 2]), ["dice"], groups=["fold"])
    assert columns.metrics == ("fid", "kid")
    assert columns.system == "method"


def test_metric_or_target_without_values_in_a_group_is_passed_over():
    both = pl.concat([table(fold=["a"] * 6), table(fold=["b"] * 6, kid=[None] * 6)], how="vertical_relaxed")
    both = both.with_columns(bone=pl.when(pl.col("fold") == "b").then("dice"))
    found = correlate(both, choose_columns(both, ["dice", "bone"], groups=["fold"]))
    assert {(item.group["fold"], item.target, item.metric) for item in found.found} == {
        ("a", "dice", "fid"), ("a", "dice", "kid"), ("b", "dice", "fid"), ("b", "bone", "fid"),
    }  # fmt: skip
    assert found.left_out == []


def test_undefined_correlations_come_last_and_are_left_empty():
    flat = table(flat=[1.0] * 6)
    found = correlate(flat, choose_columns(flat, ["dice"])).found
    assert found[-1].metric == "flat"
    assert readable_rows(found)[-1]["spearman"] == ""


@pytest.mark.parametrize(("n", "told"), [(4, True), (14, True), (15, False)])
def test_only_few_systems_are_told_of(n, told):
    systems = table(n)
    assert (power_note(correlate(systems, choose_columns(systems, ["dice"])).found) is not None) == told


def test_no_metric():
    with pytest.raises(UsageError, match="the target is the only column of numbers"):
        choose_columns(table().select("method", "dice"), ["dice"])
