"""Figures hold what the study found; that they can be read is for eyes."""

from dataclasses import replace

import numpy as np
import polars as pl
import pytest

from iqa_registry.agreement import figures
from iqa_registry.agreement.judging import Settings
from iqa_registry.agreement.ratings import Rated
from iqa_registry.agreement.report import draw_study, rater_rows, write_study
from iqa_registry.agreement.scores import Scores
from iqa_registry.agreement.study import judge


@pytest.fixture(scope="module")
def groups():
    generator = np.random.default_rng(0)
    ratings = np.round(generator.random(80), 1)
    single = np.clip(ratings[:, None] + 0.1 * generator.normal(size=(80, 4)), 0, 1)
    table = pl.DataFrame(
        {
            "pair_id": [f"{number}" for number in range(80)],
            "model": ["a/b", "c"] * 40,
            "epoch": [number // 20 for number in range(80)],
            "good": -(ratings + 0.1 * generator.normal(size=80)),
            "poor": ratings + generator.normal(size=80),
        }
    )
    scores = Scores(table, {"good": False, "poor": True}, "here")
    rated = Rated(scores, ratings, [f"rater_{number}" for number in range(4)], single)
    return judge(rated, settings=Settings(group_by=("model",), resamples=300))


def test_bars_stand_at_the_inconsistency_with_its_interval(groups):
    panel = figures.draw_inconsistency(groups).axes[0]
    first = groups[0].judged[0].row
    assert panel.patches[0].get_width() == first["inconsistency"]
    assert list(panel.lines[0].get_xdata()) == [first["inconsistency_low"], first["inconsistency_high"]]
    marks = {
        line.get_label(): line.get_xdata()[0] for line in panel.lines if not line.get_label().startswith("_")
    }
    assert marks["chance"] == first["chance"]
    assert marks["one rater against the others"] == groups[0].panel.others.mean_inconsistency


def test_scores_are_drawn_as_the_metric_gives_them(groups):
    panel = figures.draw_scatter(groups[0]).axes[0]
    assert panel.get_xlabel() == "good (lower is better)"
    drawn = panel.collections[0].get_offsets()
    assert sorted(drawn[:, 0]) == pytest.approx(sorted(groups[0].table["good"]))
    curve = panel.lines[0].get_ydata()
    assert curve[0] > curve[-1]


def test_the_matrix_holds_each_difference_once_with_each_sign(groups):
    panel = figures.draw_significance(groups[0]).axes[0]
    values = panel.images[0].get_array()
    assert values[0, 1] == groups[0].comparisons[0]["difference"] == -values[1, 0]
    assert [text.get_text().endswith("*") for text in panel.texts] == [True, True]


def test_the_course_averages_to_the_inconsistency(groups):
    good, poor, expected = figures.draw_course(groups, "epoch").axes[0].lines
    assert good.get_xdata().tolist() == [0, 1, 2, 3]
    rows = [judged.row for judged in groups[0].judged]
    assert good.get_ydata().mean() == pytest.approx(rows[0]["inconsistency"])
    assert poor.get_ydata().mean() == pytest.approx(rows[1]["inconsistency"])
    assert expected.get_ydata().mean() == pytest.approx(rows[0]["chance"])


def test_a_metric_has_one_color_in_every_panel(groups):
    turned = [groups[0], replace(groups[1], judged=groups[1].judged[::-1])]
    figure = figures.draw_course(turned, "epoch")
    first, second = (
        {judged.metric: line.get_color() for judged, line in zip(group.judged, panel.lines, strict=False)}
        for group, panel in zip(turned, figure.axes, strict=True)
    )
    assert first == second
    legend = figure.legends[0]
    shown = [line.get_color() for line in legend.get_lines()]
    assert dict(zip([text.get_text() for text in legend.get_texts()], shown, strict=True)) | first == {
        **first, "chance": "0.55"
    }  # fmt: skip


def test_every_file_is_written_under_a_name_that_is_one(groups, tmp_path):
    written = {path.name for path in [*write_study(groups, tmp_path), *draw_study(groups, tmp_path, "epoch")]}
    assert {
        "agreement.csv",
        "comparisons.parquet",
        "raters.json",
        "inconsistency.png",
        "inconsistency.svg",
    } <= written
    assert {"scatter-a_b.png", "significance-c.svg", "inconsistency-epoch.png"} <= written
    table = pl.read_csv(tmp_path / "agreement.csv")
    assert table["inconsistency"].to_list() == [
        j.row["inconsistency"] for group in groups for j in group.judged
    ]
    assert all((tmp_path / name).stat().st_size > 100 for name in written)


def test_what_is_known_of_the_raters(groups):
    rows = rater_rows(groups)
    names = {row["statistic"] for row in rows if row["rater"] == "all"}
    assert "ICC(2,k): two-way random, absolute agreement, mean of k raters" in names
    assert {row["rater"] for row in rows} == {"all", "0", "1", "2", "3"}
    assert len({row["model"] for row in rows}) == 2
