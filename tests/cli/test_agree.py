"""``iqa agree``: tables, files, notes, exit codes, messages."""

import json

import numpy as np
import polars as pl
import pytest

from iqa_registry.sample import RATINGS


@pytest.fixture
def table(tmp_path):
    generator = np.random.default_rng(0)
    ratings = np.round(generator.random(60), 1)
    columns = {
        "pair_id": [f"{number:03d}" for number in range(60)],
        "model": ["x", "y"] * 30,
        "psnr": 20 + 10 * ratings + generator.normal(size=60),
        "mae": 0.3 - 0.2 * ratings + 0.2 * generator.normal(size=60),
        "rating": ratings,
    }
    pl.DataFrame(columns).write_csv(tmp_path / "scores.csv")
    return tmp_path / "scores.csv"


def test_the_best_metric_comes_first_and_is_marked(iqa, table):
    done = iqa("agree", table, "--resamples", 300)
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert lines[0].startswith("all images: 60 images; chance 0.")
    assert lines[3].split()[:2] == ["*", "psnr"]
    assert lines[4].split()[0] == "mae"


def test_json_and_csv_hold_every_number(iqa, table):
    rows = json.loads(iqa("agree", table, "--json", "--resamples", 50, "--group-by", "model").stdout)
    assert [(row["model"], row["metric"]) for row in rows][:2] == [("x", "psnr"), ("x", "mae")]
    assert rows[0]["srocc_low"] < rows[0]["srocc"] < rows[0]["srocc_high"]
    text = iqa("agree", table, "--csv", "--resamples", 0).stdout
    assert text.startswith("metric,higher_is_better,n,clusters,inconsistency,skill,srocc")


def test_a_run_of_the_sample_with_single_raters(iqa, tmp_path):
    run, out = tmp_path / "run", tmp_path / "out"
    assert iqa("evaluate", "-m", "psnr", "-m", "mae", "-o", run).returncode == 0
    done = iqa("agree", run, "--ratings", RATINGS, "--resamples", 50, "-o", out, "--plot")
    assert done.returncode == 0, done.stderr
    assert "10 raters, each compared with the mean of the others: inconsistency" in done.stdout
    assert "ICC(2,k): two-way random, absolute agreement" in done.stdout
    assert {"agreement.csv", "raters.csv", "scatter-image.png", "significance-mask.svg"} <= {
        path.name for path in out.iterdir()
    }
    assert f"files in {out}" in done.stderr


def test_the_manifest_s_own_ratings_will_do(iqa, tmp_path):
    run = tmp_path / "run"
    iqa("evaluate", "-m", "psnr", "-o", run)
    assert iqa("agree", run, "--resamples", 0).returncode == 0


def test_what_was_left_out_is_named_and_tells_by_the_exit_code(iqa, table, tmp_path):
    ratings = tmp_path / "ratings.csv"
    ratings.write_text(
        "pair_id,rating\n" + "".join(f"{number:03d},0.{number % 10}\n" for number in range(2, 64))
    )
    done = iqa("agree", table, "--ratings", ratings, "--resamples", 0)
    assert done.returncode == 1
    assert f"left out: 2 images in {table} have no rating in {ratings}: 000, 001" in done.stderr
    assert (
        f"left out: 4 images in {ratings} have no score in {table}: 060, 061, 062 and 1 more" in done.stderr
    )


def test_the_published_ranker_warns(iqa, table):
    done = iqa("agree", table, "--ranker", "levels-as-published", "--resamples", 0)
    assert done.returncode == 0
    assert "order of the rows" in done.stderr


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--ranker", "level"], "there is no ranker 'level'. Did you mean 'levels'"),
        (["--metric", "pnsr"], "has no column 'pnsr'"),
        (["--direction", "psnr"], "expected METRIC=higher or METRIC=lower"),
        (["--resamples", "-1"], "-1 is not in the range"),
        (["--plot"], "Name it with -o"),
        (["--json", "--csv"], "Choose one"),
        (["--trend", "model"], "does not hold numbers"),
        (["--group-by", "model,,rating"], "expected COLUMN,COLUMN"),
        (["--where", "model=z"], "no image; model is x, y"),
        (["--rating", "score"], "holds no ratings"),
        (["--ratings", "nothing.csv"], "nothing.csv: no such file"),
    ],
)
def test_mistakes_get_one_line_and_exit_code_2(iqa, table, arguments, message):
    done = iqa("agree", table, *arguments)
    assert done.returncode == 2
    assert message in done.stderr
    assert len(done.stderr.strip().splitlines()) <= 2
    assert done.stdout == ""


def test_an_output_that_is_a_file(iqa, table):
    done = iqa("agree", table, "--resamples", 0, "-o", table)
    assert done.returncode == 2
    assert "is a file, and this option takes a folder. Name a folder." in done.stderr


def test_the_column_of_ids_has_another_name_in_the_ratings(iqa, tmp_path, table):
    ratings = pl.read_csv(table, schema_overrides={"pair_id": pl.String}).select("pair_id", "rating")
    ratings.rename({"pair_id": "Bild"}).write_csv(tmp_path / "r.csv")
    done = iqa("agree", table, "--ratings", "r.csv", "--resamples", 0)
    assert done.returncode == 2
    assert "for example --id pair_id=Bild" in done.stderr
    done = iqa("agree", table, "--ratings", "r.csv", "--resamples", 0, "--id", "pair_id=Bild", "--json")
    assert {row["n"] for row in json.loads(done.stdout)} == {60}
