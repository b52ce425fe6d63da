"""Arrays chosen by name, HDF5 and MATLAB; MGH, MINC and Analyze, written by the libraries themselves."""

from __future__ import annotations

import gzip
import struct
import sys
import tracemalloc
import zlib
from pathlib import Path

import h5py
import nibabel
import numpy as np
import pytest
import scipy.io
from nibabel.freesurfer.mghformat import MGHImage

from command_line import run_in_process
from iqa_registry.errors import ImageError, MissingExtraError
from iqa_registry.images.formats import probe_image, read_image, stem, suffix

AFFINE = np.array([[-0.9, 0, 0, 10], [0, 0, 1.1, -20], [0, -1.3, 0, 30], [0, 0, 0, 1.0]])


@pytest.fixture
def fake(rng: np.random.Generator) -> np.ndarray:
    return rng.integers(0, 255, (9, 7)).astype(np.uint8)


def written(path: Path, arrays: dict[str, np.ndarray]) -> Path:
    if path.suffix == ".npz":
        np.savez_compressed(path, **dict(arrays.items()))
    elif path.suffix == ".mat":
        scipy.io.savemat(path, arrays | {"note": "text", "cell": {"a": 1.0}}, do_compression=True)
    else:
        with h5py.File(path, "w", userblock_size=512 if path.stem == "v73" else 0) as file:
            for key, value in arrays.items():
                file.create_dataset(key, data=value, compression="gzip")
            file.create_group("meta")["text"] = "not an image"
            file["count"] = 3
    return path


@pytest.mark.parametrize("name", ["both.npz", "both.h5", "both.hdf5", "both.mat"])
def test_an_array_is_chosen_by_its_name(tmp_path: Path, fake: np.ndarray, name: str) -> None:
    path = written(tmp_path / name, {"fake": fake, "real": fake[::-1]})
    image = read_image(f"{path}:fake")
    np.testing.assert_array_equal(image.pixels[0], fake)
    assert (image.name, image.full_scale) == (f"{path}:fake", 255.0)
    assert probe_image(f"{path}:real").shape == (1, 9, 7)
    np.testing.assert_array_equal(read_image(f"{path}:real").pixels[0], fake[::-1])
    for read in (read_image, probe_image):
        with pytest.raises(ImageError, match=rf"found 2 \(fake, real\); choose one with {name}:fake"):
            read(path)
        with pytest.raises(ImageError, match=r"has no array 'fakes' .*Did you mean 'fake'"):
            read(f"{path}:fakes")
    single = written(tmp_path / f"one{path.suffix}", {"fake": fake})
    np.testing.assert_array_equal(read_image(single).pixels[0], fake)


def test_names_of_chosen_arrays() -> None:
    assert (stem("a/both.npz:fake"), suffix("a/both.npz:fake")) == ("both-fake", ".npz")
    assert stem("a/both.h5:group/fake") == "both-group-fake"


def test_the_command_line_scores_arrays_by_name(tmp_path: Path, fake: np.ndarray) -> None:
    real = fake[::-1].copy()
    path = written(tmp_path / "both.h5", {"runs/fake": fake})
    np.savez(tmp_path / "both.npz", real=real, other=real)
    done = run_in_process("evaluate", f"{path}:/runs/fake", f"{tmp_path}/both.npz:real", "-m", "mae", "--csv")
    assert done.returncode == 0, done.stderr
    row = dict(zip(*(line.split(",") for line in done.stdout.splitlines()[:2]), strict=True))
    expected = np.abs(fake.astype(float) - real).mean() / 255
    assert float(row["score"]) == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize("kind", ["v5", "v73"])
def test_matlab_volumes_keep_their_axes(tmp_path: Path, rng: np.random.Generator, kind: str) -> None:
    volume = rng.random((6, 7, 8))
    if kind == "v5":
        scipy.io.savemat(tmp_path / "f.mat", {"volume": volume})
    else:  # MATLAB writes HDF5 with the first axis last
        written(tmp_path / "v73.h5", {"volume": volume.T}).rename(tmp_path / "f.mat")
    image = read_image(tmp_path / "f.mat")
    np.testing.assert_array_equal(image.pixels, volume.astype(np.float32))
    assert image.is_volume
    assert probe_image(tmp_path / "f.mat").shape == (6, 7, 8)


