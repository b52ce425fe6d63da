"""What is said of images: padding, orientation tags, headers that disagree, limits that clip, ranges hardly used."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import nibabel
import numpy as np
import pytest
import tifffile
from PIL import Image as Pillow
from PIL import ImageOps

from iqa_registry import evaluate
from iqa_registry.images._dicom_padding import fill_padding
from iqa_registry.images.formats import probe_image, read_image, read_labels
from iqa_registry.images.image import LazyImage

AFFINE = np.diag([1.0, 1.2, 2.0, 1.0])


def noted(synthesized: object, reference: object, **options: object) -> list[str]:
    return evaluate([(synthesized, reference)], ["mae"], **options)["notes"].drop_nulls().unique().to_list()  # type: ignore[arg-type]


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("suffix", ["png", "jpg", "rgb.png", "tif", "lzw.tif"])
def test_orientation_tags_are_applied(tmp_path: Path, suffix: str, orientation: int) -> None:
    """As Pillow's exif_transpose does it; the header gives the same shape."""
    smooth = np.add.outer(np.arange(24) * 6, np.arange(16) * 3).astype(np.uint8)
    values = np.stack([smooth, smooth // 2, 255 - smooth], axis=-1) if suffix == "rgb.png" else smooth
    path = tmp_path / f"f.{suffix}"
    if suffix.endswith("tif"):
        compression = "lzw" if suffix == "lzw.tif" else None
        Pillow.fromarray(values).save(
            path, compression=f"tiff_{compression}" if compression else "raw", tiffinfo={274: orientation}
        )
        with tifffile.TiffFile(path) as opened:
            assert opened.pages[0].tags[274].value == orientation
    else:
        exif = Pillow.Exif()
        exif[274] = orientation
        Pillow.fromarray(values).save(path, exif=exif, **({"quality": 100} if suffix == "jpg" else {}))
    plain = Pillow.fromarray(values)
    tag = Pillow.Exif()
    tag[274] = orientation
    plain.info["exif"] = tag.tobytes()
    plain._exif = tag
    expected = np.asarray(ImageOps.exif_transpose(plain))
    image = read_image(path)
    pixels = np.moveaxis(image.pixels, 0, 2).squeeze()
    np.testing.assert_allclose(pixels, expected, atol=3 if suffix == "jpg" else 0)
    assert probe_image(path).shape == image.pixels.shape
    assert [note.kind for note in image.notes] == ([] if orientation == 1 else ["orientation"])
    if suffix in ("png", "tif"):
        np.testing.assert_array_equal(read_labels(path).pixels, image.pixels)


def test_a_damaged_orientation_is_passed_over(tmp_path: Path) -> None:
    Pillow.new("L", (4, 3)).save(tmp_path / "f.jpg", exif=b"Exif\x00\x00nonsense")
    assert read_image(tmp_path / "f.jpg").notes == ()


@pytest.mark.parametrize("shift", [0.0, 0.004, 10.0])
def test_qform_and_sform_that_disagree_are_reported(tmp_path: Path, shift: float) -> None:
    image = nibabel.Nifti1Image(np.ones((4, 5, 6), np.float32), AFFINE)
    other = AFFINE.copy()
    other[0, 3] += shift
    image.set_qform(other, code=1)
    image.set_sform(AFFINE, code=1)
    nibabel.save(image, tmp_path / "f.nii.gz")
    found = read_image(tmp_path / "f.nii.gz").notes
    assert len(found) == int(shift == 10)
    if found:
        assert "f.nii.gz are up to 10 mm apart" in found[0].message
    np.testing.assert_allclose(read_image(tmp_path / "f.nii.gz").affine, AFFINE, rtol=1e-6)


@pytest.mark.parametrize("code", [0, 1])
def test_a_single_form_says_nothing(tmp_path: Path, code: int) -> None:
    image = nibabel.Nifti1Image(np.ones((4, 5, 6), np.float32), AFFINE)
    image.set_qform(np.eye(4), code=1 - code)
    image.set_sform(AFFINE, code=code)
    nibabel.save(image, tmp_path / "f.nii")
    assert read_image(tmp_path / "f.nii").notes == ()


def ct(rng: np.random.Generator) -> np.ndarray:
    """Stored values of a round field: -2000 outside it, as one maker writes it; 24 to 1400 inside."""
    values = rng.integers(24, 1400, (20, 20)).astype(np.int16)
    y, x = np.mgrid[:20, :20] - 9.5
    values[x**2 + y**2 > 90] = -2000
    return values


RESCALE = {"RescaleSlope": 1, "RescaleIntercept": -1024}


@pytest.mark.parametrize("padding", [-2000, None])
def test_padding_becomes_air(
    tmp_path: Path, rng: np.random.Generator, write_dicom: Callable[..., None], padding: int | None
) -> None:
    values = ct(rng)
    extra = {} if padding is None else {"PixelPaddingValue": padding}
    write_dicom(values, tmp_path / "a.dcm", **RESCALE, **extra)
    image = read_image(tmp_path / "a.dcm")
    hounsfield = values.astype(float) - 1024
    measured = values != -2000
    expected = np.where(measured, hounsfield, hounsfield[measured].min()) if padding else hounsfield
    np.testing.assert_array_equal(image.pixels[0], expected)
    assert [note.kind for note in image.notes] == (["padding"] if padding else [])
    if padding:
        assert f"{(~measured).mean():.1%} of {tmp_path / 'a.dcm'} is padding" in image.notes[0].message


def test_padding_of_a_series_becomes_the_least_value_of_all(
    tmp_path: Path, rng: np.random.Generator, write_series: Callable[..., Path]
) -> None:
    volume = np.stack([ct(rng) for _ in range(3)], axis=-1)
    folder = write_series(tmp_path / "s", volume, AFFINE, PixelPaddingValue=-2000, **RESCALE)
    image = read_image(folder)
    least = volume[volume != -2000].min()
    np.testing.assert_array_equal(image.pixels, np.where(volume == -2000, least, volume) - 1024.0)
    assert len(image.notes) == 1


def test_a_range_of_padding(
    tmp_path: Path, rng: np.random.Generator, write_dicom: Callable[..., None]
) -> None:
    values = ct(rng)
    values[0, :5] = -1990
    write_dicom(values, tmp_path / "a.dcm", PixelPaddingValue=-2000, PixelPaddingRangeLimit=-1990)
    assert read_image(tmp_path / "a.dcm").pixels.min() == values[values >= 0].min()


def test_padding_beside_the_measured_values_stays(tmp_path: Path, write_dicom: Callable[..., None]) -> None:
    """MR: 0 around the head is background, and the foreground must stay what it is."""
    values = np.arange(400, dtype=np.uint16).reshape(20, 20)
    values[:5] = 0
    write_dicom(values, tmp_path / "a.dcm", PixelPaddingValue=0)
    image = read_image(tmp_path / "a.dcm")
    np.testing.assert_array_equal(image.pixels[0], values)
    assert image.notes == ()


def test_much_clipping_is_reported_once(rng: np.random.Generator) -> None:
    reference = rng.uniform(-1000, 1000, (12, 12)).astype(np.float32)
    synthesized = reference + 1
    (said,) = noted(synthesized, reference, intensity="range=-160,240")
    shares = [f"{((values < -160) | (values > 240)).mean():.1%}" for values in (synthesized, reference)]
    assert said.startswith(f"clipped: {shares[0]} of ")
    assert f" and {shares[1]} of " in said
    assert noted(synthesized, reference, intensity="range=-1000,1001") == []
    assert noted(synthesized, reference, intensity="reference-percentile=1,99") == []


@pytest.mark.parametrize(("top", "bits"), [(4000, 12), (900, 10), (16000, 14), (20000, 0), (65000, 0)])
def test_16_bits_that_hold_fewer_are_reported(
    tmp_path: Path, rng: np.random.Generator, top: int, bits: int
) -> None:
    reference = rng.integers(0, top, (20, 20)).astype(np.uint16)
    reference[0, :2] = 0, top
    Pillow.fromarray(reference).save(tmp_path / "r.png")
    Pillow.fromarray(reference[::-1]).save(tmp_path / "f.png")
    found = noted(tmp_path / "f.png", tmp_path / "r.png")
    assert len(found) == int(bits > 0)
    if bits:
        assert f"uses {top / 65535:.1%} of the range" in found[0]
        assert f"--intensity range=0,{2**bits - 1}" in found[0]
    assert noted(tmp_path / "f.png", tmp_path / "r.png", intensity=f"range=0,{top}") == []


def test_values_with_an_offset_hardly_use_the_range_either(rng: np.random.Generator) -> None:
    values = rng.integers(31768, 34768, (20, 20)).astype(np.uint16)
    (said,) = noted(values, values[::-1].copy())
    assert f"--intensity range={values.min()},{values.max()}" in said


def test_a_dark_picture_of_8_bits_is_no_news(rng: np.random.Generator) -> None:
    values = rng.integers(0, 20, (20, 20)).astype(np.uint8)
    assert noted(values, values[::-1].copy()) == []


@pytest.mark.parametrize(("shift", "notes"), [(0.004, 0), (0.006, 1)])
def test_forms_are_compared_by_the_smallest_voxel_side(tmp_path: Path, shift: float, notes: int) -> None:
    sform = np.diag([0.1, 5.0, 5.0, 1.0])  # a twentieth of 0.1 mm is rounding
    qform = sform.copy()
    qform[0, 3] = shift
    image = nibabel.Nifti1Image(np.ones((4, 5, 6), np.float32), sform)
    image.set_qform(qform, code=1)
    image.set_sform(sform, code=1)
    nibabel.save(image, tmp_path / "f.nii.gz")
    assert len(read_image(tmp_path / "f.nii.gz").notes) == notes


@pytest.mark.parametrize(
    ("padding", "far"),
    [
        (-116.0, True),
        (-114.0, False),
        (-100.0, False),
        (50.0, False),
        (214.0, False),
        (216.0, True),
        (0.0, False),
    ],
)
def test_padding_is_filled_where_it_is_far_from_what_was_measured(padding: float, far: bool) -> None:
    measured = [-100.0, 10.0, 200.0]  # a range of 300; 15 of it is a twentieth
    values, padded = np.array([*measured, padding]), np.array([False, False, False, True])
    filled, notes = fill_padding(values, padded, "ct.dcm")
    assert filled.tolist() == [*measured, -100.0 if far else padding]
    assert [note.kind for note in notes] == ["padding"] * far


def test_an_image_that_is_made_later_says_what_it_takes() -> None:
    def never() -> None:
        pytest.fail("was made")

    info = LazyImage("key", never, (3, 4, 5), is_volume=True, name="shown").info()
    assert (info.shape, info.is_volume, info.name, info.nbytes) == ((3, 4, 5), True, "shown", 240)
