"""Parameter strings, and what a factory's signature makes of them."""

from enum import Enum
from typing import Annotated, Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel, Field

from iqa_registry.errors import ParameterError, SpecError, UsageError
from iqa_registry.parameters import (
    format_reference,
    format_value,
    parameter_model,
    parse_reference,
    validate_parameters,
)


class Color(Enum):
    RED = "red"


def factory(
    size: Annotated[int, Field(ge=1, description="side in pixels")] = 8,
    scale: float = 1.0,
    fast: bool = False,
    dimensions: Literal[2, 3] = 2,
    branches: list[str] = ["complex"],  # noqa: B006 - a default as plugin authors write it
    levels: tuple[int, ...] | None = None,
    weights: list[Literal[1, 2]] = [1],  # noqa: B006
    title: str = "",
    registry: object = None,
): ...


def check(text, target=factory, explicit=None):
    name, given = parse_reference(text)
    return validate_parameters(name, parameter_model(target, explicit), given)


@pytest.mark.parametrize(
    ("text", "key", "value"),
    [
        ("m:size=16", "size", 16),
        ("m: size = 16 ", "size", 16),
        ("m:scale=1e-3", "scale", 0.001),
        ("m:fast=true", "fast", True),
        ("m:fast=0", "fast", False),
        ("m:dimensions=3", "dimensions", 3),
        ("m:branches=complex+tumor", "branches", ["complex", "tumor"]),
        ("m:branches=tumor", "branches", ["tumor"]),
        ("m:levels=1+2", "levels", (1, 2)),
        ("m:weights=2+1", "weights", [2, 1]),
        ("m:title=a+b", "title", "a+b"),
    ],
)
def test_text_becomes_what_the_signature_says(text, key, value):
    values = check(text)
    assert values[key] == value
    assert type(values[key]) is type(value)


def test_defaults_fill_the_rest_and_what_the_registry_fills_in_is_no_parameter():
    assert check("m") == {
        "size": 8, "scale": 1.0, "fast": False, "dimensions": 2, "branches": ["complex"], "levels": None,
        "weights": [1], "title": "",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("m:sise=2", r"m has no parameter 'sise'. Did you mean 'size'\? It has branches, dimensions, .*"),
        ("m:size=big", "m: size: Input should be a valid integer.*, got 'big'"),
        ("m:size=2.5", "m: size: .*valid integer.*, got '2.5'"),
        ("m:size=0", "m: size: Input should be greater than or equal to 1, got '0'"),
        ("m:dimensions=4", "m: dimensions: Input should be 2 or 3, got '4'"),
        ("m:fast=perhaps", "m: fast: Input should be a valid boolean.*, got 'perhaps'"),
        ("m:levels=1+x", "m: levels.1: Input should be a valid integer.*, got 'x'"),
        ("m:registry=x", "m has no parameter 'registry'"),
    ],
)
def test_a_wrong_parameter_is_named(text, message):
    with pytest.raises(ParameterError, match=message):
        check(text)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "'': expected NAME or NAME:KEY=VALUE,KEY=VALUE"),
        (":size=2", "expected NAME or NAME:KEY=VALUE"),
        ("m:", "expected NAME or NAME:KEY=VALUE"),
        ("m:size=", "'size=' is not KEY=VALUE"),
        ("m:=2", "'=2' is not KEY=VALUE"),
        ("m:size=2,", "'' is not KEY=VALUE"),
        ("m:size=2,size=3", "size is given twice"),
        ("m:finder=[other:a=1", r"'\[other:a=1': the bracket is not closed. Add \] or write"),
        ("m:finder=[a]b", r"'\[a\]b': '\[a\]b' goes on after its bracket. Put all of it in brackets."),
    ],
)
def test_a_malformed_string_is_refused(text, message):
    with pytest.raises(UsageError, match=message):
        parse_reference(text)


@pytest.mark.parametrize("path", ["/data/nirps", "data", r"C:\data", "/data/a=b", "../x"])
def test_a_part_without_a_key_is_the_path(path):
    assert parse_reference(f"nirps:{path},split=test") == ("nirps", {"path": path, "split": "test"})


WORD = st.text(st.characters(codec="ascii", categories=["Ll", "Nd"], include_characters="_-."), min_size=1)


@given(WORD, st.dictionaries(WORD, st.one_of(WORD, st.lists(WORD, min_size=2).map("+".join))))
def test_formatting_and_parsing_are_inverse(name, parameters):
    assert parse_reference(format_reference(name, parameters)) == (name, parameters)


