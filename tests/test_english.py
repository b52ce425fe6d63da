"""What a user reads is plain American English: pages, help, messages and docstrings keep to the style."""

import ast
import importlib
import re

import pytest

import english
from english import (
    BASELINE,
    HELD,
    ROOT,
    RULES,
    check,
    check_all,
    check_page,
    sentences,
    strings,
    without_code,
)


@pytest.fixture(scope="module")
def findings():
    return check_all()


def listed(items):
    return "\n".join(map(str, items))


def test_no_file_has_more_findings_than_its_baseline(findings):
    allowed = english.baseline()
    over = [items for name, items in findings.items() if len(items) > allowed.get(name, 0)]
    assert not over, "\n" + "\n".join(map(listed, over))


def test_the_baseline_is_as_low_as_it_can_be(findings):
    high = [name for name, count in english.baseline().items() if count > len(findings.get(name, ()))]
    assert not high, f"run `python tests/support/english.py --shrink`: {', '.join(high)}"


def test_some_pages_are_never_in_the_baseline():
    assert not HELD & set(english.baseline())
    for name in HELD:
        assert (ROOT / name).is_file(), f"{name} is missing"


def commands(prefix, command):
    yield prefix, command
    for name, inner in getattr(command, "commands", {}).items():
        yield from commands(f"{prefix} {name}", inner)


def help_texts():
    """Help as a user sees it, which may be put together from several strings."""
    from iqa_registry.cli.app import OWN
    from iqa_registry.registry import build_registry

    contributed = {name: item.target for name, item in build_registry().commands.items()}
    for name, target in {**OWN, **contributed}.items():
        module, _, attribute = target.partition(":")
        for path, command in commands(f"iqa {name}", getattr(importlib.import_module(module), attribute)):
            yield path, command.help or ""
            for item in command.params:
                yield f"{path} {max(item.opts, key=len)}", getattr(item, "help", None) or ""


def test_help_has_no_finding_that_its_source_does_not_have(findings):
    """Texts of plain strings are found in the sources; this is for those that are put together."""
    known = {item.found for items in findings.values() for item in items}
    found = [item for name, text in help_texts() for item in check(without_code(text), name)]
    assert not [item for item in found if item.found not in known], listed(found)


def test_help_is_walked_to_the_last_command():
    names = {name for name, _ in help_texts()}
    assert {
        "iqa evaluate --metric",
        "iqa weights fetch",
        "iqa kcross train",
        "iqa phantom make --seed",
    } <= names


@pytest.mark.parametrize(
    "text",
    [
        "one row a score, a column a rater",
        "A killed run goes on from it.",
        "an error that says what was seen",
        "It stands in for files; both stand side by side.",
        "what it is is told by its hash",
        "comes in by the same door",
        "A dataset of one's own.",
        "a Hounsfield window, say.",
        "It is no substitute.",
        "The first so many.",
        "scores are set against ratings, held against them",
        "What tells an image from the others.",
        "mend it and give the same command again",
        "Nothing of that ran.",
        "Resize pictures to the least side.",
        "volumes are cut into slices",
        "a grey centre; the neighbour's tumour, colour and oedema",
        "the licence",
        "Images are normalised and recognised.",
        "The trunk of the network.",
        "Files that differ are refused.",
        "single raters",
        "Ranges print as ≥ 3 ≤ 191.",
    ],
)
def test_what_is_dropped_is_found(text):
    assert check(text, "page")


@pytest.mark.parametrize(
    "text",
    [
        "One row per score, one column per rater.",
        "There is no cycle, and the file is no longer needed.",
        "They say that it works, to say so.",
        "SSIM stands for structural similarity.",
        "The analysis, the parameter, a promise, otherwise, precise, and advised.",
        "Repeat the command to resume an interrupted run.",
        "Individual raters, color, gray, center, license, meters.",
        "Run `grey=1` with [the figure](docs/picture.md).",
        "See LICENSE.",
    ],
)
def test_good_english_passes(text):
    assert check(without_code(text), "page") == []


def test_a_finding_names_its_line_and_what_to_write():
    (found,) = check(without_code("fine\n```\ngrey\n```\nthe colour"), "page.md")
    assert str(found) == "page.md:5: 'colour': write color"


def test_every_rule_matches_something_it_forbids():
    """A pattern that is spelled wrong would never find anything."""
    for rule in RULES:
        assert not rule.pattern.search("A plain sentence about images and scores."), rule.pattern.pattern
        assert not check(rule.instead.partition(":")[0], "rule"), rule.instead


def test_messages_are_read_as_the_user_sees_them():
    tree = ast.parse('raise UsageError(f"{name}: is " "no image; mend " f"{path}")\nx = "grey"\n')
    assert [text for text, _ in strings(tree)] == ["x: is no image; mend x"]


def test_long_sentences_are_found(tmp_path, monkeypatch):
    monkeypatch.setattr(english, "ROOT", tmp_path)
    page = tmp_path / "page.md"
    page.write_text(
        "# Title\n\nShort.\n\n" + "word " * 60 + "end.\n\n- " + "item " * 40 + "\n- " + "item " * 40
    )
    (found,) = check_page(page)
    assert (found.line, found.found) == (4, "a sentence of 61 words")
    assert max(count for _, count in sentences("One two. " * 80)) == 2


def test_shrinking_lowers_numbers_and_adds_nothing(tmp_path, monkeypatch):
    monkeypatch.setattr(english, "BASELINE", tmp_path / "baseline.toml")
    monkeypatch.setattr(english, "check_all", lambda: {"a": [1, 2], "b": [1, 2, 3], "new": [1]})
    english.write_baseline({"a": 5, "b": 1, "gone": 4})
    english.main(["--shrink"])
    assert english.baseline() == {"a": 2, "b": 1}


def test_the_baseline_is_a_list_of_our_files():
    for name, count in english.baseline().items():
        assert (ROOT / name).is_file(), f"{name} is not there; run `python tests/support/english.py --shrink`"
        assert count > 0
    assert re.match(r"# Files that are not converted", BASELINE.read_text())
