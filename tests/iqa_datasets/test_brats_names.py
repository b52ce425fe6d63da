"""The names and labels of BraTS since 2023."""

from __future__ import annotations

import json
from pathlib import Path

import nibabel
import numpy as np
import pytest

from iqa_datasets.brats import BraTS
from iqa_registry.errors import UsageError


def write(folder, subject, mark, names):
    (folder / subject).mkdir(parents=True)
    for name in names:
        value = {"seg": 3}.get(name, 9)
        image = nibabel.Nifti1Image(np.full((4, 6, 3), value, np.int16), np.eye(4))
        nibabel.save(image, folder / subject / f"{subject}{mark}{name}.nii.gz")


@pytest.mark.parametrize("subject", ["BraTS-GLI-00000-000", "BraTS-MEN-00001-000"])
def test_names_since_2023(tmp_path: Path, subject):
    write(tmp_path / "gt", subject, "-", ("t1n", "t1c", "t2w", "t2f", "seg"))
    write(tmp_path / "pred", subject, "-", ("t2w",))
    data = BraTS(tmp_path / "gt", target="t2", synthesized=tmp_path / "pred", size=8)
    (pair,) = data.pairs()
    assert subject in pair.pair_id
    assert list(data.left_out) == []
    assert data.label_names["enhancing"] == (3,)
    assert data.label_names["core"] == (1, 3)
    assert float(pair.reference.make().pixels.sum()) == 9 * 4 * 6 * 3
    assert np.unique(pair.labels.make().pixels).tolist() == [0, 3]


def test_labels_before_2023(tmp_path: Path):
    write(tmp_path, "BraTS2021_00000", "_", ("t1", "t1ce", "t2", "flair", "seg"))
    assert BraTS(tmp_path).label_names["enhancing"] == (4,)
    write(tmp_path, "BraTS-GLI-00000-000", "-", ("t1n", "t2w", "seg"))
    with pytest.raises(UsageError, match="before 2023 and since"):
        BraTS(tmp_path)


@pytest.mark.parametrize(("source", "target"), [("t1n", "t2w"), ("t1", "t2w"), ("t1n", "t2")])
def test_modalities_by_either_name(tmp_path: Path, source, target):
    write(tmp_path, "BraTS-GLI-00000-000", "-", ("t1n", "t2w"))
    (pair,) = BraTS(tmp_path, source=source, target=target, size=8).pairs()
    assert (pair.groups["source"], pair.groups["target"]) == ("t1", "t2")
    with pytest.raises(UsageError, match="a modality against itself"):
        BraTS(tmp_path, source="t1n", target="t1")


def test_info_shows_the_labels_of_both_editions(iqa):
    shown = iqa("datasets", "info", "brats").stdout
    assert "enhancing 4, core 1+4" in shown
    assert "since 2023" in shown
    assert "enhancing 3, core 1+3" in shown
    facts = json.loads(iqa("datasets", "info", "brats", "--json").stdout)
    assert facts["other_labels"]["since 2023"]["core"] == [1, 3]
