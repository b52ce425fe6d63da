"""The bundled sample: complete, small, said to be simulated, and what its command makes."""

import re
import shlex

import numpy as np
import polars as pl
import pytest
from click.testing import CliRunner
from PIL import Image

from iqa_registry.cli.app import app
from iqa_registry.sample import MANIFEST, NOTICE, RATINGS, SEVERITIES

FOLDER = MANIFEST.parent
TEXT = (FOLDER / "README.md").read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def manifest():
    return pl.read_csv(MANIFEST)


def pixels(name):
    return np.asarray(Image.open(FOLDER / name))


def test_manifest_names_what_is_there(manifest):
    named = {path for name in ("synthesized", "reference", "mask") for path in manifest[name]}
    sources = {f"source/{name}.png" for name in manifest["subject"]}
    assert named | sources == {path.relative_to(FOLDER).as_posix() for path in FOLDER.rglob("*.png")}


def test_six_references_meet_eight_images_each(manifest):
    assert manifest.group_by("reference").len()["len"].to_list() == [8] * 6
    assert manifest.group_by("subject").agg(pl.first("lesion"))["lesion"].sum() == 3


def test_every_error_occurs(manifest):
    severities = pl.read_csv(SEVERITIES)
    errors = severities.drop("pair_id")
    assert severities["pair_id"].to_list() == manifest["pair_id"].to_list()
    assert min((errors[name] > 0).sum() for name in errors.columns) >= 4
    assert errors.max_horizontal().to_list() == manifest["severity"].to_list()


def test_ratings_are_trimmed_means_of_ten_raters(manifest):
    ratings = pl.read_csv(RATINGS)
    table = ratings.sort("rater").group_by("pair_id", maintain_order=True).agg("rating").sort("pair_id")
    scores = np.array(table["rating"].to_list())
    assert scores.shape == (48, 10)
    np.testing.assert_allclose(
        np.sort(scores)[:, 1:-1].mean(axis=1), manifest.sort("pair_id")["rating"], atol=1e-6
    )


def test_sample_is_small():
    assert sum(path.stat().st_size for path in FOLDER.rglob("*.*") if path.is_file()) < 2_000_000


def test_pictures_are_8_bit_of_one_size(manifest):
    for name in ("synthesized", "reference", "mask"):
        for path in manifest[name]:
            assert (pixels(path).dtype, pixels(path).shape) == (np.uint8, (256, 256))


def test_label_maps_fit_the_references(manifest):
    for row in manifest.unique("subject").iter_rows(named=True):
        labels, reference = pixels(row["mask"]), pixels(row["reference"])
        assert reference[labels > 0].mean() > 50 * reference[labels == 0].mean()
        assert bool((labels > 3).any()) == row["lesion"]


def test_sample_says_that_it_is_simulated_and_whose_anatomy_it_is():
    text = " ".join(TEXT.replace(">", " ").split())
    assert "simulated" in NOTICE
    assert "is **simulated**" in text
    assert "Copyright (C) 1993-2009 Louis Collins" in text
    assert "provided that the above copyright notice appear in all copies" in text


def test_the_command_that_it_names_makes_it(tmp_path):
    pytest.importorskip("nilearn")
    command = re.search(r"`iqa (phantom make OUT .*?)`", TEXT).group(1)
    done = CliRunner().invoke(app, shlex.split(command.replace("OUT", str(tmp_path / "again"))))
    assert done.exit_code == 0, done.output
    for path in sorted(FOLDER.rglob("*.png")):
        again = np.asarray(Image.open(tmp_path / "again" / path.relative_to(FOLDER))).astype(int)
        difference = np.abs(again - np.asarray(Image.open(path)))
        # Another processor may round a value at the edge of two gray levels the other way.
        assert difference.max() <= 1, path
        assert (difference > 0).mean() < 1e-3, path
    for path in (MANIFEST, RATINGS, SEVERITIES):
        assert (tmp_path / "again" / path.name).read_text() == path.read_text()
