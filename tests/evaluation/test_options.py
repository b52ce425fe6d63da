"""Options: parsed once, rejected by name, known to editors."""

import dataclasses
import inspect
import math
import typing

import pytest

import iqa_registry as iqa
from iqa_registry.api import EvaluateFields
from iqa_registry.errors import OptionError, UsageError
from iqa_registry.evaluation.options import (
    OptionFields,
    Options,
    choose_batch_size,
    choose_device,
    format_slices,
    make_options,
    parse_slices,
)
from iqa_registry.images.intensity import IntensityRule


def test_values_are_parsed():
    options = Options(intensity="range=-1000,2000", slices=12, regions={"core": [4, 1]})
    assert options.rule == IntensityRule("range", (-1000.0, 2000.0))
    assert list(options.sections(20)) == [12]
    assert (options.regions, options.label_names) == (("core",), {"core": (1, 4)})
    again = dataclasses.replace(options, axis="coronal")
    assert (again.rule, again.slices, again.label_names) == (options.rule, slice(12, 13), {"core": (1, 4)})


def test_the_slices_of_a_pair_hold_where_no_option_names_any():
    assert list(Options().sections(10, "2:4")) == [2, 3]
    assert list(Options(slices="7:").sections(10, "2:4")) == [7, 8, 9]
    assert list(Options().sections(3)) == [0, 1, 2]


def test_names_of_the_options_win_over_those_of_the_dataset():
    options = Options(regions=["core"], label_names={"core": [1]}).named({"core": (4,), "edema": (2,)})
    assert options.label_names == {"core": (1,), "edema": (2,)}
    with pytest.raises(OptionError, match=r"'cor' is not the name of a label \(core\).*Did you mean 'core'"):
        Options(regions=["cor"]).named({"core": (4,)})


@pytest.mark.parametrize(
    ("option", "value"),
    [
        ("axis", "diagonal"), ("out_of_range", "wrap"), ("precision", "fp8"), ("batch_size", 0), ("workers", -1),
        ("slices", "a:b"), ("intensity", "bright"), ("regions", ["image"]),
    ],
)  # fmt: skip
def test_a_wrong_value_is_rejected_by_the_name_of_its_field(option, value):
    with pytest.raises(OptionError) as caught:
        Options(**{option: value})
    assert caught.value.option == option
    assert repr(value).strip("[]") in str(caught.value) or str(value) in str(caught.value)


def test_an_unknown_option_offers_the_nearest():
    with pytest.raises(UsageError, match="Did you mean 'intensity'"):
        make_options({"intensty": "dtype"})


@pytest.mark.parametrize("name", ["meta", "cuda:77", "vulkan", "hpu"])
def test_a_device_that_cannot_compute_is_rejected(name):
    with pytest.raises(OptionError, match=f"device: {name} .*use cpu"):
        choose_device(name)


@pytest.mark.parametrize("name", ["gpu7", "cuda:99"])
def test_an_unknown_device_is_rejected(name):
    with pytest.raises(OptionError, match="device: "):
        choose_device(name)


@pytest.mark.parametrize("text", ["50:80", "50:80:5", ":20", "-5:", "::2"])
def test_slices_are_written_as_they_are_read(text):
    assert format_slices(parse_slices(text)) == text


def test_editors_know_the_fields():
    """The keyword arguments of evaluate are the fields, with their types."""
    given = typing.get_type_hints(OptionFields)
    own = typing.get_type_hints(Options)
    assert given == own
    assert [field.name for field in dataclasses.fields(Options)] == list(own)
    parameters = inspect.signature(iqa.evaluate).parameters
    assert "ScoreFields" in str(parameters["options"].annotation)
    assert OptionFields.__annotations__.keys() <= EvaluateFields.__annotations__.keys()


def test_what_cannot_change_a_score_is_not_recorded():
    first = Options(intensity="none").recorded()
    assert first == Options(intensity="none", workers=7, batch_size=3, device="cpu", strict=True).recorded()
    assert first != Options().recorded()
    assert (first["intensity"], first["slices"]) == ("none", None)


def test_shifts_of_one_pixel_are_tried():
    assert Options(align="translation", align_range=1).align_range == 1
    with pytest.raises(OptionError, match="align_range: 0 is not a number of pixels of at least 1"):
        Options(align="translation", align_range=0)


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"resize": True, "crop": True}, "resize: contradicts crop"),
        ({"resample": True, "geometry": "ignore"}, "geometry: ignore contradicts resample"),
        ({"axis": "frontal"}, "axis: 'frontal' is not one of"),
        ({"empty": "drop"}, "empty: 'drop' is not one of skip, score"),
        ({"nan": "zero"}, "nan: 'zero' is not one of"),
        ({"align": "rigid"}, "align: 'rigid' is not translation"),
        ({"strict": 1}, "strict: 1 is not True or False"),
        ({"crop": "yes"}, "crop: 'yes' is not True or False"),
        ({"batch_size": 0}, "batch_size: 0 is not auto or a number of at least 1"),
        ({"batch_size": 2.5}, "batch_size: 2.5 is not auto"),
        ({"batch_size": True}, "batch_size: True is not auto"),
        ({"dilate": -1.0}, "dilate: -1.0 is not a number of millimeters of at least 0"),
        ({"dilate": math.inf}, "dilate: inf is not a number"),
        ({"dilate": math.nan}, "dilate: nan is not a number"),
        ({"dilate": "2"}, "dilate: 2 is not a number"),
        ({"device": 0}, "device: 0 is not auto"),
        ({"workers": -1}, "workers: -1 is not a number of at least 0"),
        ({"workers": None}, "workers: None is not a number"),
        ({"workers": 1.0}, "workers: 1.0 is not a number"),
        ({"layout": "ABC"}, "layout: "),
    ],
)
def test_each_value_that_cannot_be_is_named(options, says):
    with pytest.raises(OptionError) as caught:
        Options(**options)
    assert str(caught.value).startswith(says)
    assert caught.value.option in options


@pytest.mark.parametrize(
    "options",
    [
        {"resize": True}, {"crop": True}, {"resample": True}, {"geometry": "ignore"},
        {"batch_size": 1}, {"batch_size": None}, {"dilate": 0}, {"dilate": 0.5}, {"workers": 0},
        {"align": None, "align_range": 1},
    ],
)  # fmt: skip
def test_values_at_the_edge_are_taken(options):
    made = Options(**options)
    assert all(getattr(made, name) == value for name, value in options.items())


@pytest.mark.parametrize(
    ("pixels", "device", "size"),
    [
        (1, "cpu", 256), (4096, "cpu", 256), (4097, "cpu", 255), (1 << 16, "cpu", 16), (1 << 20, "cpu", 1),
        ((1 << 20) + 1, "cpu", 1), (0, "cpu", 256), (1 << 16, "cuda", 64), (1 << 22, "cuda:1", 1),
    ],
)  # fmt: skip
def test_a_batch_holds_a_million_pixels_and_at_most_256_images(pixels, device, size):
    assert choose_batch_size(pixels, device) == size
