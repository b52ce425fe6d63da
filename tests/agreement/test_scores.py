"""Scores from run folders, tables and datasets, and what is said where they cannot be had."""

import gzip

import polars as pl
import pytest

from iqa_registry.agreement.scores import Scores, Wanted, combine, make_scores, read_scores, select
from iqa_registry.errors import UsageError
from iqa_registry.registry import build_registry
from iqa_registry.tables.reading import read_table

LONG = pl.DataFrame(
    {
        "pair_id": ["a", "a", "b", "b", "c", "c"],
        "model": ["x", "x", "x", "x", "y", "y"],
        "metric": ["psnr", "mae"] * 3,
        "score": [20.0, 0.3, 30.0, 0.1, 25.0, 0.2],
        "status": ["ok"] * 6,
        "higher_is_better": [True, False] * 3,
    }
)


@pytest.fixture(scope="module")
def registry():
    return build_registry()


def test_a_long_table_becomes_a_wide_one(registry):
    scores = make_scores(LONG, registry)
    assert scores.table.rows() == [("a", "x", 20.0, 0.3), ("b", "x", 30.0, 0.1), ("c", "y", 25.0, 0.2)]
    assert scores.higher_is_better == {"psnr": True, "mae": False}


def test_metrics_that_scored_different_images_in_another_order(registry):
    scores = make_scores(LONG.sort("score").head(5), registry)
    assert scores.table.sort("pair_id").select("pair_id", "psnr", "mae").rows() == [
        ("a", 20.0, 0.3), ("b", None, 0.1), ("c", 25.0, 0.2)
    ]  # fmt: skip


def test_images_that_were_not_scored_have_no_score(registry):
    failed = LONG.with_columns(
        pl.when(pl.col("score") == 30).then(pl.lit("not_applicable")).otherwise("status").alias("status")
    )
    scores = make_scores(failed, registry)
    assert scores.table["psnr"].to_list() == [20.0, None, 25.0]


def test_regions_are_rows_of_their_own(registry):
    both = pl.concat([LONG.with_columns(region=pl.lit(name)) for name in ("image", "mask")])
    assert make_scores(both, registry).table.height == 6


def test_an_image_scored_twice_is_refused(registry):
    with pytest.raises(UsageError, match=r"'a' has two scores of psnr\. .*--id COLUMN,COLUMN"):
        make_scores(pl.concat([LONG, LONG.head(1)]), registry)


def test_several_columns_can_tell_images_apart(registry):
    twice = pl.concat([LONG, LONG.with_columns(model=pl.lit("z"))])
    scores = make_scores(twice, registry, Wanted(identity=("model", "pair_id")))
    assert scores.table["pair_id"].to_list() == ["x/a", "x/b", "y/c", "z/a", "z/b", "z/c"]


def test_of_a_wide_table_the_columns_named_as_metrics_are_scores(registry):
    table = pl.DataFrame({"pair_id": ["a"], "lpips:net=vgg": [0.2], "age": [40], "ssim": [1]})
    assert make_scores(table, registry).higher_is_better == {"lpips:net=vgg": False, "ssim": True}


def test_another_column_is_a_metric_when_its_direction_is_given(registry):
    table = pl.DataFrame({"pair_id": ["a"], "ours": [0.2]})
    scores = make_scores(table, registry, Wanted(directions={"ours": False}))
    assert scores.higher_is_better == {"ours": False}
    with pytest.raises(
        UsageError, match=r"it is not known whether higher is better\. Give --direction ours=higher"
    ):
        make_scores(table, registry, Wanted(metrics=("ours",)))
    with pytest.raises(UsageError, match="has no scores"):
        make_scores(table, registry)


def test_a_metric_of_a_long_table_whose_direction_nobody_knows(registry):
    table = LONG.drop("higher_is_better").with_columns(pl.col("metric").replace("mae", "ours"))
    with pytest.raises(UsageError, match="no plugin declares 'ours'"):
        make_scores(table, registry)
    assert make_scores(table, registry, Wanted(directions={"ours": False})).metrics == ["psnr", "ours"]


def test_the_rows_of_a_wide_table_without_identity_are_numbered(registry):
    scores = make_scores(pl.DataFrame({"psnr": [20.0, 30.0], "rating": [0.1, 0.5]}), registry)
    assert scores.table["pair_id"].to_list() == ["row 1", "row 2"]


@pytest.mark.parametrize(
    ("wanted", "message"),
    [
        (Wanted(metrics=("pnsr",)), r"has no metric 'pnsr'. Did you mean 'psnr'\? It has psnr, mae"),
        (Wanted(identity=("imge",)), r"has no column 'imge' \(--id\)"),
    ],
)
def test_what_is_not_there_is_named(registry, wanted, message):
    with pytest.raises(UsageError, match=message):
        make_scores(LONG, registry, wanted)


