"""What ``fuzz.py`` feeds to the readers: small sound files of each format, damage to them, and how each is read."""

from __future__ import annotations

import gzip
import io
import json
import locale
import random
import shutil
import struct
import zipfile
import zlib
from pathlib import Path

import numpy as np

from iqa_segmentation.nnunet_folder import SHIPPED

INTERESTING = (0, 1, 2, 3, 0x7F, 0x80, 0xFF)
NUMBERS = (0, 1, 255, 1 << 16, 1 << 20, (1 << 31) - 1, 1 << 31, (1 << 32) - 1)
TEXTS = (
    b"\0", b"\n", b'"', b",", b";", b"{", b"[" * 3000, b"9" * 30, b"-1", b"1e999", b"nan", b"\xff\xfe", b"-", b".",
    b"../" * 4, b"null", b"[]", b"{}",
)  # fmt: skip
MODEL = ("plans.json", "dataset.json", "fold_0/checkpoint_final.pth")
READ_AS = {
    "v.hdr": "v.img", "d.raw": "d.mhd", "n.raw": "n.nhdr", "series/2.dcm": "series",
    **{f"model/{name}": "model" for name in MODEL},
}  # fmt: skip
"""Files that are read through another."""


def write_sound(folder: Path) -> None:
    """Write a small sound file of each format."""
    _volumes(folder)
    _pictures(folder)
    _containers(folder)
    kept = locale.setlocale(locale.LC_ALL)
    try:
        _dicom(folder)
    finally:  # writing numbers to DICOM leaves the process in the locale C
        locale.setlocale(locale.LC_ALL, kept)
    _tables(folder)
    _settings(folder)


def _volumes(folder: Path) -> None:
    import nibabel
    import SimpleITK

    values = np.arange(6 * 7 * 5, dtype=np.int16).reshape(6, 7, 5)
    for ending in ("nii", "nii.gz"):
        nibabel.save(nibabel.Nifti1Image(values, np.eye(4)), folder / f"a.{ending}")
    nibabel.save(nibabel.AnalyzeImage(values, np.eye(4)), folder / "v.img")
    for ending in ("mgh", "mgz"):
        nibabel.save(nibabel.MGHImage(values.astype(np.float32), np.eye(4)), folder / f"a.{ending}")
    image = SimpleITK.GetImageFromArray(values)
    for ending in ("mha", "nrrd"):
        SimpleITK.WriteImage(image, str(folder / f"a.{ending}"))
        SimpleITK.WriteImage(image, str(folder / f"z.{ending}"), True)
    SimpleITK.WriteImage(image, str(folder / "d.mhd"))
    SimpleITK.WriteImage(image, str(folder / "n.nhdr"))


def _pictures(folder: Path) -> None:
    import tifffile
    from PIL import Image

    picture = (np.arange(30 * 20) % 251).astype(np.uint8).reshape(30, 20)
    for ending in ("png", "jpg"):
        Image.fromarray(picture).save(folder / f"a.{ending}")
    Image.fromarray(np.stack([picture] * 3, 2)).quantize(16).save(folder / "p.png")
    tifffile.imwrite(folder / "a.tif", picture)
    tifffile.imwrite(folder / "z.tif", picture.astype(np.uint16), compression="zlib", tile=(16, 16))


def _containers(folder: Path) -> None:
    import h5py
    from scipy.io import savemat

    values = np.arange(6 * 7 * 5, dtype=np.int16).reshape(6, 7, 5)
    np.save(folder / "a.npy", values)
    np.savez_compressed(folder / "a.npz", values)
    savemat(folder / "a.mat", {"x": values[..., 0]})
    savemat(folder / "z.mat", {"x": values[..., 0]}, do_compression=True)
    with h5py.File(folder / "a.h5", "w") as file:
        file.create_dataset("x", data=values[..., 0], chunks=(3, 7), compression="gzip")


def _dicom(folder: Path) -> None:
    import SimpleITK

    slices = np.arange(3 * 8 * 8, dtype=np.uint16).reshape(3, 8, 8)
    SimpleITK.WriteImage(SimpleITK.GetImageFromArray(slices[0]), str(folder / "a.dcm"))
    (folder / "series").mkdir()
    for number, values in enumerate(slices):
        image = SimpleITK.GetImageFromArray(values[None])
        for key, value in {
            "0020|000e": "1.2.3.4",
            "0020|0032": f"0\\0\\{number}",
            "0020|0037": "1\\0\\0\\0\\1\\0",
            "0028|0030": "1\\1",
            "0008|0016": "1.2.840.10008.5.1.4.1.1.2",
        }.items():
            image.SetMetaData(key, value)
        writer = SimpleITK.ImageFileWriter()
        writer.KeepOriginalImageUIDOn()
        writer.SetFileName(str(folder / "series" / f"{number}.dcm"))
        writer.Execute(image)


def _tables(folder: Path) -> None:
    import polars as pl

    manifest = "pair_id,synthesized,reference\n1,a.png,b.png\n2,c.png,d.png\n"
    (folder / "manifest.csv").write_text(manifest)
    (folder / "manifest.tsv").write_text(manifest.replace(",", "\t"))
    (folder / "manifest.csv.gz").write_bytes(gzip.compress(manifest.encode(), mtime=0))
    (folder / "ratings.csv").write_text('pair_id;rater;rating\n"1";7;4,5\n2;8;3,0\n')
    frame = pl.DataFrame({"pair_id": ["1", "2"], "psnr": [20.5, 30.0]})
    frame.write_csv(folder / "scores.csv")
    frame.write_parquet(folder / "scores.parquet")
    frame.write_parquet(folder / "plain.parquet", compression="uncompressed")
    (folder / "scores.json").write_text(json.dumps([{"pair_id": "1", "psnr": 20.5}, {"pair_id": 2}]))
    frame.write_excel(folder / "scores.xlsx")


