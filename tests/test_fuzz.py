"""The fuzzer: a short run finds nothing, and it notices what it looks for."""

from __future__ import annotations

import locale
import random
import zipfile

import pytest

from source_tree import ROOT

pytestmark = pytest.mark.skipif(not hasattr(__import__("os"), "fork"), reason="limits need POSIX")

READER = """
import os
import time

from iqa_registry.errors import UsageError


def read(folder, name):
    if name == "raises":
        {}["x"]
    if name == "refuses":
        raise UsageError("no")
    if name == "hangs":
        time.sleep(60)
    if name == "dies":
        os.abort()
    if name == "grows":
        len(b"x" * (3 << 30))
    if name == "asks":
        try:
            bytearray(1 << 50)
        except MemoryError as error:
            raise UsageError("damaged") from error
"""


@pytest.fixture
def fuzz(monkeypatch):
    monkeypatch.syspath_prepend(ROOT / "tools")
    import fuzz

    return fuzz


def test_writing_the_sound_files_leaves_the_locale_as_it_was(fuzz, tmp_path):
    before = locale.setlocale(locale.LC_ALL)
    fuzz.sound_files(tmp_path)
    assert locale.setlocale(locale.LC_ALL) == before


def test_a_short_run_finds_nothing(fuzz, tmp_path):
    child = fuzz.Child()
    try:
        figures = fuzz.fuzz(300, 5, tmp_path / "kept", child, most=160)
    finally:
        child.stop()
    assert not figures.findings, figures.findings
    assert not (tmp_path / "kept").exists()
    assert figures.results.total() == 160
    assert {said for _, said in figures.results} == {"read", "refused"}
    assert f"{160} inputs" in figures.lines()[-1]


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("fine", "read"),
        ("refuses", "refused"),
        ("raises", "KeyError: 'x' (bad_reader.py:10)"),
        ("hangs", "hang of 1 s"),
        ("dies", "the process died (-6)"),
        ("asks", "asked for over 12 GiB"),
    ],
)
def test_each_kind_of_finding_is_told(fuzz, tmp_path, monkeypatch, name, expected):
    (tmp_path / "bad_reader.py").write_text(READER)
    monkeypatch.syspath_prepend(tmp_path)
    import bad_reader

    child = fuzz.Child(bad_reader.read)
    try:
        assert child.outcome(tmp_path, "fine")[0] == "read"
        child.limit = 1
        assert child.outcome(tmp_path, name)[0] == expected
        child.limit = 20
        assert child.outcome(tmp_path, "fine")[0] == "read"
    finally:
        child.stop()


def test_memory_is_told_for_each_input(fuzz, tmp_path, monkeypatch):
    (tmp_path / "bad_reader.py").write_text(READER.replace("3 << 30", "200 << 20"))
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(fuzz, "MEMORY", 150 << 20)
    import bad_reader

    child = fuzz.Child(bad_reader.read)
    try:
        assert child.outcome(tmp_path, "fine")[0] == "read"
        said, peak, _ = child.outcome(tmp_path, "grows")
        assert said == f"{peak >> 20} MiB"
        assert 200 <= peak >> 20 < 400
        assert child.outcome(tmp_path, "fine")[0] == "read"
    finally:
        child.stop()


def test_one_seed_gives_the_same_files_and_damage_stays_in_its_container(fuzz, tmp_path):
    seeds = fuzz.sound_files(tmp_path)
    makes = fuzz.fuzz_inputs.damaged
    for name, content in seeds.items():
        first, second = (makes(name, content, random.Random(3)) for _ in range(2))
        assert first == second
    rng, whole = random.Random(0), 0
    for _ in range(20):
        (tmp_path / "scores.xlsx").write_bytes(makes("scores.xlsx", seeds["scores.xlsx"], rng))
        whole += zipfile.is_zipfile(tmp_path / "scores.xlsx")
    assert whole >= 5
