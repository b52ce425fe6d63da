"""What a header promises is held to a limit before anything is decoded, whatever the format."""

from __future__ import annotations

import gzip
import io
import struct
import zipfile
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image as Pillow

from iqa_registry.errors import ImageError
from iqa_registry.images._guard import check_promise, check_rows, check_size, read_bounded
from iqa_registry.images.formats import probe_image, read_image


def png(width: int, height: int, packed: bytes) -> bytes:
    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", packed) + chunk(b"IEND", b"")


def test_pictures_and_volumes_have_limits_of_their_own() -> None:
    assert check_size("a", (1, 8192, 8192)) == 256 << 20
    assert check_size("a", (512, 512, 1024)) == 1 << 30
    for shape in ((1, 8192, 8193), (8192, 8193), (3, 8192, 2731), (8192, 8193, 4), (512, 512, 1025)):
        with pytest.raises(ImageError, match=r"more than the limit of .* IQA_MAX_IMAGE_BYTES"):
            check_size("a", shape)


def test_values_stored_in_double_precision_count_twice() -> None:
    assert check_size("a", (512, 512, 512), 8) == 512 << 20
    with pytest.raises(ImageError, match=r"would take 1.0 GiB"):
        check_size("a", (512, 512, 513), 8)


def test_the_variable_holds_for_both(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("IQA_MAX_IMAGE_BYTES", str(2 << 30))
    assert check_size("a", (1, 20000, 20000)) == 1_600_000_000
    assert check_size("a", (800, 800, 800)) == 2_048_000_000


@pytest.mark.parametrize(("width", "height"), [(1, 500_000_000), (500_000_000, 1), (9000, 9000)])
def test_a_png_that_cannot_hold_its_pixels_is_refused_first(tmp_path: Path, width: int, height: int) -> None:
    (tmp_path / "a.png").write_bytes(png(width, height, zlib.compress(b"\0")))
    for function in (read_image, probe_image):
        with pytest.raises(ImageError, match=r"a\.png: the header declares .* of this size cannot hold"):
            function(tmp_path / "a.png")


def test_a_png_that_is_full_of_zeros_is_read_or_refused_by_its_size(tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(png(3000, 2000, zlib.compress(bytes(3001 * 2000), 9)))
    assert read_image(tmp_path / "a.png").pixels.shape == (1, 2000, 3000)
    packer = zlib.compressobj(9)
    packed = b"".join(packer.compress(bytes(9001)) for _ in range(9000)) + packer.flush()
    (tmp_path / "b.png").write_bytes(png(9000, 9000, packed))
    with pytest.raises(ImageError, match=r"would take 309.0 MiB, more than the limit of 256.0 MiB"):
        read_image(tmp_path / "b.png")


def test_many_rows_cost_more_than_their_pixels(tmp_path: Path) -> None:
    check_rows("a", 5_000_000)
    with pytest.raises(ImageError, match="a table of 6000000 rows would take"):
        check_rows("a", 6_000_000)
    stream = io.BytesIO()
    Pillow.new("L", (1, 6_000_000)).save(stream, "png")
    (tmp_path / "a.png").write_bytes(stream.getvalue())
    with pytest.raises(ImageError, match="a table of 6000000 rows would take"):
        read_image(tmp_path / "a.png")


def test_a_small_archive_that_unpacks_to_much_is_refused(tmp_path: Path) -> None:
    header = io.BytesIO()
    np.lib.format.write_array_header_1_0(
        header, {"descr": "|u1", "fortran_order": False, "shape": (9000, 9000)}
    )
    with zipfile.ZipFile(tmp_path / "a.npz", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("x.npy", header.getvalue() + bytes(9000 * 9000))
    with pytest.raises(ImageError, match=r"9000 x 9000 pixels would take 309.0 MiB"):
        read_image(tmp_path / "a.npz")


def test_a_promise_is_compared_with_what_is_held() -> None:
    check_promise("a", 10, 10)
    with pytest.raises(ImageError, match=r"a: the header declares 11 bytes, which a file"):
        check_promise("a", 11, 10)


def test_bytes_are_read_as_far_as_they_go() -> None:
    assert read_bounded(io.BytesIO(b"abcdef"), 4) == b"abcd"
    assert read_bounded(io.BytesIO(b"abc"), 1 << 40) == b"abc"
    with gzip.open(io.BytesIO(gzip.compress(bytes(9_000_000)))) as stream:
        assert len(read_bounded(stream, 8_500_000)) == 8_500_000  # type: ignore[arg-type]


def test_a_scaled_volume_is_scaled_as_nibabel_does(tmp_path: Path) -> None:
    import nibabel

    values = np.random.default_rng(3).normal(100, 30, (7, 6, 5)).astype(np.float32)
    image = nibabel.Nifti1Image(values, np.eye(4))
    image.header.set_data_dtype(np.int16)
    nibabel.save(image, tmp_path / "a.nii.gz")
    expected = np.asarray(nibabel.load(tmp_path / "a.nii.gz").dataobj).astype(np.float32)
    np.testing.assert_array_equal(read_image(tmp_path / "a.nii.gz").pixels, expected)


def test_blocks_of_hdf5_that_inflate_too_far_are_refused(tmp_path: Path) -> None:
    h5py = pytest.importorskip("h5py")
    with h5py.File(tmp_path / "a.h5", "w") as file:
        data = file.create_dataset("x", (64, 64), "u1", chunks=(64, 64), compression="gzip")
        data.id.write_direct_chunk((0, 0), zlib.compress(bytes(400_000_000)))
        sound = file.create_dataset("y", (64, 64), "u1", chunks=(64, 64), compression="gzip", shuffle=True)
        sound[...] = 7
    with pytest.raises(ImageError, match="a block inflates beyond the 4096 bytes"):
        read_image(f"{tmp_path / 'a.h5'}:x")
    assert read_image(f"{tmp_path / 'a.h5'}:y").pixels.sum() == 7 * 4096
