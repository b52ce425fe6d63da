"""PNG and JPEG: exact values, depths, palettes, alpha, and files that are damaged or lie about their size."""

from __future__ import annotations

import struct
import tracemalloc
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image as Pillow

from iqa_registry.errors import ImageError
from iqa_registry.images.formats import probe_image, read_image, read_labels


def png_bytes(
    values: np.ndarray, kind: int, extra: bytes = b"", size: tuple[int, int] | None = None
) -> bytes:
    """Encode by hand, with no filter; ``size`` is what the header claims, ``extra`` chunks after it."""
    height, width = size or values.shape[:2]
    rows = values.astype(values.dtype.newbyteorder(">")).reshape(len(values), -1)
    data = b"".join(b"\0" + row.tobytes() for row in rows)
    header = struct.pack(">IIBBBBB", width, height, 8 * values.itemsize, kind, 0, 0, 0)
    chunks = chunk(b"IHDR", header) + extra + chunk(b"IDAT", zlib.compress(data)) + chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + chunks


def chunk(name: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))


@pytest.mark.parametrize(("dtype", "full_scale"), [(np.uint8, 255.0), (np.uint16, 65535.0)])
def test_grey_png_is_exact(tmp_path: Path, rng: np.random.Generator, dtype: type, full_scale: float) -> None:
    values = rng.integers(0, np.iinfo(dtype).max, (13, 17), dtype=dtype, endpoint=True)
    Pillow.fromarray(values).save(tmp_path / "a.png")
    image = read_image(tmp_path / "a.png")
    np.testing.assert_array_equal(image.pixels[0], values)
    assert image.pixels.dtype == np.float32
    assert (image.full_scale, image.is_volume, image.affine) == (full_scale, False, None)
    assert image.name.endswith("a.png")


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_colour_png_keeps_every_bit(tmp_path: Path, rng: np.random.Generator, dtype: type) -> None:
    values = rng.integers(0, np.iinfo(dtype).max, (9, 11, 3), dtype=dtype, endpoint=True)
    (tmp_path / "a.png").write_bytes(png_bytes(values, kind=2))
    np.testing.assert_array_equal(read_image(tmp_path / "a.png").pixels, values.transpose(2, 0, 1))
    assert probe_image(tmp_path / "a.png").shape == (3, 9, 11)


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_equal_channels_become_one(tmp_path: Path, rng: np.random.Generator, dtype: type) -> None:
    grey = rng.integers(0, np.iinfo(dtype).max, (9, 11), dtype=dtype)
    (tmp_path / "a.png").write_bytes(png_bytes(np.stack([grey] * 3, axis=-1), kind=2))
    np.testing.assert_array_equal(read_image(tmp_path / "a.png").pixels, grey[None])


@pytest.mark.parametrize(
    ("dtype", "samples", "kind"), [(np.uint8, 2, 4), (np.uint8, 4, 6), (np.uint16, 4, 6)]
)
def test_alpha_is_dropped_if_opaque_else_refused(
    tmp_path: Path, dtype: type, samples: int, kind: int
) -> None:
    values = np.arange(8 * 8 * samples, dtype=dtype).reshape(8, 8, samples)
    values[..., -1] = np.iinfo(dtype).max
    (tmp_path / "a.png").write_bytes(png_bytes(values, kind))
    np.testing.assert_array_equal(read_image(tmp_path / "a.png").pixels, values[..., :-1].transpose(2, 0, 1))
    values[3, 3, -1] -= 1
    (tmp_path / "b.png").write_bytes(png_bytes(values, kind))
    with pytest.raises(ImageError, match=r"b\.png: 1 pixels are transparent; flatten"):
        read_image(tmp_path / "b.png")


