"""The pages that greet a reader: their commands exist, their links lead somewhere, their output is what is printed."""

import importlib
import re
import shlex

import pytest

from source_tree import ROOT, registry

PAGES = [ROOT / name for name in ("README.md", "CONTRIBUTING.md", "docs/architecture.md", "docs/loss.md")]


def blocks(text, language):
    return re.findall(rf"(?ms)^```{language}\n(.*?)^```", text)


def command_lines(path):
    """The words of each ``iqa`` command in the code of a page, on its own lines and in running text."""
    text = path.read_text(encoding="utf-8")
    found = [line for block in blocks(text, "console") for line in block.splitlines()]
    found += re.findall(r"`([^`\n]*(?:\n[^`\n]+)?)`", re.sub(r"(?ms)^```.*?^```", "", text))
    for line in found:
        for part in line.replace("\n", " ").split("&&"):
            words = shlex.split(part.removeprefix("$ "), comments=True)
            if words[:1] == ["iqa"] and len(words) > 1 and words[1][0].isalpha() and words[1].islower():
                yield words


def command(words):
    """The command of a line, and the words that follow its name."""
    from iqa_registry.cli.app import OWN

    contributed = {name: item.target for name, item in registry().commands.items()}
    target = {**OWN, **contributed}[words[1]]
    module, _, attribute = target.partition(":")
    found, rest = getattr(importlib.import_module(module), attribute), words[2:]
    while rest and rest[0] in getattr(found, "commands", {}):
        found, rest = found.commands[rest[0]], rest[1:]
    return found, rest


@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.name)
def test_commands_and_options_exist(path):
    for words in command_lines(path):
        found, rest = command(words)
        known = {name for item in found.params for name in [*item.opts, *item.secondary_opts]}
        assert {word for word in rest if word.startswith("-")} <= known | {"--help"}, words


def test_the_probe_of_commands_sees_them():
    seen = [" ".join(words) for words in command_lines(PAGES[0])]
    assert "iqa evaluate --metric kcross --metric dists" in seen
    assert any(line.startswith("iqa agree RUN --ratings") for line in seen)
    assert "iqa weights list" in seen
    with pytest.raises(KeyError):
        command(["iqa", "evalaute"])


@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.name)
def test_links_and_files_exist(path):
    text = path.read_text(encoding="utf-8")
    for target in re.findall(r"\]\((?!https?:|#)([^)#]+)", text):
        assert (path.parent / target).exists(), target
    for name in re.findall(r"`((?:iqa_registry|plugins|tests|tools|docs)/[\w/.-]+)`", text):
        assert "NAME" in name or (ROOT / name).exists(), name
    for name in re.findall(r"`((?:evaluation|tables|images|cli)/\w+\.py)`", text):
        assert (ROOT / "iqa_registry" / name).is_file(), name


def test_the_first_screen_has_the_commands_and_the_picture():
    top = PAGES[0].read_text(encoding="utf-8").splitlines()[:30]
    assert any(
        "python -m pip install . && iqa evaluate --metric kcross --metric dists" in line for line in top
    )
    assert any(line.startswith("![") for line in top)
    assert "python -m pip install tox && tox" in PAGES[0].read_text(encoding="utf-8")


@pytest.mark.slow
@pytest.mark.network
def test_the_output_on_the_first_screen_is_what_is_printed(run_iqa):
    first = blocks(PAGES[0].read_text(encoding="utf-8"), "console")[0]
    done = run_iqa("evaluate", "--metric", "kcross", "--metric", "dists")
    expected = [line.rstrip() for line in first.splitlines()[1:]]
    assert [line.rstrip() for line in done.stdout.splitlines()] == expected
