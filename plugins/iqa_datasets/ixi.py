"""IXI: T1, T2 and PD volumes of nearly 600 healthy people from three London hospitals.

Source: https://brain-development.org/ixi-dataset/, license CC BY-SA 3.0. Published as archives of NIfTI files
(``IXI-T1.tar``, ``IXI-T2.tar``, ``IXI-PD.tar``) named ``IXI002-Guys-0828-T1.nii.gz``: subject, hospital (Guys, HH,
IOP), scan, modality. PD and T2 come from one acquisition and lie on one grid; T1 has its own.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any, Literal

from pydantic import Field

from iqa_datasets._cohort import Cohort, Settings
from iqa_datasets._subjects import Files, Naming
from iqa_datasets._volumes import Volume
from iqa_registry.plugin import LazyImage, Subject

Modality = Literal["t1", "t2", "pd"]

_NAME = re.compile(
    r"(?P<subject>IXI\d+)-(?P<site>[A-Z0-9]+)-\d+-(?P<modality>T1|T2|PD)\.nii(\.gz)?", re.IGNORECASE
)


class IXISettings(Settings):
    """The parameters of IXI."""

    source: Modality = Field("t1", description="modality that is translated")
    target: Modality = Field("t2", description="modality that is synthesized")
    masks: Path | None = Field(None, description="folder of brain masks, found by the subject in their names")
    strip: Literal["none", "simple"] = Field(
        "none",
        description="simple takes off the skull by thresholds and shapes on the target; it is no substitute "
        "for a real tool such as HD-BET or SynthStrip, whose masks go to masks=FOLDER",
    )


class IXI(Cohort):
    """IXI from a folder: flat, in IXI-T1, IXI-T2 and IXI-PD, or deeper; matched by subject (IXI002).

    T1 lies on a grid of its own: give ``resample=true`` to bring it onto the target's. Without ``synthesized`` the
    source itself stands against the target, which is the floor that any translation must beat. ``masks`` and
    ``strip`` set what lies outside the brain to 0, in all images, and the mask is the pair's mask. The split ranks
    subjects by a hash of seed and name and puts 80 % of them into ``train``; those with any file take part.

    Args:
        path: the folder.
        **settings: see :class:`IXISettings`.

    Example:
        >>> import tempfile
        >>> import nibabel
        >>> import numpy as np
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     for name in ("IXI002-Guys-0828-T2", "IXI002-Guys-0828-PD", "IXI012-HH-1211-T2"):
        ...         image = nibabel.Nifti1Image(np.full((4, 6, 3), 9, np.int16), np.eye(4))
        ...         nibabel.save(image, f"{folder}/{name}.nii.gz")
        ...     dataset = IXI(folder, source="pd", size=8)
        ...     pair = next(dataset.pairs())
        ...     float(pair.synthesized.make().pixels.sum()), len(list(dataset.pairs())), dataset.left_out
        (648.0, 1, ['IXI012: has no pd file'])
    """

    naming = Naming(_NAME, ("t1", "t2", "pd"), "IXI002-Guys-0828-T1.nii.gz", ("IXI", "Guys", "HH", "IOP"))
    label = "ixi"

    def __init__(self, path: Path | str, **settings: Any) -> None:
        super().__init__(IXISettings(path=Path(path), **settings))

    def pair_mask(self, files: Files, target: Volume, index: int | None = None) -> LazyImage | None:
        """The brain mask."""
        return self.brain_mask(target, index)

    def make_subject(self, files: Files, modalities: list[str]) -> Subject:
        """A healthy subject."""
        return Subject(
            name=files.subject,
            images=self.images(files, modalities),
            mask=self.brain_mask(self.volume(files, self.settings.target)),
            slices=self.settings.range,
            groups={"split": self.parts[files.subject], **files.groups, "lesion": False},
        )