def test_what_a_container_holds_is_checked_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with h5py.File(tmp_path / "f.h5", "w") as file:
        file.create_dataset("huge", (40000, 40000), "f4", chunks=(100, 100))
        file["complex"] = np.ones((3, 3), complex)
        file["elsewhere"] = h5py.ExternalLink("other.h5", "x")
    for read in (read_image, probe_image):
        with pytest.raises(ImageError, match="more than the limit"):
            read(f"{tmp_path}/f.h5:huge")
        for member in ("complex", "elsewhere"):
            with pytest.raises(ImageError, match=f"has no array '{member}'"):
                read(f"{tmp_path}/f.h5:{member}")
    with h5py.File(tmp_path / "e.h5", "w") as file:
        file.create_dataset("raw", (3, 3), "u1", external=[(str(tmp_path / "raw.bin"), 0, 9)])
    with pytest.raises(ImageError, match="keeps its values in other files"):
        read_image(tmp_path / "e.h5")
    scipy.io.savemat(tmp_path / "f.mat", {"x": np.zeros((200, 200))})
    (tmp_path / "bad.mat").write_bytes((tmp_path / "f.mat").read_bytes()[:900])
    monkeypatch.setenv("IQA_MAX_IMAGE_BYTES", "1000")
    with pytest.raises(ImageError, match="more than the limit"):
        read_image(tmp_path / "f.mat")
    monkeypatch.undo()
    for name in ("bad.mat", "text.h5", "text.mat"):
        if name.startswith("text"):
            (tmp_path / name).write_text("this is text, and long enough to be looked at by everyone" * 9)
        with pytest.raises(ImageError, match=rf"{name}: cannot be read as"):
            read_image(tmp_path / name)


@pytest.mark.parametrize("name", ["f.h5", "f.mnc"])
def test_without_h5py_the_extra_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    written(tmp_path / "f.h5", {"x": np.ones((3, 3))}).rename(tmp_path / name)
    monkeypatch.setitem(sys.modules, "h5py", None)
    with pytest.raises(MissingExtraError, match=r'pip install "iqa-registry\[hdf5\]"'):
        read_image(tmp_path / name)


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")  # nibabel leaves files open
@pytest.mark.parametrize("name", ["f.mgz", "f.mgh", "f.img", "f.hdr"])
def test_volumes_of_other_programs_lie_where_nibabel_puts_them(
    tmp_path: Path, rng: np.random.Generator, name: str
) -> None:
    values = rng.integers(-500, 500, (6, 7, 8)).astype(np.int16)
    kind = MGHImage if "mg" in name else nibabel.Nifti1Pair
    nibabel.save(kind(values, AFFINE), tmp_path / name)
    image, expected = read_image(tmp_path / name), nibabel.as_closest_canonical(nibabel.load(tmp_path / name))
    np.testing.assert_array_equal(image.pixels, expected.get_fdata())
    np.testing.assert_allclose(image.affine, expected.affine, atol=1e-4)
    assert probe_image(tmp_path / name).shape == image.pixels.shape
    assert image.notes == ()


def test_analyze_is_read_with_a_note(tmp_path: Path, rng: np.random.Generator) -> None:
    values = rng.integers(0, 500, (6, 7, 8)).astype(np.int16)
    image = nibabel.AnalyzeImage(values, None)
    image.header.set_zooms((1, 2, 3))
    nibabel.save(image, tmp_path / "f.img")
    found = read_image(tmp_path / "f.img")
    np.testing.assert_array_equal(found.pixels, values[::-1])
    assert np.abs(np.diag(found.affine)[:3]).tolist() == [1, 2, 3]
    assert "does not say which side is left" in found.notes[0].message
    (tmp_path / "f.img").write_bytes((tmp_path / "f.img").read_bytes()[:300])
    with pytest.raises(ImageError, match=r"the header declares 672 bytes, but f\.img has 300 bytes"):
        read_image(tmp_path / "f.img")
    (tmp_path / "f.img").unlink()
    with pytest.raises(ImageError, match=r"f\.hdr: "):
        read_image(tmp_path / "f.hdr")


def test_minc_2_is_read(tmp_path: Path, rng: np.random.Generator) -> None:
    """nibabel reads MINC but does not write it, so that the file is put together as the format says."""
    values = rng.integers(0, 4000, (4, 5, 6)).astype(np.uint16)
    with h5py.File(tmp_path / "f.mnc", "w") as file:
        root = file.create_group("minc-2.0")
        for number, (axis, step, start) in enumerate((("z", 2.0, 5.0), ("y", 1.5, -3.0), ("x", 1.0, 7.0))):
            dimension = root.create_dataset(f"dimensions/{axis}space", data=0)
            dimension.attrs.update({"length": values.shape[number], "step": step, "start": start})
            dimension.attrs["spacing"] = np.bytes_(b"regular__")
        image = root.create_dataset("image/0/image", data=values)
        image.attrs["dimorder"] = np.bytes_(b"zspace,yspace,xspace")
        image.attrs["valid_range"] = np.array([0.0, 65535.0])
        for end, value in (("min", 0.0), ("max", 65535.0)):
            root.create_dataset(f"image/0/image-{end}", data=value)
    image = read_image(tmp_path / "f.mnc")
    expected = nibabel.as_closest_canonical(nibabel.load(tmp_path / "f.mnc"))
    np.testing.assert_allclose(image.pixels, values.T, rtol=1e-6)
    np.testing.assert_allclose(image.affine, expected.affine)
    np.testing.assert_allclose(image.affine @ [0, 0, 0, 1], [7, -3, 5, 1])
    assert probe_image(tmp_path / "f.mnc").shape == (6, 5, 4)