def test_a_column_with_text_is_no_metric(registry):
    with pytest.raises(UsageError, match="column 'psnr' does not hold only numbers"):
        make_scores(pl.DataFrame({"pair_id": ["a"], "psnr": ["good"]}), registry, Wanted(metrics=("psnr",)))


@pytest.mark.parametrize("name", ["scores.csv", "scores.csv.gz", "scores.parquet", "scores.json"])
def test_every_kind_of_file_gives_the_same(tmp_path, registry, name):
    path = tmp_path / name
    if name.endswith(".parquet"):
        LONG.write_parquet(path)
    elif name.endswith(".json"):
        LONG.write_json(path)
    else:
        content = LONG.write_csv().encode()
        path.write_bytes(gzip.compress(content) if name.endswith(".gz") else content)
    read, expected = read_scores(path, registry), make_scores(LONG, registry)
    assert read.table.equals(expected.table)
    assert read.higher_is_better == expected.higher_is_better


def test_names_that_look_like_numbers_stay_names(tmp_path):
    path = tmp_path / "scores.csv"
    path.write_text("pair_id;subject;psnr\n007;01;inf\n008;02;\n")
    table = read_table(path)
    assert table.rows() == [("007", "01", float("inf")), ("008", "02", None)]


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.csv", b"", "has no rows"),
        ("a.csv", b"pair_id,psnr\n", "has no rows"),
        ("a.csv", b"pair_id,psnr\na,1,2,3\n", "line 2 has 4 values, expected 2"),
        ("a.csv", b"pair_id,psnr\na,1\nb\n", "line 3 has 1 values, expected 2"),
        ("a.csv.gz", b"no gzip", "cannot be read as a table"),
        (
            "a.csv.gz",
            gzip.compress(b"pair_id,psnr\na,1\n" * 99, mtime=0)[:30] + b"damage",
            "cannot be read as a table",
        ),
        ("a.parquet", b"no parquet", "cannot be read as a table"),
        ("a.json", b"{", "cannot be read as a table"),
        ("a.csv", b"pair_id\xff,psnr\na,1\n", "cannot be read as a table|not UTF-8"),
        ("a.docx", b"", r"is not a table\. Give a file with one of \.csv"),
    ],
)
def test_a_damaged_file_is_named(tmp_path, registry, name, content, message):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(UsageError, match=f"{name}: .*({message})"):
        read_scores(tmp_path / name, registry)


def test_what_is_neither_file_nor_folder_nor_dataset(tmp_path, registry):
    with pytest.raises(UsageError, match=r"nothing.csv: no such file"):
        read_scores(tmp_path / "nothing.csv", registry)
    with pytest.raises(UsageError, match="is not a run folder with scores"):
        read_scores(tmp_path, registry)
    with pytest.raises(UsageError, match=r"no dataset 'nirp'. Did you mean 'nirps'\?"):
        read_scores("nirp:somewhere", registry)


EPOCHS = Scores(
    pl.DataFrame({"pair_id": list("abcd"), "epoch": [1, 2, 3, None], "model": ["x", "y", "y", "z"]}),
    {},
    "here",
)


@pytest.mark.parametrize(
    ("conditions", "left"),
    [
        (["model=x,z"], "ad"),
        (["epoch=2:"], "bc"),
        (["epoch=:2"], "a"),
        (["epoch=1:3", "model=y"], "b"),
        (["epoch=3"], "c"),
    ],
)
def test_conditions(conditions, left):
    assert "".join(select(EPOCHS, conditions).table["pair_id"]) == left


@pytest.mark.parametrize(
    ("condition", "message"),
    [
        ("model", "expected COLUMN=VALUE"),
        ("model=w", "no image; model is x, y, z"),
        ("epoch=a:b", "expected two numbers"),
        ("epoch=first", "the column holds numbers"),
        ("modl=x", r"has no column 'modl' \(--where\). Did you mean 'model'"),
    ],
)
def test_conditions_that_cannot_be(condition, message):
    with pytest.raises(UsageError, match=message):
        select(EPOCHS, [condition])


def parts(**directions):
    table = pl.DataFrame(
        {"pair_id": ["a", "b", "c"], "x": [1.0, 2.0, None], "y": [3.0, None, None], "rating": [0.0, 0.5, 1.0]}
    )
    return Scores(table, {"x": True, "y": True} | directions, "here")


def test_combined_columns_are_means_of_what_is_there():
    found = combine(parts(), {"both": ["x", "y"], "rating": ["x"], "first": ["x", "z"], "none": ["z"]})
    assert found.higher_is_better == {"both": True, "rating": True, "first": True}
    assert found.table.rows() == [("a", 2.0, 1.0, 1.0), ("b", 2.0, 2.0, 2.0), ("c", None, None, None)]


def test_columns_of_two_directions_cannot_be_combined():
    with pytest.raises(UsageError, match="both: x, y have different directions"):
        combine(parts(y=False), {"both": ["x", "y"]})
    assert combine(parts(x=False, y=False), {"both": ["x", "y"]}).higher_is_better == {"both": False}
