"""NIfTI: orientation, scaling, versions, and files that are cut off or lie about their size."""

from __future__ import annotations

import gzip
import struct
import tracemalloc
from collections.abc import Callable
from pathlib import Path

import nibabel
import numpy as np
import pytest
from nibabel.orientations import axcodes2ornt, inv_ornt_aff

from iqa_registry.errors import ImageError
from iqa_registry.images.formats import Image, probe_image, read_image

OBLIQUE = np.array([[0.9, 0.1, 0.05, -40], [-0.1, 1.1, 0.2, -60], [0, -0.15, 3.0, -20], [0, 0, 0, 1.0]])


def save(
    path: Path, values: np.ndarray, affine: np.ndarray = OBLIQUE, kind: type = nibabel.Nifti1Image
) -> Path:
    nibabel.save(kind(values, affine), path)
    return path


@pytest.mark.parametrize("codes", ["RAS", "LAS", "LPS", "RPI", "ASR", "PIL", "SRA", "IPR"])
@pytest.mark.parametrize("ending", [".nii", ".nii.gz"])
def test_every_orientation_gives_the_same_volume(
    tmp_path: Path, rng: np.random.Generator, codes: str, ending: str
) -> None:
    values = rng.integers(-500, 500, (4, 5, 6)).astype(np.int16)
    orientation = nibabel.orientations.ornt_transform(axcodes2ornt("RAS"), axcodes2ornt(codes))
    turned = nibabel.orientations.apply_orientation(values, orientation)
    path = save(tmp_path / f"a{ending}", turned, OBLIQUE @ inv_ornt_aff(orientation, values.shape))
    image = read_image(path)
    np.testing.assert_array_equal(image.pixels, values)
    np.testing.assert_allclose(image.affine, OBLIQUE, atol=1e-4)
    assert (probe_image(path).shape, image.is_volume, image.full_scale) == ((4, 5, 6), True, None)


@pytest.mark.parametrize("kind", [nibabel.Nifti1Image, nibabel.Nifti2Image])
@pytest.mark.parametrize("dtype", ["u1", ">i2", "<u2", "i4", "f4", ">f8"])
def test_types_and_versions_are_exact(
    tmp_path: Path, rng: np.random.Generator, kind: type, dtype: str
) -> None:
    values = rng.integers(0, 200, (4, 5, 6)).astype(dtype)
    header = kind.header_class(endianness=dtype[0] if dtype[0] in "<>" else "<")
    header.set_data_dtype(values.dtype)
    nibabel.save(kind(values, OBLIQUE, header), tmp_path / "a.nii.gz")
    np.testing.assert_array_equal(read_image(tmp_path / "a.nii.gz").pixels, values)


def test_slope_and_intercept_are_applied(tmp_path: Path, rng: np.random.Generator) -> None:
    values = rng.integers(0, 4000, (4, 5, 6)).astype(np.int16)
    image = nibabel.Nifti1Image(values, np.eye(4))
    image.header.set_slope_inter(0.5, -1024)
    nibabel.save(image, tmp_path / "a.nii")
    stored = nibabel.load(tmp_path / "a.nii")
    assert (stored.dataobj.slope, stored.dataobj.inter) == (0.5, -1024)
    np.testing.assert_array_equal(read_image(tmp_path / "a.nii").pixels, stored.get_fdata())


def test_it_is_what_nibabel_gives(real_case: Path) -> None:
    for path in sorted(real_case.glob("*.nii.gz")):
        expected = nibabel.as_closest_canonical(nibabel.load(path))
        image = read_image(path)
        np.testing.assert_array_equal(image.pixels, expected.get_fdata(dtype=np.float32))
        np.testing.assert_array_equal(image.affine, expected.affine)
        assert probe_image(path).shape == image.pixels.shape


def test_axes_of_length_one_are_dropped_and_series_refused(tmp_path: Path) -> None:
    assert read_image(save(tmp_path / "a.nii", np.zeros((4, 5, 6, 1)))).pixels.shape == (4, 5, 6)
    assert read_image(save(tmp_path / "b.nii", np.zeros((4, 5)))).pixels.shape == (4, 5, 1)
    with pytest.raises(ImageError, match=r"c\.nii: holds 4 x 5 x 6 x 2 values, expected one volume; save"):
        read_image(save(tmp_path / "c.nii", np.zeros((4, 5, 6, 2))))


@pytest.mark.parametrize(
    ("values", "message"),
    [
        (
            np.ones((4, 5, 6), np.complex64),
            "complex64, expected integers or floats; of complex data take the magn",
        ),
        (np.ones((4, 5, 6), [("R", "u1"), ("G", "u1"), ("B", "u1")]), "of color one channel"),
        (np.full((4, 5, 6), np.nan), r"120 of 120 pixels are NaN or infinite"),
    ],
)
def test_voxels_that_are_no_numbers_are_refused(tmp_path: Path, values: np.ndarray, message: str) -> None:
    with pytest.raises(ImageError, match=f"a.nii: .*{message}"):
        read_image(save(tmp_path / "a.nii", values))


