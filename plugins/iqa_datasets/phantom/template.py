"""The template: tissue probabilities of the symmetric ICBM152 2009a brain, which the package nilearn carries.

Source: V. S. Fonov, A. C. Evans, K. Botteron, C. R. Almli, R. C. McKinstry, D. L. Collins and the Brain Development
Cooperative Group (2011), "Unbiased average age-appropriate atlases for pediatric studies", NeuroImage 54(1), 313-327,
DOI 10.1016/j.neuroimage.2010.07.033. Nothing is downloaded: the maps are files of the
installed package, and are read without importing it, which would take seconds.
"""

from __future__ import annotations

import importlib.util
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from iqa_registry.plugin import MissingExtraError

Array = NDArray[np.float32]

_FILE = "datasets/data/mni_icbm152_{}_tal_nlin_sym_09a_converted.nii.gz"


@dataclass(frozen=True, slots=True, eq=False)
class Template:
    """Maps ``(197, 233, 189)`` in RAS+ at 1 mm, each in [0, 1].

    Attributes:
        gray: probability of gray matter.
        white: probability of white matter.
        brain: 1 inside the brain mask, else 0. What is neither gray nor white in it is cerebrospinal fluid.
        origin: voxel index of the point (0, 0, 0) mm, the anterior commissure.
    """

    grey: Array
    white: Array
    brain: Array
    origin: tuple[float, float, float]


@lru_cache(maxsize=1)
def load_template() -> Template:
    """Read the maps; once in a process, they take 100 MB.

    Raises:
        MissingExtraError: nilearn is not installed, or is a version without these files.

    Example:
        >>> template = load_template()
        >>> template.grey.shape, round(float(template.brain.mean()), 3)
        ((197, 233, 189), 0.217)
    """
    import nibabel

    folder = _nilearn_folder()
    images = {name: nibabel.nifti1.load(folder / _FILE.format(name)) for name in ("gm", "wm", "t1")}
    grey, white, t1 = (np.asarray(image.dataobj, np.float32) / np.float32(255) for image in images.values())
    x, y, z = (float(-shift) for shift in images["t1"].affine[:3, 3])
    return Template(grey, white, (t1 > 0).astype(np.float32), (x, y, z))


def _nilearn_folder() -> Path:
    spec = importlib.util.find_spec("nilearn")
    folder = Path(str(spec.origin)).parent if spec else None
    if folder is None or not all((folder / _FILE.format(name)).is_file() for name in ("gm", "wm", "t1")):
        state = "is not installed" if folder is None else f"in {folder} does not carry the ICBM 2009a maps"
        raise MissingExtraError.of(f"the phantom takes its anatomy from nilearn, which {state}", "phantom")
    return folder
