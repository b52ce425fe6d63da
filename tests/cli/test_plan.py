"""`iqa plan`: from a pilot, from an ICC and a spread, and what it cannot plan."""

import json

import numpy as np
import polars as pl
import pytest

from simulated_studies import draw

BARE = ("plan", "--statistic", "srocc", "--srocc", "0.7", "--difference", "0.1", "--rater-icc", "0.6")


@pytest.fixture
def pilot(tmp_path):
    scores, ratings, subjects = draw(20, 4, np.random.default_rng(0), (0.5, 1.2), raters=3)
    table = pl.DataFrame(
        {
            "pair_id": [f"p{row}" for row in range(len(scores))],
            "subject": [f"s{at}" for at in subjects],
            "psnr": scores[:, 0],
            "ssim": scores[:, 1],
        }
    )
    table.write_csv(tmp_path / "scores.csv")
    raters = pl.DataFrame({f"rater_{number}": ratings[:, number] for number in range(3)})
    pl.concat([table.select("pair_id"), raters], how="horizontal").write_csv(tmp_path / "ratings.csv")
    return tmp_path / "scores.csv", "--ratings", tmp_path / "ratings.csv"


def test_without_a_pilot_it_needs_an_icc(iqa):
    done = iqa(*BARE, "--raters-per-image", "1+3", "--images-per-subject", "1+5", "--json")
    rows = json.loads(done.stdout)
    assert [(row["raters"], row["images_per_subject"]) for row in rows] == [(1, 1), (1, 5), (3, 1), (3, 5)]
    assert rows[0]["subjects"] > rows[2]["subjects"] > rows[3]["subjects"]
    assert all(0.8 <= row["power"] < 0.83 for row in rows)
    assert rows[1]["images"] == 5 * rows[1]["subjects"]
    wrong = iqa("plan", "--srocc", "0.7", "--difference", "0.1")
    assert wrong.returncode == 2
    assert "--rater-icc, --spread" in wrong.stderr


def test_a_pilot_plans_for_its_own_difference(iqa, pilot):
    done = iqa("plan", *pilot)
    assert done.returncode == 0, done.stderr
    assert "pilot: psnr and ssim, 20 subjects with 4 images and 3 raters" in done.stdout
    smaller = [
        json.loads(iqa("plan", *pilot, "--difference", size, "--json").stdout)[0]["subjects"]
        for size in ("0.05", "0.1")
    ]
    assert smaller[0] == pytest.approx(4 * smaller[1], rel=0.25)


def test_a_plan_that_cannot_be_is_one_line(iqa):
    wrong = iqa(
        "plan", "--statistic", "srocc", "--srocc", "0.95", "--difference", "0.1", "--rater-icc", "0.3"
    )
    assert wrong.returncode == 2
    assert "above what the noise of 3 raters" in wrong.stderr
    assert len(wrong.stderr.strip().splitlines()) <= 2
