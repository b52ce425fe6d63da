"""TIFF: types, compressions, photometric interpretations, and files that are cut off or inflate."""

from __future__ import annotations

import tracemalloc
from pathlib import Path

import numpy as np
import pytest
import tifffile
from PIL import Image as Pillow

from iqa_registry.errors import ImageError
from iqa_registry.images.formats import probe_image, read_image, read_labels


@pytest.mark.parametrize("dtype", ["u1", "u2", "i2", "u4", "f2", "f4", "f8"])
@pytest.mark.parametrize(
    "how", [{}, {"compression": "zlib"}, {"tile": (16, 16), "compression": "zlib"}, {"byteorder": ">"}]
)
def test_grey_tiff_is_exact(tmp_path: Path, rng: np.random.Generator, dtype: str, how: dict) -> None:
    values = (rng.random((21, 35)) * 200).astype(dtype)
    tifffile.imwrite(tmp_path / "a.tif", values, **how)
    image = read_image(tmp_path / "a.tif")
    np.testing.assert_array_equal(image.pixels[0], values.astype(np.float32))
    assert image.full_scale == {"u1": 255.0, "u2": 65535.0}.get(dtype)
    assert probe_image(tmp_path / "a.tif").shape == image.pixels.shape


@pytest.mark.parametrize("dtype", ["u1", "u2", "f4"])
@pytest.mark.parametrize("compression", ["tiff_lzw", "packbits", "tiff_adobe_deflate"])
def test_tiff_by_libtiff_is_exact(
    tmp_path: Path, rng: np.random.Generator, dtype: str, compression: str
) -> None:
    values = (rng.random((21, 35)) * 200).astype(dtype)
    Pillow.fromarray(values).save(tmp_path / "a.tif", compression=compression)
    np.testing.assert_array_equal(read_image(tmp_path / "a.tif").pixels[0], values)


@pytest.mark.parametrize("dtype", ["u1", "u2"])
@pytest.mark.parametrize("planes", ["contig", "separate"])
@pytest.mark.parametrize("compression", [None, "zlib"])
def test_colour_tiff_is_exact(
    tmp_path: Path, rng: np.random.Generator, dtype: str, planes: str, compression: str | None
) -> None:
    values = rng.integers(0, 200, (9, 11, 3)).astype(dtype)
    stored = values if planes == "contig" else values.transpose(2, 0, 1)
    tifffile.imwrite(
        tmp_path / "a.tif", stored, photometric="rgb", planarconfig=planes, compression=compression
    )
    np.testing.assert_array_equal(read_image(tmp_path / "a.tif").pixels, values.transpose(2, 0, 1))
    assert probe_image(tmp_path / "a.tif").shape == (3, 9, 11)


@pytest.mark.parametrize("compression", [None, "zlib", "tiff_lzw"])
@pytest.mark.parametrize("dtype", ["u1", "u2"])
def test_white_as_zero_is_turned_round(tmp_path: Path, dtype: str, compression: str | None) -> None:
    values = np.arange(99, dtype=dtype).reshape(9, 11)
    if compression == "tiff_lzw":
        Pillow.fromarray(values).save(tmp_path / "a.tif", compression=compression, tiffinfo={262: 0})
    else:
        tifffile.imwrite(tmp_path / "a.tif", values, photometric="miniswhite", compression=compression)
    with tifffile.TiffFile(tmp_path / "a.tif") as written:
        assert written.pages.first.photometric == 0
    # Pillow turns 8 bit values round itself when it writes them, so that the 2-D image looks as given
    expected = values if (dtype, compression) == ("u1", "tiff_lzw") else np.iinfo(dtype).max - values
    np.testing.assert_array_equal(read_image(tmp_path / "a.tif").pixels[0], expected)


def test_palette_and_one_bit(tmp_path: Path, rng: np.random.Generator) -> None:
    labels = rng.integers(0, 3, (9, 11), dtype=np.uint8)
    colours = np.zeros((3, 256), np.uint16)
    colours[:, 1], colours[:, 2] = [65535, 0, 0], [0, 257, 0]
    tifffile.imwrite(tmp_path / "a.tif", labels, photometric="palette", colormap=colours)
    np.testing.assert_array_equal(read_labels(tmp_path / "a.tif").pixels[0], labels)
    np.testing.assert_array_equal(read_image(tmp_path / "a.tif").pixels, colours[:, labels])
    Pillow.fromarray(labels > 0).save(tmp_path / "b.tif", compression="group4")
    bits = read_image(tmp_path / "b.tif")
    np.testing.assert_array_equal(bits.pixels[0] / bits.full_scale, labels > 0)


