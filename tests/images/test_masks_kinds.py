"""What counts as a mask: fractions, scaled labels, images taken for one, the foreground of CT, growing regions."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import nibabel
import numpy as np
import pytest
from PIL import Image as Pillow

from command_line import run_in_process
from iqa_registry import evaluate
from iqa_registry.errors import GeometryError, ImageError, OptionError
from iqa_registry.evaluation.options import Options
from iqa_registry.images.formats import as_picture, as_volume, read_image
from iqa_registry.images.masks import dilate, foreground, inside, read_mask

AFFINE = np.diag([1.5, 1.0, 3.0, 1.0])


@pytest.fixture
def core() -> np.ndarray:
    inside_it = np.zeros((8, 8, 6), bool)
    inside_it[2:6, 2:6, 1:4] = True
    return inside_it


def saved(path: Path, values: np.ndarray, slope: float | None = None) -> Path:
    image = nibabel.Nifti1Image(values, AFFINE)
    if slope is not None:
        image.header.set_slope_inter(slope, 0)
    nibabel.save(image, path)
    return path


@pytest.mark.parametrize(
    ("kind", "noted"),
    [
        ("fractions", "m.nii holds fractions; what is at least 0.5 counts as inside."),
        ("nearly whole", "m.nii holds fractions; what is at least 0.5 counts as inside."),
        ("overshoot", "m.nii holds fractions; what is at least 0.5 counts as inside."),
        ("scaled label", ""),
        ("scaled to a fraction", ""),
        ("label 3", ""),
        ("255", ""),
    ],
)
def test_a_mask_is_what_it_was_meant_to_be(tmp_path: Path, core: np.ndarray, kind: str, noted: str) -> None:
    path = tmp_path / "m.nii"
    if kind == "fractions":
        saved(path, np.where(core, 0.98, 0.02).astype(np.float32))
    elif kind == "nearly whole":
        saved(path, np.where(core, 1, 1e-2).astype(np.float32))
    elif kind == "overshoot":
        saved(path, np.where(core, 1.07, -0.06).astype(np.float32))
    elif kind == "scaled label":
        saved(path, core.astype(np.uint8) * 255, 3 / 255)
    elif kind == "scaled to a fraction":
        saved(path, core.astype(np.int16), 1 / 3)
    else:
        saved(
            path,
            core.astype(np.float32 if kind == "label 3" else np.uint8) * (3 if kind == "label 3" else 255),
        )
    image = as_volume(np.zeros(core.shape), AFFINE)
    found, notes = inside(read_mask(path, image), "m.nii")
    np.testing.assert_array_equal(found, core)
    assert "".join(note.message for note in notes) == noted


def test_a_soft_png_is_compared_with_half_of_its_range(tmp_path: Path) -> None:
    soft = np.tile(np.arange(0, 256, dtype=np.uint8), (4, 1))
    Pillow.fromarray(soft).save(tmp_path / "m.png")
    image = as_picture(np.zeros(soft.shape))
    found, notes = inside(read_mask(tmp_path / "m.png", image), "m.png")
    np.testing.assert_array_equal(found, soft >= 127.5)
    assert len(notes) == 1
    assert read_mask(tmp_path / "m.png", image, labels=True).max() == 255


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ([-1, 1, 1, 2], r"has labels below zero \(down to -1\)"),
        ([-0.9, 0.2, 2.4, 1.1], "neither labels nor fractions"),
        ([0.3, 0.0, 17.2, 4.0], r"values from 0 to 17\.2 are neither labels nor fractions"),
        ([np.nan, 0, 1, 1], "1 of 4 pixels are NaN or infinite"),
    ],
)
def test_what_is_not_a_mask_is_rejected(values: list[float], message: str) -> None:
    mask = as_picture(np.array(values, np.float32).reshape(2, 2), "m.tif")
    with pytest.raises(ImageError, match=message):
        read_mask(mask, as_picture(np.zeros((2, 2))))


def test_fractions_are_not_labels_and_must_reach_the_threshold() -> None:
    image, mask = as_picture(np.zeros((1, 3))), as_picture(np.array([[0.1, 0.2, 0.45]], np.float32), "m.tif")
    with pytest.raises(ImageError, match="neither labels"):
        read_mask(mask, image, labels=True)
    with pytest.raises(ImageError, match=r"none reaches 0\.5"):
        inside(read_mask(mask, image), "m.tif")


def test_constant_and_colorful_masks_are_noted() -> None:
    assert inside(np.ones((2, 2), np.float32), "m.png")[1][0].message == "m.png covers the whole image."
    assert inside(np.zeros((2, 2), np.float32), "m.png")[1] == ()
    _, notes = inside(np.arange(400, dtype=np.float32).reshape(20, 20), "m.png")
    assert "399 different values" in notes[0].message


def test_an_image_of_the_pair_is_not_its_mask(tmp_path: Path, rng: np.random.Generator) -> None:
    values = rng.integers(-1000, 2000, (6, 6, 4)).astype(np.int16)
    reference = saved(tmp_path / "ct.nii", values)
    other = saved(tmp_path / "f.nii", values + 7)
    copy = saved(tmp_path / "copy.nii", values)
    for mask in (reference, copy, other):
        table = evaluate([(str(other), str(reference), str(mask))], ["mae"], intensity="range=-1000,2000")
        assert set(table["status"]) == {"error"}
        assert "is the same image as" in table["message"][0]


def test_equal_empty_slices_and_binary_references_are_no_fault() -> None:
    empty = as_picture(np.zeros((4, 4), np.uint8), "r.png")
    read_mask(as_picture(np.zeros((4, 4), np.uint8), "m.png"), empty, images=[empty])


def test_the_foreground_of_ct_is_the_body() -> None:
    values = np.full((10, 10, 4), -1000.0)
    values[3:7, 3:7] = np.linspace(-90, 60, 64).reshape(4, 4, 4)
    values[4, 4, 2] = 0
    found, notes = foreground(as_volume(values, AFFINE, "ct.nii"))
    np.testing.assert_array_equal(found, values > -500)
    assert "ct.nii has values below -500 as CT does" in notes[0].message
    found, notes = foreground(as_volume(values, AFFINE, "ct.nii"), "above=-50")
    np.testing.assert_array_equal(found, values > -50)
    assert notes == ()
    found, notes = foreground(as_volume(values, AFFINE, "ct.nii"), "nonzero")
    np.testing.assert_array_equal(found, values != 0)
    assert "covers 99.8% of it" in notes[0].message
    assert "above=VALUE" in notes[0].message


@pytest.mark.parametrize("rule", ["below=3", "above", "above=x", "above=nan", "air"])
def test_wrong_rules_for_the_foreground(rule: str) -> None:
    with pytest.raises(OptionError, match="above=VALUE"):
        Options(foreground=rule)


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["--foreground", "S", "R"], 0.0),
        (["S", "R", "--foreground"], 0.0),
        (["S", "--foreground", "--intensity", "range=0,10", "R"], 0.0),
        (["--foreground", "above=4", "S", "R"], 4.0),
        (["S", "R", "--foreground=above=4"], 4.0),
    ],
)
def test_the_option_may_be_given_without_a_value(
    tmp_path: Path, rng: np.random.Generator, arguments: list[str], expected: float
) -> None:
    reference = rng.integers(0, 10, (6, 6, 4)).astype(np.float32)
    synthesized = reference + rng.random(reference.shape).astype(np.float32)
    names = {"S": saved(tmp_path / "s.nii", synthesized), "R": saved(tmp_path / "r.nii", reference)}
    given = [
        "evaluate",
        *(str(names.get(item, item)) for item in arguments),
        "-m",
        "mae:dimensions=3",
        "--csv",
    ]
    given += [] if "--intensity" in arguments else ["--intensity", "range=0,10"]
    result = run_in_process(*given)
    assert result.returncode == 0, result.stderr
    lines = [line.split(",") for line in result.stdout.splitlines() if ",foreground," in line]
    score = float(next(item for item in lines[0][4:] if "." in item))
    where = reference > expected
    assert score == pytest.approx(np.abs(synthesized.clip(0, 10) - reference)[where].mean() / 10, rel=1e-5)


def test_regions_grow_by_millimeters_in_three_dimensions(core: np.ndarray) -> None:
    like = as_volume(np.zeros(core.shape), AFFINE)
    places = np.argwhere(core) * [1.5, 1.0, 3.0]
    everywhere = np.argwhere(np.ones(core.shape)) * [1.5, 1.0, 3.0]
    distance = np.linalg.norm(everywhere[:, None] - places[None], axis=2).min(axis=1).reshape(core.shape)
    for reach in (1.0, 2.0, 3.0):
        np.testing.assert_array_equal(dilate(core, reach, like), distance <= reach)
    assert not dilate(np.zeros_like(core), 3.0, like).any()


def test_growing_changes_masks_and_regions_but_not_the_foreground(
    tmp_path: Path, core: np.ndarray, rng: np.random.Generator
) -> None:
    reference = rng.uniform(1, 10, core.shape).astype(np.float32) * (core | (rng.random(core.shape) > 0.5))
    files = [str(saved(tmp_path / "s.nii", reference + 1)), str(saved(tmp_path / "r.nii", reference))]
    mask = str(saved(tmp_path / "m.nii", core.astype(np.uint8) * 4))
    options: dict[str, Any] = {"foreground": True, "intensity": "range=0,20", "regions": {"tumor": [4]}}
    pair = {"synthesized": files[0], "reference": files[1], "mask": mask, "labels": files[1] and mask}
    before, after = (evaluate([pair], ["mae:dimensions=3"], dilate=mm, **options) for mm in (0, 1.0))
    grown = core.copy()
    grown[:, 1:7] |= core[:, 2:][:, :6] | core[:, :6]
    shares = [dict(zip(table["region"], table["region_fraction"], strict=True)) for table in (before, after)]
    assert shares[0]["tumor"] == pytest.approx(core.mean())
    assert shares[1]["tumor"] == pytest.approx(grown.mean())
    assert shares[0]["foreground"] == shares[1]["foreground"] == pytest.approx((reference != 0).mean())


@pytest.mark.parametrize("distance", [-1.0, float("nan"), float("inf")])
def test_growing_needs_a_distance_and_a_voxel_size(distance: float) -> None:
    with pytest.raises(OptionError, match="dilate"):
        Options(dilate=distance)
    with pytest.raises(GeometryError, match=r"r\.png: its voxel size is not known"):
        dilate(np.ones((2, 2), bool), 1.0, as_picture(np.zeros((2, 2)), "r.png"))


def test_notes_are_said_once_and_kept_in_the_table(tmp_path: Path, core: np.ndarray) -> None:
    reference = np.arange(core.size, dtype=np.float32).reshape(core.shape)
    soft = saved(tmp_path / "prob.nii", np.where(core, 0.9, 0.1).astype(np.float32))
    files = [saved(tmp_path / "s.nii", reference + 1), saved(tmp_path / "r.nii", reference)]
    given = ["evaluate", *map(str, files), "--mask", str(soft), "-m", "mae", "--intensity", "range=0,400"]
    result = run_in_process(*given)
    assert result.stderr.count("holds fractions") == 1
    assert "prob.nii holds fractions" in result.stderr
    table = evaluate([(*map(str, files), str(soft))], ["mae"], intensity="range=0,400")
    assert set(table["notes"]) == {f"mask: {soft} holds fractions; what is at least 0.5 counts as inside."}
    assert read_image(files[0]).notes == ()