@given(st.integers(min_value=1), st.floats(allow_nan=False, allow_infinity=False), st.booleans())
def test_what_is_formatted_is_read_back_as_the_same_values(size, scale, fast):
    text = format_reference(
        "m", {"size": size, "scale": scale, "fast": fast, "levels": (1, 2), "dimensions": 3}
    )
    values = check(text)
    assert (values["size"], values["scale"], values["fast"]) == (size, scale, fast)
    assert (values["levels"], values["dimensions"]) == ((1, 2), 3)


def nesting(path: str, names: list[str] = ["a"], finder: str = "none"): ...  # noqa: B006


@given(st.text(), st.lists(st.text()), st.text())
def test_any_value_can_be_written(path, names, inner):
    finder = format_reference("other", {"path": inner, "fold": "0"})
    text = format_reference("mine", {"path": path, "names": names, "finder": finder})
    values = check(text, nesting)
    assert values == {"path": path, "names": names, "finder": finder}
    assert parse_reference(values["finder"]) == ("other", {"path": inner, "fold": "0"})
    # What was parsed is written as it was.
    assert format_reference(*parse_reference(text)) == text


HOSTILE = st.text(st.sampled_from("[]\\,+=: a"), max_size=12)


@given(HOSTILE, HOSTILE)
def test_characters_of_the_grammar_survive_three_levels(first, second):
    value, texts = first, []
    for name in ("inner", "middle", "outer"):
        value = format_reference(name, {"path": value, "more": second})
        texts.append(value)
    for text, expected in zip(reversed(texts), [*reversed(texts[:-1]), first], strict=True):
        assert parse_reference(text)[1] == {"path": expected, "more": second}


@pytest.mark.parametrize(
    ("text", "parameters"),
    [
        ("m:finder=[other:path=/data/a,b=1]", {"finder": "other:path=/data/a,b=1"}),
        ("m:finder=[other:path=[/data/a,b]],x=1", {"finder": "other:path=[/data/a,b]", "x": "1"}),
        ("m:[/data/a,b],split=test", {"path": "/data/a,b", "split": "test"}),
        ("m:path=[C:\\data,new]", {"path": "C:\\data,new"}),
        ("m:path=[a\\]b]", {"path": "a]b"}),
        ("m:path=[]", {"path": ""}),
        ("m:path=/data/[x]", {"path": "/data/[x]"}),
        ("m:names=[a+b]+c", {"names": ["a+b", "c"]}),
        ("m:names= [a,b] + c ", {"names": ["a,b", "c"]}),
    ],
)
def test_brackets_hold_any_text(text, parameters):
    assert parse_reference(text) == ("m", parameters)


def test_text_in_brackets_is_one_element_of_a_list():
    assert check("m:branches=[a+b]")["branches"] == ["a+b"]
    assert check("m:branches=+")["branches"] == []
    assert check("m:dimensions=[3],weights=[2]+1")["weights"] == [2, 1]


def test_one_writer_for_values():
    values = [True, None, 0.1, (2, 3), {"b", "a"}, Color.RED]
    assert list(map(format_value, values)) == ["true", "none", "0.1", "2+3", "a+b", "red"]


class Base:
    def __init__(self, choice: "LocalChoice" = "a") -> None: ...


LocalChoice = Literal["a", "b"]


def test_annotations_of_an_inherited_constructor_are_found_where_it_was_written():
    inherited = type("Inherited", (Base,), {"__module__": "json"})
    assert check("m:choice=b", inherited) == {"choice": "b"}


class Explicit(BaseModel):
    width: int = 3


def test_a_model_that_is_named_replaces_the_signature():
    assert check("m:width=5", lambda **values: values, Explicit) == {"width": 5}


def test_a_signature_that_does_not_say_it_all_is_refused():
    def untyped(size=3): ...
    def variable(**options: int): ...

    with pytest.raises(SpecError, match="untyped: parameter 'size' must be a single one and have a type"):
        parameter_model(untyped)
    with pytest.raises(SpecError, match="variable: parameter 'options' must be"):
        parameter_model(variable)


def test_a_parameter_without_a_default_must_be_given():
    def demanding(path: str, depth: int = 1): ...

    with pytest.raises(ParameterError, match="m: path: Field required"):
        check("m:depth=2", demanding)