def test_a_singular_affine_is_refused(tmp_path: Path) -> None:
    image = nibabel.Nifti1Image(np.zeros((4, 5, 6)), None)
    image.header["sform_code"] = 1
    image.header["srow_x"], image.header["srow_y"], image.header["srow_z"] = 0, 0, 0
    nibabel.save(image, tmp_path / "a.nii")
    with pytest.raises(ImageError, match=r"a\.nii: the header's affine is singular"):
        read_image(tmp_path / "a.nii")


@pytest.mark.parametrize("ending", [".nii", ".nii.gz"])
def test_a_file_that_is_no_nifti_is_refused(tmp_path: Path, ending: str) -> None:
    (tmp_path / f"text{ending}").write_text("subject,age\n" * 100)
    with pytest.raises(ImageError, match=rf"text\{ending}: is not a NIfTI file whatever its name"):
        read_image(tmp_path / f"text{ending}")


@pytest.mark.parametrize("ending", [".nii", ".nii.gz"])
def test_cut_files_are_refused(
    tmp_path: Path, rng: np.random.Generator, ending: str, capfd: pytest.CaptureFixture[str]
) -> None:
    data = save(tmp_path / f"a{ending}", rng.integers(0, 500, (20, 20, 20)).astype(np.int16)).read_bytes()
    for length in (0, 1, 10, 100, 400, len(data) // 2, len(data) - 1):
        (tmp_path / f"cut{ending}").write_bytes(data[:length])
        with pytest.raises(ImageError, match=rf"cut\{ending}: .*again"):
            read_image(tmp_path / f"cut{ending}")
    assert capfd.readouterr().err == ""


def test_the_first_bytes_decide_whether_it_is_compressed(tmp_path: Path) -> None:
    data = save(tmp_path / "a.nii", np.ones((4, 5, 6), np.int16)).read_bytes()
    (tmp_path / "b.nii.gz").write_bytes(data)
    (tmp_path / "c.nii").write_bytes(gzip.compress(data))
    assert (
        read_image(tmp_path / "b.nii.gz").pixels.sum() == read_image(tmp_path / "c.nii").pixels.sum() == 120
    )


def _dims(*sides: int) -> Callable[[bytearray], None]:
    return lambda data: struct.pack_into(f"<{len(sides) + 1}h", data, 40, len(sides), *sides)


def _offset(value: float) -> Callable[[bytearray], None]:
    return lambda data: struct.pack_into("<f", data, 108, value)


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (_dims(32767, 32767, 32767), "32767 x 32767 x 32767 pixels would take .* IQA_MAX_IMAGE_BYTES"),
        (_dims(600, 600, 600), "cannot hold them; it is cut off or damaged"),
        (_dims(4, -5, 6), "declares dimensions"),
        (_dims(4, 0, 6), "declares dimensions"),
        (_offset(2.0**40), "puts the voxels at byte 1099511627776"),
        (_offset(float("nan")), "puts the voxels at byte nan"),
        (_offset(-1), "puts the voxels at byte -1"),
        (_offset(0), "puts the voxels at byte 0"),
        (_offset(6e7), "cannot hold them|holds 0 of"),
        (_dims(4, 5, 5), "goes on after"),
    ],
)
@pytest.mark.parametrize("packed", [False, True])
def test_headers_that_lie_are_refused_before_memory_fills(
    tmp_path: Path, damage: Callable[[bytearray], None], message: str, packed: bool
) -> None:
    data = bytearray(save(tmp_path / "a.nii", np.ones((4, 5, 6), np.int16)).read_bytes())
    damage(data)
    if "goes on" in message:
        data += bytes(50_000_000)
    (tmp_path / "bomb.nii.gz").write_bytes(gzip.compress(data) if packed else data)
    tracemalloc.start()
    with pytest.raises(ImageError, match=f"bomb.nii.gz: .*({message})"):
        read_image(tmp_path / "bomb.nii.gz")
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 5e6


def test_a_huge_extension_is_skipped_without_being_held(tmp_path: Path) -> None:
    data = bytearray(save(tmp_path / "a.nii", np.ones((4, 5, 6), np.int16)).read_bytes())
    extended = data[:348] + b"\1\0\0\0" + struct.pack("<ii", 30_000_000, 4) + bytes(29_999_992) + data[352:]
    _offset(352 + 30_000_000)(extended)
    (tmp_path / "a.nii.gz").write_bytes(gzip.compress(extended))
    tracemalloc.start()
    image = read_image(tmp_path / "a.nii.gz")
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert isinstance(image, Image)
    assert image.pixels.sum() == 120
    assert peak < 5e6
