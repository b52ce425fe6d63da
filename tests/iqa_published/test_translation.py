"""Figure 2 of Konz et al., recomputed."""

import json

import numpy as np
import pytest
import scipy.stats
from PIL import Image

from iqa_published.numbers import read
from iqa_published.translation import METRICS, claims, figure2


@pytest.mark.parametrize("target", ["Dice breast", "Dice FGT", "Dice bone"])
@pytest.mark.parametrize("metric", METRICS)
def test_values_equal_scipy(target, metric):
    rows = [row for row in read("translation_table1") if row[target]]
    x, y = (np.array([float(row[name]) for row in rows]) for name in (metric, target))
    item = next(item for item in figure2() if (item.target, item.metric) == (target, metric))
    assert item.pearson.n == 5
    assert item.pearson.value == pytest.approx(scipy.stats.pearsonr(x, y).statistic)
    assert item.spearman.value == pytest.approx(scipy.stats.spearmanr(x, y).statistic)


def test_claims_are_checked_and_not_canned():
    found = figure2()
    assert [(claim.pearson, claim.spearman) for claim in claims(found)] == [
        (True, True), (True, True), (True, True), (True, False),
    ]  # fmt: skip
    swapped = {"SWD": "FID", "FID": "SWD"}
    other = [
        type(item)(
            item.group, item.target, swapped.get(item.metric, item.metric), item.pearson, item.spearman
        )
        for item in found
    ]
    assert [claim.pearson for claim in claims(other)] == [True, False, True, False]


def test_printed(iqa):
    shown = iqa("reproduce", "translation-figure2").stdout
    assert "Dice breast, task breast MRI" in shown
    assert "smallest possible two-sided p-value is 0.0167" in shown
    assert "0.878" in shown
    assert "prints without numbers" in shown
    assert "FID is especially inconsistent: Pearson yes, Spearman no" in shown


def test_files(iqa, tmp_path):
    done = iqa("reproduce", "translation-figure2", "-o", "out", "--plot", "--json")
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert len(found["correlations"]) == 12
    assert len(found["claims"]) == 4
    names = {path.suffix for path in (tmp_path / "out").iterdir()}
    assert names == {".parquet", ".csv", ".json", ".png", ".svg"}
    with Image.open(tmp_path / "out" / "translation-figure2.png") as picture:
        assert picture.width == 9 * 160


@pytest.mark.parametrize("arguments", [("--plot",), ("--json", "--csv")])
def test_mistakes(iqa, arguments):
    done = iqa("reproduce", "translation-figure2", *arguments)
    assert done.returncode == 2
    assert "Traceback" not in done.stderr
