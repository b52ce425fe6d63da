import json
import shutil
from pathlib import Path

import nibabel
import numpy as np
import pytest

from iqa_datasets.brats import BraTS
from iqa_registry.errors import UsageError
from iqa_registry.images.formats import read_image

PATIENT = Path(__file__).parents[3] / "shared" / "data" / "tcga-fg-6692"
SHIFTED = np.array([[-8.0, 0, 0, 90], [0, 8, 0, -100], [0, 0, 7, -55], [0, 0, 0, 1]])


def labels():
    made = np.zeros((24, 28, 20), np.uint8)
    made[8:14, 10:16, 7:12] = 2
    made[9:12, 11:14, 8:11] = 4
    made[10, 12, 9] = 1
    return made


@pytest.fixture
def brats_folder(tmp_path, write_head, write_nifti):
    """BraTS with a patient for each thing that goes wrong."""
    root = tmp_path / "BraTS2021"
    names = [
        "BraTS2021_00000",
        "BraTS2021_00002",
        "BraTS2021_00003",
        "BraTS20_Training_001",
        "BraTS19_CBICA_AAB_1",
    ]
    for number, name in enumerate(names):
        for modality in ("t1", "t1ce", "t2", "flair"):
            write_head(root / name / f"{name}_{modality}.nii.gz", modality, number)
        write_nifti(root / name / f"{name}_seg.nii.gz", labels())
    (root / names[1] / f"{names[1]}_t2.nii.gz").unlink()
    write_head(root / names[2] / f"{names[2]}_t1.nii.gz", "t1", 2, SHIFTED)
    (root / names[3] / f"{names[3]}_seg.nii.gz").unlink()
    (root / "HGG").mkdir()
    (root / names[4]).rename(root / "HGG" / names[4])
    (root / "HGG" / names[4] / f"{names[4]}_t2_notes.txt").write_text("extra")
    (root / "survival_info.csv").write_text("id,age")
    return root


def pairs_of(folder, **parameters):
    dataset = BraTS(folder, **{"slices": "8:11", "size": 32} | parameters)
    return list(dataset.pairs()), dataset.left_out


def test_patients_are_found_at_any_depth_and_those_left_out_are_named(brats_folder):
    pairs, left_out = pairs_of(brats_folder)
    assert [pair.pair_id for pair in pairs] == [
        "BraTS19_CBICA_AAB_1", "BraTS20_Training_001", "BraTS2021_00000", "BraTS2021_00003",
    ]  # fmt: skip
    assert left_out == ["BraTS2021_00002: has no t2 file"]
    assert pairs[0].groups["dataset"] == "brats"
    assert len(pairs_of(brats_folder, source="t1ce", target="flair")[0]) == 5


def test_pairs_have_a_label_map_where_there_is_one_and_no_mask(brats_folder):
    assert all(pair.mask is None for pair in pairs_of(brats_folder)[0])
    masks = {pair.pair_id: pair.labels for pair in pairs_of(brats_folder)[0]}
    assert masks["BraTS20_Training_001"] is None
    made = masks["BraTS2021_00000"].make().pixels
    assert made.shape == (32, 32, 20)
    assert np.unique(made, return_counts=True)[1].tolist()[1:] == [1, 180 - 27, 26]
    stored = nibabel.as_closest_canonical(
        nibabel.load(brats_folder / "BraTS2021_00000" / "BraTS2021_00000_seg.nii.gz")
    )
    assert np.array_equal(made[4:28, 2:30], stored.get_fdata())


def test_a_wrong_affine_is_an_error_of_that_patient_alone(brats_folder, iqa):
    spec = f"brats:{brats_folder},slices=8:11,size=32"
    done = iqa(
        "evaluate", "--dataset", spec, "--metric", "psnr", "--regions", "tumor=1,2,4", "--regions", "core=1,4", "--json"
    )  # fmt: skip
    rows = json.loads(done.stdout)
    failed = {row["subject"] for row in rows if row["status"] == "error"}
    assert failed == {"BraTS2021_00003"}
    assert "BraTS2021_00003_t1.nii.gz and" in done.stderr
    assert "BraTS2021_00003_t2.nii.gz lie up to 5 mm apart" in done.stderr
    regions = {(row["subject"], row["region"]) for row in rows if row["status"] == "ok"}
    assert regions == {("BraTS20_Training_001", "image")} | {
        (name, region)
        for name in ("BraTS2021_00000", "BraTS19_CBICA_AAB_1")
        for region in ("image", "tumor", "core")
    }


