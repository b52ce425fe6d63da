"""Tables as files."""

import gzip
import json

import polars as pl
import pytest

from iqa_registry.errors import IQAError, UsageError
from iqa_registry.tables import writing

ROWS = [{"metric": "a|b_1", "n": 2, "mean": float("nan")}, {"metric": "=1+1", "n": 30, "mean": float("inf")}]


def test_json_is_read_by_any_parser():
    def refuse(name):
        raise AssertionError(name)

    read = json.loads(writing.as_json(ROWS), parse_constant=refuse)
    assert read == [{**ROWS[0], "mean": None}, {**ROWS[1], "mean": None}]


def test_csv_has_an_empty_cell_where_nothing_is_known():
    rows = pl.DataFrame({"component": ["", "x"], "score": [float("nan"), 1.5]})
    assert writing.as_csv(rows) == "component,score\n,\nx,1.5\n"


def test_markdown_and_latex_escape():
    assert writing.as_markdown(ROWS).splitlines()[2:] == [r"| a\|b_1 | 2 |  |", "| =1+1 | 30 | inf |"]
    assert writing.as_latex(ROWS).splitlines()[4:6] == [r"a|b\_1 & 2 &  \\", r"=1+1 & 30 & inf \\"]
    special = writing.as_latex([{"x": "5 % & {a} #1 $ ~^\\ ↑"}])
    escaped = r"5 \% \& \{a\} \#1 \$ \textasciitilde{}\textasciicircum{}\textbackslash{} $\uparrow$ \\"
    assert escaped in special


def test_small_numbers_are_not_rounded_away():
    assert "| 1.23e-05 |" in writing.as_markdown([{"x": 0.0000123}])


def test_a_workbook_has_no_formula(tmp_path):
    fastexcel = pytest.importorskip("fastexcel")
    path = writing.write_table(tmp_path / "t.xlsx", ROWS)
    sheet = fastexcel.read_excel(path).load_sheet(0, dtypes="string").to_polars()
    assert sheet["metric"].to_list() == ["a|b_1", "=1+1"]


def test_rows_are_written_in_three_forms(tmp_path):
    written = writing.write_rows(tmp_path / "out", "found", ROWS)
    assert [path.name for path in written] == ["found.parquet", "found.csv", "found.json"]
    assert pl.read_parquet(written[0])["mean"].to_list() == [None, float("inf")]


def test_several_tables_are_one_json_or_files_next_to_one_another(tmp_path):
    tables = {"rows": ROWS, "pairs": [{"n": 2}], "empty": []}
    (path,) = writing.write_tables(tmp_path / "out.json", tables, {"data": "here"})
    found = json.loads(path.read_text())
    assert list(found) == ["data", "rows", "pairs", "empty"]
    assert found["pairs"] == [{"n": 2}]
    written = writing.write_tables(tmp_path / "out.csv.gz", tables, {"data": "here"})
    assert [path.name for path in written] == ["out.csv.gz", "out-pairs.csv.gz"]
    assert gzip.decompress(written[1].read_bytes()).decode() == "n\n2\n"


def test_gzip_is_the_same_twice(tmp_path):
    first, second = (writing.write_table(tmp_path / f"{n}.csv.gz", ROWS).read_bytes() for n in (1, 2))
    assert first == second
    assert gzip.decompress(first).decode() == writing.as_csv(ROWS)


def test_a_failed_write_leaves_what_was_there(tmp_path, monkeypatch):
    path = tmp_path / "t.csv"
    path.write_text("precious")

    def full(*arguments, **options):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(writing, "write_atomically", full)
    with pytest.raises(IQAError, match=r"t.csv: cannot be written \(No space left on device\)"):
        writing.write_table(path, ROWS)
    assert path.read_text() == "precious"


def test_places_that_cannot_be(tmp_path):
    with pytest.raises(
        UsageError, match=r"t.docx: cannot be written as a table. Choose one of .parquet, .csv"
    ):
        writing.check_suffix(tmp_path / "t.docx")
    (tmp_path / "file").touch()
    with pytest.raises(UsageError, match="is a file"):
        writing.write_rows(tmp_path / "file", "found", ROWS)
