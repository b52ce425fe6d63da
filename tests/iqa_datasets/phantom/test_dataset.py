"""The dataset ``phantom``: lazy, the same from a seed wherever it is drawn, and the same as files."""

import csv
from pathlib import Path

import nibabel
import numpy as np
import polars as pl
import pytest
from PIL import Image

from iqa_datasets.phantom import dataset as module
from iqa_registry.errors import IQAError, ParameterError
from iqa_registry.images.formats import read_image, read_labels
from iqa_registry.registry import build_registry
from iqa_registry.tables.schema import TYPES

pytest.importorskip("nilearn")
SMALL = "phantom:pairs=5,seed=7,size=128,per_subject=3"


def phantom(text=SMALL):
    return build_registry().dataset(text)


def pixels(pairs):
    return [read_image(pair.synthesized).pixels for pair in pairs]


def scores(done):
    rows = list(csv.DictReader(done.stdout.splitlines()))
    return [(row["pair_id"], row["metric"], row["region"], row["score"]) for row in rows]


def test_naming_pairs_draws_nothing(monkeypatch):
    def refuse(*arguments):
        raise AssertionError("drawn")

    monkeypatch.setattr(module, "make_scene", refuse)
    pairs = list(phantom("phantom:pairs=300").pairs())
    assert len(pairs) == 300
    assert pairs[0].reference == pairs[7].reference != pairs[8].reference
    assert len({pair.synthesized for pair in pairs}) == 300


def test_a_seed_gives_the_same_pixels_and_another_seed_others():
    first, again, other = (
        pixels(phantom(text).pairs()) for text in (SMALL, SMALL, SMALL.replace("seed=7", "seed=8"))
    )
    assert all(np.array_equal(*images) for images in zip(first, again, strict=True))
    assert not any(np.array_equal(*images) for images in zip(first, other, strict=True))


def test_pixels_do_not_depend_on_the_order_of_reading():
    forwards, backwards = list(phantom().pairs()), list(phantom().pairs())[::-1]
    for first, second in zip(pixels(forwards), pixels(backwards)[::-1], strict=True):
        assert np.array_equal(first, second)


def test_more_pairs_begin_with_the_same():
    longer = list(phantom(SMALL.replace("pairs=5", "pairs=9")).pairs())
    assert [pair.synthesized for pair in longer[:5]] == [pair.synthesized for pair in phantom().pairs()]


def test_keys_tell_apart_what_differs():
    changes = ("seed=8", "size=256", "lesions=1", "source=pd", "target=flair", "dimensions=3")
    texts = [SMALL, *(f"phantom:pairs=5,per_subject=3,{change}" for change in changes)]
    keys = [next(phantom(text).pairs()).synthesized.key for text in texts]
    assert len(set(keys)) == len(texts)


def test_groups_do_not_clash_with_columns_of_the_table():
    groups = next(phantom().pairs()).groups
    assert set(groups) & set(TYPES) <= {"subject"}
    assert {"subject", "lesion", "degradation", "severity", "rating"} <= set(groups)


def test_table_has_severities_and_single_scores():
    table = phantom().table()
    raters = table.select(pl.col("^rater_.*$")).to_numpy()
    assert raters.shape == (5, 10)
    np.testing.assert_allclose(np.sort(raters, axis=1)[:, 1:-1].mean(axis=1), table["rating"], atol=1e-6)
    largest = table.select(pl.max_horizontal(pl.col("^severity_.*$"))).to_series()
    assert largest.to_list() == table["severity"].to_list()


def test_subjects_have_all_modalities_and_labels():
    subjects = list(phantom().subjects())
    images = {name: read_image(image).pixels for name, image in subjects[0].images.items()}
    labels = read_labels(subjects[0].labels).pixels
    assert [subject.name for subject in subjects] == ["sim-0001", "sim-0002"]
    assert set(images) == {"t1", "t2", "pd", "flair"}
    for image in images.values():
        assert image.shape == labels.shape == (1, 128, 128)
        assert (image[labels == 0] > 0).mean() < 0.05
    assert set(np.unique(labels)) <= set(range(7))


def test_subjects_are_the_references():
    made = phantom()
    subject, pair = next(made.subjects()), next(made.pairs())
    assert subject.images["t2"] == pair.reference
    assert subject.labels == pair.mask


@pytest.mark.parametrize(("share", "expected"), [(0, {False}), (1, {True})])
def test_healthy_or_with_lesions(share, expected):
    made = phantom(f"{SMALL},lesions={share}")
    assert {pair.groups["lesion"] for pair in made.pairs()} == expected
    assert {bool((read_labels(subject.labels).pixels > 3).any()) for subject in made.subjects()} == expected


