"""Make the images, tables and data sets that the commands of ``tools/compare_outputs.py`` read.

Everything is drawn from fixed seeds, so that every machine makes the same inputs. Nothing is real: no patient was
scanned and no radiologist was asked.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import nibabel
import numpy as np
import polars as pl
from PIL import Image
from pydicom import Dataset, FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian, MRImageStorage

GRID = np.diag([4.0, 4.0, 5.0, 1.0])
GRID[:3, 3] = (-90, -110, -60)
SIDEWAYS = np.array([[0, 0, 5.0, -95], [-4, 0, 0, 100], [0, -4, 0, 90], [0, 0, 0, 1]])
"""A sagittal grid, so that a volume has to be resampled."""
CONTRASTS = {"t1": 1.0, "t2": -1.0, "pd": 0.5, "t1ce": 0.8, "flair": -0.7}


def make_inputs(folder: Path) -> None:
    """Write everything below ``folder``, which is created."""
    for make in (images, broken_images, volumes, series, ixi, brats, slices, tables):
        folder.mkdir(parents=True, exist_ok=True)
        make(folder)


def smooth(seed: int, side: int = 96) -> np.ndarray:
    """A smooth 8-bit image ``(side, side)``."""
    coarse = np.random.default_rng(seed).integers(20, 236, (side // 8 + 1, side // 8 + 1)).astype(np.uint8)
    return np.asarray(Image.fromarray(coarse).resize((side, side), Image.Resampling.BICUBIC))


def worse(image: np.ndarray, seed: int, spread: float) -> np.ndarray:
    """The image with Gaussian noise of standard deviation ``spread`` in gray levels."""
    noise = np.random.default_rng(seed).normal(0, spread, image.shape)
    return np.clip(np.rint(image + noise), 0, 255).astype(np.uint8)


def save(path: Path, image: np.ndarray) -> None:
    """Write a PNG; its folder is created."""
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(image).save(path)


def images(folder: Path) -> None:
    """Two folders of 2-D images with label maps, and a manifest with raters' columns and names like 007."""
    rows = []
    for number in range(6):
        name = f"{number + 7:03d}"
        reference = smooth(number)
        labels = np.zeros((96, 96), np.uint8)
        labels[8:88, 8:88], labels[30:50, 30:60], labels[60:70, 20:40] = 1, 2, 3
        save(folder / "reference" / f"{name}.png", reference)
        save(folder / "synthesized" / f"{name}.png", worse(reference, 50 + number, 4 + 4 * number))
        save(folder / "labels" / f"{name}.png", labels)
        paths = {part: f"{part}/{name}.png" for part in ("synthesized", "reference")}
        model = ("munit", "unit")[number % 2]
        rows.append({"pair_id": name, **paths, "mask": f"labels/{name}.png", "subject": name, "model": model})
    pl.DataFrame(rows).write_csv(folder / "pairs.csv")
    pl.DataFrame(rows).write_parquet(folder / "pairs.parquet")


