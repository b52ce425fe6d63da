"""DICOM: single files, series, multi-frame files; order, spacing, rescaling, and what is rejected."""

from __future__ import annotations

import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pydicom
import pytest
from pydicom.uid import DeflatedExplicitVRLittleEndian, ExplicitVRLittleEndian, RLELossless

from iqa_registry.errors import ImageError
from iqa_registry.images._dicom_geometry import Frame, _own_scale, lps_affine
from iqa_registry.images.formats import is_series, probe_image, read_image

AFFINE = np.array([[0.9, 0.02, 0.3, -40], [-0.02, 0.88, -1.5, -60], [-0.05, 0.2, 5.2, -20], [0, 0, 0, 1.0]])
PLACE = {
    "ImagePositionPatient": [0, 0, 0],
    "ImageOrientationPatient": [1, 0, 0, 0, 1, 0],
    "PixelSpacing": [1, 1],
}

Writer = Callable[..., None]
SeriesWriter = Callable[..., Path]


@pytest.fixture
def values(rng: np.random.Generator) -> np.ndarray:
    return rng.integers(0, 4096, (12, 14), dtype=np.uint16)


@pytest.fixture
def volume(rng: np.random.Generator) -> np.ndarray:
    return rng.integers(-500, 500, (9, 8, 7)).astype(np.int16)


def straight(affine: np.ndarray) -> np.ndarray:
    """The nearest affine whose slices are rectangular, as DICOM can say it."""
    lengths = np.linalg.norm(affine[:3, :3], axis=0)
    u, _, v = np.linalg.svd(affine[:3, :3] / lengths)
    return np.block([[(u @ v) * lengths, affine[:3, 3:]], [np.zeros((1, 3)), np.ones((1, 1))]])


def test_a_file_is_a_picture_of_rescaled_values(
    tmp_path: Path, write_dicom: Writer, values: np.ndarray
) -> None:
    write_dicom(values, tmp_path / "a.dcm", RescaleSlope=0.5, RescaleIntercept=-1024, **PLACE)
    image = read_image(tmp_path / "a.dcm")
    np.testing.assert_array_equal(image.pixels[0], values * 0.5 - 1024)
    assert (image.is_volume, image.full_scale, image.affine) == (False, None, None)
    assert probe_image(tmp_path / "a.dcm").shape == (1, 12, 14)


def test_a_file_without_suffix_is_known_by_its_content(
    tmp_path: Path, write_dicom: Writer, values: np.ndarray
) -> None:
    write_dicom(values, tmp_path / "IM0001")
    np.testing.assert_array_equal(read_image(tmp_path / "IM0001").pixels[0], values)


@pytest.mark.parametrize("signed", [False, True])
def test_white_as_least_value_is_turned_round(
    tmp_path: Path, write_dicom: Writer, values: np.ndarray, signed: bool
) -> None:
    stored = values.astype(np.int16) - 2048 if signed else values
    elements = {"PhotometricInterpretation": "MONOCHROME1", "BitsStored": 12, "HighBit": 11}
    write_dicom(stored, tmp_path / "a.dcm", RescaleSlope=2, RescaleIntercept=-100, **elements)
    expected = 2 * ((-1 if signed else 4095) - stored.astype(float)) - 100
    np.testing.assert_array_equal(read_image(tmp_path / "a.dcm").pixels[0], expected)


def test_colour(tmp_path: Path, write_dicom: Writer, rng: np.random.Generator) -> None:
    rgb = rng.integers(0, 256, (12, 14, 3), dtype=np.uint8)
    colour = {"SamplesPerPixel": 3, "PhotometricInterpretation": "RGB", "PlanarConfiguration": 0}
    write_dicom(rgb, tmp_path / "a.dcm", **colour)
    np.testing.assert_array_equal(read_image(tmp_path / "a.dcm").pixels, rgb.transpose(2, 0, 1))
    assert probe_image(tmp_path / "a.dcm").shape == (3, 12, 14)


