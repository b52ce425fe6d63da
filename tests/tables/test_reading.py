"""One rule for names and numbers, in every kind of file and in everything that reads tables."""

import json

import polars as pl
import pytest

from iqa_registry.agreement.ratings import rate
from iqa_registry.agreement.scores import make_scores, read_scores
from iqa_registry.errors import MissingExtraError, UsageError
from iqa_registry.images.pairs import Pair, read_manifest
from iqa_registry.registry import build_registry
from iqa_registry.tables import _excel, reading, writing
from iqa_registry.tables.reading import parse_text, read_cells, read_table

ROWS = [
    {"pair_id": "7", "subject": "07", "model": "007", "epoch": 1, "psnr": float("inf"), "note": "a, b"},
    {"pair_id": "8", "subject": "12", "model": "012", "epoch": None, "psnr": 0.5, "note": None},
]
READABLE = [suffix for suffix in writing.SUFFIXES if suffix in reading.SUFFIXES]


@pytest.mark.parametrize("suffix", READABLE)
def test_every_kind_of_file_gives_back_what_was_written(tmp_path, suffix):
    table = read_table(writing.write_table(tmp_path / f"table{suffix}", ROWS))
    # JSON has no infinity: it is null there, and a score table says so in its status.
    infinite = None if suffix == ".json" else float("inf")
    assert table.to_dicts() == [
        {**row, "psnr": infinite if row["psnr"] == float("inf") else row["psnr"]} for row in ROWS
    ]
    assert table["epoch"].dtype == pl.Int64


@pytest.mark.parametrize(
    ("cells", "values"),
    [
        (["1", "-2", ""], [1, -2, None]),
        (["1", "2.50", "1e-3"], [1.0, 2.5, 0.001]),
        (["inf", "-inf", "NaN", "N/A"], [float("inf"), float("-inf"), None, None]),
        (["007", "12"], ["007", "12"]),
        (["-01", "0"], ["-01", "0"]),
        (["1234567890123456789012", "1"], ["1234567890123456789012", "1"]),
        (["1.2.840", "1.3"], ["1.2.840", "1.3"]),
        (["true", "false"], ["true", "false"]),
        (["1", "one"], ["1", "one"]),
        (["NA", "x "], [None, "x"]),
    ],
)
def test_what_is_a_number(cells, values):
    text = "column,rest\n" + "".join(f"{cell},-\n" for cell in cells)
    assert parse_text(text.encode(), "here").values()["column"].to_list() == values


@pytest.mark.parametrize("kind", ["csv", "json", "parquet", "floats.parquet", "xlsx"])
def test_a_subject_is_text_wherever_it_stands(tmp_path, kind):
    registry, path = build_registry(), tmp_path / f"table.{kind}"
    subjects = [7.0, None] if kind.startswith("floats") else [7, 12]
    rows = {"synthesized": ["a.png", "b.png"], "pair_id": [1, 2], "subject": subjects, "psnr": [20.0, 30.0]}
    writing.write_table(path, pl.DataFrame(rows))
    expected = ["7", None if kind.startswith("floats") else "12"]
    pairs = read_manifest(path).pairs
    assert [pair.groups["subject"] for pair in pairs] == expected
    assert [pair.pair_id for pair in pairs] == ["1", "2"]
    for scores in (read_scores(path, registry), make_scores(pl.DataFrame(rows), registry)):
        assert scores.table["subject"].to_list() == expected
        ratings = pl.DataFrame({"pair_id": ["1", "2"], "rating": [0.1, 0.5]})
        assert rate(scores, ratings).ratings.tolist() == [0.1, 0.5]


def test_a_model_that_looks_like_a_number_is_one_name_in_scores_and_manifest(tmp_path):
    path = tmp_path / "table.csv"
    path.write_text("pair_id,synthesized,model,psnr\na,a.png,007,20\nb,b.png,012,30\n")
    assert read_scores(path, build_registry()).table["model"].to_list() == ["007", "012"]
    assert [pair.groups["model"] for pair in read_manifest(path).pairs] == ["007", "012"]


def test_the_table_of_a_dataset_keeps_subjects_as_text():
    from iqa_registry.datasets import Dataset

    class Two(Dataset):
        def pairs(self):
            yield Pair("a", "a.png", groups={"subject": 7, "dose": 1})
            yield Pair("b", "b.png", groups={"subject": "008", "dose": 0.5})

    table = Two().table()
    assert table["subject"].to_list() == ["7", "008"]
    assert table["dose"].to_list() == [1.0, 0.5]


@pytest.mark.parametrize(
    "text", ["a;b\r\n1;2\r\n\r\n3;4\r\n", "a\tb\n1\t2\n \n3\t4", '\ufeffa,b\n"1","2"\n,\n3,4\n']
)
def test_separators_and_lines(text):
    cells = parse_text(text.encode(), "here")
    assert cells.values().rows() == [(1, 2), (3, 4)]
    assert [cells.place(row) for row in (0, 1)] == ["line 2", "line 4"]


def test_a_quoted_cell_may_hold_separators_and_lines():
    assert parse_text(b'a,b\n"1,\n2","say ""hi"""\n', "here").table.rows() == [("1,\n2", 'say "hi"')]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"a,b\n1,2\n3\n", "line 3 has 1 values, expected 2 as in the header"),
        (b'a,b\n"1",2\n3,4,5\n', "line 3 has 3 values, expected 2"),
        (b"a,b,a\n1,2,3\n", "has the column 'a' twice. Rename one"),
        (b"a,b\n,\n", "has no rows below its header"),
        (b"a,\xff\n1,2\n", "is not UTF-8 text"),
    ],
)
def test_a_faulty_text_is_said_with_its_place(tmp_path, content, message):
    (tmp_path / "t.csv").write_bytes(content)
    with pytest.raises(UsageError, match=f"t.csv: {message}"):
        read_table(tmp_path / "t.csv")


def test_json_that_is_no_table(tmp_path):
    (tmp_path / "t.json").write_text(json.dumps({"a": 1}))
    with pytest.raises(UsageError, match=r"t.json: is not a table. Give a list of objects"):
        read_table(tmp_path / "t.json")


def test_a_damaged_workbook_is_named(tmp_path):
    (tmp_path / "t.xlsx").write_bytes(b"no workbook")
    with pytest.raises(UsageError, match=r"t.xlsx: cannot be read as a table \("):
        read_table(tmp_path / "t.xlsx")


def test_excel_says_what_to_install(tmp_path, monkeypatch):
    writing.write_table(tmp_path / "t.xlsx", ROWS)
    monkeypatch.setattr(_excel, "find_spec", lambda name: None)
    command = r'Run: pip install "iqa-registry\[excel\]"'
    with pytest.raises(MissingExtraError, match=f"reading t.xlsx needs fastexcel. {command}"):
        read_cells(tmp_path / "t.xlsx")
    with pytest.raises(MissingExtraError, match=f"writing .xlsx needs xlsxwriter. {command}"):
        writing.write_table(tmp_path / "u.xlsx", ROWS)
    assert not (tmp_path / "u.xlsx").exists()


@pytest.mark.parametrize(
    "text", [b'"model","epoch"\n', b'"model","epoch"', b"model,epoch\n", b'"model","epoch"\n\n"",""\n']
)
def test_a_header_without_rows_is_a_table_without_rows(text):
    table = parse_text(text, "here").table
    assert (table.columns, table.height) == (["model", "epoch"], 0)
