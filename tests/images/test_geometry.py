"""Grids: affines, sizes, resampling, resizing, cropping; and the residual shift."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import scipy.ndimage
import torch
from hypothesis import given
from hypothesis import strategies as st

from iqa_registry.errors import GeometryError
from iqa_registry.images.formats import Image, as_picture, as_volume, read_image
from iqa_registry.images.geometry import (
    _both_halves,
    center_fit,
    check_affines,
    check_sizes,
    crop_common,
    resample_to,
    residual_shift,
    resize_to,
    shift_between,
    shift_spectrum,
)

AFFINE = np.array([[0.8, 0.05, 0, -80], [-0.05, 0.8, 0.1, -100], [0, -0.1, 1.2, -60], [0, 0, 0, 1.0]])


def volume(affine: np.ndarray | None = AFFINE, name: str = "a.nii", shape: tuple = (209, 180, 40)) -> Image:
    return as_volume(np.zeros(shape, np.float32), affine, name)


def test_rounded_affines_pass() -> None:
    check_affines(volume(), volume(AFFINE * (0.799999 / 0.8)))
    check_affines(volume(), volume(AFFINE.astype(np.float32)))
    check_affines(volume(), volume(None))


@pytest.mark.parametrize(
    ("change", "distance"), [(np.array([[0, 0, 0, 3.0]] + [[0] * 4] * 3), "3"), (0.01 * AFFINE, "")]
)
def test_other_affines_are_refused_and_shown(change: np.ndarray, distance: str) -> None:
    message = (
        rf"a\.nii and b\.nii lie up to {distance}.* mm apart: affines \[0\.8 .*; .*\] and \[.*--resample"
    )
    with pytest.raises(GeometryError, match=message) as raised:
        check_affines(volume(), volume(AFFINE + change, "b.nii"))
    assert len(str(raised.value).splitlines()) <= 2


def test_the_distance_is_that_of_the_farthest_corner() -> None:
    turned = AFFINE.copy()
    turned[:3, :3] *= 1.001
    corner = np.array([208, 179, 39])
    expected = max(
        float(np.linalg.norm(0.001 * AFFINE[:3, :3] @ (corner * pick))) for pick in np.ndindex(2, 2, 2)
    )
    with pytest.raises(GeometryError, match=f"up to {expected:.3g} mm"):
        check_affines(volume(), volume(turned))


def test_sizes() -> None:
    first, second = as_picture(np.zeros((4, 5)), "s.png"), as_picture(np.zeros((3, 4, 6)), "r.png")
    with pytest.raises(GeometryError, match=r"s\.png is 4 x 5, r\.png is 4 x 6; give --resize or --crop"):
        check_sizes(first, second)
    check_sizes(first, as_picture(np.zeros((3, 4, 5))))
    with pytest.raises(GeometryError, match="give --resample reference"):
        check_sizes(volume(), volume(shape=(208, 180, 40)))


def test_resampling_follows_the_affines() -> None:
    x, y, z = np.meshgrid(*(np.arange(n, dtype=float) for n in (20, 22, 24)), indexing="ij")
    world = np.stack([x, y, z, np.ones_like(x)], axis=-1) @ AFFINE.T
    moving = as_volume(world @ [1.0, 2.0, -1.5, 0.0], AFFINE)
    shifted = AFFINE.copy()
    shifted[:3, 3] += AFFINE[:3, :3] @ [3.25, 2.5, 4.75]
    reference = volume(shifted, shape=(10, 9, 8))
    resampled = resample_to(moving, reference, order=1)
    inside = np.stack(
        [*np.meshgrid(*map(np.arange, (10, 9, 8)), indexing="ij"), np.ones((10, 9, 8))], axis=-1
    )
    np.testing.assert_allclose(resampled.pixels, inside @ shifted.T @ [1.0, 2.0, -1.5, 0.0], atol=1e-3)
    np.testing.assert_array_equal(resampled.affine, shifted)


@pytest.mark.parametrize(("order", "outside"), [(1, -1000.0), (0, 0.0)])
def test_outside_its_field_of_view_there_is_air_or_no_label(order: int, outside: float) -> None:
    moving = as_volume(np.full((5, 5, 5), 7.0), np.eye(4))
    moving.pixels[0, 0, 0] = -1000
    resampled = resample_to(moving, volume(np.eye(4), shape=(9, 5, 5)), order=order)
    assert (resampled.pixels[6:] == outside).all()
    assert (resampled.pixels[1:5] == 7).all()


def test_resampling_needs_affines() -> None:
    with pytest.raises(GeometryError, match=r"bare\.npy has no affine"):
        resample_to(volume(None, "bare.npy"), volume(), order=1)


def test_resizing_keeps_ramps_and_means_and_labels() -> None:
    ramp = np.linspace(0, 1, 32, dtype=np.float32)[None, None].repeat(20, axis=1)
    larger = resize_to(ramp, (40, 64))
    np.testing.assert_allclose(larger[0, 0, 2:-2], (np.arange(64) + 0.5)[2:-2] / 62 - 0.25 / 15.5, atol=1e-5)
    checkers = np.indices((64, 64)).sum(axis=0)[None] % 2
    np.testing.assert_allclose(
        resize_to(checkers.astype(np.float32), (16, 16))[0, 2:-2, 2:-2], 0.5, atol=0.01
    )
    labels = np.random.default_rng(0).integers(0, 5, (1, 9, 7)).astype(np.float32)
    np.testing.assert_array_equal(resize_to(labels, (18, 14), nearest=True), labels.repeat(2, 1).repeat(2, 2))


@given(st.lists(st.integers(1, 12), min_size=4, max_size=4))
def test_cropping_is_central(sides: list[int]) -> None:
    first, second = np.zeros((1, *sides[:2])), np.zeros((1, *sides[2:]))
    for values in (first, second):
        values[0, (values.shape[1] - 1) // 2, (values.shape[2] - 1) // 2] = 1
    cut = crop_common(first, second)
    size = (min(sides[0], sides[2]), min(sides[1], sides[3]))
    for values in cut:
        assert values.shape == (1, *size)
        assert values[0, max(0, (size[0] - 1) // 2 - 1) : size[0] // 2 + 1].sum() == 1


def smooth(rng: np.random.Generator, sigma: float, shape: tuple = (160, 131)) -> np.ndarray:
    return scipy.ndimage.gaussian_filter(rng.normal(size=shape), sigma)


def shift_of(synthesized: np.ndarray, reference: np.ndarray) -> np.ndarray:
    pair = [
        torch.from_numpy(np.ascontiguousarray(x, dtype=np.float32))[None, None]
        for x in (synthesized, reference)
    ]
    return residual_shift(*pair)[0].numpy()


@pytest.mark.parametrize("shift", [(0.0, 0.0), (1.0, 0.0), (-2.4, 1.6), (7.0, -11.0)])
@pytest.mark.parametrize("noise", [0.0, 0.05])
def test_a_shift_is_found(rng: np.random.Generator, shift: tuple, noise: float) -> None:
    reference = smooth(rng, 1.5)
    moved = scipy.ndimage.shift(reference, shift, order=3) + noise * reference.std() * smooth(rng, 0)
    np.testing.assert_allclose(shift_of(1.7 * moved + 0.2, reference), shift, atol=0.1)


@pytest.mark.parametrize("shift", [(0.0, 0.0), (1.4, -2.2), (-8.0, 6.0)])
@pytest.mark.parametrize("change", [lambda x: x, lambda x: scipy.ndimage.gaussian_filter(x, 1.5), np.sqrt])
def test_a_shift_is_found_on_a_real_slice(real_case: Path, shift: tuple, change: object) -> None:
    reference = read_image(real_case / "t1c.nii.gz").section(2, 13)[0] / 4000
    moved = np.clip(scipy.ndimage.shift(reference, shift, order=1), 0, None)
    np.testing.assert_allclose(shift_of(change(moved), reference), shift, atol=0.15)


@pytest.mark.parametrize("sigma", [0, 1, 4, 10])
@pytest.mark.parametrize("shape", [(160, 131), (64, 64), (16, 16), (9, 7)])
def test_unrelated_images_have_no_shift(rng: np.random.Generator, sigma: float, shape: tuple) -> None:
    for _ in range(20):
        assert np.isnan(shift_of(smooth(rng, sigma, shape), smooth(rng, sigma, shape))).all()


def test_distant_and_mirrored_slices_have_no_shift(real_case: Path) -> None:
    image = read_image(real_case / "t1.nii.gz")
    for index in range(4, 11):
        section = image.section(2, index)[0]
        assert np.isnan(shift_of(section, image.section(2, index + 11)[0])).all()
        assert np.isnan(shift_of(section[::-1], section)).all()


@pytest.mark.parametrize("shape", [(1, 1), (3, 2), (5, 5), (64, 64), (33, 48)])
def test_identical_and_constant_images(rng: np.random.Generator, shape: tuple) -> None:
    image = smooth(rng, 1, shape)
    found = shift_of(image, image)
    assert np.isnan(found).all() or (found == 0).all()
    for constant in (np.zeros(shape), np.full(shape, 0.7)):
        assert np.isnan(shift_of(constant, constant)).all()
        assert np.isnan(shift_of(image, constant)).all()


def test_each_pair_is_by_itself(rng: np.random.Generator) -> None:
    reference = torch.from_numpy(np.stack([smooth(rng, 1.5, (64, 64)) for _ in range(3)])[:, None]).float()
    moved = torch.stack([image.roll((k, -2 * k), (1, 2)) for k, image in enumerate(reference)])
    spectra = shift_spectrum(moved), shift_spectrum(reference)
    together = shift_between(*spectra)
    for k in range(3):
        alone = residual_shift(moved[k : k + 1], reference[k : k + 1])
        torch.testing.assert_close(alone[0], together[k])
    np.testing.assert_allclose(together, [[0, 0], [1, -2], [2, -4]], atol=0.1)


@given(st.integers(1, 9), st.integers(1, 9), st.integers(1, 9), st.integers(1, 9))
def test_fitting_keeps_the_center_and_what_fits(rows, columns, height, width):
    pixels = np.arange(1, 1 + 2 * rows * columns, dtype=np.uint8).reshape(2, rows, columns)
    fitted = center_fit(pixels, (height, width))
    assert fitted.shape == (2, height, width)
    assert fitted.dtype == np.uint8
    assert np.count_nonzero(fitted) == 2 * min(rows, height) * min(columns, width)
    # Where the middle is a pixel before and after, it is the same pixel.
    if rows % 2 == columns % 2 == height % 2 == width % 2 == 1:
        assert fitted[1, height // 2, width // 2] == pixels[1, rows // 2, columns // 2]
    # A crop and a pad of one odd margin are each other's inverse.
    if height >= rows and width >= columns:
        np.testing.assert_array_equal(center_fit(fitted, (rows, columns)), pixels)


@pytest.mark.parametrize("shape", [(6, 8), (5, 8), (4, 4)])
def test_half_a_spectrum_stands_for_the_whole(rng: np.random.Generator, shape: tuple) -> None:
    image = torch.from_numpy(rng.random((2, *shape)))
    half, whole = (transform(image).abs() for transform in (torch.fft.rfft2, torch.fft.fft2))
    torch.testing.assert_close(_both_halves(half), whole.sum(dim=(1, 2)))
