"""Files to read: DICOM slices written with pydicom, and the real examination where it is at hand."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

SHARED = Path(__file__).parents[2].parent / "shared" / "data" / "tcga-fg-6692"


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(20240117)


@pytest.fixture
def real_case() -> Path:
    if not SHARED.is_dir():
        pytest.skip("the real examination is not on this machine")
    return SHARED


def _dataset(values: np.ndarray, path: Path, **elements: Any) -> None:
    """Write stored ``values`` as an uncompressed MR image; ``elements`` replace or add to the usual ones."""
    from pydicom import Dataset, FileMetaDataset
    from pydicom.uid import ExplicitVRLittleEndian, MRImageStorage, generate_uid

    meta = FileMetaDataset()
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    meta.MediaStorageSOPClassUID = MRImageStorage
    meta.MediaStorageSOPInstanceUID = generate_uid()
    dataset = Dataset()
    dataset.file_meta = meta
    dataset.SOPClassUID, dataset.SOPInstanceUID = MRImageStorage, meta.MediaStorageSOPInstanceUID
    dataset.Rows, dataset.Columns = values.shape[:2]
    dataset.SamplesPerPixel, dataset.PhotometricInterpretation = 1, "MONOCHROME2"
    dataset.BitsAllocated = dataset.BitsStored = 8 * values.itemsize
    dataset.HighBit = dataset.BitsStored - 1
    dataset.PixelRepresentation = int(values.dtype.kind == "i")
    dataset.SeriesInstanceUID = "1.2.3"
    dataset.PixelData = values.tobytes()
    for keyword, value in elements.items():
        setattr(dataset, keyword, value)
    dataset.save_as(path, enforce_file_format=True)


@pytest.fixture
def write_dicom() -> Callable[..., None]:
    return _dataset


@pytest.fixture
def write_series() -> Callable[..., Path]:
    """``write_series(folder, volume, affine)``: a RAS+ volume as axial DICOM slices in shuffled file order."""

    def write(folder: Path, volume: np.ndarray, affine: np.ndarray, **elements: Any) -> Path:
        folder.mkdir(exist_ok=True)
        x, y, z = volume.shape
        # pixel (column, row, slice) -> voxel index -> RAS -> LPS
        flip = np.array([[-1, 0, 0, x - 1], [0, -1, 0, y - 1], [0, 0, 1, 0], [0, 0, 0, 1]], dtype=float)
        lps = np.diag([-1, -1, 1, 1]) @ affine @ flip
        lengths = np.linalg.norm(lps[:3, :3], axis=0)
        along = (lps[:3, :2] / lengths[:2]).T.ravel()
        for number, index in enumerate(np.random.default_rng(1).permutation(z)):
            plane = np.ascontiguousarray(volume[::-1, ::-1, index].T)
            place = {
                "ImagePositionPatient": [
                    f"{value:.9g}" for value in lps[:3, :3] @ [0, 0, index] + lps[:3, 3]
                ],
                "ImageOrientationPatient": [f"{value:.9f}" for value in along],
                "PixelSpacing": [f"{lengths[1]:.9g}", f"{lengths[0]:.9g}"],
            }
            _dataset(plane, folder / f"IM{number:04d}", **(place | elements))
        return folder

    return write