def test_palette(tmp_path: Path, write_dicom: Writer, rng: np.random.Generator) -> None:
    labels = rng.integers(0, 4, (12, 14), dtype=np.uint8)
    table = rng.integers(0, 65536, (3, 4), dtype=np.uint16)
    elements = {"PhotometricInterpretation": "PALETTE COLOR"}
    for colour, row in zip(("Red", "Green", "Blue"), table, strict=True):
        elements[f"{colour}PaletteColorLookupTableDescriptor"] = [4, 0, 16]
        elements[f"{colour}PaletteColorLookupTableData"] = row.tobytes()
    write_dicom(labels, tmp_path / "a.dcm", **elements)
    np.testing.assert_array_equal(read_image(tmp_path / "a.dcm").pixels, table[:, labels])
    assert probe_image(tmp_path / "a.dcm").shape == (3, 12, 14)


@pytest.mark.parametrize("compressor", ["JPEG", "JPEG2000", "RLE", "deflate"])
def test_lossless_compression_is_exact(
    tmp_path: Path, write_dicom: Writer, values: np.ndarray, compressor: str
) -> None:
    path = tmp_path / "a.dcm"
    write_dicom(values, path)
    dataset = pydicom.dcmread(path)
    if compressor == "RLE":
        dataset.compress(RLELossless)
        dataset.save_as(path)
    elif compressor == "deflate":
        dataset.file_meta.TransferSyntaxUID = DeflatedExplicitVRLittleEndian
        dataset.save_as(path)
    else:
        import SimpleITK

        writer = SimpleITK.ImageFileWriter()
        writer.SetFileName(str(path))
        writer.UseCompressionOn()
        writer.SetCompressor(compressor)
        writer.Execute(SimpleITK.GetImageFromArray(values[None]))
    assert pydicom.dcmread(path).file_meta.TransferSyntaxUID != ExplicitVRLittleEndian
    np.testing.assert_array_equal(read_image(path).pixels[0], values)


def test_a_series_is_a_volume_in_ras(tmp_path: Path, write_series: SeriesWriter, volume: np.ndarray) -> None:
    affine = straight(AFFINE)
    folder = write_series(tmp_path / "series", volume, affine)
    (folder / "notes.txt").write_text("not a slice")
    image = read_image(folder)
    np.testing.assert_array_equal(image.pixels, volume)
    np.testing.assert_allclose(image.affine, affine, atol=1e-5)
    assert (image.is_volume, image.full_scale) == (True, None)
    assert probe_image(folder).shape == volume.shape
    assert is_series(folder)


@pytest.mark.parametrize("flip", [(1, 1, 1), (-1, 1, 1), (-1, -1, -1), (1, -1, 1)])
@pytest.mark.parametrize("order", [(0, 1, 2), (1, 2, 0), (2, 0, 1), (0, 2, 1)])
def test_a_series_in_any_plane_agrees_with_simpleitk(
    tmp_path: Path, write_series: SeriesWriter, volume: np.ndarray, flip: tuple, order: tuple
) -> None:
    import SimpleITK

    from iqa_registry.images.formats import as_volume

    turn = np.eye(4)
    turn[:3, :3] = np.diag(flip) @ np.eye(3)[list(order)]
    folder = write_series(tmp_path / "series", volume, turn @ straight(AFFINE))
    names = SimpleITK.ImageSeriesReader.GetGDCMSeriesFileNames(str(folder))
    other = SimpleITK.ReadImage(names)
    affine = np.eye(4)
    affine[:3, :3] = np.reshape(other.GetDirection(), (3, 3)) * other.GetSpacing()
    affine[:3, 3] = other.GetOrigin()
    expected = as_volume(SimpleITK.GetArrayFromImage(other).T, np.diag([-1, -1, 1, 1]) @ affine)
    image = read_image(folder)
    np.testing.assert_array_equal(image.pixels, expected.pixels)
    np.testing.assert_allclose(image.affine, expected.affine, atol=1e-4)


