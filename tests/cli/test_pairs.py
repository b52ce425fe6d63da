"""``iqa pairs``: what is shown, and a manifest that gives the same pairs when it is read."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from iqa_registry.cli.app import app
from iqa_registry.images.pairs import pair_paths, read_manifest


@pytest.fixture
def layout(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    names = [f"f/{model}/{case}_fake.png" for model in ("gan", "unet") for case in ("01", "02")]
    for name in [*names, "r/01.png", "r/02.png", "m/01.png", "m/02.png"]:
        Path(name).parent.mkdir(parents=True, exist_ok=True)
        Path(name).touch()
    return ("f/{model}/{subject}_fake.png", "r/{subject}.png", "m/{subject}.png")


def run(*words):
    return CliRunner().invoke(app, ["pairs", *words])


def content(pairs, folder):
    def absolute(path):
        return None if path is None else str((folder / path).resolve())

    return [(pair.pair_id, *(absolute(path) for path in pair.sources), dict(pair.groups)) for pair in pairs]


@pytest.mark.parametrize("table", ["pairs.csv", "sub/pairs.csv", "pairs.parquet"])
def test_the_manifest_gives_the_same_pairs(layout, table, tmp_path):
    Path(table).parent.mkdir(exist_ok=True)
    result = run(*layout[:2], "--mask", layout[2], "--table", table)
    assert result.exit_code == 0, result.output
    expected = content(pair_paths(*layout).pairs, tmp_path)
    assert content(read_manifest(table).pairs, tmp_path) == expected
    assert len(expected) == 4
    assert expected[0][-1] == {"model": "gan", "subject": "01"}


def test_pairs_are_shown_with_what_is_left_out(layout):
    Path("r/03.png").touch()
    result = run(*layout[:2], "--json")
    assert result.exit_code == 1
    assert "left out: r/03.png has no partner" in result.stderr
    rows = json.loads(result.stdout)
    assert [row["pair_id"] for row in rows] == ["gan/01", "gan/02", "unet/01", "unet/02"]
    assert "4 pairs" in run(*layout[:2]).stdout


def test_a_slice_of_a_volume_is_not_written(layout):
    Path("v.nii.gz").touch()
    Path("s_1.png").touch()
    result = run("s_{slice}.png", "v.nii.gz", "--table", "pairs.csv")
    assert result.exit_code == 2
    assert "is not a file of its own" in result.stderr


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ("f0.png f1.png r0.png r1.png", "quote templates: iqa {verb} 'f{{case}}.png' 'r{{case}}.png'"),
        ("e_1 e_2 r", "quote templates: iqa {verb} 'e_{{model}}/{{case}}.png' 'r/{{case}}.png'"),
        ("f0.png f1.png f2.png", "two folders, or two quoted templates"),
        ("f0.png r0.png f1.png", "two folders, or two quoted templates"),
        ("f r m", "Give a mask with --mask"),
    ],
)
@pytest.mark.parametrize("verb", ["pairs", "evaluate", "maps"])
def test_names_that_the_shell_made_of_a_wildcard(tmp_path, monkeypatch, verb, given, said):
    monkeypatch.chdir(tmp_path)
    for name in given.split():
        for path in [name] if name.endswith(".png") else [f"{name}/a.png", f"{name}/b.png"]:
            Path(path).parent.mkdir(exist_ok=True)
            Path(path).touch()
    more = ("-o", "out") if verb == "maps" else ()
    result = CliRunner().invoke(app, [verb, *given.split(), *more], prog_name="iqa")
    assert result.exit_code == 2
    assert f"{len(given.split())} images or folders are given" in result.stderr
    assert said.format(verb=verb) in result.stderr


@pytest.mark.parametrize(
    ("first", "second", "is_noted"),
    [
        ("f0.png", "f1.png", True),
        ("e_1", "e_2", True),
        ("f0.png", "r0.png", False),
        ("f0.png", "r/f1.png", False),
        ("t1.png", "t2.png", False),
    ],
)
def test_two_images_of_one_series_are_noted(tmp_path, monkeypatch, first, second, is_noted):
    monkeypatch.chdir(tmp_path)
    for name in (first, second):
        path = Path(name if name.endswith(".png") else f"{name}/a.png")
        path.parent.mkdir(exist_ok=True)
        path.touch()
    result = run(first, second)
    assert result.exit_code == 0
    assert (
        f"{first} is compared with {second}, whose name differs only in a number" in result.stderr
    ) is is_noted
