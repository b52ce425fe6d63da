"""MetaImage and NRRD: exact values, geometry as SimpleITK says, damaged and lying files."""

from __future__ import annotations

import tracemalloc
import zlib
from pathlib import Path
from typing import Any

import nibabel
import numpy as np
import pytest
import SimpleITK

from iqa_registry.errors import ImageError
from iqa_registry.images.formats import probe_image, read_image

ENDINGS = [".mha", ".mhd", ".nrrd", ".nhdr"]


@pytest.fixture
def volume(rng: np.random.Generator) -> np.ndarray:
    return rng.integers(0, 200, (4, 5, 6))


def itk_image(values: np.ndarray, **geometry: Any) -> Any:
    """A SimpleITK image of ``(X, Y, Z)`` values."""
    image = SimpleITK.GetImageFromArray(values.T)
    for name, value in geometry.items():
        getattr(image, f"Set{name}")(value)
    return image


@pytest.mark.parametrize("ending", ENDINGS)
@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize("dtype", ["u1", "i2", "u2", "i4", "i8", "f4", "f8"])
def test_types_are_exact(tmp_path: Path, volume: np.ndarray, ending: str, packed: bool, dtype: str) -> None:
    values = (volume - (100 if "u" not in dtype else 0)).astype(dtype)
    path = tmp_path / f"a{ending}"
    SimpleITK.WriteImage(itk_image(values, Direction=np.diag([-1.0, -1, 1]).ravel()), path, packed)
    image = read_image(path)
    np.testing.assert_array_equal(image.pixels, values)
    assert (image.is_volume, image.full_scale) == (True, None)
    assert probe_image(path).shape == values.shape


@pytest.mark.parametrize("ending", ENDINGS)
def test_geometry_is_that_of_nifti(tmp_path: Path, volume: np.ndarray, ending: str) -> None:
    turn = np.linalg.qr(np.array([[0.1, 1, 0.2], [-0.2, 0.3, 1], [1, 0.2, 0.1]]))[0]
    image = itk_image(
        volume.astype(np.int16), Direction=turn.ravel(), Spacing=(0.8, 1.1, 3.0), Origin=(5.0, -7.0, 11.0)
    )
    for path in (tmp_path / f"a{ending}", tmp_path / "a.nii"):
        SimpleITK.WriteImage(image, path)
    expected = nibabel.as_closest_canonical(nibabel.load(tmp_path / "a.nii"))
    found = read_image(tmp_path / f"a{ending}")
    np.testing.assert_array_equal(found.pixels, expected.get_fdata())
    np.testing.assert_allclose(found.affine, expected.affine, atol=1e-4)
    assert probe_image(tmp_path / f"a{ending}").shape == expected.shape


@pytest.mark.parametrize("ending", ENDINGS)
def test_two_dimensions_are_a_picture(tmp_path: Path, rng: np.random.Generator, ending: str) -> None:
    grey, colour = rng.integers(0, 200, (9, 11), np.uint8), rng.integers(0, 200, (9, 11, 3), np.uint8)
    SimpleITK.WriteImage(SimpleITK.GetImageFromArray(grey), tmp_path / f"a{ending}")
    SimpleITK.WriteImage(SimpleITK.GetImageFromArray(colour, isVector=True), tmp_path / f"b{ending}")
    np.testing.assert_array_equal(read_image(tmp_path / f"a{ending}").pixels, grey[None])
    np.testing.assert_array_equal(read_image(tmp_path / f"b{ending}").pixels, colour.transpose(2, 0, 1))
    assert probe_image(tmp_path / f"b{ending}").shape == (3, 9, 11)
    assert read_image(tmp_path / f"a{ending}").full_scale is None


@pytest.mark.parametrize("ending", ENDINGS)
def test_vectors_and_series_are_refused(tmp_path: Path, rng: np.random.Generator, ending: str) -> None:
    vectors = SimpleITK.GetImageFromArray(rng.random((4, 5, 6, 3)), isVector=True)
    SimpleITK.WriteImage(vectors, tmp_path / f"a{ending}")
    with pytest.raises(ImageError, match=rf"a\{ending}: 3 dimensions of 3 values a pixel, expected a volume"):
        read_image(tmp_path / f"a{ending}")
    SimpleITK.WriteImage(
        SimpleITK.GetImageFromArray(rng.random((2, 4, 5, 6)), isVector=False), tmp_path / f"b{ending}"
    )
    with pytest.raises(ImageError, match=rf"b\{ending}: 4 dimensions of 1 values a pixel"):
        read_image(tmp_path / f"b{ending}")
    single = SimpleITK.GetImageFromArray(rng.random((1, 4, 5, 6)), isVector=False)
    SimpleITK.WriteImage(single, tmp_path / f"c{ending}")
    assert read_image(tmp_path / f"c{ending}").pixels.shape == (6, 5, 4)