def test_what_cannot_be_read_whole_is_refused(tmp_path: Path, rng: np.random.Generator) -> None:
    tifffile.imwrite(
        tmp_path / "pages.tif", rng.integers(0, 9, (3, 16, 16), dtype=np.uint8), photometric="minisblack"
    )
    with pytest.raises(ImageError, match=r"pages\.tif: the TIFF has 3 pages, expected one"):
        read_image(tmp_path / "pages.tif")
    rgba = rng.integers(0, 200, (8, 8, 4), dtype=np.uint8)
    tifffile.imwrite(tmp_path / "alpha.tif", rgba, photometric="rgb", extrasamples=["unassalpha"])
    with pytest.raises(ImageError, match=r"alpha\.tif: 64 pixels are transparent"):
        read_image(tmp_path / "alpha.tif")
    Pillow.new("CMYK", (8, 8)).save(tmp_path / "cmyk.tif")
    with pytest.raises(ImageError, match=r"cmyk\.tif: a TIFF of .* expected"):
        read_image(tmp_path / "cmyk.tif")


@pytest.mark.parametrize("compression", [None, "zlib"])
def test_a_cut_tiff_is_refused(
    tmp_path: Path, rng: np.random.Generator, compression: str | None, capfd: pytest.CaptureFixture[str]
) -> None:
    tifffile.imwrite(tmp_path / "a.tif", rng.random((64, 64)), compression=compression, rowsperstrip=16)
    data = (tmp_path / "a.tif").read_bytes()
    for length in (0, 3, 20, 200, len(data) // 2, len(data) - 1):
        (tmp_path / "cut.tif").write_bytes(data[:length])
        with pytest.raises(ImageError, match=r"cut\.tif: .*again"):
            read_image(tmp_path / "cut.tif")
    assert capfd.readouterr().err == ""


def test_bombs_are_refused_before_they_fill_memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from zlib import compress

    tifffile.imwrite(tmp_path / "a.tif", np.zeros((8, 8), np.uint8), compression="zlib")
    data = bytearray((tmp_path / "a.tif").read_bytes())
    with tifffile.TiffFile(tmp_path / "a.tif") as written:
        tags = {code: written.pages.first.tags[code].valueoffset for code in (256, 273, 279)}
    strip = compress(bytes(60_000_000))
    inflating = data + strip
    inflating[tags[273] : tags[273] + 4] = len(data).to_bytes(4, "little")
    inflating[tags[279] : tags[279] + 4] = len(strip).to_bytes(4, "little")
    (tmp_path / "inflating.tif").write_bytes(inflating)
    data[tags[256] : tags[256] + 2] = (65535).to_bytes(2, "little")
    (tmp_path / "wide.tif").write_bytes(data)
    monkeypatch.setenv("IQA_MAX_IMAGE_BYTES", "500000")
    tracemalloc.start()
    with pytest.raises(ImageError, match=r"inflating\.tif: a strip of the TIFF inflates beyond"):
        read_image(tmp_path / "inflating.tif")
    with pytest.raises(ImageError, match=r"wide\.tif: 1 x 8 x 65535 pixels would take"):
        read_image(tmp_path / "wide.tif")
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 2e7


def test_strips_of_one_byte(tmp_path: Path) -> None:
    values = np.array([[3], [250], [7]], np.uint8)
    tifffile.imwrite(tmp_path / "a.tif", values, rowsperstrip=1)
    np.testing.assert_array_equal(read_image(tmp_path / "a.tif").pixels[0], values)


def test_a_strip_beyond_the_end_of_the_file(tmp_path: Path, rng: np.random.Generator) -> None:
    path = tmp_path / "a.tif"
    tifffile.imwrite(path, rng.integers(0, 255, (64, 48)).astype(np.uint8), rowsperstrip=8)
    data = path.read_bytes()
    with tifffile.TiffFile(path) as file:
        page = file.pages[0]
        end = max(map(sum, zip(page.dataoffsets, page.databytecounts, strict=True)))
    if end == len(data):
        path.write_bytes(data[:-1])
    else:  # the directory lies behind the pixels: the last strip is moved behind the end
        with tifffile.TiffFile(path, mode="r+b") as file:
            tag = file.pages[0].tags["StripOffsets"]
            tag.overwrite([*tag.value[:-1], len(data) - 383])
    with pytest.raises(ImageError, match="the TIFF is cut off"):
        read_image(path)