def test_grey_with_alpha_in_16_bits_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(png_bytes(np.full((8, 8, 2), 65535, np.uint16), 4))
    with pytest.raises(ImageError, match=r"a\.png: is a 16 bit gray PNG with alpha; save it without"):
        read_image(tmp_path / "a.png")


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_transparent_grey_value_is_refused_only_where_it_occurs(tmp_path: Path, dtype: type) -> None:
    values = np.arange(64, dtype=dtype).reshape(8, 8)
    (tmp_path / "a.png").write_bytes(png_bytes(values, 0, extra=chunk(b"tRNS", struct.pack(">H", 200))))
    np.testing.assert_array_equal(read_image(tmp_path / "a.png").pixels[0], values)
    (tmp_path / "b.png").write_bytes(png_bytes(values, 0, extra=chunk(b"tRNS", struct.pack(">H", 20))))
    with pytest.raises(ImageError, match="transparent"):
        read_image(tmp_path / "b.png")


def test_palette_gives_colours_to_images_and_indices_to_label_maps(tmp_path: Path) -> None:
    labels = np.arange(12, dtype=np.uint8).reshape(3, 4) % 3
    opened = Pillow.fromarray(labels, mode="L").convert("P")
    opened.putdata(labels.ravel())
    opened.putpalette([0, 0, 0, 255, 0, 0, 0, 0, 255])
    opened.save(tmp_path / "a.png")
    np.testing.assert_array_equal(read_labels(tmp_path / "a.png").pixels[0], labels)
    np.testing.assert_array_equal(read_image(tmp_path / "a.png").pixels[0], 255 * (labels == 1))


def test_one_bit_png(tmp_path: Path, rng: np.random.Generator) -> None:
    values = rng.random((9, 10)) > 0.5
    Pillow.fromarray(values).save(tmp_path / "a.png")
    image = read_image(tmp_path / "a.png")
    np.testing.assert_array_equal(image.pixels[0] / image.full_scale, values)


@pytest.mark.parametrize("mode", ["L", "RGB"])
def test_jpeg_equals_pillow(tmp_path: Path, mode: str) -> None:
    ramp = np.add.outer(np.arange(40), np.arange(50)).astype(np.uint8)
    colour = np.stack([ramp, 2 * ramp, 200 - ramp], axis=-1)
    Pillow.fromarray(ramp if mode == "L" else colour).save(tmp_path / "a.jpg")
    with Pillow.open(tmp_path / "a.jpg") as opened:
        expected = np.atleast_3d(np.asarray(opened)).transpose(2, 0, 1)
    image = read_image(tmp_path / "a.jpg")
    np.testing.assert_array_equal(image.pixels, expected)
    assert image.full_scale == 255.0
    assert probe_image(tmp_path / "a.jpg").shape == expected.shape


def test_cmyk_jpeg_and_jpeg_label_maps_are_refused(tmp_path: Path) -> None:
    Pillow.new("CMYK", (8, 8)).save(tmp_path / "a.jpg")
    with pytest.raises(ImageError, match=r"a\.jpg: is a CMYK JPEG"):
        read_image(tmp_path / "a.jpg")
    with pytest.raises(ImageError, match="JPEG changes label values"):
        read_labels(tmp_path / "a.jpg")


def test_content_decides_where_the_suffix_is_wrong(tmp_path: Path) -> None:
    Pillow.new("L", (8, 6), 7).save(tmp_path / "a.jpg", format="PNG")
    assert read_image(tmp_path / "a.jpg").pixels.mean() == 7
    (tmp_path / "b.png").write_text("not a 2-D image at all")
    with pytest.raises(ImageError, match=r"b\.png: is not a PNG, JPEG or TIFF file"):
        read_image(tmp_path / "b.png")