def test_broken_mgz_files_are_reported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    nibabel.save(MGHImage(np.ones((6, 7, 8), np.float32), AFFINE), tmp_path / "f.mgz")
    data = gzip.decompress((tmp_path / "f.mgz").read_bytes())
    for size, said in ((100, "cut off in its header"), (700, r"cannot hold them|cut off")):
        (tmp_path / "cut.mgh").write_bytes(data[:size])
        with pytest.raises(ImageError, match=rf"cut\.mgh: .*({said})"):
            read_image(tmp_path / "cut.mgh")
    nibabel.save(MGHImage(np.ones((3, 3, 3, 2), np.float32), AFFINE), tmp_path / "four.mgz")
    with pytest.raises(ImageError, match="holds 3 x 3 x 3 x 2 values, expected one volume"):
        read_image(tmp_path / "four.mgz")
    monkeypatch.setenv("IQA_MAX_IMAGE_BYTES", "1000")
    with pytest.raises(ImageError, match="more than the limit"):
        read_image(tmp_path / "f.mgz")


def test_unknown_formats_say_what_can_be_read(tmp_path: Path) -> None:
    (tmp_path / "f.xyz").write_bytes(bytes(200))
    with pytest.raises(ImageError, match=r"unknown format; .*\.mgz .*\.h5 .* Convert it to \.nii\.gz"):
        read_image(tmp_path / "f.xyz")


@pytest.mark.parametrize(("shape", "expected"), [((6, 7, 8, 1), (6, 7, 8)), ((6, 7), (6, 7, 1))])
def test_axes_of_length_one_of_other_programs(
    tmp_path: Path, rng: np.random.Generator, shape: tuple, expected: tuple
) -> None:
    values = rng.integers(0, 500, shape).astype(np.int16)
    nibabel.save(nibabel.AnalyzeImage(values, None), tmp_path / "f.img")
    found = read_image(tmp_path / "f.img")
    np.testing.assert_array_equal(found.pixels, values.reshape(expected)[::-1])
    assert probe_image(tmp_path / "f.img").shape == expected


def test_several_volumes_of_other_programs_are_refused(tmp_path: Path) -> None:
    nibabel.save(nibabel.AnalyzeImage(np.zeros((6, 7, 8, 2), np.int16), None), tmp_path / "f.img")
    with pytest.raises(ImageError, match="holds 6 x 7 x 8 x 2 values, expected one volume"):
        read_image(tmp_path / "f.img")


@pytest.mark.parametrize("order", ["<", ">"])
def test_a_matlab_element_that_inflates_to_much_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, order: str
) -> None:
    """Its matrix says 2 x 2, and the numbers behind it 200 MB."""
    size = 200_000_000
    head = struct.pack(f"{order}14I", 14, size + 64, 6, 8, 6, 0, 5, 8, 2, 2, 1, 8, 0x78787878, 0x78787878)
    element = zlib.compress(head + struct.pack(f"{order}2I", 9, size) + bytes(size), 9)
    mark = struct.pack(f"{order}HH", 0x0100, 0x4D49)
    content = b"MATLAB 5.0".ljust(124) + mark + struct.pack(f"{order}2I", 15, len(element)) + element
    (tmp_path / "a.mat").write_bytes(content)
    assert len(content) < 200_000
    monkeypatch.setenv("IQA_MAX_IMAGE_BYTES", str(16 << 20))
    tracemalloc.start()
    for read in (read_image, probe_image):
        with pytest.raises(ImageError, match=r"a\.mat: an element of the file inflates further and further"):
            read(tmp_path / "a.mat")
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 8e6


@pytest.mark.parametrize("packed", [False, True])
def test_matlab_numbers_of_an_unknown_type_end_no_process(tmp_path: Path, packed: bool) -> None:
    scipy.io.savemat(tmp_path / "a.mat", {"x": np.arange(42, dtype=np.int16).reshape(6, 7)})
    content = bytearray((tmp_path / "a.mat").read_bytes())
    assert read_image(tmp_path / "a.mat").pixels.sum() == 861
    assert content[176:180] == b"\3\0\0\0"
    content[177] = 1
    if packed:
        element = zlib.compress(content[128:])
        content[128:] = struct.pack("<2I", 15, len(element)) + element
    (tmp_path / "a.mat").write_bytes(content)
    for read in (probe_image, read_image):
        with pytest.raises(ImageError, match=r"a\.mat: cannot be read as MATLAB .*unknown type 259"):
            read(tmp_path / "a.mat")