def broken_images(folder: Path) -> None:
    """Images that cannot be scored: another size, half a file, another scale."""
    save(folder / "small.png", smooth(1, 64))
    whole = (folder / "reference" / "007.png").read_bytes()
    (folder / "half.png").write_bytes(whole[: len(whole) // 2])
    unit = smooth(2).astype(np.float32) / 255
    np.save(folder / "unit.npy", unit)
    np.save(folder / "signed.npy", 2 * unit - 1)
    paths = ["reference/007.png", "small.png", "half.png", "absent.png"]
    broken = pl.DataFrame({"synthesized": paths, "reference": ["reference/008.png"] * len(paths)})
    broken.write_csv(folder / "broken.csv")


def head(
    contrast: float, seed: int, grid: np.ndarray = GRID, shape: tuple[int, ...] = (48, 56, 26)
) -> np.ndarray:
    """A ball with waves inside, whose values depend on the modality: int16 on ``grid``."""
    places = np.moveaxis(np.indices(shape), 0, -1) @ grid[:3, :3].T + grid[:3, 3]
    radius = np.linalg.norm(places / (1, 1.15, 0.9), axis=-1)
    wave = np.sin(places @ np.array((0.05 + 0.002 * seed, 0.07, 0.06)))
    return np.where(radius < 62, 600 + 200 * contrast * wave, 0).astype(np.int16)


def blob(seed: int) -> np.ndarray:
    """A label map of BraTS: 2 edema around 4 enhancing around 1 core."""
    labels = np.zeros((48, 56, 26), np.uint8)
    x = 20 + seed
    labels[x - 6 : x + 6, 20:34, 8:20] = 2
    labels[x - 4 : x + 4, 22:32, 9:18] = 4
    labels[x - 2 : x + 2, 24:29, 10:16] = 1
    return labels


def nifti(path: Path, voxels: np.ndarray, grid: np.ndarray = GRID) -> None:
    """Write a volume; its folder is created."""
    path.parent.mkdir(parents=True, exist_ok=True)
    nibabel.save(nibabel.Nifti1Image(voxels, grid), path)


def volumes(folder: Path) -> None:
    """A pair of volumes, its label map, and the same head on another grid."""
    reference = head(-1, 3)
    noise = np.random.default_rng(4).normal(0, 25, reference.shape)
    nifti(folder / "reference.nii.gz", reference)
    nifti(folder / "synthesized.nii.gz", np.where(reference > 0, reference + noise, 0).astype(np.int16))
    nifti(folder / "labels.nii.gz", blob(3))
    nifti(folder / "sideways.nii.gz", head(-1, 4, SIDEWAYS, (56, 48, 26)), SIDEWAYS)


def series(folder: Path) -> None:
    """Two DICOM series of six slices in Hounsfield units."""
    generator = np.random.default_rng(5)
    for name, spread in (("series_reference", 0), ("series_synthesized", 40)):
        (folder / name).mkdir()
        for index in range(6):
            plane = 4 * smooth(20 + index).astype(float) + generator.normal(0, spread, (96, 96))
            path = folder / name / f"IM{5 - index:04d}"
            dicom(path, np.clip(plane, 0, 4095).astype(np.uint16), index)


def dicom(path: Path, values: np.ndarray, index: int) -> None:
    """Write one axial slice, 5 mm from the next."""
    meta = FileMetaDataset()
    meta.TransferSyntaxUID, meta.MediaStorageSOPClassUID = ExplicitVRLittleEndian, MRImageStorage
    meta.MediaStorageSOPInstanceUID = f"1.2.3.{index + 1}"
    elements: dict[str, Any] = {
        "SOPClassUID": MRImageStorage,
        "SOPInstanceUID": f"1.2.3.{index + 1}",
        "SeriesInstanceUID": "1.2.3",
        "Rows": values.shape[0],
        "Columns": values.shape[1],
        "SamplesPerPixel": 1,
        "PhotometricInterpretation": "MONOCHROME2",
        "BitsAllocated": 16,
        "BitsStored": 12,
        "HighBit": 11,
        "PixelRepresentation": 0,
        "PixelSpacing": [1, 1],
        "ImageOrientationPatient": [1, 0, 0, 0, 1, 0],
        "ImagePositionPatient": [0, 0, 5 * index],
        "RescaleSlope": 1,
        "RescaleIntercept": -1024,
        "PixelData": values.tobytes(),
    }
    dataset = Dataset()
    dataset.file_meta = meta
    for keyword, value in elements.items():
        setattr(dataset, keyword, value)
    dataset.save_as(path, enforce_file_format=True)


def ixi(folder: Path) -> None:
    """Three subjects under IXI's names, one of them without T1, and one model's synthesized T2."""
    for number, site in ((2, "Guys"), (12, "HH"), (14, "IOP")):
        name = f"IXI{number:03d}-{site}-{800 + number:04d}"
        if number != 12:
            nifti(folder / "ixi" / f"{name}-T1.nii.gz", head(1, number, SIDEWAYS, (56, 48, 26)), SIDEWAYS)
        for modality in ("t2", "pd"):
            nifti(folder / "ixi" / f"{name}-{modality.upper()}.nii.gz", head(CONTRASTS[modality], number))
        nifti(folder / "out" / "munit" / "epoch_1" / f"{name}-T2.nii.gz", head(-0.9, number))


def brats(folder: Path) -> None:
    """Three patients under BraTS's names, one of them without a label map."""
    for number in range(3):
        name = f"BraTS2021_{number:05d}"
        for modality in ("t1", "t1ce", "t2", "flair"):
            nifti(folder / "brats" / name / f"{name}_{modality}.nii.gz", head(CONTRASTS[modality], number))
        if number:
            nifti(folder / "brats" / name / f"{name}_seg.nii.gz", blob(number))


def slices(folder: Path) -> None:
    """References and two models' slices at two epochs, with ratings, for ``iqa datasets build-nirps``."""
    rows = []
    for number in range(6):
        name = f"IXI{number + 80:03d}-Guys-{700 + number:04d}-slice-{60 + number}"
        save(folder / "nirps_reference" / f"{name}.png", smooth(number, 48))
        for model, base in (("munit", 5), ("unit", 9)):
            for epoch in (1, 2):
                image = worse(smooth(number, 48), number + epoch, base * 3 / epoch)
                save(folder / "nirps_models" / model / f"epoch_{epoch}" / f"{name}.png", image)
                rating = round(0.1 * ((number + 3 * epoch) % 10), 1)
                rows.append({"model": model, "epoch": epoch, "slice_id": name, "rating": rating})
    pl.DataFrame(rows).write_csv(folder / "nirps_ratings.csv")


def tables(folder: Path) -> None:
    """Scores and ratings of 60 images in the wide and the long form, and scores of systems."""
    generator = np.random.default_rng(0)
    quality = np.round(generator.random(60), 1)
    names = [f"{number:03d}" for number in range(60)]
    scores = {
        "pair_id": names,
        "subject": [f"{number // 4:03d}" for number in range(60)],
        "model": ["munit", "unit"] * 30,
        "epoch": [1 + number // 20 for number in range(60)],
        "psnr": 20 + 10 * quality + generator.normal(size=60),
        "mae": 0.3 - 0.2 * quality + 0.1 * generator.normal(size=60),
        "novel": quality + generator.normal(size=60),
    }
    rated = np.clip(quality[:, None] + 0.1 * generator.normal(size=(60, 4)), 0, 0.9).round(1)
    raters = {f"rater_{number + 1:02d}": rated[:, number] for number in range(4)}
    pl.DataFrame(scores | {"rating": quality}).write_csv(folder / "wide.csv")
    pl.DataFrame(scores).write_parquet(folder / "scores.parquet")
    pl.DataFrame({"pair_id": names} | raters).write_csv(folder / "raters.csv")
    rows = [{"pair_id": name, "rater": key, "rating": column[place]}
            for place, name in enumerate(names) for key, column in raters.items()]  # fmt: skip
    pl.DataFrame(rows).write_csv(folder / "ratings.csv")
    systems = {
        "system": [f"s{number}" for number in range(12)],
        "task": ["breast", "brain"] * 6,
        "dice": generator.random(12).round(3),
        "fid": (100 * generator.random(12)).round(2),
        "kid": generator.random(12).round(4),
    }
    pl.DataFrame(systems).write_csv(folder / "systems.csv")