def test_resampling_mends_the_wrong_affine(brats_folder):
    pairs, _ = pairs_of(brats_folder, resample=True)
    first, second = pairs[3].synthesized.make(), pairs[3].reference.make()
    assert np.array_equal(first.affine, second.affine)
    # 5 of 7 mm: slice 9 of T2 lies between T1's slices 8 and 9
    own = read_image(brats_folder / "BraTS2021_00003" / "BraTS2021_00003_t1.nii.gz").pixels
    expected = own[10, 12, 8] * 5 / 7 + own[10, 12, 9] * 2 / 7
    assert first.pixels[14, 14, 9] == pytest.approx(expected, abs=0.5)


def test_subjects_with_labels_and_brain_mask(brats_folder):
    dataset = BraTS(brats_folder, size=0, slices="all")
    subjects = {subject.name: subject for subject in dataset.subjects()}
    assert list(subjects) == ["BraTS19_CBICA_AAB_1", "BraTS20_Training_001", "BraTS2021_00000"]
    assert any("BraTS2021_00003" in line and "resample=true" in line for line in dataset.left_out)
    first = subjects["BraTS2021_00000"]
    assert list(first.images) == ["t1", "t1ce", "t2", "flair"]
    assert set(np.unique(first.labels.make().pixels)) == {0, 1, 2, 4}
    assert np.array_equal(first.mask.make().pixels, first.images["t2"].make().pixels != 0)
    assert first.groups["lesion"] is True
    assert subjects["BraTS20_Training_001"].labels is None
    assert dataset.label_names["tumor"] == dataset.label_names["lesions"]


def test_labels_on_another_grid_are_not_taken(brats_folder, write_nifti):
    write_nifti(brats_folder / "BraTS2021_00000" / "BraTS2021_00000_seg.nii.gz", labels(), SHIFTED)
    dataset = BraTS(brats_folder, size=0)
    subject = next(item for item in dataset.subjects() if item.name == "BraTS2021_00000")
    assert subject.labels is None
    assert any("BraTS2021_00000_seg.nii.gz" in line for line in dataset.left_out)


def test_two_label_maps_are_named(brats_folder, write_nifti):
    write_nifti(brats_folder / "BraTS2021_00000" / "BraTS2021_00000_seg.nii", labels())
    left_out = pairs_of(brats_folder)[1]
    assert any(line.startswith("BraTS2021_00000: has 2 seg files") for line in left_out)


def test_synthesized_volumes_match_by_patient(brats_folder, tmp_path, write_head):
    write_head(tmp_path / "out" / "BraTS2021_00000.nii.gz", "t2", 0)
    write_head(tmp_path / "out" / "brats20_training_001_t2.nii.gz", "t1", 3)
    pairs, left_out = pairs_of(brats_folder, synthesized=tmp_path / "out")
    assert {pair.pair_id: pair.groups["subject"] for pair in pairs} == {
        "BraTS2021_00000": "BraTS2021_00000", "brats20_training_001_t2": "BraTS20_Training_001",
    }  # fmt: skip
    assert {pair.groups["model"] for pair in pairs} == {"out"}
    assert np.array_equal(pairs[0].synthesized.make().pixels, pairs[0].reference.make().pixels)
    assert len(left_out) == 3


def test_no_patient_at_all_says_what_was_looked_for(tmp_path):
    (tmp_path / "case_t1.nii.gz").write_bytes(b"")
    with pytest.raises(UsageError, match=r"named like BraTS2021_00000_t1.nii.gz; it has case_t1.nii.gz"):
        list(BraTS(tmp_path).pairs())


@pytest.mark.skipif(not PATIENT.is_dir(), reason="the patient's volumes are not here")
def test_a_real_patient(tmp_path, iqa):
    folder = tmp_path / "BraTS2021_00099"
    folder.mkdir()
    for name, published in (
        ("t1", "t1"),
        ("t1c", "t1ce"),
        ("t2", "t2"),
        ("flair", "flair"),
        ("brain_mask", "seg"),
    ):
        shutil.copyfile(PATIENT / f"{name}.nii.gz", folder / f"{folder.name}_{published}.nii.gz")
    spec = f"brats:{tmp_path},source=t1,target=t1ce,slices=6:22"
    done = iqa("evaluate", "--dataset", spec, "--metric", "psnr", "--json", "--regions", "brain=1")
    rows = json.loads(done.stdout)
    assert done.returncode == 0, done.stderr
    assert [row["slice"] for row in rows if row["region"] == "image"] == list(range(6, 22))
    assert all(10 < row["score"] < 40 for row in rows)
    brain = [row["region_fraction"] for row in rows if row["region"] == "brain" and row["slice"] == 14]
    stored = nibabel.load(PATIENT / "brain_mask.nii.gz").get_fdata()[:, :, 14]
    assert brain == [pytest.approx(stored.sum() / 256**2)]