def test_volumes_have_a_place_in_space():
    pair = next(phantom("phantom:pairs=1,size=128,dimensions=3").pairs())
    image, labels = read_image(pair.synthesized), read_labels(pair.mask)
    assert image.pixels.shape == labels.pixels.shape == pair.synthesized.shape == (128, 128, 68)
    np.testing.assert_allclose(np.diag(image.affine), [216 / 128, 216 / 128, 2, 1])
    centre = image.affine[:3] @ [*np.argwhere(labels.pixels > 0).mean(axis=0), 1]
    np.testing.assert_allclose(centre, [0, -18, 12], atol=8)
    assert 15 < len(range(68)[slice(*map(int, pair.slices.split(":")))]) < 30


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("phantom:degradations=blurr", "no degradation 'blurr'. Did you mean 'blur'"),
        ("phantom:source=t2", "source and target are both 't2'; choose two"),
        ("phantom:degradations=lost-lesion", "need a lesion, and not every subject has one"),
        ("phantom:pairs=0", "pairs: Input should be greater than or equal to 1"),
        ("phantom:size=200", "size: Input should be 128 or 256"),
        ("phantom:icc=1", "icc: Input should be less than 1"),
    ],
)
def test_wrong_parameters(text, message):
    with pytest.raises(ParameterError, match=message):
        phantom(text)


@pytest.mark.parametrize(
    ("found", "message"), [(None, "is not installed"), ("empty", "does not carry the ICBM")]
)
def test_without_nilearn_the_remedy_is_named(monkeypatch, tmp_path, found, message):
    from importlib.machinery import ModuleSpec

    from iqa_datasets.phantom import template

    spec = None if found is None else ModuleSpec("nilearn", None, origin=str(tmp_path / "__init__.py"))
    monkeypatch.setattr(template.importlib.util, "find_spec", lambda name: spec)
    template.load_template.cache_clear()
    with pytest.raises(
        IQAError, match=rf"nilearn, which {message if found is None else 'in .* does not carry'}.*: pip"
    ):
        phantom()
    template.load_template.cache_clear()


def test_evaluate_gives_the_same_numbers_twice_and_others_on_another_seed(iqa):
    arguments = ("--metric", "psnr", "--metric", "ssim", "--csv")
    first, again, other = (
        iqa("evaluate", "--dataset", f"phantom:pairs=4,size=128,seed={n}", *arguments) for n in (7, 7, 8)
    )
    assert first.returncode == 0, first.stderr
    assert len(scores(first)) == 4 * 2 * 2
    assert scores(first) == scores(again)
    assert scores(first) != scores(other)


def test_files_give_the_scores_of_the_dataset(iqa):
    made = iqa("phantom", "make", "out", "--pairs", 5, "--seed", 7, "--size", 128, "--per-subject", 3)
    assert made.returncode == 0, made.stderr
    assert "5 pairs of 2 simulated subjects" in made.stdout
    files = iqa("evaluate", "--pairs", "out/manifest.csv", "-m", "psnr", "-m", "ssim", "--csv")
    direct = iqa("evaluate", "--dataset", SMALL, "-m", "psnr", "-m", "ssim", "--csv")
    assert scores(files) == scores(direct)


def test_what_make_writes(iqa):
    iqa("phantom", "make", "-o", "out", "--count", 3, "--size", 128)
    tables = {path.name: pl.read_csv(path) for path in Path("out").glob("*.csv")}
    picture = Image.open("out/labels/sim-0001.png")
    text = Path("out/README.md").read_text()
    assert {name: table.height for name, table in tables.items()} == {
        "manifest.csv": 3,
        "severities.csv": 3,
        "ratings.csv": 30,
    }
    assert (picture.mode, set(np.unique(np.asarray(picture))) <= set(range(7))) == ("P", True)
    assert "**simulated**" in text
    assert "iqa phantom make -o FOLDER --count 3 --per-subject 8 --source t1 --target t2 --seed 1" in text


def test_make_writes_volumes(iqa):
    done = iqa("phantom", "make", "-o", "out", "--count", 1, "--size", 128, "--format", "nifti")
    assert done.returncode == 0, done.stderr
    volume = nibabel.load("out/reference/sim-0001.nii.gz")
    assert (volume.shape, volume.get_data_dtype()) == ((128, 128, 68), np.uint16)
    scored = iqa("evaluate", "--pairs", "out/manifest.csv", "-m", "psnr", "--slices", "25:45", "--csv")
    direct = iqa("evaluate", "--dataset", "phantom:pairs=1,size=128,dimensions=3", "-m", "psnr", "--csv")
    assert scored.returncode == 0, scored.stderr
    assert [row[3] for row in scores(scored)] == [row[3] for row in scores(direct)]


def test_subjects_are_written_in_the_layout_of_brats(iqa):
    done = iqa("phantom", "subjects", "out", "--count", 1, "--size", 128, "--lesions", 1)
    assert done.returncode == 0, done.stderr
    names = sorted(path.name for path in Path("out/sim-0001").iterdir())
    labels, seg = (
        nibabel.load(f"out/sim-0001/sim-0001_{kind}.nii.gz").get_fdata() for kind in ("labels", "seg")
    )
    assert names == [f"sim-0001_{kind}.nii.gz" for kind in ("flair", "labels", "pd", "seg", "t1", "t2")]
    for ours, theirs in ((4, 1), (5, 4), (6, 2)):
        assert np.array_equal(labels == ours, seg == theirs)
    subject = next(phantom("brats:out,size=128").subjects())
    assert {"t1", "t2", "flair"} <= set(subject.images)


def test_a_folder_that_holds_something_is_left_alone(iqa):
    Path("out").mkdir()
    Path("out/mine.txt").write_text("mine")
    done = iqa("phantom", "make", "-o", "out", "--count", 1)
    assert done.returncode == 2
    assert "out is not empty; name another folder, or give --force" in done.stderr
    assert iqa("phantom", "make", "out/mine.txt").returncode == 2
