"""Tables are counted before they are built, whatever their format."""

from __future__ import annotations

import gzip
import json
import tracemalloc
import zipfile
from pathlib import Path

import polars as pl
import pytest

from iqa_registry.errors import UsageError
from iqa_registry.tables.reading import read_table

LIMIT = "IQA_MAX_TABLE_BYTES"


def test_a_small_file_that_unpacks_to_much_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(LIMIT, str(8 << 20))
    (tmp_path / "a.csv.gz").write_bytes(gzip.compress(b"a,b\n" + b" " * 200_000_000))
    tracemalloc.start()
    with pytest.raises(
        UsageError, match=rf"a\.csv\.gz: it unpacks to more than the limit of 8 MiB .* {LIMIT}"
    ):
        read_table(tmp_path / "a.csv.gz")
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 3e7


@pytest.mark.parametrize("text", ["a,b\n" + "\n" * 70000, "a;b\n" + ";" * 70000, "a,b\r" + "\r" * 70000])
def test_cells_count_however_empty_they_are(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str
) -> None:
    monkeypatch.setenv(LIMIT, str(1 << 20))
    (tmp_path / "a.csv").write_text(text, newline="")
    with pytest.raises(UsageError, match=r"its 7.* cells take more than"):
        read_table(tmp_path / "a.csv")


def test_a_parquet_file_is_judged_by_its_footer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pl.select(a=pl.repeat(1.0, 70_000)).write_parquet(tmp_path / "a.parquet")
    assert (tmp_path / "a.parquet").stat().st_size < 5000
    assert read_table(tmp_path / "a.parquet")["a"].sum() == 70_000
    monkeypatch.setenv(LIMIT, str(1 << 20))
    with pytest.raises(UsageError, match="its 70000 rows of 1 columns take more"):
        read_table(tmp_path / "a.parquet")


def test_objects_of_json_that_share_no_name_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(LIMIT, str(1 << 20))
    (tmp_path / "a.json").write_text(json.dumps([{f"c{number}": 1} for number in range(300)]))
    with pytest.raises(UsageError, match="its 300 rows of 300 columns take more"):
        read_table(tmp_path / "a.json")
    (tmp_path / "b.json").write_text("[" + "{}," * 50_000 + "{}]")
    with pytest.raises(UsageError, match="it unpacks to more"):
        read_table(tmp_path / "b.json")


def sheet(path: Path, cells: str) -> None:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("xl/worksheets/sheet1.xml", cells)


def test_a_spreadsheet_with_a_far_cell_or_much_in_it_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("fastexcel")
    sheet(tmp_path / "a.xlsx", '<c r="A1"/>' + " " * 1_048_560 + '<c r="XFD1048576"/>')
    with pytest.raises(UsageError, match="its 1048576 rows of 16384 columns take more"):
        read_table(tmp_path / "a.xlsx")
    monkeypatch.setenv(LIMIT, str(1 << 20))
    sheet(tmp_path / "b.xlsx", " " * 3_000_000)
    data = bytearray((tmp_path / "b.xlsx").read_bytes())
    at = data.index(b"PK\1\2") + 24
    data[at : at + 4] = (5).to_bytes(4, "little")  # the declared size lies
    (tmp_path / "b.xlsx").write_bytes(data)
    with pytest.raises(UsageError, match="it unpacks to more than the limit of 1 MiB"):
        read_table(tmp_path / "b.xlsx")


def test_the_limit_is_a_number(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "a.csv").write_text("a,b\n1,2\n")
    monkeypatch.setenv(LIMIT, "1GB")
    with pytest.raises(UsageError, match=f"{LIMIT} is '1GB', expected a number of bytes"):
        read_table(tmp_path / "a.csv")


def small_parquet(path: Path) -> bytearray:
    """A file whose bytes 12 and 35 are the numbers of values of its first two pages, a dictionary and one of data."""
    pl.DataFrame({"pair_id": ["1", "2"]}).write_parquet(path, compression="uncompressed")
    return bytearray(path.read_bytes())


@pytest.mark.parametrize("count", [45, 5, 126])  # -23, -3 and 63 in zigzag; there are 2
@pytest.mark.parametrize("at", [12, 35])
def test_a_page_that_declares_values_that_it_cannot_hold_ends_no_process(
    tmp_path: Path, at: int, count: int
) -> None:
    content = small_parquet(tmp_path / "a.parquet")
    assert content[at - 1 : at + 1] == b"\x15\x04"
    content[at] = count
    (tmp_path / "a.parquet").write_bytes(content)
    with pytest.raises(UsageError, match=r"a\.parquet: cannot be read as a table \(a (page|count)"):
        read_table(tmp_path / "a.parquet")


def test_pages_that_unpack_to_too_much_are_refused_first(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    frame = pl.DataFrame({"pair_id": ["x" * 3_000_000]})
    # Earlier polars keeps the value, not packed, in the statistics too.
    frame.write_parquet(tmp_path / "a.parquet", statistics=False)
    assert (tmp_path / "a.parquet").stat().st_size < 20_000
    assert read_table(tmp_path / "a.parquet").equals(frame)
    monkeypatch.setenv(LIMIT, str(2 << 20))
    with pytest.raises(UsageError, match=r"a\.parquet: it unpacks to more than the limit of 2 MiB"):
        read_table(tmp_path / "a.parquet")


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"compression": "uncompressed"},
        {"compression": "snappy"},
        {"row_group_size": 100},
        {"data_page_size": 64},
        {"statistics": False},
    ],
)
def test_sound_pages_of_every_kind_are_read(tmp_path: Path, options: dict[str, object]) -> None:
    frame = pl.DataFrame(
        {
            "pair_id": [f"id{number}" for number in range(900)],
            "model": ["a", "b", ""] * 300,
            "none": pl.Series([None] * 900, dtype=pl.Float64),
            "some": [None, 1.5, 2.5] * 300,
            "flag": [True, False, None] * 300,
            "list": [[1, 2], [], None] * 300,
        }
    )
    frame.write_parquet(tmp_path / "a.parquet", **options)
    assert read_table(tmp_path / "a.parquet").equals(frame)
