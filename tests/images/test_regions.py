"""How labels and regions are named."""

from __future__ import annotations

import pytest

from iqa_registry.errors import OptionError
from iqa_registry.images.regions import check_regions, parse_labels, parse_regions


def test_a_region_is_defined_or_named() -> None:
    assert parse_regions(["tumor=4,1", " edema = 2", "core"]) == {
        "tumor": (1, 4),
        "edema": (2,),
        "core": None,
    }


@pytest.mark.parametrize("text", ["", "tumor=", "=1", "tumor=1.5", "image=1", "foreground=2", "mask"])
def test_what_is_no_region_is_rejected(text: str) -> None:
    with pytest.raises(OptionError, match=r"^regions: "):
        parse_regions([text])


def test_a_name_is_given_once() -> None:
    with pytest.raises(OptionError, match="the name 'tumor' is taken"):
        parse_regions(["tumor=1", "tumor=2"])
    with pytest.raises(OptionError, match="the name 'core' is taken"):
        check_regions(["core", "edema", "core"])


def test_labels_are_whole_numbers_each_once() -> None:
    assert parse_labels([4, 1, 4], "core") == parse_labels("4, 1", "core") == (1, 4)
    with pytest.raises(OptionError, match=r"core=\[1.5\] is not LABEL,LABEL"):
        parse_labels([1.5], "core")  # type: ignore[list-item]