def _settings(folder: Path) -> None:
    (folder / "iqa.toml").write_text('[metrics.mine]\nbase = "ssim"\nsummary = "Mine."\nwindow = 7\n')
    (folder / "train.toml").write_text("[network]\nwidth = 16\n[stage_one]\nsteps = 600\n")
    (folder / "model" / "fold_0").mkdir(parents=True)
    for name in MODEL:
        shutil.copyfile(SHIPPED / name, folder / "model" / name)


def random_file(rng: random.Random) -> tuple[str, bytes]:
    """Random bytes under the name of one of the formats, at times after the first bytes of another."""
    from iqa_registry.images.formats import SUFFIXES
    from iqa_registry.tables.reading import SUFFIXES as TABLES

    start = rng.choice(
        (b"", b"", b"\x89PNG\r\n\x1a\n", b"PK\3\4", b"\x1f\x8b\x08\0", b"II*\0", b"\xff\xd8\xff", b"PAR1")
    )
    return "random" + rng.choice(SUFFIXES + TABLES), start + rng.randbytes(rng.randrange(2000))


def damaged(name: str, data: bytes, rng: random.Random) -> bytes:
    """The file with a few changes; half of those in compressed files are made to what is within."""
    inner = rng.random() < 0.5
    if inner and name.endswith((".gz", ".mgz")):
        return gzip.compress(_changed(gzip.decompress(data), rng), mtime=0)
    if inner and name.endswith((".xlsx", ".npz")):
        return _damaged_zip(data, rng)
    changed = _changed(data, rng)
    return _with_checksums(changed) if inner and name.endswith(".png") else changed


def _changed(data: bytes, rng: random.Random) -> bytes:
    changed = bytearray(data)
    for _ in range(rng.choice((1, 1, 2, 4, 16))):
        at = rng.randrange(max(1, min(len(changed), rng.choice((64, 600, 1 << 30)))))
        match rng.randrange(8):
            case 0:
                changed[at : at + 1] = bytes([rng.randrange(256)])
            case 1:
                changed[at : at + 4] = bytes([rng.choice(INTERESTING)]) * rng.choice((1, 2, 4))
            case 2:
                changed[at : at + 4] = struct.pack(rng.choice("<>") + "I", rng.choice(NUMBERS))
            case 3:
                del changed[at : at + rng.randrange(1, 40)]
            case 4:
                changed[at:at] = changed[at : at + 40] * rng.choice((1, 2, 30))
            case 5:
                changed[at : at + rng.randrange(3)] = rng.choice(TEXTS)
            case 6:
                changed[at : at + 1] = bytes([changed[at] ^ (1 << rng.randrange(8))]) if changed else b"\0"
            case _:
                del changed[at if rng.random() < 0.3 else len(changed) - 1 - rng.randrange(20) :]
    return bytes(changed)


def _damaged_zip(data: bytes, rng: random.Random) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(data)) as old, zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as new:
        chosen = rng.choice(old.namelist())
        for name in old.namelist():
            new.writestr(name, _changed(old.read(name), rng) if name == chosen else old.read(name))
    return out.getvalue()


def _with_checksums(png: bytes) -> bytes:
    """The PNG with the right checksum of each chunk, as far as its chunks can be told."""
    out, at = bytearray(png), 8
    while at + 12 <= len(out):
        end = at + 8 + int.from_bytes(out[at : at + 4])
        if end + 4 > len(out):
            break
        out[end : end + 4] = zlib.crc32(out[at + 4 : end]).to_bytes(4)
        at = end + 4
    return bytes(out)


def read(folder: Path, name: str) -> None:
    """Read a file as its name says, as the commands would."""
    from iqa_registry.images import formats
    from iqa_registry.images._manifest import read_rows
    from iqa_registry.tables.reading import read_table

    path = folder / READ_AS.get(name, name)
    if name == "iqa.toml":
        _read_configuration(path)
    elif path.suffix == ".toml":
        from iqa_kcross.training.config import read_config

        read_config(path, {})
    elif path.name == "model":
        from iqa_segmentation.nnunet import NnUNet

        NnUNet(str(path))
    elif path.is_dir() or formats.suffix(path) in formats.SUFFIXES:
        formats.probe_image(path)
        formats.read_scan(path)
    elif name.startswith("manifest"):
        read_rows(path)
    elif name.startswith("ratings"):
        _read_ratings(path)
    else:
        read_table(path)


def _read_configuration(path: Path) -> None:
    from iqa_registry.registry import build_registry

    registry = build_registry(config=path)
    for name in registry.metrics:
        if registry.metrics[name].origin.distribution == "user settings":
            registry.resolve_metric(name)


def _read_ratings(path: Path) -> None:
    import polars as pl

    from iqa_registry.agreement.ratings import rate
    from iqa_registry.agreement.scores import Scores

    rate(Scores(pl.DataFrame({"pair_id": ["1", "2"], "psnr": [20.5, 30.0]}), {"psnr": True}, "scores"), path)
