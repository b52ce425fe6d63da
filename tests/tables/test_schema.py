"""The score table's columns, and its long and wide forms."""

import re
from pathlib import Path

import polars as pl
import pytest

import iqa_registry
from iqa_registry.errors import UsageError
from iqa_registry.tables import schema
from iqa_registry.tables.schema import COLUMNS, ORDER, TYPES, split_name, wide_name, with_component

SOURCES = Path(iqa_registry.__file__).parents[1]
LONG = pl.DataFrame(
    {
        "pair_id": ["a", "a", "a", "b", "b"],
        "metric": ["ours", "ours", "psnr", "ours", "psnr"],
        "component": ["", "edges", "", "", ""],
        "score": [0.1, 0.2, 20.0, 0.3, float("nan")],
        "status": ["ok", "not_applicable", "ok", "ok", "ok"],
        "epoch": [1, 1, 1, 2, 2],
        "seconds": [9.0] * 5,
    }
)


def test_a_run_gives_the_columns_that_are_declared():
    pixels = pl.Series(range(64)).to_numpy().reshape(8, 8).astype("uint8")
    table = iqa_registry.evaluate([{"synthesized": pixels, "reference": pixels, "site": "x"}], ["mae"])
    assert dict(table.schema) == {name: kind for name, kind in TYPES.items() if name != ORDER} | {
        "site": pl.String
    }


def test_every_column_has_a_line_for_readers():
    assert len(TYPES) == len(COLUMNS)
    assert all(re.fullmatch(r"[A-Z2`].{10,90}\.", column.description) for column in COLUMNS)


def test_wide_has_a_row_per_image_and_a_column_per_score():
    wide = schema.to_wide(LONG, ["pair_id"])
    assert wide.columns == ["pair_id", "epoch", "ours", "ours[edges]", "psnr"]
    assert wide.rows() == [("a", 1, 0.1, None, 20.0), ("b", 2, 0.3, None, None)]


@pytest.mark.parametrize("component", [None, ""])
def test_an_absent_component_is_the_score_itself(component):
    table = LONG.head(1).with_columns(component=pl.lit(component, pl.String))
    assert schema.to_wide(table, ["pair_id"]).columns == ["pair_id", "epoch", "ours"]


def test_earlier_tables_are_read():
    earlier = LONG.drop("component").with_columns(schema.wide_names(LONG))
    assert schema.with_component(earlier).equals(LONG)
    assert schema.to_wide(earlier, ["pair_id"]).equals(schema.to_wide(LONG, ["pair_id"]))


@pytest.mark.parametrize(("metric", "component"), [("psnr", ""), ("ssim:window=7", ""), ("a:b=c", "d-e.f")])
def test_a_wide_name_is_taken_apart_again(metric, component):
    assert schema.split_name(schema.wide_name(metric, component)) == (metric, component)


def test_pairs_may_bring_a_subject_but_no_score():
    types = schema.table_types([{"subject": 7, "lesion": True}, {"lesion": None, "dose": 1}, {"dose": 0.5}])
    assert list(types)[-2:] == ["lesion", "dose"]
    assert (types["subject"], types["lesion"], types["dose"]) == (pl.String, pl.Boolean, pl.Float64)
    with pytest.raises(UsageError, match="the column 'score' of the pairs is a column of the score table"):
        schema.table_types([{"score": 1}])


def test_only_the_schema_takes_names_apart():
    apart = re.compile(r"""endswith\(["']\]|partition\(["']\[|split\(["']\[|\]\[\{|\{\w+\}\[\{""")
    files = [path for folder in ("iqa_registry", "plugins") for path in (SOURCES / folder).rglob("*.py")]
    lines = ((path.name, line) for path in files for line in path.read_text(encoding="utf-8").splitlines())
    found = {name for name, line in lines if apart.search(line) and "pip install" not in line}
    assert found == {"schema.py"}


@pytest.mark.parametrize(
    "metric", ["ours", "ours:finder=[other:fold=0]", "ours:finders=a+[b:c=1]", "ours:finder=[a:path=[/x,y]]"]
)
@pytest.mark.parametrize("component", ["", "edges"])
def test_a_parameter_in_brackets_is_not_a_component(metric, component):
    name = wide_name(metric, component)
    assert split_name(name) == (metric, component)
    assert with_component(pl.DataFrame({"metric": [name]})).rows() == [(metric, component)]
