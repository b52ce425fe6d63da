"""The published numbers: whole, and those of the papers."""

import csv

import pytest

from iqa_published.numbers import SCORED, kcross_log, kcross_table2, read


def test_table2_is_whole():
    table = kcross_table2()
    assert len(table) == 60
    for dataset in ("ixi", "brats2021"):
        for model in ("cyclegan", "munit", "unit"):
            values = {metric: value for (*key, metric), value in table.items() if key == [dataset, model]}
            # The paper's own metric is the best of each column of its table.
            assert min(values, key=values.get) == "K-CROSS"


def test_table2_is_the_paper_s(shared):
    names = {"LPIP": "LPIPS", "DIST": "DISTS"}
    with shared("kcross-tables.csv").open() as file:
        rows = [row for row in csv.DictReader(file) if row["table"] == "II"]
    expected = {
        (row["dataset"], row["model"], names.get(row["metric"], row["metric"])): float(row["inconsistency"])
        for row in rows
    }
    assert kcross_table2() == expected


def test_log_is_table2_but_for_one_number():
    table, log = kcross_table2(), kcross_log("levels", 40)
    assert len(log) == 18
    differ = {key: (table[key], value) for key, value in log.items() if table[key] != value}
    assert differ == {("brats2021", "cyclegan", "SSIM"): (0.1998, 0.1927)}


@pytest.mark.parametrize(
    ("ranker", "epochs", "count"),
    [("levels", 30, 18), ("levels", 50, 18), ("minmax", 40, 6), ("minmax", 50, 9), ("minmax", 30, 0)],
)
def test_logs(ranker, epochs, count):
    log = kcross_log(ranker, epochs)
    assert len(log) == count
    assert {metric for *_, metric in log} <= set(SCORED)


def test_table1_is_the_paper_s(shared):
    with shared("translation-table1.csv").open() as file:
        expected = list(csv.DictReader(file))
    columns = {
        "Dice breast": "dice_breast", "Dice FGT": "dice_fgt", "Dice bone": "dice_bone",
        "FID": "fid", "KID": "kid", "SWD": "swd", "IS": "is",
    }  # fmt: skip
    rows = read("translation_table1")
    assert [row["method"].lower() for row in rows] == [row["method"] for row in expected]
    for row, other in zip(rows, expected, strict=True):
        assert {columns[name]: row[name] for name in columns} == {
            name: other[name] for name in columns.values()
        }
