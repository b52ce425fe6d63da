"""Simulated volumes under the names of IXI and BraTS, read by their readers."""

import csv
import shutil
from pathlib import Path

import nibabel
import numpy as np
import pytest

from iqa_registry.registry import build_registry

pytest.importorskip("nilearn")


@pytest.fixture(scope="module")
def subjects(tmp_path_factory):
    """Two simulated subjects as ``iqa phantom subjects`` writes them."""
    from iqa_datasets.phantom.dataset import Phantom
    from iqa_datasets.phantom.writer import write_subjects

    folder = tmp_path_factory.mktemp("phantom")
    write_subjects(
        Phantom(pairs=2, per_subject=1, size=128, dimensions=3, lesions=1.0), folder, lambda done, total: None
    )
    return folder


@pytest.fixture
def ixi(subjects, tmp_path):
    """As IXI publishes them: a folder a modality, T1 on a sagittal grid of its own; one subject without PD."""
    for number in (1, 2):
        for modality in ("t1", "t2", "pd"):
            place = (
                tmp_path
                / f"IXI/IXI-{modality.upper()}/IXI00{number}-Guys-080{number}-{modality.upper()}.nii.gz"
            )
            place.parent.mkdir(parents=True, exist_ok=True)
            image = nibabel.load(subjects / f"sim-000{number}/sim-000{number}_{modality}.nii.gz")
            if modality == "t1":
                # Stored along other axes, with the same places in space.
                turned = np.ascontiguousarray(np.asarray(image.dataobj).transpose(1, 2, 0))
                image = nibabel.Nifti1Image(turned, image.affine[:, [1, 2, 0, 3]])
            if (number, modality) != (2, "pd"):
                nibabel.save(image, place)
    return tmp_path / "IXI"


@pytest.fixture
def brats(subjects, tmp_path):
    """As BraTS publishes them; T1 stands in for the contrast-enhanced T1."""
    for number in (1, 2):
        name = f"BraTS2021_0000{number}"
        (tmp_path / "BraTS" / name).mkdir(parents=True)
        for ours, theirs in (("t1", "t1"), ("t1", "t1ce"), ("t2", "t2"), ("flair", "flair"), ("seg", "seg")):
            source = subjects / f"sim-000{number}/sim-000{number}_{ours}.nii.gz"
            shutil.copy(source, tmp_path / "BraTS" / name / f"{name}_{theirs}.nii.gz")
    return tmp_path / "BraTS"


def rows(done):
    return list(csv.DictReader(done.stdout.splitlines()))


def test_ixi_gives_the_volumes_of_the_phantom(subjects, ixi):
    dataset = build_registry().dataset(f"ixi:{ixi},source=t1,target=t2,size=128,slices=all")
    pair = next(dataset.pairs())
    for image, modality in ((pair.synthesized, "t1"), (pair.reference, "t2")):
        expected = nibabel.load(subjects / f"sim-0001/sim-0001_{modality}.nii.gz").get_fdata()
        assert np.array_equal(image.make().pixels, expected)


def test_ixi_names_the_subject_without_a_modality(iqa, ixi):
    done = iqa("evaluate", "--dataset", f"ixi:{ixi},source=pd,size=128,slices=30:33", "-m", "psnr", "--csv")
    assert done.returncode == 1
    assert "left out: IXI002: has no pd file" in done.stderr
    assert {row["subject"] for row in rows(done)} == {"IXI001"}
    assert [row["slice"] for row in rows(done)] == ["30", "31", "32"]


def test_brats_scores_the_lesion_by_its_labels(iqa, brats):
    spec = f"brats:{brats},source=t1,target=flair,size=128,slices=25:45"
    done = iqa("evaluate", "--dataset", spec, "-m", "mae", "--regions", "tumor=1,2,4", "--csv")
    scored = [row for row in rows(done) if row["region"] == "tumor" and row["status"] == "ok"]
    assert {row["subject"] for row in scored} == {"BraTS2021_00001", "BraTS2021_00002"}
    assert 0.02 < np.mean([float(row["score"]) for row in scored]) < 0.5


def test_brats_subjects_have_the_labels_of_the_phantom(subjects, brats):
    dataset = build_registry().dataset(f"brats:{brats},size=128")
    subject = next(dataset.subjects())
    labels = subject.labels.make().pixels
    expected = nibabel.load(Path(subjects) / "sim-0001/sim-0001_labels.nii.gz").get_fdata()
    assert np.array_equal(np.isin(labels, dataset.label_names["lesions"]), expected > 3)
    assert set(subject.images) == {"t1", "t1ce", "t2", "flair"}
