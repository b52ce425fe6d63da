"""Local maps: their numbers, scales, 2-D images and volumes."""

import csv
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

import iqa_registry as iqa
from iqa_registry import maps
from iqa_registry.errors import ImageError, IQAError, UnknownNameError, UsageError
from iqa_registry.evaluation.options import Options
from iqa_registry.images.formats import as_volume
from iqa_registry.images.pairs import Pair, make_pairs
from iqa_registry.inputs import open_inputs
from iqa_registry.local_maps.colors import DIVERGING, SEQUENTIAL, UNDEFINED, colorize
from iqa_registry.local_maps.engine import FailedMap, LocalMap, Mapper
from iqa_registry.local_maps.kinds import (
    DIFFERENCE,
    ERRORS,
    SIGNED,
    SIMILARITY,
    Scale,
    check_limits,
    names_with_map,
    parse_limits,
    scale_for,
    start_maps,
)
from iqa_registry.local_maps.picture import OUTLINE, draw_map, draw_panel, outline
from iqa_registry.local_maps.volume import reference_grid
from iqa_registry.local_maps.writer import MapWriter, file_stem
from iqa_registry.metrics import FullReferenceMetric

PATIENT = Path(__file__).parents[2] / "shared" / "data" / "tcga-fg-6692"


@pytest.fixture(scope="module")
def registry():
    return iqa.build_registry(config=Path("/dev/null"))


@pytest.fixture
def pictures():
    """A smooth 8-bit 2-D image with noise, against the same without."""
    generator = np.random.default_rng(5)
    coarse = Image.fromarray(generator.integers(30, 226, (9, 8), dtype=np.uint8))
    reference = np.asarray(coarse.resize((66, 72), Image.Resampling.BICUBIC))
    noisy = (reference + generator.normal(0, 12, reference.shape)).clip(0, 255).astype(np.uint8)
    return noisy, reference


@pytest.fixture
def volumes(tmp_path):
    """Two NIfTI volumes whose voxel axes run to the left, to the back and upwards, and their data as stored."""
    import nibabel

    generator = np.random.default_rng(8)
    affine = np.array([[-1.5, 0, 0, 20], [0, -2, 0, 30], [0, 0, 4, -10], [0, 0, 0, 1.0]])
    paths, stored = [], []
    for name in ("synthesized", "reference"):
        data = generator.random((18, 20, 12)).astype(np.float32)
        path = tmp_path / f"{name}.nii.gz"
        nibabel.Nifti1Image(data, affine).to_filename(path)
        paths.append(path)
        stored.append(data)
    return paths, stored, affine


def first(pairs, metric, **options):
    return next(iter(list(maps(pairs, [metric], **options))))


def test_error_maps_are_the_differences_of_the_scaled_images(pictures):
    noisy, reference = pictures
    expected = (noisy.astype(float) - reference.astype(float)) / 255
    assert np.allclose(first([pictures], "signed-error").values, expected, atol=1e-6)
    assert np.allclose(first([pictures], "error").values, abs(expected), atol=1e-6)
    assert first([pictures], "error").mean() == pytest.approx(abs(expected).mean(), abs=1e-6)


def test_ssim_map_is_undefined_at_the_border_and_averages_to_the_score(pictures, registry):
    found = first([pictures], "ssim", registry=registry)
    score = registry.metric("ssim")(
        *(torch.from_numpy(image / 255.0)[None, None].float() for image in pictures)
    )
    assert np.isnan(found.values[:5]).all()
    assert not np.isnan(found.values[5:-5, 5:-5]).any()
    assert found.mean() == pytest.approx(float(score), abs=1e-5)


def test_gmsd_is_the_deviation_of_its_map(pictures, registry):
    found = first([pictures], "gmsd", registry=registry)
    score = registry.metric("gmsd")(
        *(torch.from_numpy(image / 255.0)[None, None].float() for image in pictures)
    )
    assert found.values.std(dtype=np.float64) == pytest.approx(float(score), abs=1e-5)


def test_every_map_without_weights_is_flat_where_images_are_equal(pictures, registry):
    chosen = [
        name for name in names_with_map(registry) if name in ERRORS or not registry.metrics[name].weights
    ]
    assert {"error", "signed-error", "ssim", "gmsd"} <= set(chosen)
    odd = pictures[1][:71, :63]
    for found in maps([(odd, odd)], chosen, registry=registry):
        defined = found.values[~np.isnan(found.values)]
        assert found.values.shape == odd.shape
        assert np.allclose(defined, found.scale.equal, atol=1e-4), found.metric
        assert (draw_map(found)[~np.isnan(found.values)] <= 10).all(), found.metric


