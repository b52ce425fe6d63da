"""BraTS: T1, contrast-enhanced T1, T2 and FLAIR of glioma patients with tumor labels, skull stripped.

Source: RSNA-ASNR-MICCAI BraTS 2021 (Baid et al. 2021, arXiv 2107.02314; Menze et al. 2015, DOI
10.1109/TMI.2014.2377694), under the terms of the challenge. One folder a patient,
``BraTS2021_00000/BraTS2021_00000_t1.nii.gz`` and ``_t1ce``, ``_t2``, ``_flair``, ``_seg``; 2017 to 2020 end the same
way. Since 2023 the names are ``BraTS-GLI-00000-000/BraTS-GLI-00000-000-t1n.nii.gz`` and ``-t1c``, ``-t2w``, ``-t2f``,
``-seg``, and the enhancing tumor is label 3 (4 before). All volumes of a patient lie on one grid of 240 x 240 x 155
voxels of 1 mm. Test sets have no ``_seg``. Simulated subjects that ``iqa phantom subjects`` writes
(``sim-0001/sim-0001_t1.nii.gz``) are read as well.
"""

from __future__ import annotations

import re
from pathlib import Path
from types import MappingProxyType
from typing import Any, Literal

from pydantic import Field, field_validator

from iqa_datasets._cohort import Cohort, Settings
from iqa_datasets._subjects import Files, Naming
from iqa_datasets._volumes import Volume, lazy_mask, lazy_section, lazy_volume
from iqa_registry.plugin import LazyImage, Subject, UsageError

Modality = Literal["t1", "t1ce", "t2", "flair"]
SEGMENTATION = "seg"
TUMOR = (1, 2, 4)
LABELS = {
    "necrotic-core": (1,), "edema": (2,), "enhancing": (4,), "core": (1, 4), "tumor": TUMOR, "lesions": TUMOR,
}  # fmt: skip
"""Names of labels; ``core`` and ``tumor`` as the challenge joins them, ``lesions`` for metrics that look at these."""
LABELS_2023 = {
    "necrotic-core": (1,), "edema": (2,), "enhancing": (3,), "core": (1, 3), "tumor": (1, 2, 3), "lesions": (1, 2, 3),
}  # fmt: skip
"""Since 2023; label 4 of treated tumors is the cavity of the resection, which is not tumor."""
NAMES_2023 = {"t1n": "t1", "t1c": "t1ce", "t2w": "t2", "t2f": "flair"}

_NAME = re.compile(
    r"(?P<subject>BraTS.*?\d|sim-\d+)(_(?=t1\.|t1ce|t2\.|flair|seg)|-(?=t1n|t1c\.|t2w|t2f|seg))"
    r"(?P<modality>t1|t1ce|t2|flair|t1n|t1c|t2w|t2f|seg)\.nii(\.gz)?",
    re.IGNORECASE,
)
"""Also what `iqa phantom subjects` writes in this layout."""


class BraTSSettings(Settings):
    """The parameters of BraTS."""

    source: Modality = Field("t1", description="modality that is translated; also t1n, t1c, t2w or t2f")
    target: Modality = Field("t2", description="modality that is synthesized; also by its name since 2023")

    @field_validator("source", "target", mode="before")
    @classmethod
    def _named(cls, value: object) -> object:
        """The name before 2023 of a modality."""
        return NAMES_2023.get(value, value) if isinstance(value, str) else value


class BraTS(Cohort):
    """BraTS from a folder of patients' folders, at any depth; matched by the patient (BraTS2021_00000).

    The label map of a pair is that of the tumor: ``--regions core`` scores a part of it by its name. ``--foreground``
    adds the brain, since BraTS is 0 outside it. A patient without ``_seg`` has no label map. Without ``synthesized``
    the source is compared with the target as it is, which is the floor that any translation must beat. The split ranks
    patients by a hash of seed and name and puts 80 % of them into ``train``.

    Args:
        path: the folder.
        **settings: see :class:`BraTSSettings`.

    Example:
        >>> import tempfile
        >>> import nibabel
        >>> import numpy as np
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     for name in ("t1", "t2"):
        ...         image = nibabel.Nifti1Image(np.full((4, 6, 3), 9, np.int16), np.eye(4))
        ...         nibabel.save(image, f"{folder}/BraTS2021_00000_{name}.nii.gz")
        ...     pair = next(BraTS(folder, size=8).pairs())
        ...     pair.pair_id, float(pair.reference.make().pixels.sum()), pair.labels
        ('BraTS2021_00000', 648.0, None)
    """

    naming = Naming(_NAME, ("t1", "t1ce", "t2", "flair"), "BraTS2021_00000_t1.nii.gz", ("BraTS",), NAMES_2023)
    label = "brats"
    optional = (SEGMENTATION,)
    label_names = LABELS
    other_label_names = MappingProxyType({"since 2023": LABELS_2023})

    def __init__(self, path: Path | str, **settings: Any) -> None:
        super().__init__(BraTSSettings(path=Path(path), **settings))
        new = {
            _is_new(path) for files in self.found.values() for path in files.by_modality.get(SEGMENTATION, [])
        }
        if new == {True, False}:
            raise UsageError(
                f"{path}: has label maps named as before 2023 and since, whose label of enhancing tumor differs. "
                "Give one of them at a time."
            )
        if new == {True}:
            self.label_names = LABELS_2023

    def pair_mask(self, files: Files, target: Volume, index: int | None = None) -> LazyImage | None:
        """None: the images are published without the skull, so that the foreground is the brain."""
        return None

    def pair_labels(self, files: Files, index: int | None = None) -> LazyImage | None:
        """The label map of the tumor where there is one."""
        if SEGMENTATION not in files.by_modality:
            return None
        labels = self.label_volume(files, SEGMENTATION)
        return lazy_volume(labels) if index is None else lazy_section(labels, index)

    def make_subject(self, files: Files, modalities: list[str]) -> Subject:
        """A patient with a tumor."""
        target = self.volume(files, self.settings.target)
        brain = Volume(target.file, target.target, target.size, strip="nonzero")
        labels = SEGMENTATION in modalities
        return Subject(
            name=files.subject,
            images=self.images(files, [name for name in modalities if name != SEGMENTATION]),
            labels=lazy_volume(self.label_volume(files, SEGMENTATION)) if labels else None,
            mask=lazy_mask(brain),
            slices=self.settings.range,
            groups={"split": self.parts[files.subject], "lesion": True},
        )


def _is_new(path: Path) -> bool:
    """Whether a label map is named as since 2023."""
    return "-seg." in path.name.lower()
