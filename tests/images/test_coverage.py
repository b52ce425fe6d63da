"""Where there is data: resampling invents no voxels, lost headers are recognized, NaN is never scored."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import nibabel
import numpy as np
import polars as pl
import pytest
import SimpleITK

from iqa_registry import evaluate
from iqa_registry.errors import GeometryError, ImageError, OptionError
from iqa_registry.evaluation.options import Options
from iqa_registry.images.coverage import check_coverage, outside_share, resample_covered
from iqa_registry.images.formats import as_volume, read_image, read_scan
from iqa_registry.images.geometry import check_affines, lost_header, on_stored_grid

AFFINE = np.array([[1.0, 0, 0, -10], [0, 1.2, 0, 5], [0, 0, 2, 3], [0, 0, 0, 1]])


def saved(path: Path, values: np.ndarray, affine: np.ndarray | None = AFFINE) -> str:
    nibabel.save(nibabel.Nifti1Image(values, affine), path)
    return str(path)


def scores(synthesized: str, reference: str, **options: Any) -> pl.DataFrame:
    given = {"intensity": "range=0,100", "metrics": ["mae:dimensions=3"], "mask": None} | options
    pair = {"synthesized": synthesized, "reference": reference, "mask": given.pop("mask")}
    metrics = given.pop("metrics")
    return evaluate([pair], metrics, **given)


@pytest.fixture
def ramp(rng: np.random.Generator) -> np.ndarray:
    return rng.uniform(0, 100, (12, 10, 8)).astype(np.float32)


def test_resampling_agrees_with_simpleitk_and_leaves_out_what_it_does(ramp: np.ndarray) -> None:
    angle = 0.2
    turn = np.array([[np.cos(angle), -np.sin(angle), 0], [np.sin(angle), np.cos(angle), 0], [0, 0, 1]])
    affine = AFFINE.copy()
    affine[:3, :3] = turn @ AFFINE[:3, :3] * 0.8
    affine[:3, 3] += [4.3, -1.7, 5.1]
    moving, reference = as_volume(ramp, AFFINE), as_volume(np.zeros((9, 11, 7)), affine)

    def itk(values: np.ndarray, matrix: np.ndarray) -> SimpleITK.Image:
        image = SimpleITK.GetImageFromArray(values.T)
        lps = np.diag([-1, -1, 1, 1]) @ matrix
        spacing = np.linalg.norm(lps[:3, :3], axis=0)
        image.SetSpacing(spacing.tolist())
        image.SetDirection((lps[:3, :3] / spacing).ravel().tolist())
        image.SetOrigin(lps[:3, 3].tolist())
        return image

    target = itk(np.zeros((9, 11, 7), np.float32), affine)
    expected = SimpleITK.Resample(
        itk(ramp, AFFINE), target, SimpleITK.Transform(), SimpleITK.sitkLinear, -1.0
    )
    values = SimpleITK.GetArrayFromImage(expected).T
    resampled = resample_covered(moving, reference)
    assert resampled.valid is not None
    assert 0.05 < outside_share(resampled.valid) < 0.9
    np.testing.assert_array_equal(resampled.valid, values != -1)
    np.testing.assert_allclose(resampled.pixels, np.where(values == -1, 0, values), atol=1e-3)


def test_one_grid_stays_exact(ramp: np.ndarray) -> None:
    moving = as_volume(ramp, AFFINE)
    assert resample_covered(moving, as_volume(ramp * 0, AFFINE)) is moving


def test_a_gap_spreads_to_what_it_contributes_to(ramp: np.ndarray) -> None:
    ramp[5, 5, 4] = np.nan
    half = AFFINE.copy()
    half[:3, 3] += AFFINE[:3, :3] @ [0.5, 0, 0]
    resampled = resample_covered(read_scan(as_volume(ramp, AFFINE)), as_volume(np.zeros((11, 10, 8)), half))
    assert resampled.valid is not None
    assert np.argwhere(~resampled.valid).tolist() == [[4, 5, 4], [5, 5, 4]]
    np.testing.assert_allclose(resampled.pixels[0], (ramp[0] + ramp[1]) / 2, rtol=1e-5)


@pytest.mark.parametrize("metric", ["mae", "ssim:window=3", "ms_gmsd"])
def test_slices_outside_the_field_of_view_are_not_scored(
    tmp_path: Path, rng: np.random.Generator, metric: str
) -> None:
    reference = rng.uniform(0, 100, (48, 44, 6)).astype(np.float32)
    synthesized = reference + rng.normal(0, 3, reference.shape).astype(np.float32)
    short = saved(tmp_path / "short.nii", synthesized[:, :, :5])
    full, whole = saved(tmp_path / "full.nii", synthesized), saved(tmp_path / "r.nii", reference)
    expected = scores(full, whole, metrics=[metric])
    found = scores(short, whole, metrics=[metric], resample=True)
    assert found["status"].to_list() == ["ok"] * 5 + ["not_applicable"]
    assert found["score"].to_list()[:5] == expected["score"].to_list()[:5]
    assert found["outside_share"].to_list() == [None] * 5 + [1.0]
    assert "outside the synthesized volume's field of view" in found["message"][5]


def test_a_volume_is_scored_over_the_common_field_of_view(tmp_path: Path, ramp: np.ndarray) -> None:
    noisy = ramp + np.random.default_rng(1).normal(0, 2, ramp.shape).astype(np.float32)
    short, whole = saved(tmp_path / "s.nii", noisy[:, :, :6]), saved(tmp_path / "r.nii", ramp)
    (row,) = scores(short, whole, resample=True).to_dicts()
    error = np.abs(noisy.clip(0, 100) - ramp)[:, :, :6].mean(dtype=float) / 100
    assert row["score"] == pytest.approx(error, rel=1e-5)
    assert (row["outside_share"], row["region_fraction"]) == (0.25, 0.75)


def test_a_metric_without_masks_does_not_score_a_part_of_an_image(
    tmp_path: Path, rng: np.random.Generator
) -> None:
    reference = rng.uniform(0, 100, (48, 60, 2)).astype(np.float32)
    short, whole = saved(tmp_path / "s.nii", reference[:, :50]), saved(tmp_path / "r.nii", reference)
    found = scores(short, whole, metrics=["ms_gmsd", "mae"], resample=True)
    assert found["status"].to_list() == ["not_applicable", "ok"] * 2
    assert found["message"][0].endswith("cannot be restricted to a mask")
    assert found["region_fraction"].to_list() == pytest.approx([5 / 6] * 4)


def test_a_mask_loses_what_lies_outside(tmp_path: Path, ramp: np.ndarray) -> None:
    mask = np.zeros(ramp.shape, np.uint8)
    mask[:, :, 3:] = 1
    short, whole = saved(tmp_path / "s.nii", ramp[:, :, :6] + 10), saved(tmp_path / "r.nii", ramp)
    found = scores(short, whole, resample=True, mask=saved(tmp_path / "m.nii", mask))
    row = found.row(by_predicate=pl.col("region") == "mask", named=True)
    expected = (np.minimum(ramp + 10, 100) - ramp)[:, :, 3:6].mean(dtype=float) / 100
    assert row["score"] == pytest.approx(expected, rel=1e-5)
    assert row["region_fraction"] == pytest.approx(3 / 8)


def test_a_volume_that_hardly_reaches_the_reference_is_rejected(ramp: np.ndarray) -> None:
    moving, reference = as_volume(ramp[:, :, :3], AFFINE, "short.nii"), as_volume(ramp, AFFINE, "r.nii")
    with pytest.raises(GeometryError, match=r"short\.nii: 62\.5% of r\.nii lies outside its field of view"):
        check_coverage(resample_covered(moving, reference), moving, reference)


@pytest.mark.parametrize("kind", ["identity", "no qform and sform", "itk"])
def test_a_lost_header_has_a_remedy_of_its_own(tmp_path: Path, ramp: np.ndarray, kind: str) -> None:
    """The reference is stored mirrored, so that the voxels meet only where both are taken as stored."""
    affine = AFFINE @ np.diag([-1, 1, 1, 1])
    reference = saved(tmp_path / "r.nii", ramp, affine)
    noisy = ramp + np.random.default_rng(1).normal(0, 2, ramp.shape).astype(np.float32)
    synthesized = str(tmp_path / ("s.mha" if kind == "itk" else "s.nii"))
    if kind == "itk":
        SimpleITK.WriteImage(SimpleITK.GetImageFromArray(noisy.T), synthesized)
    elif kind == "identity":
        saved(Path(synthesized), noisy, np.eye(4))
    else:
        image = nibabel.Nifti1Image(noisy, None)
        image.header.set_zooms((1, 1.2, 2))
        nibabel.save(image, synthesized)
    first, second = read_image(synthesized), read_image(reference)
    assert lost_header(first, second) is first
    assert lost_header(second, second) is None
    with pytest.raises(GeometryError, match=r"s\.\w+ seems to have lost its header; .* --geometry ignore"):
        check_affines(first, second)
    (row,) = scores(synthesized, reference, geometry="ignore").to_dicts()
    assert row["score"] == pytest.approx(np.abs(noisy.clip(0, 100) - ramp).mean(dtype=float) / 100, rel=1e-5)
    mask = np.zeros(ramp.shape, np.uint8)
    mask[:4] = 1
    masked = scores(
        synthesized, reference, geometry="ignore", mask=saved(tmp_path / "m.nii", mask, np.eye(4))
    )
    inside = np.abs(noisy.clip(0, 100) - ramp)[:4].mean(dtype=float) / 100
    assert masked["score"].to_list()[1] == pytest.approx(inside, rel=1e-5)


def test_resampling_by_a_lost_header_is_noted(tmp_path: Path, ramp: np.ndarray) -> None:
    placed = np.eye(4)
    placed[2, 3] = -2
    lost, whole = saved(tmp_path / "s.nii", ramp, np.eye(4)), saved(tmp_path / "r.nii", ramp, placed)
    (row,) = scores(lost, whole, resample=True).to_dicts()
    assert row["outside_share"] == 0.25
    assert "s.nii seems to have lost its header, and was resampled by it" in row["notes"]


def test_ignoring_the_geometry_still_checks_the_shape(ramp: np.ndarray) -> None:
    first, second = as_volume(ramp[:, :, 1:], np.eye(4), "s.nii"), as_volume(ramp, AFFINE, "r.nii")
    with pytest.raises(GeometryError, match=r"s\.nii is 12 x 10 x 7, r\.nii is 12 x 10 x 8"):
        on_stored_grid(first, second)
    with pytest.raises(OptionError, match="ignore contradicts resample"):
        Options(resample=True, geometry="ignore")
    assert Options(geometry="ignore").recorded()["geometry"] == "ignore"


def test_nan_outside_the_mask_does_not_matter(tmp_path: Path, rng: np.random.Generator) -> None:
    """As SPM and nilearn write it; the limits come from the values that are there."""
    reference = rng.uniform(0, 100, (20, 18, 3)).astype(np.float32)
    synthesized = reference + rng.normal(0, 3, reference.shape).astype(np.float32)
    mask = np.zeros(reference.shape, np.uint8)
    mask[3:17, 3:17] = 1
    plain = [saved(tmp_path / "s.nii", synthesized), saved(tmp_path / "r.nii", reference)]
    masks = saved(tmp_path / "m.nii", mask)
    expected = scores(*plain, metrics=["mae", "ssim"], mask=masks).filter(pl.col("region") == "mask")
    synthesized[mask == 0] = np.nan
    reference[mask == 0] = np.inf
    broken = [saved(tmp_path / "sn.nii", synthesized), saved(tmp_path / "rn.nii", reference)]
    found = scores(*broken, metrics=["mae", "ssim"], mask=masks)
    inside = found.filter(pl.col("region") == "mask")
    assert inside["status"].to_list() == ["ok"] * 6
    np.testing.assert_allclose(inside["score"].to_numpy(), expected["score"].to_numpy(), rtol=1e-6)
    whole = found.filter(pl.col("region") == "image")
    assert set(whole["status"]) == {"not_applicable"}
    assert "NaN or infinite; only regions without them are scored" in whole["message"][0]
    row = scores(*broken, mask=masks, intensity="reference-percentile=1,99").row(1, named=True)
    assert row["reference_low"] == pytest.approx(np.percentile(reference[mask == 1], 1), rel=1e-5)
    assert row["clipped_reference"] == pytest.approx(0.02, abs=0.005)


def test_nan_inside_the_mask_is_an_error_unless_it_is_excluded(tmp_path: Path, ramp: np.ndarray) -> None:
    noisy = ramp + 5
    noisy[2, 2, 2] = np.nan
    files = [saved(tmp_path / "s.nii", noisy), saved(tmp_path / "r.nii", ramp)]
    mask = saved(tmp_path / "m.nii", np.ones(ramp.shape, np.uint8))
    found = scores(*files, mask=mask)
    assert found["status"].to_list() == ["not_applicable", "error"]
    assert "also in the region mask" in found["message"][1]
    found = scores(*files, mask=mask, nan="exclude")
    there = np.isfinite(noisy)
    expected = (noisy[there].clip(0, 100) - ramp[there]).mean(dtype=float) / 100
    assert found["score"].to_list() == pytest.approx([expected] * 2, rel=1e-5)
    (row,) = scores(*files).to_dicts()
    assert row["status"] == "error"
    assert "1 of 960 pixels are NaN or infinite; give a --mask" in row["message"]


def test_an_image_of_nan_alone_is_an_error(tmp_path: Path, ramp: np.ndarray) -> None:
    files = [saved(tmp_path / "s.nii", ramp * np.nan), saved(tmp_path / "r.nii", ramp)]
    (row,) = scores(*files, nan="exclude").to_dicts()
    assert row["status"] == "error"
    assert "nothing to score" in row["message"]
    with pytest.raises(ImageError, match="960 of 960 pixels are NaN or infinite"):
        read_image(files[0])