def test_colour_picture_is_mapped_over_its_channels(registry):
    generator = np.random.default_rng(1)
    first_image, second = (generator.integers(0, 256, (40, 40, 3), dtype=np.uint8) for _ in range(2))
    expected = abs(first_image / 255.0 - second / 255.0).mean(axis=2)
    assert np.allclose(first([(first_image, second)], "error").values, expected, atol=1e-6)


def test_metric_without_map_names_those_that_have_one(registry):
    with pytest.raises(UsageError, match=r"psnr has no map; choose among error, signed-error.*ssim"):
        start_maps(registry, ["psnr"], "cpu")


def test_unknown_map_offers_the_nearest_name(registry):
    with pytest.raises(UnknownNameError, match=r"no map 'signed_error'\. Did you mean 'signed-error'"):
        start_maps(registry, ["signed_error"], "cpu")


def test_pair_that_does_not_fit_raises_in_python_and_is_skipped_in_a_run(pictures):
    noisy, reference = pictures
    pairs = make_pairs([(noisy[:50], reference), (noisy, reference)])
    with pytest.raises(ImageError, match="50 x 66"):
        list(maps(pairs, ["error"]))
    found = list(Mapper({"error": ERRORS["error"]()}, Options()).run(open_inputs(pairs=pairs)))
    assert [type(item) for item in found] == [FailedMap, LocalMap]


def test_metric_that_is_too_large_for_the_picture_says_the_least_size(registry):
    small = np.zeros((8, 8), np.uint8)
    with pytest.raises(ImageError, match="at least 11 pixels"):
        list(maps([(small, small)], ["ssim"], registry=registry))


@pytest.mark.parametrize("metric", ["ssim:dimensions=3,window=3", "error"])
def test_maps_of_a_pair_that_names_its_slices_lie_on_these(metric):
    generator = np.random.default_rng(0)
    reference = generator.random((12, 14, 11)).astype(np.float32)
    synthesized = reference.copy()
    synthesized[..., 6] = reference[..., 6] ** 3
    pair = Pair("p", synthesized, reference, slices="4:9")
    found = list(maps([pair], [metric], intensity="range=0,1", layout="XYZ"))
    assert [item.slice for item in found] == [4, 5, 6, 7, 8]
    values = {item.slice: item.values[~np.isnan(item.values)] for item in found}
    differing = [index for index, defined in values.items() if defined.size and np.ptp(defined) > 1e-6]
    assert differing == ([6] if metric == "error" else [5, 6, 7])


