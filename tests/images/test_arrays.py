"""Arrays, tensors, ``.npy`` and ``.npz``: how shapes are taken, and files that would unpickle or inflate."""

from __future__ import annotations

import io
import struct
import tracemalloc
import zipfile
from pathlib import Path

import numpy as np
import pytest
import torch

from iqa_registry.errors import ImageError
from iqa_registry.images._arrays import as_stored
from iqa_registry.images.formats import as_picture, as_volume, probe_image, read_image


@pytest.mark.parametrize(
    ("shape", "dtype", "expected", "is_volume"),
    [
        ((5, 6), "f4", (1, 5, 6), False),
        ((1, 5, 6), "f8", (1, 5, 6), False),
        ((3, 5, 6), "u2", (3, 5, 6), False),
        ((5, 6, 3), "u1", (3, 5, 6), False),
        ((5, 6, 1), "f4", (1, 5, 6), False),
        ((5, 6, 3), "f4", (5, 6, 3), True),
        ((5, 6, 7), "u1", (5, 6, 7), True),
    ],
)
def test_how_shapes_are_taken(
    rng: np.random.Generator, shape: tuple, dtype: str, expected: tuple, is_volume: bool
) -> None:
    values = (rng.random(shape) * 200).astype(dtype)
    image, info = read_image(values), probe_image(values)
    assert (image.pixels.shape, image.is_volume) == (expected, is_volume) == (info.shape, info.is_volume)
    assert image.full_scale == (None if is_volume else {"u1": 255.0, "u2": 65535.0}.get(dtype))
    assert image.pixels.sum(dtype=float) == pytest.approx(values.sum(dtype=float))


@pytest.mark.parametrize("dtype", [torch.uint8, torch.float16, torch.bfloat16, torch.float64, torch.int64])
def test_tensors_read_as_arrays(dtype: torch.dtype) -> None:
    values = torch.arange(30).reshape(5, 6).to(dtype)
    image = read_image(values)
    np.testing.assert_array_equal(image.pixels[0], np.arange(30).reshape(5, 6))
    assert image.full_scale == (255.0 if dtype == torch.uint8 else None)


def test_a_tensor_that_needs_gradients_is_read() -> None:
    assert read_image(torch.ones(4, 5, requires_grad=True)).pixels.sum() == 20


def test_explicit_helpers_settle_what_a_shape_leaves_open(rng: np.random.Generator) -> None:
    values = rng.random((3, 5, 6)).astype(np.float32)
    assert read_image(values).pixels.shape == (3, 5, 6)
    assert not read_image(values).is_volume
    volume = as_volume(values, affine=np.diag([-1.0, 1.0, 1.0, 1.0]))
    np.testing.assert_array_equal(volume.pixels, values[::-1])
    assert read_image(volume) is volume
    assert as_picture(values[:1]).pixels.shape == (1, 5, 6)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        (np.zeros((2, 1, 4, 4)), r"got shape \(2, 1, 4, 4\); give the images of a batch one by one"),
        (np.zeros(4), r"got shape \(4,\)"),
        (np.zeros((0, 4)), r"is empty"),
        (
            np.zeros((4, 4), complex),
            r"complex128, expected integers or floats; of complex data take the magnitude",
        ),
        (np.array([[1.0, np.nan], [np.inf, 2.0]]), r"array: 2 of 4 pixels are NaN or infinite"),
        (np.array([[1e300, 0.0]]), r"1 of 2 pixels are NaN or infinite"),
    ],
)
def test_what_is_no_image_is_refused(values: np.ndarray, message: str) -> None:
    with pytest.raises(ImageError, match=message):
        read_image(values)


@pytest.mark.parametrize("ending", [".npy", ".npz"])
@pytest.mark.parametrize("order", ["C", "F"])
@pytest.mark.parametrize("dtype", ["u1", "u2", "<i4", ">f4", "f8", "?"])
def test_files_are_exact(
    tmp_path: Path, rng: np.random.Generator, ending: str, order: str, dtype: str
) -> None:
    values = np.asarray(rng.integers(0, 200, (9, 11)).astype(dtype), order=order)
    (np.save if ending == ".npy" else np.savez_compressed)(tmp_path / f"a{ending}", values)
    image = read_image(tmp_path / f"a{ending}")
    np.testing.assert_array_equal(image.pixels[0], values)
    assert image.full_scale == {"u1": 255.0, "u2": 65535.0, "?": 1.0}.get(dtype)
    assert probe_image(tmp_path / f"a{ending}").shape == (1, 9, 11)
    assert torch.from_numpy(image.pixels).is_contiguous()


def test_nothing_is_unpickled(tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", np.array([{"a": 1}], dtype=object), allow_pickle=True)
    with pytest.raises(ImageError, match=r"a\.npy: holds object, expected .* objects are never unpickled"):
        read_image(tmp_path / "a.npy")


def test_npz_must_hold_one_array(tmp_path: Path) -> None:
    np.savez(tmp_path / "a.npz", image=np.zeros((4, 4)), mask=np.zeros((4, 4)))
    with pytest.raises(ImageError, match=r"a\.npz: expected exactly one array, found 2 \(image, mask\)"):
        read_image(tmp_path / "a.npz")


@pytest.mark.parametrize("ending", [".npy", ".npz"])
def test_cut_files_are_refused(tmp_path: Path, ending: str) -> None:
    (np.save if ending == ".npy" else np.savez)(tmp_path / f"a{ending}", np.zeros((40, 40)))
    data = (tmp_path / f"a{ending}").read_bytes()
    for length in (0, 4, 9, 60, len(data) // 2, len(data) - 1):
        (tmp_path / f"cut{ending}").write_bytes(data[:length])
        with pytest.raises(ImageError, match=rf"cut\{ending}: .*again"):
            read_image(tmp_path / f"cut{ending}")


def npy_bytes(shape: tuple[int, ...], data: bytes = b"") -> bytes:
    stream = io.BytesIO()
    np.lib.format.write_array_header_1_0(stream, {"descr": "<f4", "fortran_order": False, "shape": shape})
    return stream.getvalue() + data


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (npy_bytes((100_000, 100_000)), "holds fewer than the 40000000000 bytes"),
        (npy_bytes((20_000, 20_000)), "holds fewer than the 1600000000 bytes"),
        (npy_bytes((-5, 5)), "the image is empty or damaged"),
        (b"\x93NUMPY\x02\x00" + struct.pack("<I", 2**32 - 1) + bytes(1 << 24), "claims 4294967295 bytes"),
    ],
)
@pytest.mark.parametrize("packed", [False, True])
def test_bombs_are_refused_before_they_fill_memory(
    tmp_path: Path, content: bytes, message: str, packed: bool
) -> None:
    path = tmp_path / ("bomb.npz" if packed else "bomb.npy")
    if packed:
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
            archive.writestr("a.npy", content)
    else:
        path.write_bytes(content)
    tracemalloc.start()
    with pytest.raises(ImageError, match=f"bomb.*{message}"):
        read_image(path)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 5e6


def test_an_array_as_stored_is_not_interpreted(tmp_path: Path) -> None:
    np.save(tmp_path / "f.npy", np.zeros((4, 5, 6), np.int16))
    assert probe_image(tmp_path / "f.npy").is_volume
    with as_stored():
        info = probe_image(tmp_path / "f.npy")
    assert (info.shape, info.is_volume, info.nbytes) == ((4, 5, 6), False, 480)
    assert probe_image(tmp_path / "f.npy").is_volume
