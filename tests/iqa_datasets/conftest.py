"""Small volumes written under the published names, and the command line."""

from pathlib import Path

import nibabel
import numpy as np
import pytest

from command_line import run_in_process

SHAPE = (24, 28, 20)
AFFINE = np.array([[-8.0, 0, 0, 90], [0, 8, 0, -100], [0, 0, 7, -60], [0, 0, 0, 1]])
"""Stored from right to left, as many scanners do."""
OWN_GRID = np.array([[0, 0, 9.0, -100], [-8, 0, 0, 95], [0, -8, 0, 85], [0, 0, 0, 1]])
"""Sagittal, as IXI keeps its T1."""


def head(contrast, seed, grid=AFFINE, shape=SHAPE):
    """A head in space: scalp, dark skull, brain with a structure of its own; its values depend on the modality."""
    places = np.moveaxis(np.indices(shape), 0, -1) @ grid[:3, :3].T + grid[:3, 3]
    radius = np.linalg.norm(places / (1, 1.15, 0.9), axis=-1)
    wave = np.sin(places @ (0.05 + 0.002 * seed, 0.07, 0.06))
    brain = np.where(radius < 55, 600 + 200 * contrast * wave, 40 + 10 * wave)
    scalp = (radius > 68) & (radius < 80)
    return np.where(scalp, 500, np.where(radius < 80, brain, 5)).astype(np.int16)


@pytest.fixture
def write_nifti():
    def write(path, voxels, affine=AFFINE):
        path = Path(path)
        path.parent.mkdir(parents=True, exist_ok=True)
        nibabel.save(nibabel.Nifti1Image(voxels, affine), path)
        return path

    return write


CONTRAST = {"t1": 1, "t2": -1, "pd": 0.5, "t1ce": 0.8, "flair": -0.7}


@pytest.fixture
def write_head(write_nifti):
    """``write_head(path, "t2", seed)``"""

    def write(path, modality, seed=0, affine=AFFINE, shape=SHAPE):
        return write_nifti(path, head(CONTRAST[modality], seed, affine, shape), affine)

    return write


@pytest.fixture
def ixi_folder(tmp_path, write_head):
    """IXI with what goes wrong with it: see the lines."""
    root = tmp_path / "IXI"
    for number, site in ((2, "Guys"), (12, "HH"), (13, "HH"), (14, "IOP"), (15, "Guys")):
        name = f"IXI{number:03d}-{site}-{800 + number:04d}"
        write_head(root / "IXI-T1" / f"{name}-T1.nii.gz", "t1", number, OWN_GRID, (28, 24, 20))
        write_head(root / "IXI-T2" / f"{name}-T2.nii.gz", "t2", number)
        write_head(root / "IXI-PD" / f"{name}-PD.nii.gz", "pd", number)
    (root / "IXI-PD" / "IXI012-HH-0812-PD.nii.gz").unlink()
    (root / "IXI-T2" / "IXI013-HH-0813-T2.nii.gz").rename(root / "IXI-T2" / "ixi013-hh-0813-t2.nii.gz")
    write_head(root / "more" / "again" / "IXI014-IOP-0814-T2.nii", "t2", 14)
    (root / "IXI-PD" / "IXI015-Guys-0815-PD.nii.gz").unlink()
    write_head(root / "IXI-PD" / "deeper" / "IXI015-Guys-0815-PD.nii", "pd", 15)
    (root / "IXI.xls").write_bytes(b"spreadsheet")
    (root / "IXI-T2" / "._IXI002-Guys-0802-T2.nii.gz").write_bytes(b"AppleDouble")
    (root / "IXI-T2" / ".DS_Store").write_bytes(b"")
    (root / "IXI-MRA").mkdir()
    (root / "IXI-MRA" / "IXI002-Guys-0802-MRA.nii.gz").write_bytes(b"no business of ours")
    return root


@pytest.fixture
def iqa(tmp_path, monkeypatch):
    """Run the command line in an empty folder, in this process."""
    folder = tmp_path / "here"
    folder.mkdir(exist_ok=True)
    monkeypatch.setenv("IQA_DEBUG", "")
    monkeypatch.setenv("COLUMNS", "200")
    monkeypatch.chdir(folder)

    return run_in_process