@pytest.mark.parametrize("ending", [".png", ".jpg"])
def test_a_cut_file_is_refused_or_read_in_full(tmp_path: Path, rng: np.random.Generator, ending: str) -> None:
    values = rng.integers(0, 255, (64, 64), dtype=np.uint8)
    whole = tmp_path / f"a{ending}"
    Pillow.fromarray(values).save(whole)
    data, expected = whole.read_bytes(), read_image(whole).pixels
    for length in range(0, len(data) - 40, 97):
        (tmp_path / f"cut{ending}").write_bytes(data[:length])
        with pytest.raises(ImageError, match=f"cut{ending}: .*again"):
            read_image(tmp_path / f"cut{ending}")
    assert expected.shape == (1, 64, 64)


@pytest.mark.parametrize("size", [(60_000, 60_000), (2**31 - 1, 2**31 - 1)])
def test_png_that_claims_too_many_pixels_is_refused_unread(tmp_path: Path, size: tuple[int, int]) -> None:
    (tmp_path / "bomb.png").write_bytes(png_bytes(np.zeros((1000, 1000), np.uint8), 0, size=size))
    tracemalloc.start()
    for function in (read_image, probe_image):
        with pytest.raises(ImageError, match=r"bomb\.png: .* GiB, which a file of this size cannot hold"):
            function(tmp_path / "bomb.png")
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 2e6


def test_png_with_an_inflating_text_chunk_is_refused(tmp_path: Path) -> None:
    text = chunk(b"zTXt", b"Comment\0\0" + zlib.compress(bytes(200_000_000)))
    (tmp_path / "bomb.png").write_bytes(png_bytes(np.zeros((8, 8), np.uint8), 0, extra=text))
    tracemalloc.start()
    with pytest.raises(ImageError, match=r"bomb\.png"):
        read_image(tmp_path / "bomb.png")
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 2e7


def test_the_limit_can_be_set(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    Pillow.new("L", (100, 100)).save(tmp_path / "a.png")
    monkeypatch.setenv("IQA_MAX_IMAGE_BYTES", "39999")
    with pytest.raises(ImageError, match=r"1 x 100 x 100 pixels would take 39\.1 KiB"):
        read_image(tmp_path / "a.png")
    monkeypatch.setenv("IQA_MAX_IMAGE_BYTES", "40000")
    assert read_image(tmp_path / "a.png").pixels.shape == (1, 100, 100)
    monkeypatch.setenv("IQA_MAX_IMAGE_BYTES", "2GB")
    with pytest.raises(Exception, match="IQA_MAX_IMAGE_BYTES is '2GB', expected a number of bytes"):
        read_image(tmp_path / "a.png")


@pytest.mark.parametrize("name", [b"IHDR", b"IDAT", b"IEND"])
def test_each_checksum_of_a_png_counts(tmp_path: Path, name: bytes) -> None:
    values = np.arange(64, dtype=np.uint8).reshape(8, 8)
    data = bytearray(png_bytes(values, 0))
    start = data.index(name)
    end = start + 4 + int.from_bytes(data[start - 4 : start], "big")
    (tmp_path / "good.png").write_bytes(data)
    np.testing.assert_array_equal(read_image(tmp_path / "good.png").pixels[0], values)
    data[end + 3] ^= 1  # the last byte of the checksum; the pixels are whole
    (tmp_path / "bad.png").write_bytes(data)
    with pytest.raises(ImageError, match="damaged or cut off"):
        read_image(tmp_path / "bad.png")


@pytest.mark.parametrize("change", ["signature", "first chunk", "25 bytes", "nothing left"])
def test_a_header_that_is_not_that_of_a_png(tmp_path: Path, change: str) -> None:
    data = png_bytes(np.arange(64, dtype=np.uint8).reshape(8, 8), 0)
    made = {
        "signature": b"\x89PNX" + data[4:],
        "first chunk": data.replace(b"IHDR", b"IHDX", 1),
        "25 bytes": data[:25],
        "nothing left": b"",
    }[change]
    (tmp_path / "a.png").write_bytes(made)
    for read in (read_image, probe_image):
        with pytest.raises(ImageError, match=r"is not a PNG(, JPEG or TIFF)? file"):
            read(tmp_path / "a.png")