def test_reference_is_encoded_once_for_consecutive_candidates(pictures):
    calls = []

    class Counting(ERRORS["error"]):
        def encode(self, images):
            calls.append(images)
            return images

    noisy, reference = pictures
    mapper = Mapper({"error": Counting()}, Options(workers=0), {"error": DIFFERENCE})
    found = list(mapper.run(open_inputs(pairs=[(noisy // (n + 1), reference) for n in range(3)])))
    assert len(found) == 3
    assert len(calls) == 4


def test_scale_follows_the_value_where_images_are_equal(registry):
    image = torch.rand(1, 1, 32, 32, generator=torch.Generator().manual_seed(0))
    assert scale_for(registry.metric("gmsd"), image) == SIMILARITY
    assert scale_for(ERRORS["error"](), image) == DIFFERENCE
    assert scale_for(ERRORS["signed-error"](), image) == SIGNED
    assert (SIGNED.low, SIGNED.high) == (-0.5, 0.5)


def test_map_on_a_scale_of_its_own_needs_limits():
    class Odd(FullReferenceMetric):
        def local_map(self, synthesized, reference, size):
            return 7 + synthesized - reference

    with pytest.raises(IQAError, match=r"--limits Odd=EQUAL,FAR"):
        scale_for(Odd(), torch.rand(1, 1, 8, 8))


def test_limits_are_parsed_and_checked():
    found = parse_limits(["ssim:window=7=1,0.5", "signed-error=0,-0.1"])
    assert found["ssim:window=7"] == Scale(1.0, 0.5)
    assert (found["signed-error"].low, found["signed-error"].high) == (-0.1, 0.1)
    with pytest.raises(UsageError, match="names 'error', which is not drawn"):
        check_limits({"error": DIFFERENCE}, ["ssim"])


@pytest.mark.parametrize(
    "text", ["error", "error=1", "error=0,0", "=0,1", "error=a,b", "error=0,inf", "error=0,nan"]
)
def test_wrong_limits_are_refused(text):
    with pytest.raises(UsageError, match="expected METRIC=EQUAL,FAR"):
        parse_limits([text])


def test_colours_get_steadily_brighter_away_from_equal():
    weights = np.array([0.2126, 0.7152, 0.0722])
    assert (np.diff(SEQUENTIAL @ weights) > -1).all()
    light = DIVERGING @ weights
    assert (np.diff(light[:128]) <= 1e-9).all()
    assert (np.diff(light[128:]) >= -1e-9).all()
    assert abs(light[0] - light[-1]) < 15


def test_colours_beyond_the_limits_stay_at_the_ends():
    colors = colorize(np.array([[-9.0, 0.0, 1.0, 9.0, np.nan]]), 1, 0, SEQUENTIAL)[0]
    assert (colors[0] == SEQUENTIAL[-1]).all()
    assert (colors[1] == SEQUENTIAL[-1]).all()
    assert (colors[2] == SEQUENTIAL[0]).all()
    assert (colors[3] == SEQUENTIAL[0]).all()
    assert tuple(colors[4]) == UNDEFINED


def test_panel_outlines_the_mask_in_all_three_pictures(pictures):
    mask = np.zeros(pictures[0].shape, np.uint8)
    mask[20:50, 20:50] = 1
    found = first([(*pictures, mask)], "error")
    panel = draw_panel(found)
    columns = np.flatnonzero((panel == OUTLINE).all(axis=2).any(axis=0))
    assert len(np.flatnonzero(np.diff(columns) > 50)) == 2
    assert found.mean("mask") == pytest.approx(found.values[20:50, 20:50].mean(), abs=1e-6)
    assert found.mean("mask") != pytest.approx(found.mean(), rel=1e-4)


def test_panel_shows_reference_then_synthesized(pictures):
    noisy, _ = pictures
    panel = draw_panel(first([(np.zeros_like(noisy), np.full_like(noisy, 200))], "error"))
    middle = panel[150]
    shown = [tuple(value) for value in middle]
    assert shown.index((200, 200, 200)) < shown.index((0, 0, 0))


def test_thick_slices_are_not_squashed(pictures):
    found = first([pictures], "error")
    normal, thick = draw_panel(found), draw_panel(found, (4.0, 1.0))
    assert thick.shape[0] > normal.shape[0] / 2
    assert thick.shape[1] < normal.shape[1]


def test_outline_is_one_pixel_wide():
    mask = np.zeros((9, 9), bool)
    mask[2:7, 2:7] = True
    assert outline(mask).sum() == 16


def write_all(folder, pairs, metrics, registry=None, **options):
    with MapWriter(folder) as writer:
        for found in maps(pairs, metrics, registry=registry, **options):
            writer.add(found)
    return writer


def test_volume_lies_on_the_references_grid_and_is_nan_elsewhere(volumes, tmp_path):
    import nibabel

    paths, stored, affine = volumes
    write_all(tmp_path / "out", [tuple(paths)], ["signed-error"], slices="3:6", intensity="none")
    written = nibabel.load(tmp_path / "out" / "synthesized-signed-error.nii.gz")
    data = written.get_fdata()
    assert np.allclose(written.affine, affine)
    assert np.allclose(data[..., 3:6], (stored[0] - stored[1])[..., 3:6], atol=1e-6)
    assert np.isnan(np.delete(data, range(3, 6), axis=2)).all()


def test_what_the_resampled_volume_does_not_reach_is_not_defined():
    import nibabel

    values = np.random.default_rng(4).random((6, 6, 6)).astype(np.float32) * np.float32(0.8)
    reference = nibabel.Nifti1Image(values, np.eye(4))
    short = nibabel.Nifti1Image(values[:, :4] + np.float32(0.1), np.eye(4))
    found = [*maps([(short, reference)], ["error"], resample=True, intensity="none")]
    assert len(found) == 6
    for shown in found:
        assert np.isnan(shown.values[:2]).all()  # rows run from anterior to posterior
        assert shown.values[2:] == pytest.approx(0.1, abs=1e-6)
        assert not shown.regions


@pytest.mark.parametrize(("axis", "number"), [("sagittal", 0), ("coronal", 1)])
def test_volume_of_other_axes(volumes, tmp_path, axis, number):
    import nibabel

    paths, stored, _ = volumes
    write_all(tmp_path / "out", [tuple(paths)], ["error"], axis=axis, intensity="none")
    data = nibabel.load(tmp_path / "out" / "synthesized-error.nii.gz").get_fdata()
    pictures = sorted((tmp_path / "out" / "synthesized").glob(f"{axis}-*-error.png"))
    assert np.allclose(data, abs(stored[0] - stored[1]), atol=1e-6)
    assert len(pictures) == stored[0].shape[number]


def test_metric_of_three_dimensions_gives_the_same_volume(volumes, tmp_path, registry):
    import nibabel

    paths, stored, _ = volumes
    metrics = ["mae:dimensions=3", "error"]
    write_all(tmp_path / "out", [tuple(paths)], metrics, registry, slices="-4:", intensity="none")
    whole = nibabel.load(tmp_path / "out" / "synthesized-mae_dimensions=3.nii.gz").get_fdata()
    slices = nibabel.load(tmp_path / "out" / "synthesized-error.nii.gz").get_fdata()
    assert np.allclose(whole, slices, atol=1e-6, equal_nan=True)
    assert np.allclose(whole[..., -4:], abs(stored[0] - stored[1])[..., -4:], atol=1e-6)


def test_volumes_without_a_position_get_voxels_of_one_millimetre(tmp_path):
    import nibabel

    volume = np.random.default_rng(2).random((12, 14, 3)).astype(np.float32)
    pair = Pair("pair", as_volume(volume), as_volume(volume * 0.5))
    write_all(tmp_path, [pair], ["error"], intensity="none")
    written = nibabel.load(tmp_path / "pair-error.nii.gz")
    assert np.allclose(written.affine, np.eye(4))
    assert np.allclose(written.get_fdata(), volume * 0.5, atol=1e-6)


def test_spacing_of_a_slice_follows_its_axis(volumes):
    grid = reference_grid(volumes[0][1])
    assert grid.spacing(2) == (2.0, 1.5)
    assert grid.spacing(1) == (4.0, 1.5)
    assert grid.spacing(0) == (4.0, 2.0)


def test_table_names_the_files_and_gives_the_means(pictures, tmp_path):
    mask = np.zeros(pictures[0].shape, np.uint8)
    mask[30:, :] = 1
    writer = write_all(tmp_path, [Pair("a/b", *pictures, mask)], ["error"])
    rows = list(csv.DictReader((tmp_path / "maps.csv").read_text().splitlines()))
    assert [row["region"] for row in rows] == ["image", "mask"]
    assert {row["picture"] for row in rows} == {"a/b-error.png"}
    assert (tmp_path / rows[0]["picture"]).is_file()
    assert float(rows[1]["mean"]) == pytest.approx(writer.rows[1]["mean"])
    assert not list(tmp_path.rglob("*.tmp"))


def test_empty_region_has_no_mean(pictures):
    empty = np.zeros(pictures[0].shape, np.uint8)
    found = first([(*pictures, empty)], "error")
    assert found.mean("mask") is None
    assert draw_panel(found).shape[2] == 3


def test_two_maps_of_one_file_name_are_refused(pictures, tmp_path):
    pairs = [Pair("a b", *pictures), Pair("a_b", *pictures)]
    with pytest.raises(UsageError, match=r"would both be a_b-error\.png"):
        write_all(tmp_path, pairs, ["error"])


@pytest.mark.parametrize("name", ["../../outside", "/etc/passwd", "a/../../b", "..", "C:\\x", ""])
def test_names_never_lead_out_of_the_folder(name, tmp_path):
    path = (tmp_path / file_stem(name, "error")).resolve()
    assert path.is_relative_to(tmp_path.resolve())


def test_folder_that_cannot_be_written_is_a_message(pictures, tmp_path):
    (tmp_path / "file").write_text("x")
    with pytest.raises(UsageError, match="is a file"):
        write_all(tmp_path / "file", [pictures], ["error"])
    with pytest.raises(IQAError, match="cannot be written"):
        write_all(tmp_path / "file" / "below", [pictures], ["error"])


@pytest.mark.skipif(not PATIENT.is_dir(), reason="the patient's volumes are not here")
def test_patient_map_equals_numpy_in_the_files_own_orientation(tmp_path):
    import nibabel

    names = [PATIENT / "t1c.nii.gz", PATIENT / "t1.nii.gz"]
    write_all(tmp_path, [tuple(names)], ["error"], slices="12:15")
    reference = nibabel.load(names[1])
    low, high = np.percentile(reference.get_fdata(), (0.5, 99.5))
    scaled = [((nibabel.load(name).get_fdata() - low) / (high - low)).clip(0, 1) for name in names]
    written = nibabel.load(tmp_path / "t1c-error.nii.gz")
    assert np.allclose(written.affine, reference.affine)
    assert np.allclose(written.get_fdata()[..., 12:15], abs(scaled[0] - scaled[1])[..., 12:15], atol=1e-5)
