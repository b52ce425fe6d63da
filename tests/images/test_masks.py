"""Masks and label maps, in the layout of their image."""

from __future__ import annotations

from pathlib import Path

import nibabel
import numpy as np
import pytest
from PIL import Image as Pillow

from iqa_registry.errors import GeometryError, ImageError
from iqa_registry.images.formats import as_picture, as_volume, read_image
from iqa_registry.images.image import Image
from iqa_registry.images.masks import foreground, read_mask

LAS = np.diag([-1.0, 1.0, 2.0, 1.0])


@pytest.fixture
def labels(rng: np.random.Generator) -> np.ndarray:
    return rng.integers(0, 4, (5, 6, 7)).astype(np.uint8)


def test_a_label_volume_is_brought_into_the_layout_of_its_image(tmp_path: Path, labels: np.ndarray) -> None:
    values = 10.0 * labels
    nibabel.save(nibabel.Nifti1Image(values, LAS), tmp_path / "a.nii")
    nibabel.save(nibabel.Nifti1Image(labels[::-1], LAS @ [[-1, 0, 0, 4], *np.eye(4)[1:]]), tmp_path / "m.nii")
    image = read_image(tmp_path / "a.nii")
    np.testing.assert_array_equal(10 * read_mask(tmp_path / "m.nii", image), image.pixels)


@pytest.mark.parametrize("kind", ["grey", "palette", "npy"])
def test_label_pictures_keep_their_labels(tmp_path: Path, labels: np.ndarray, kind: str) -> None:
    path = tmp_path / ("m.npy" if kind == "npy" else "m.png")
    if kind == "npy":
        np.save(path, labels[0])
    else:
        opened = Pillow.fromarray(labels[0])
        if kind == "palette":
            opened.putpalette([0, 0, 0, 255, 0, 0, 0, 255, 0, 0, 0, 255])
        opened.save(path)
    np.testing.assert_array_equal(read_mask(path, as_picture(np.zeros((6, 7)))), labels[0])


def test_a_mask_on_another_grid_is_refused_or_resampled(labels: np.ndarray) -> None:
    image = as_volume(np.zeros((5, 6, 7)), np.diag([1.0, 1, 2, 1]))
    fine = as_volume(np.repeat(labels, 2, axis=2), np.diag([1.0, 1, 1, 1]), "fine.nii")
    with pytest.raises(
        GeometryError, match=r"fine\.nii is 5 x 6 x 14, .* is 5 x 6 x 7; give --resample reference"
    ):
        read_mask(fine, image)
    np.testing.assert_array_equal(read_mask(fine, image, resample=True), labels)


@pytest.mark.parametrize(
    ("mask", "message"),
    [
        (np.zeros((6, 8), np.uint8), "6 x 8, .* 6 x 7"),
        (np.zeros((5, 6, 7), np.uint8), "mask array is a volume, array is a 2-D image"),
        (np.arange(126, dtype=np.uint8).reshape(3, 6, 7), "3 that differ; save the labels as gray values"),
    ],
)
def test_masks_that_do_not_fit_are_refused(mask: np.ndarray, message: str) -> None:
    with pytest.raises(ImageError, match=message):
        read_mask(mask, as_picture(np.zeros((6, 7))))


def test_a_bare_array_for_a_volume_stored_mirrored_is_refused(tmp_path: Path, labels: np.ndarray) -> None:
    nibabel.save(nibabel.Nifti1Image(labels, LAS), tmp_path / "a.nii")
    image = read_image(tmp_path / "a.nii")
    with pytest.raises(
        GeometryError, match=r"array has no affine and .*a\.nii is stored as LAS, .*as_volume"
    ):
        read_mask(labels, image)
    np.testing.assert_array_equal(read_mask(as_volume(labels, LAS), image), image.pixels)
    nibabel.save(nibabel.Nifti1Image(labels, np.eye(4)), tmp_path / "b.nii")
    np.testing.assert_array_equal(read_mask(labels, read_image(tmp_path / "b.nii")), labels)


def test_jpeg_masks_are_refused(tmp_path: Path) -> None:
    Pillow.new("L", (7, 6)).save(tmp_path / "m.jpg")
    with pytest.raises(ImageError, match=r"m\.jpg: JPEG changes label values"):
        read_mask(tmp_path / "m.jpg", as_picture(np.zeros((6, 7))))


def test_foreground_is_where_any_channel_is_not_zero(labels: np.ndarray) -> None:
    np.testing.assert_array_equal(foreground(as_volume(labels))[0], labels != 0)
    colour = np.stack([labels[0], 0 * labels[0], labels[1]])
    np.testing.assert_array_equal(foreground(as_picture(colour))[0], (labels[0] != 0) | (labels[1] != 0))


def test_the_foreground_has_no_place_without_data() -> None:
    pixels = np.array([[[1.0, 0.0], [2.0, 0.0]]], np.float32)
    valid = np.array([[True, True], [False, False]])
    found, _ = foreground(Image(pixels, valid=valid))
    assert found.tolist() == [[True, False], [False, False]]


@pytest.mark.parametrize("shape", [(4, 5), (1, 4, 5, 6), (4,)])
def test_a_volume_has_three_axes(shape: tuple) -> None:
    with pytest.raises(ImageError, match=r"expected a volume \(X, Y, Z\), got shape"):
        as_volume(np.zeros(shape, np.float32))
