"""Bad input: one row fails with a message that names the file and the remedy, the others are scored."""

import csv
import gzip
import io
import struct
import zlib

import nibabel
import numpy as np
import pytest
from PIL import Image


@pytest.fixture
def score(iqa, folders):
    """Score the three pairs and return exit code, rows by pair and what was said."""

    def run(*extra, metric="mae"):
        done = iqa("evaluate", *folders, "--metric", metric, "--csv", *extra)
        rows = {row["pair_id"]: row for row in csv.DictReader(io.StringIO(done.stdout))}
        assert "Traceback" not in done.stderr
        return done.returncode, rows, done.stderr

    return run


def others_are_scored(rows, failed="1"):
    return all(row["status"] == "ok" for name, row in rows.items() if name != failed)


def png_bomb():
    """A PNG of 60000 x 60000 pixels in a few kilobytes."""
    header = struct.pack(">IIBBBBB", 60000, 60000, 8, 0, 0, 0, 0)

    def chunk(kind, data):
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(bytes(100000)))


def write_broken(kind, path, smooth):
    picture = smooth(1)
    match kind:
        case "truncated":
            whole = path.read_bytes()
            path.write_bytes(whole[: len(whole) // 2])
        case "bomb":
            path.write_bytes(png_bomb())
        case "size":
            Image.fromarray(smooth(1, (64, 56))).save(path)
        case "alpha":
            Image.fromarray(np.dstack([picture] * 3 + [np.full_like(picture, 128)])).save(path)
        case "text":
            path.write_text("not a 2-D image")


@pytest.mark.parametrize(
    ("kind", "said"),
    [
        ("truncated", "1.png"),
        ("bomb", "cannot hold"),
        ("size", "--resize"),
        ("alpha", "alpha"),
        ("text", "1.png"),
    ],
)
def test_a_broken_picture(score, folders, smooth, kind, said):
    write_broken(kind, folders[0] / "1.png", smooth)
    code, rows, stderr = score()
    assert code == 1
    assert rows["1"]["status"] == "error"
    assert said in rows["1"]["message"]
    assert "1.png" in stderr
    assert others_are_scored(rows)


def test_all_zero_images_are_scored(score, folders):
    Image.new("L", (64, 64)).save(folders[0] / "1.png")
    code, rows, _ = score(metric="ssim")
    assert code == 0
    assert 0 <= float(rows["1"]["score"]) < 0.1


def test_a_small_picture_is_not_applicable(score, folders, smooth):
    for folder in folders:
        Image.fromarray(smooth(0, (10, 10))).save(folder / "1.png")
    code, rows, _ = score(metric="ms_ssim")
    assert code == 1
    assert rows["1"]["status"] == "not_applicable"
    assert "161" in rows["1"]["message"]


def test_an_empty_folder_is_wrong_usage(iqa, folders, tmp_path):
    (tmp_path / "empty").mkdir()
    done = iqa("evaluate", "empty", folders[1], "--metric", "mae")
    assert done.returncode == 2
    assert "empty" in done.stderr


def test_nothing_matches_is_wrong_usage(iqa, folders):
    for path in folders[0].iterdir():
        path.rename(path.with_name(f"fake_{path.name}"))
    done = iqa("evaluate", *folders, "--metric", "mae")
    assert done.returncode == 2
    assert "fake_0" in done.stderr


def test_a_missing_path_is_named(iqa, folders, tmp_path):
    done = iqa("evaluate", tmp_path / "nowhere.png", folders[1] / "0.png", "--metric", "mae")
    assert done.returncode in (1, 2)
    assert "nowhere.png" in done.stderr


@pytest.fixture
def arrays(tmp_path):
    """Two folders of float arrays."""
    generator = np.random.default_rng(0)
    for name in ("s", "r"):
        (tmp_path / name).mkdir()
        for number in range(3):
            np.save(tmp_path / name / f"{number}.npy", generator.random((64, 64)).astype(np.float32))
    return tmp_path / "s", tmp_path / "r"


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda x: np.where(x > 0.99, np.nan, x), "NaN"),
        (lambda x: x * 255, "different scales"),
        (lambda x: 2 * x - 1, "different scales"),
    ],
)
def test_wrong_values(iqa, arrays, change, said):
    path = arrays[0] / "1.npy"
    np.save(path, change(np.load(path)))
    done = iqa("evaluate", *arrays, "--metric", "mae", "--csv")
    rows = {row["pair_id"]: row for row in csv.DictReader(io.StringIO(done.stdout))}
    assert done.returncode == 1
    assert rows["1"]["status"] == "error"
    assert said in rows["1"]["message"]
    assert others_are_scored(rows)


def test_float_pictures_up_to_255_need_a_rule_without_scaling(iqa, arrays):
    for folder in arrays:
        for path in folder.iterdir():
            np.save(path, np.load(path) * 255)
    refused = iqa("evaluate", *arrays, "--metric", "mae", "--intensity", "none")
    assert refused.returncode == 1
    assert "range=0,255" in refused.stderr
    assert iqa("evaluate", *arrays, "--metric", "mae", "--intensity", "range=0,255").returncode == 0


@pytest.fixture
def volumes(tmp_path):
    generator = np.random.default_rng(0)
    data = np.kron(generator.random((4, 4, 2)), np.ones((8, 8, 3))).astype(np.float32)
    for name in ("s", "r"):
        (tmp_path / name).mkdir()
        for number in range(2):
            image = nibabel.Nifti1Image(
                data + 0.01 * generator.random(data.shape).astype(np.float32), np.eye(4)
            )
            nibabel.save(image, tmp_path / name / f"{number}.nii.gz")
    return tmp_path / "s", tmp_path / "r"


def broken_volume(kind, path):
    match kind:
        case "truncated":
            path.write_bytes(path.read_bytes()[:2000])
        case "text":
            path.write_text("this is no volume")
        case "affine":
            image = nibabel.load(path)
            nibabel.save(nibabel.Nifti1Image(np.asarray(image.dataobj), np.diag([1, 1, 2, 1.0])), path)
        case "bomb":
            header = nibabel.Nifti1Header()
            header.set_data_shape((3000, 3000, 3000))
            header.set_data_dtype(np.float32)
            path.write_bytes(gzip.compress(header.binaryblock + bytes(4 + 10_000_000)))


@pytest.mark.parametrize(
    ("kind", "said"),
    [
        ("truncated", "1.nii.gz"),
        ("text", "1.nii.gz"),
        ("affine", "--geometry ignore"),
        ("bomb", "IQA_MAX_IMAGE_BYTES"),
    ],
)
def test_a_broken_volume(iqa, volumes, kind, said):
    broken_volume(kind, volumes[0] / "1.nii.gz")
    done = iqa("evaluate", *volumes, "--metric", "mae", "--csv")
    rows = list(csv.DictReader(io.StringIO(done.stdout)))
    assert done.returncode == 1
    assert "Traceback" not in done.stderr
    assert all(row["status"] == "ok" for row in rows if row["pair_id"].startswith("0"))
    failed = [row for row in rows if row["pair_id"].startswith("1")]
    assert failed
    assert all(row["status"] == "error" and said in row["message"] for row in failed)


def test_resampling_mends_affines(iqa, volumes):
    broken_volume("affine", volumes[0] / "1.nii.gz")
    assert iqa("evaluate", *volumes, "--metric", "mae", "--resample", "reference").returncode == 0