def test_slices_may_be_rescaled_each_by_itself(
    tmp_path: Path, write_series: SeriesWriter, volume: np.ndarray
) -> None:
    folder = write_series(tmp_path / "series", volume, np.diag([1.0, 1, 2, 1]))
    for number, path in enumerate(sorted(folder.iterdir())):
        dataset = pydicom.dcmread(path)
        dataset.RescaleSlope, dataset.RescaleIntercept = number + 1, 0
        dataset.PixelData = np.ones_like(dataset.pixel_array).tobytes()
        dataset.save_as(path)
    assert sorted(np.unique(read_image(folder).pixels)) == [1, 2, 3, 4, 5, 6, 7]


def test_two_series_are_named(tmp_path: Path, write_series: SeriesWriter, volume: np.ndarray) -> None:
    folder = write_series(tmp_path / "a", volume, np.eye(4), SeriesDescription="T1 axial", SeriesNumber=3)
    extra = {"SeriesDescription": "T2 axial", "SeriesNumber": 4, "SeriesInstanceUID": "1.2.4"}
    for path in write_series(tmp_path / "b", volume, np.eye(4), **extra).iterdir():
        path.rename(folder / f"b{path.name}")
    message = r"holds 2 series, expected one: T1 axial \(number 3, 7 files\); T2 axial \(number 4, 7 files\)"
    with pytest.raises(ImageError, match=message):
        read_image(folder)


@pytest.mark.parametrize("missing", [1, 3, 5])
def test_a_missing_slice_is_named(
    tmp_path: Path, write_series: SeriesWriter, volume: np.ndarray, missing: int
) -> None:
    folder = write_series(tmp_path / "a", volume, np.diag([1.0, 1, 2, 1]))
    for path in folder.iterdir():
        if pydicom.dcmread(path).ImagePositionPatient[2] == 2 * missing:
            path.unlink()
    for function in (read_image, probe_image):
        with pytest.raises(
            ImageError, match=r"slices lie 2 mm apart, but 4 mm between IM.* slices are missing"
        ):
            function(folder)


@pytest.mark.parametrize(
    ("elements", "message"),
    [
        ({"ImagePositionPatient": [0, 0, 2]}, "lie at one position"),
        ({"Rows": 9, "Columns": 8}, "the size of IM0003 is not that of IM0000"),
        ({"ImageOrientationPatient": [1, 0, 0, 0, 0, -1]}, "the direction of IM0003 .* localizer"),
        ({"PixelSpacing": [2, 2]}, "the pixel spacing of IM0003"),
        ({"SamplesPerPixel": 3}, "IM0003: is a color image"),
    ],
)
def test_slices_that_do_not_fit_are_named(
    tmp_path: Path, write_series: SeriesWriter, volume: np.ndarray, elements: dict, message: str
) -> None:
    folder = write_series(tmp_path / "a", volume, np.diag([1.0, 1, 1, 1]))
    dataset = pydicom.dcmread(folder / "IM0003")
    for keyword, value in elements.items():
        setattr(dataset, keyword, value)
    dataset.save_as(folder / "IM0003")
    with pytest.raises(ImageError, match=message):
        read_image(folder)


def test_slices_without_a_position_are_refused(
    tmp_path: Path, write_dicom: Writer, values: np.ndarray
) -> None:
    for number in range(3):
        write_dicom(values, tmp_path / f"{number}.dcm")
    assert not is_series(tmp_path)
    with pytest.raises(
        ImageError, match=r"has no position in space for its slices .* convert the volume to NIfTI"
    ):
        read_image(tmp_path)