@pytest.mark.parametrize("ending", [".mha", ".nrrd"])
@pytest.mark.parametrize("packed", [False, True])
def test_cut_and_damaged_files_are_refused_silently(
    tmp_path: Path, rng: np.random.Generator, ending: str, packed: bool, capfd: pytest.CaptureFixture[str]
) -> None:
    values = rng.integers(0, 500, (12, 12, 12)).astype(np.int16)
    SimpleITK.WriteImage(itk_image(values), tmp_path / f"a{ending}", packed)
    data = (tmp_path / f"a{ending}").read_bytes()
    damaged = [data[:length] for length in (0, 5, 100, len(data) // 2, len(data) - 5)]
    if packed:
        damaged.append(data[:-200] + bytes([data[-200] ^ 1]) + data[-199:])
    for content in damaged:
        (tmp_path / f"cut{ending}").write_bytes(content)
        with pytest.raises(ImageError, match=rf"cut\{ending}: .*again"):
            read_image(tmp_path / f"cut{ending}")
    assert capfd.readouterr().err == ""


HEADER = "NDims = 3\nDimSize = {size}\nElementType = MET_SHORT\n{more}ElementDataFile = {data}\n"


@pytest.mark.parametrize(
    ("size", "more", "data", "message"),
    [
        ("30000 30000 30000", "", "LOCAL", "would take .* GiB, more than the limit"),
        ("4 4", "", "LOCAL", "3 dimensions, sizes 4 4 and type MET_SHORT, which cannot be read"),
        ("4 4 -4", "", "LOCAL", "empty or damaged"),
        ("4 4 4", "", "gone.raw", r"no such file \(it points to .*gone\.raw\)"),
        ("4 4 4", "", "LIST", "several files"),
        ("4 4 4", "BinaryData = False\n", "LOCAL", "voxels as text"),
        ("4 4 4", "CompressedData = True\nCompressedDataSize = 999999999999\n", "LOCAL", "holds more"),
        ("4 4 four", "", "LOCAL", "cannot be read as MetaImage"),
    ],
)
def test_metaimage_headers_that_lie_are_refused(
    tmp_path: Path, size: str, more: str, data: str, message: str, capfd: pytest.CaptureFixture[str]
) -> None:
    content = HEADER.format(size=size, more=more, data=data).encode()
    (tmp_path / "a.mha").write_bytes(content + zlib.compress(bytes(30_000_000)))
    tracemalloc.start()
    with pytest.raises(ImageError, match=rf"a\.mha: .*{message}"):
        read_image(tmp_path / "a.mha")
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 5e6
    assert capfd.readouterr().err == ""


@pytest.mark.parametrize("voxels", ["big", "last"])
def test_metaimage_byte_order_and_header_size(tmp_path: Path, voxels: str) -> None:
    values = np.arange(24, dtype=">i2" if voxels == "big" else "<i2")
    more = f"ElementByteOrderMSB = {voxels == 'big'}\nHeaderSize = {-1 if voxels == 'last' else 0}\n"
    (tmp_path / "a.raw").write_bytes((b"" if voxels == "big" else b"junk") + values.tobytes())
    (tmp_path / "a.mhd").write_text(HEADER.format(size="2 3 4", more=more, data="a.raw"))
    found = read_image(tmp_path / "a.mhd").pixels
    np.testing.assert_array_equal(found, values.reshape(4, 3, 2).T[::-1, ::-1])


@pytest.mark.parametrize("field", ["", "type: ", "sizes: ", "encoding: ", "data file: ", "units: "])
def test_a_line_that_itk_cannot_quote_ends_no_process(tmp_path: Path, field: str) -> None:
    header = f"NRRD0004\ntype: uchar\ndimension: 3\nsizes: 1 1 1\nencoding: raw\n{field}{'x' * 3000}\n\n\0"
    for ending in (".nrrd", ".nhdr"):
        (tmp_path / f"a{ending}").write_text(header)
        for read in (read_image, probe_image):
            with pytest.raises(ImageError, match=rf"a line of the header has {3000 + len(field)} characters"):
                read(tmp_path / f"a{ending}")


def test_long_comments_and_values_of_a_nrrd_header_are_read(tmp_path: Path) -> None:
    long = "x" * 3000
    (tmp_path / "a.nrrd").write_bytes(
        f"NRRD0005\n# {long}\ntype: uchar\ndimension: 3\nsizes: 2 1 1\nencoding: raw\n".encode()
        + f"content: {long}\nprotocol:={long}\n\n\7\11".encode()
    )
    assert sorted(read_image(tmp_path / "a.nrrd").pixels.ravel().tolist()) == [7, 9]
