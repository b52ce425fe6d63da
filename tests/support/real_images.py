"""Real medical images that installed packages carry, so that every check on them runs wherever the tests run.

- ``template``: axial slices of the MNI ICBM 2009a T1 template in nilearn, 1 mm: a mean of 152 real scans, so smoother
  than any of them. Copyright 1993-2004 Louis Collins, McConnell Brain Imaging Centre; free to use and to copy with that
  notice.
- ``echo_planar``: ``example4d.nii.gz`` of nibabel's tests, a functional MR scan of 2 x 2 x 2.2 mm.
- ``anatomical``: ``anatomical.nii`` of nibabel's tests, an MR volume of 2 mm. Both are in nibabel's wheel, under its
  MIT license and, where a file says so, the PDDL.
- ``mr_dicom`` and ``ct_dicom``: ``MR_small.dcm`` and ``CT_small.dcm`` of pydicom's wheel.
"""

from functools import lru_cache
from importlib.resources import files
from pathlib import Path

import nibabel
import numpy as np
from pydicom.data import get_testdata_file

NIBABEL = Path(nibabel.__file__).parent / "tests" / "data"
ECHO_PLANAR, ANATOMICAL = NIBABEL / "example4d.nii.gz", NIBABEL / "anatomical.nii"
TEMPLATE = Path(str(files("nilearn.datasets") / "data" / "mni_icbm152_t1_tal_nlin_sym_09a_converted.nii.gz"))
MR_DICOM, CT_DICOM = (Path(get_testdata_file(f"{name}_small.dcm", download=False)) for name in ("MR", "CT"))


@lru_cache(maxsize=1)
def template():
    """``(197, 233, 189)`` float64, and its affine."""
    image = nibabel.load(TEMPLATE)
    return image.get_fdata(), image.affine


@lru_cache(maxsize=1)
def echo_planar():
    """``(128, 96, 24)`` float64 of the first time, and the affine."""
    image = nibabel.load(ECHO_PLANAR)
    return image.get_fdata()[..., 0], image.affine


@lru_cache(maxsize=1)
def slices():
    """Five slices of each volume by name, ``(H, W)`` float32 in [0, 1]."""
    found = {}
    for name, (volume, _), numbers in (
        ("template", template(), (60, 75, 90, 105, 120)),
        ("echo-planar", echo_planar(), (6, 9, 12, 15, 18)),
    ):
        limit = np.percentile(volume, 99.5)
        for number in numbers:
            plane = np.rot90(volume[..., number]) / limit
            found[f"{name}-{number}"] = np.ascontiguousarray(plane.clip(0, 1), dtype=np.float32)
    return found