def test_folders_and_files_that_hold_no_image(
    tmp_path: Path, write_dicom: Writer, values: np.ndarray
) -> None:
    with pytest.raises(ImageError, match="the folder holds no DICOM files"):
        read_image(tmp_path)
    (tmp_path / "a.dcm").write_text("no DICOM at all, but long enough to be read as one " * 10)
    with pytest.raises(ImageError, match=r"a\.dcm: cannot be read as DICOM"):
        read_image(tmp_path / "a.dcm")
    write_dicom(values, tmp_path / "b.dcm")
    dataset = pydicom.dcmread(tmp_path / "b.dcm")
    del dataset.Rows
    dataset.save_as(tmp_path / "b.dcm")
    with pytest.raises(ImageError, match=r"b\.dcm: this DICOM file holds no image"):
        read_image(tmp_path / "b.dcm")


def enhanced(path: Path, frames: np.ndarray, positions: list[float], **elements: object) -> None:
    """Turn the single-frame file at ``path`` into a multi-frame one that scales each frame by itself."""
    from pydicom import Dataset
    from pydicom.sequence import Sequence

    dataset = pydicom.dcmread(path)
    orientation, measures = Dataset(), Dataset()
    orientation.ImageOrientationPatient, measures.PixelSpacing = [1, 0, 0, 0, 1, 0], [1, 1]
    shared = Dataset()
    shared.PlaneOrientationSequence, shared.PixelMeasuresSequence = (
        Sequence([orientation]),
        Sequence([measures]),
    )
    own = []
    for number, position in enumerate(positions):
        item, place, scale = Dataset(), Dataset(), Dataset()
        place.ImagePositionPatient = [0, 0, position]
        scale.RescaleSlope, scale.RescaleIntercept = number + 1, 10
        item.PlanePositionSequence = Sequence([place])
        item.PixelValueTransformationSequence = Sequence([scale])
        own.append(item)
    dataset.SharedFunctionalGroupsSequence = Sequence([shared])
    dataset.PerFrameFunctionalGroupsSequence = Sequence(own)
    dataset.NumberOfFrames, dataset.PixelData = len(frames), frames.tobytes()
    for keyword, value in elements.items():
        setattr(dataset, keyword, value)
    dataset.save_as(path)


def test_a_multi_frame_file_is_a_volume(
    tmp_path: Path, write_dicom: Writer, rng: np.random.Generator
) -> None:
    frames = rng.integers(0, 500, (3, 12, 14), dtype=np.uint16)
    write_dicom(frames[0], tmp_path / "a.dcm")
    enhanced(tmp_path / "a.dcm", frames, [6.0, 0.0, 3.0])
    image = read_image(tmp_path / "a.dcm")
    assert probe_image(tmp_path / "a.dcm").shape == image.pixels.shape == (14, 12, 3)
    for index, frame in enumerate((1, 2, 0)):
        np.testing.assert_array_equal(image.section(2, index)[0], frames[frame] * (frame + 1.0) + 10)


@pytest.mark.parametrize("count", [2, 2_000_000_000])
def test_a_multi_frame_file_that_lies_is_refused(
    tmp_path: Path, write_dicom: Writer, values: np.ndarray, count: int
) -> None:
    write_dicom(values, tmp_path / "a.dcm")
    enhanced(tmp_path / "a.dcm", np.stack([values] * 1), [0.0], NumberOfFrames=count)
    with pytest.raises(
        ImageError, match=r"a\.dcm: (cannot be read as DICOM|14 x 12 x 2000000000 pixels would)"
    ):
        read_image(tmp_path / "a.dcm")


