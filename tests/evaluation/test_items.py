"""Items: their names, their subjects, and which metrics they suit."""

import pytest

from iqa_registry.evaluation.items import Item
from iqa_registry.images.pair import Pair


def item(subject=None, **place):
    return Item(
        0, Pair("p", "s", "r", None, {} if subject is None else {"subject": subject}), ("r",), **place
    )


@pytest.mark.parametrize(
    ("place", "name", "subject"),
    [({}, "p", None), ({"axis": 2, "slice": 7}, "p/axial-007", "p"), ({"axis": 0, "whole": True}, "p", "p")],
)
def test_names_and_subjects(place, name, subject):
    assert (item(**place).pair_id, item(**place).subject) == (name, subject)
    assert item("s1", **place).subject == "s1"


def test_volumes_suit_metrics_of_three_dimensions_and_slices_the_others():
    suits = {
        "image": item(),
        "slice": item(axis=2, slice=7),
        "volume": item(axis=2, whole=True),
    }
    assert [name for name, one in suits.items() if one.suits(2)] == ["image", "slice"]
    assert [name for name, one in suits.items() if one.suits(3)] == ["image", "volume"]
