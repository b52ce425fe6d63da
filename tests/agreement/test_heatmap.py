"""The heat map of correlations: what stands where, ink that can be read, pages."""

import itertools
import math

import numpy as np
import pytest
from matplotlib import colormaps

from iqa_registry.agreement.drawing import to_files
from iqa_registry.agreement.heatmap import COLORS, MOST_COLUMNS, draw_correlations
from iqa_registry.agreement.systems import SystemCorrelation
from iqa_registry.statistics.correlation import Correlation


def item(metric, target, value, group=None):
    found = Correlation(value, math.nan, math.nan, 0.5, 5, True)
    return SystemCorrelation(group or {}, target, metric, found, found)


def test_values_are_absolute_and_in_their_place():
    figure = draw_correlations([item("fid", "a", -0.91), item("kid", "a", 0.2), item("kid", "b", math.nan)])[
        0
    ]
    panel = figure.axes[0]
    assert [label.get_text() for label in panel.get_xticklabels()] == ["a", "b"]
    assert [label.get_text() for label in panel.get_yticklabels()] == ["fid", "kid"]
    assert {(text.get_position(), text.get_text()) for text in panel.texts} == {
        ((0, 0), "0.91"), ((0, 1), "0.20"),
    }  # fmt: skip
    assert [axes.get_title() for axes in figure.axes[:2]] == ["Pearson", "Spearman"]


@pytest.mark.parametrize("value", np.linspace(0, 1, 21))
def test_ink_can_be_read(value):
    text = draw_correlations([item("fid", "dice", value)])[0].axes[0].texts[0]
    linear = [
        part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4
        for part in colormaps[COLORS](value)
    ]
    paper = 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]
    ink = 0.0 if text.get_color() == "black" else 1.0
    # WCAG 2 asks for a contrast of 4.5.
    assert (max(ink, paper) + 0.05) / (min(ink, paper) + 0.05) >= 4.5


def test_many_groups_go_onto_several_figures():
    found = [item("fid", "dice", 0.5, {"fold": number}) for number in range(MOST_COLUMNS + 2)]
    figures = draw_correlations(found)
    assert [len(figure.axes[0].get_xticks()) for figure in figures] == [MOST_COLUMNS, 2]


def test_files_are_the_same_each_time():
    files = [to_files(draw_correlations([item("fid", "dice", 0.5)])[0]) for _ in range(2)]
    assert files[0][".png"] == files[1][".png"]
    assert files[0][".png"].startswith(b"\x89PNG")
    assert b"<svg" in files[0][".svg"]


def test_long_names_do_not_meet():
    names = [f"dice_of_the_whole_tumor_{number}" for number in range(MOST_COLUMNS)]
    found = [
        item("lpips:net=alex,version=0.1", name, 0.5, {"modality_of_the_target": "t2"}) for name in names
    ]
    figure = draw_correlations(found)[0]
    figure.canvas.draw()
    for panel in figure.axes[:2]:
        boxes = [label.get_window_extent() for label in panel.get_xticklabels()]
        assert all(first.x1 < second.x0 for first, second in itertools.pairwise(boxes))
        assert all(box.y0 >= 0 for box in boxes)