def test_damaged_files_are_refused_silently(
    tmp_path: Path, write_dicom: Writer, values: np.ndarray, capfd: pytest.CaptureFixture[str]
) -> None:
    write_dicom(values, tmp_path / "a.dcm")
    data = (tmp_path / "a.dcm").read_bytes()
    (tmp_path / "odd.dcm").write_bytes(data.replace(b"1.2.3\0", b"1.x.3\0"))
    np.testing.assert_array_equal(read_image(tmp_path / "odd.dcm").pixels[0], values)
    for length in (0, 100, 140, 300, len(data) // 2, len(data) - 1):
        (tmp_path / "cut.dcm").write_bytes(data[:length])
        with pytest.raises(ImageError, match=r"cut\.dcm"):
            read_image(tmp_path / "cut.dcm")
    assert capfd.readouterr().err == ""


def test_a_deflated_bomb_is_refused(
    tmp_path: Path, write_dicom: Writer, values: np.ndarray, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_dicom(values, tmp_path / "a.dcm")
    dataset = pydicom.dcmread(tmp_path / "a.dcm")
    dataset.file_meta.TransferSyntaxUID = DeflatedExplicitVRLittleEndian
    dataset.save_as(tmp_path / "a.dcm")
    data = (tmp_path / "a.dcm").read_bytes()
    start = 144 + int.from_bytes(data[140:144], "little")
    packer = zlib.compressobj(wbits=-15)
    (tmp_path / "bomb.dcm").write_bytes(data[:start] + packer.compress(bytes(100_000_000)) + packer.flush())
    monkeypatch.setenv("IQA_MAX_IMAGE_BYTES", str(20_000_000))
    with pytest.raises(
        ImageError, match=r"bomb\.dcm: the deflated data set inflates further and further, more"
    ):
        read_image(tmp_path / "bomb.dcm")
    np.testing.assert_array_equal(read_image(tmp_path / "a.dcm").pixels[0], values)


@pytest.mark.parametrize(("at", "moved"), [(3, 0.45), (5, -0.45)])
def test_the_most_uneven_step_is_named(
    tmp_path: Path, write_series: SeriesWriter, volume: np.ndarray, at: int, moved: float
) -> None:
    folder = write_series(tmp_path / "a", volume, np.eye(4))
    names = {}
    for path in folder.iterdir():
        dataset = pydicom.dcmread(path)
        *place, height = map(float, dataset.ImagePositionPatient)
        names[round(height)] = path.name
        if height >= at:  # these and all above them, so that one step alone differs
            dataset.ImagePositionPatient = [*place, height + moved]
            dataset.save_as(path)
    between = f"{names[at - 1]} and {names[at]}"
    with pytest.raises(ImageError, match=rf"slices lie 1 mm apart, but {1 + moved:g} mm between {between};"):
        read_image(folder)


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({"RescaleSlope": 2, "RescaleIntercept": -10}, (2.0, -10.0)),
        ({"RescaleSlope": 2}, (2.0, 0.0)),
        ({"RescaleIntercept": -10}, None),
        ({}, None),
    ],
)
def test_the_scale_of_one_frame(given: dict, expected: tuple | None) -> None:
    frame, header = pydicom.Dataset(), pydicom.Dataset()
    scale = pydicom.Dataset()
    for keyword, value in given.items():
        setattr(scale, keyword, value)
    frame.PixelValueTransformationSequence = [scale]
    header.PerFrameFunctionalGroupsSequence = [pydicom.Dataset(), frame]
    assert _own_scale(header, 1) == expected
    header.RescaleSlope = 3  # then pydicom has applied that of the file
    assert _own_scale(header, 1) is None
    assert _own_scale(pydicom.Dataset(), 0) is None


@pytest.mark.parametrize("count", [1, 2, 4])
def test_the_place_of_a_series_is_that_of_its_slices(count: int) -> None:
    """Columns go right by 0.5 mm, rows to the back by 2 mm, slices up by 3 mm."""
    frames = [
        Frame(
            path=Path(f"{number}"), index=0, of=1, position=np.array([10.0, -20.0, 3.0 * number]),
            directions=np.array([[1.0, 0, 0], [0, 1, 0]]), spacing=(2.0, 0.5), thickness=3.0, scale=None,
            rows=5, columns=4,
        )
        for number in range(count)
    ]  # fmt: skip
    affine = lps_affine(frames)
    np.testing.assert_allclose(affine @ [0, 0, 0, 1], [10, -20, 0, 1])
    np.testing.assert_allclose(affine[:3, 2], [0, 0, 3])
    np.testing.assert_allclose(affine[:3, :2].T, [[0.5, 0, 0], [0, 2, 0]])
