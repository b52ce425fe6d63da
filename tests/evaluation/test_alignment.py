"""Aligned scores beside the strict ones: the shift, the overlap, masks, and what cannot be aligned."""

import numpy as np
import pytest
import torch

import iqa_registry
from iqa_registry.errors import OptionError
from iqa_registry.evaluation.alignment import NO_DATA, TOO_SMALL, best_shift
from iqa_registry.evaluation.options import Options


@pytest.fixture
def reference():
    return np.random.default_rng(5).random((40, 48)).astype(np.float32)


def evaluate(pairs, *metrics, **options):
    options = {"intensity": "range=0,1", "align": "translation"} | options
    return iqa_registry.evaluate(pairs, list(metrics), **options)


def shifted(image, rows, columns):
    """Moved down and right, the border filled with what is not in the image."""
    moved = np.zeros_like(image)
    height, width = image.shape
    moved[max(0, rows) : height + min(0, rows), max(0, columns) : width + min(0, columns)] = image[
        max(0, -rows) : height - max(0, rows), max(0, -columns) : width - max(0, columns)
    ]
    return moved


@pytest.mark.parametrize("shift", [(2, -1), (-3, 0), (0, 5), (-5, -5)])
def test_a_shift_is_found_and_undone(reference, shift):
    moved = shifted(reference, *shift)
    strict, aligned = evaluate([(moved, reference)], "mae").iter_rows(named=True)
    assert strict["region"] == "image"
    assert strict["score"] == pytest.approx(np.abs(moved - reference).mean(), abs=1e-6)
    assert strict["score"] > 0.1
    assert (strict["aligned_rows"], strict["aligned_columns"]) == (None, None)
    assert (aligned["region"], aligned["score"]) == ("aligned", 0)
    assert (aligned["aligned_rows"], aligned["aligned_columns"]) == shift
    overlap = (40 - abs(shift[0])) * (48 - abs(shift[1]))
    assert aligned["pixels"] == overlap
    assert aligned["region_fraction"] == pytest.approx(overlap / (40 * 48))


def test_noise_alone_is_not_a_shift(reference):
    noisy = (reference + np.random.default_rng(1).normal(0, 0.1, reference.shape)).clip(0, 1)
    table = evaluate([(noisy.astype(np.float32), reference)], "mae", "ssim", "psnr")
    for metric in ("mae", "ssim", "psnr"):
        strict, aligned = table.filter(metric=metric).iter_rows(named=True)
        assert strict["score"] == aligned["score"]
        assert (aligned["aligned_rows"], aligned["aligned_columns"]) == (0, 0)


def test_a_bad_border_does_not_pull():
    flat = torch.zeros(1, 24, 24)
    bad = flat.clone()
    bad[:, :3] = 1
    assert best_shift(bad, flat, 4) == (0, 0)


def test_strict_rows_are_those_of_a_run_without(reference):
    pairs = [(shifted(reference, 1, n), reference) for n in range(4)]
    plain = evaluate(pairs, "ssim", "psnr", align=None)
    strict = evaluate(pairs, "ssim", "psnr", batch_size=2).filter(region="image")
    columns = [name for name in plain.columns if name != "seconds"]
    assert strict.select(columns).equals(plain.select(columns))


def test_one_reference_cropped_in_several_ways_is_encoded_for_each(reference):
    """The overlaps of (1, 2) and (-1, -2) have one size, but are other pixels of the reference."""
    pairs = [(shifted(reference, *shift), reference) for shift in [(1, 2), (-1, -2), (1, -2)]]
    table = evaluate(pairs, "mae", "ssim").filter(region="aligned")
    assert table.filter(metric="mae")["score"].to_list() == [0, 0, 0]
    assert table.filter(metric="ssim")["score"].to_list() == pytest.approx([1, 1, 1], abs=1e-5)


def test_masks_stay_on_the_reference(reference):
    mask = np.zeros(reference.shape, np.uint8)
    mask[10:20, 30:40] = 1
    moved = shifted(reference, 2, -1)
    moved[22:24] = 0  # outside the mask, once the shift is undone
    pair = {"synthesized": moved, "reference": reference, "mask": mask}
    table = evaluate([pair], "mae")
    assert table["region"].to_list() == ["image", "mask", "aligned", "aligned:mask"]
    inside = table.filter(region="aligned:mask").row(0, named=True)
    assert (inside["score"], inside["pixels"]) == (0, 100)
    assert inside["region_fraction"] == pytest.approx(100 / (40 * 48))
    assert table.filter(region="aligned")["score"].item() > 0


@pytest.mark.filterwarnings("ignore:mae.dimensions=3. no aligned scores")
def test_slices_are_aligned_one_by_one_and_volumes_are_not():
    volume = np.random.default_rng(2).random((30, 32, 3)).astype(np.float32)
    moved = np.zeros_like(volume)
    for number in range(3):
        moved[..., number] = shifted(volume[..., number], number, -number)
    table = evaluate([(moved, volume)], "mae", "mae:dimensions=3", layout="XYZ")
    aligned = table.filter(region="aligned")
    assert aligned["score"].to_list() == [0, 0, 0]
    assert [abs(rows) for rows in aligned["aligned_rows"]] == [0, 1, 2]
    assert table.filter(dimensions=3)["region"].to_list() == ["image"]


def test_what_cannot_be_aligned_is_told(reference):
    holes = reference.copy()
    holes[0, 0] = np.nan
    row = evaluate([(holes, reference)], "mae", nan="exclude").row(-1, named=True)
    assert (row["region"], row["status"], row["message"]) == ("aligned", "not_applicable", NO_DATA)
    small = reference[:20]
    row = evaluate([(small, small)], "mae").row(-1, named=True)
    assert (row["status"], row["message"]) == ("not_applicable", TOO_SMALL)


def test_options_of_alignment():
    assert not {"align", "align_range"} & Options().recorded().keys()
    assert Options(align="translation", align_range=3).recorded()["align_range"] == 3
    with pytest.raises(OptionError, match="align_range"):
        Options(align_range=0)
    with pytest.raises(OptionError, match="'affine' is not translation"):
        Options(align="affine")
