"""The bundled sample: complete, small, said to be simulated, and made by the script beside the tests."""

import csv
import importlib.util
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from iqa_registry.sample import MANIFEST, NOTICE

SCRIPT = Path(__file__).parents[1] / "tools" / "make_sample.py"
FOLDER = MANIFEST.parent


@pytest.fixture(scope="module")
def manifest():
    return list(csv.DictReader(MANIFEST.read_text().splitlines()))


@pytest.fixture(scope="module")
def script():
    pytest.importorskip("nilearn")
    spec = importlib.util.spec_from_file_location("make_sample", SCRIPT)
    module = importlib.util.module_from_spec(spec)
    sys.modules["make_sample"] = module
    spec.loader.exec_module(module)
    yield module
    del sys.modules["make_sample"]


def pixels(name):
    return np.asarray(Image.open(FOLDER / name))


def test_manifest_names_what_is_there(manifest):
    expected = ["synthesized", "reference", "mask", "subject", "slice", "model", "severity"]
    named = {row[column] for row in manifest for column in expected[:3]}
    assert list(manifest[0]) == expected
    assert named == {path.relative_to(FOLDER).as_posix() for path in FOLDER.rglob("*.png")}


def test_sample_is_balanced(manifest):
    cells = {(row["subject"], row["model"], row["severity"]) for row in manifest}
    assert len(manifest) == len(cells) == 3 * 4 * 2


def test_sample_is_small():
    assert sum(path.stat().st_size for path in FOLDER.rglob("*.*")) < 1_000_000


def test_pictures_are_8_bit_grey_of_one_size(manifest):
    for row in manifest:
        for column in ("synthesized", "reference", "mask"):
            image = pixels(row[column])
            assert (image.dtype, image.shape) == (np.uint8, (224, 192))


def test_masks_cover_the_brain(manifest):
    for row in manifest:
        inside, reference = pixels(row["mask"]) > 0, pixels(row["reference"])
        assert 0.3 < inside.mean() < 0.6
        assert reference[inside].mean() > 20 * reference[~inside].mean()


@pytest.mark.parametrize("model", ["blur", "noise", "residual-t1", "warp"])
def test_severity_2_is_worse_than_1(manifest, model):
    for subject in ("sim-01", "sim-02", "sim-03"):
        chosen = [row for row in manifest if (row["subject"], row["model"]) == (subject, model)]
        errors = {
            row["severity"]: np.abs(pixels(row["synthesized"]).astype(int) - pixels(row["reference"])).mean()
            for row in chosen
        }
        assert 0 < errors["1"] < errors["2"]


def test_sample_says_that_it_is_simulated_and_whose_anatomy_it_is():
    text = " ".join((FOLDER / "README.md").read_text(encoding="utf-8").replace(">", " ").split())
    assert "simulated" in NOTICE
    assert "is simulated" in text
    assert "Copyright (C) 1993–2009 Louis Collins" in text
    assert "provided that the above copyright notice appear in all copies" in text


@pytest.mark.filterwarnings("default")
def test_script_makes_the_same_pixels(script):
    assert script.differences(FOLDER) == []


@pytest.mark.filterwarnings("default")
def test_script_sees_a_difference(script, tmp_path, monkeypatch):
    picture = np.zeros((2, 2), np.uint8)
    monkeypatch.setattr(script, "make_sample", lambda: ({"reference/a.png": picture}, []))
    script.write(tmp_path)
    assert script.differences(tmp_path) == []
    Image.fromarray(picture + 1).save(tmp_path / "reference" / "a.png")
    assert script.differences(tmp_path) == ["reference/a.png has other pixels"]
