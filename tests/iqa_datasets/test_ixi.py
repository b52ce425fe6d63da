import json
import pickle
from pathlib import Path

import nibabel
import numpy as np
import pytest
from PIL import Image as Picture

from iqa_datasets import _volumes
from iqa_datasets._strip import strip_simply
from iqa_datasets.ixi import IXI
from iqa_registry.errors import UsageError
from iqa_registry.images.formats import read_image
from iqa_registry.registry import build_registry

PATIENT = Path(__file__).parents[3] / "shared" / "data" / "tcga-fg-6692"


def pairs_of(folder, **parameters):
    dataset = IXI(folder, **{"slices": "8:11", "size": 0} | parameters)
    return list(dataset.pairs()), dataset.left_out


def test_subjects_are_matched_and_those_left_out_are_named(ixi_folder):
    pairs, left_out = pairs_of(ixi_folder, source="pd")
    assert [pair.pair_id for pair in pairs] == ["IXI002-Guys-0802", "ixi013-hh-0813", "IXI015-Guys-0815"]
    assert left_out[0] == "IXI012: has no pd file"
    assert "IXI014-IOP-0814-T2.nii.gz" in left_out[1]
    assert "again/IXI014-IOP-0814-T2.nii;" in left_out[1]
    assert len(left_out) == 2


def test_spelling_of_names_makes_no_other_subject_or_site(ixi_folder):
    groups = {pair.pair_id: pair.groups for pair in pairs_of(ixi_folder, source="pd")[0]}["ixi013-hh-0813"]
    assert (groups["subject"], groups["site"]) == ("IXI013", "HH")


def test_group_columns_and_slices_of_a_pair(ixi_folder):
    pair = pairs_of(ixi_folder, source="pd")[0][0]
    split = pair.groups["split"]
    assert split in ("train", "test")
    assert dict(pair.groups) == {
        "dataset": "ixi", "subject": "IXI002", "site": "Guys", "split": split,
        "source": "pd", "target": "t2", "model": "untranslated",
    }  # fmt: skip
    assert pair.slices == "8:11"
    assert pair.mask is None


def test_images_are_those_of_the_files(ixi_folder):
    pair = pairs_of(ixi_folder, source="pd")[0][0]
    stored = nibabel.load(ixi_folder / "IXI-PD" / "IXI002-Guys-0802-PD.nii.gz")
    canonical = nibabel.as_closest_canonical(stored)
    made = pair.synthesized.make()
    assert np.array_equal(made.pixels, canonical.get_fdata())
    assert np.allclose(made.affine, canonical.affine)
    assert pair.synthesized.shape == made.pixels.shape == (24, 28, 20)


@pytest.mark.parametrize("size", [20, 26, 27, 32])
def test_padding_and_cropping_keep_every_voxel_in_its_place(ixi_folder, size):
    pair = pairs_of(ixi_folder, source="pd", size=size)[0][0]
    whole, fitted = (
        pairs_of(ixi_folder, source="pd", size=side)[0][0].reference.make() for side in (0, size)
    )
    assert pair.reference.shape == fitted.pixels.shape == (size, size, 20)
    place = whole.affine @ (11, 13, 9, 1)
    index = np.round(np.linalg.inv(fitted.affine) @ place)[:3].astype(int)
    assert np.allclose(fitted.affine @ (*index, 1), place)
    assert fitted.pixels[tuple(index)] == whole.pixels[11, 13, 9]
    assert size < 28 or fitted.pixels.sum() == whole.pixels.sum()


def test_t1_is_brought_onto_the_grid_of_t2(ixi_folder, write_head, tmp_path):
    pair = pairs_of(ixi_folder, resample=True, size=26)[0][0]
    assert pair.synthesized.shape == (26, 26, 20)
    first, second = pair.synthesized.make(), pair.reference.make()
    assert np.array_equal(first.affine, second.affine)
    expected = read_image(write_head(tmp_path / "truth.nii", "t1", 2))
    expected = _volumes.fit_plane(expected, 26).pixels
    inside = (slice(9, 17), slice(8, 18), slice(6, 12))  # within the brain, away from its edge
    assert np.corrcoef(first.pixels[inside].ravel(), expected[inside].ravel())[0, 1] > 0.98
    assert np.corrcoef(first.pixels[inside].ravel(), second.pixels[inside].ravel())[0, 1] < -0.9


def test_without_resampling_the_engine_refuses_and_both_remedies_work(ixi_folder, iqa):
    spec = f"ixi:{ixi_folder},slices=9:11,size=32"
    refused = iqa("evaluate", "--dataset", spec, "--metric", "psnr")
    assert refused.returncode == 1
    assert "IXI-T1/IXI002-Guys-0802-T1.nii.gz" in refused.stderr
    assert "--resample reference" in refused.stderr
    for arguments in ([f"{spec},resample=true"], [spec, "--resample", "reference"]):
        done = iqa("evaluate", "--dataset", *arguments, "--metric", "psnr", "--json")
        rows = json.loads(done.stdout)
        assert {row["status"] for row in rows} == {"ok"}, done.stderr
        assert len(rows) == 4 * 2


def test_what_t1_does_not_reach_is_not_scored_as_a_copy_of_its_darkest_voxel(ixi_folder, iqa):
    pair = pairs_of(ixi_folder, resample=True, size=32)[0][0]
    made = pair.synthesized.make()
    assert made.gaps == "outside"
    assert 0.05 < 1 - made.valid.mean() < 0.5
    assert not made.pixels[~made.valid].any()
    own, engine = (
        json.loads(iqa("evaluate", "--dataset", *arguments, "--metric", "mae", "--json").stdout)
        for arguments in (
            [f"ixi:{ixi_folder},slices=9:11,size=0,resample=true"],
            [f"ixi:{ixi_folder},slices=9:11,size=0", "--resample", "reference"],
        )
    )
    for column in ("pair_id", "score", "outside_share", "pixels"):
        assert [row[column] for row in own] == [row[column] for row in engine], column
    assert own[0]["outside_share"] > 0


def test_evaluate_end_to_end_and_twice_the_same(ixi_folder, iqa):
    arguments = (
        "evaluate",
        "--dataset",
        f"ixi:{ixi_folder},source=pd,slices=8:11,size=32",
        "--metric",
        "psnr",
        "--csv",
    )
    first, second = iqa(*arguments), iqa(*arguments)
    assert first.returncode == 1  # two subjects are left out
    assert "left out: IXI012: has no pd file" in first.stderr
    columns = [line.rpartition(",")[0] for line in first.stdout.splitlines()]
    assert columns[1].startswith("IXI002-Guys-0802/axial-008,IXI002,8,")
    assert len(columns) == 1 + 3 * 3
    assert [line.split(",")[:7] for line in first.stdout.splitlines()] == [
        line.split(",")[:7] for line in second.stdout.splitlines()
    ]


def test_split_is_by_subject_seeded_and_independent_of_what_is_scored(ixi_folder):
    whole = {pair.groups["subject"]: pair.groups["split"] for pair in pairs_of(ixi_folder, source="t1")[0]}
    pd = {pair.groups["subject"]: pair.groups["split"] for pair in pairs_of(ixi_folder, source="pd")[0]}
    assert {name: whole[name] for name in pd} == pd
    assert list(IXI(ixi_folder).parts.values()).count("test") == 1
    train = {pair.groups["subject"] for pair in pairs_of(ixi_folder, split="train")[0]}
    assert train == {name for name, part in whole.items() if part == "train"}
    assert len({tuple(IXI(ixi_folder, seed=seed).parts.items()) for seed in range(8)}) > 1


def test_masks_of_the_user_zero_what_is_outside_and_are_the_pairs_mask(ixi_folder, tmp_path, write_nifti):
    inside = np.zeros((24, 28, 20), np.uint8)
    inside[6:18, 8:20, 5:15] = 1
    for name in ("IXI002", "IXI015"):
        write_nifti(tmp_path / "masks" / f"{name}-brain.nii.gz", inside)
    pairs, left_out = pairs_of(ixi_folder, source="t1", resample=True, masks=tmp_path / "masks", size=30)
    assert [pair.groups["subject"] for pair in pairs] == ["IXI002", "IXI015"]
    assert f"IXI012: has no mask in {tmp_path / 'masks'}" in left_out
    mask = pairs[0].mask.make()
    assert pairs[0].mask.shape == mask.pixels.shape == (30, 30, 20)
    assert mask.pixels.sum() == inside.sum()
    for image in (pairs[0].synthesized.make(), pairs[0].reference.make()):
        assert not image.pixels[mask.pixels == 0].any()
        assert image.pixels[mask.pixels == 1].min() > 0


def test_simple_stripping_keeps_the_brain_and_drops_the_scalp(ixi_folder):
    pair = pairs_of(ixi_folder, source="pd", strip="simple")[0][0]
    whole = pairs_of(ixi_folder, source="pd")[0][0].reference.make()
    places = np.moveaxis(np.indices(whole.spatial), 0, -1) @ whole.affine[:3, :3].T + whole.affine[:3, 3]
    radius = np.linalg.norm(places / (1, 1.15, 0.9), axis=-1)
    inside = pair.mask.make().pixels > 0
    assert inside[radius < 48].mean() > 0.95
    assert inside[radius > 68].mean() < 0.02
    assert np.array_equal(pair.reference.make().pixels != 0, inside & (whole.pixels != 0))


@pytest.mark.skipif(not PATIENT.is_dir(), reason="the patient's volumes are not here")
@pytest.mark.parametrize(("modality", "least"), [("t1", 0.84), ("t1c", 0.75), ("t2", 0.84), ("flair", 0.84)])
def test_simple_stripping_of_a_real_head_is_what_its_docstring_says(modality, least):
    truth = read_image(PATIENT / "brain_mask.nii.gz").pixels > 0
    found = strip_simply(read_image(PATIENT / f"{modality}.nii.gz"))
    assert least < 2 * (found & truth).sum() / (found.sum() + truth.sum()) < 0.9


def test_a_mask_with_nothing_inside_is_an_error_that_names_it(ixi_folder, tmp_path, write_nifti, iqa):
    write_nifti(tmp_path / "masks" / "IXI002.nii.gz", np.zeros((24, 28, 20), np.uint8))
    spec = f"ixi:{ixi_folder},source=pd,slices=8:9,masks={tmp_path / 'masks'}"
    done = iqa("evaluate", "--dataset", spec, "--metric", "psnr")
    assert "masks/IXI002.nii.gz: has nothing inside" in done.stderr


def test_synthesized_volumes_are_matched_by_subject(ixi_folder, tmp_path, write_head):
    out = tmp_path / "out"
    write_head(out / "munit" / "epoch_3" / "IXI002-Guys-0802-T2.nii.gz", "t2", 2)
    write_head(out / "unit" / "fake_ixi015.nii.gz", "pd", 15)
    write_head(out / "unit" / "IXI002-Guys-0802-T1.nii.gz", "t1", 2)
    write_head(out / "unit" / "other.nii.gz", "t1", 2)
    (out / "log.txt").write_text("loss")
    pairs, left_out = pairs_of(ixi_folder, synthesized=out, size=32)
    assert [(pair.pair_id, pair.groups["model"], pair.groups.get("epoch")) for pair in pairs] == [
        ("munit/epoch_3/IXI002-Guys-0802-T2", "munit", 3),
        ("unit/fake_ixi015", "unit", None),
    ]
    assert np.array_equal(pairs[0].synthesized.make().pixels, pairs[0].reference.make().pixels)
    said = "\n".join(left_out)
    assert "T1.nii.gz: is t1 by its name" in said
    assert "other.nii.gz: its name has no subject" in said
    assert f"IXI012: has no synthesized image in {out}" in said


def test_two_synthesized_files_of_one_image_are_named_and_left_out(ixi_folder, tmp_path, write_head):
    for name in ("IXI002_real.nii.gz", "IXI002_fake.nii.gz", "IXI015_fake.nii.gz"):
        write_head(tmp_path / "out" / name, "t2", 2)
    pairs, left_out = pairs_of(ixi_folder, synthesized=tmp_path / "out")
    assert [pair.pair_id for pair in pairs] == ["IXI015_fake"]
    assert any("IXI002_fake.nii.gz" in line and "IXI002_real.nii.gz" in line for line in left_out)


def test_synthesized_slices_stand_against_the_slice_they_name(ixi_folder, tmp_path, iqa):
    volume = pairs_of(ixi_folder, source="pd", size=32)[0][0].reference.make()
    section = volume.section(2, 9)[0]
    (tmp_path / "out").mkdir()
    np.save(tmp_path / "out" / "IXI002-Guys-0802-slice-9.npy", section)
    Picture.fromarray(np.clip(section / 4, 0, 255).astype(np.uint8)).save(
        tmp_path / "out" / "IXI015-slice-9.png"
    )
    spec = f"ixi:{ixi_folder},size=32,synthesized={tmp_path / 'out'},strip=none"
    done = iqa("evaluate", "--dataset", spec, "--metric", "mae", "--intensity", "each-percentile", "--json")
    rows = {row["pair_id"]: row for row in json.loads(done.stdout)}
    assert rows["IXI002-Guys-0802-slice-9"]["score"] == 0
    assert rows["IXI002-Guys-0802-slice-9"]["slice"] == 9
    assert 0 < rows["IXI015-slice-9"]["score"] < 0.2


def test_a_slice_has_its_part_of_the_mask(ixi_folder, tmp_path):
    (tmp_path / "out").mkdir()
    np.save(tmp_path / "out" / "IXI002-slice-9.npy", np.zeros((32, 32), np.float32))
    pair = pairs_of(ixi_folder, size=32, synthesized=tmp_path / "out", strip="simple")[0][0]
    whole = pairs_of(ixi_folder, source="pd", size=32, strip="simple")[0][0]
    assert np.array_equal(pair.mask.make().pixels, whole.mask.make().section(2, 9))
    assert np.array_equal(pair.reference.make().pixels, whole.reference.make().section(2, 9))


def test_keys_change_with_everything_that_changes_the_image(ixi_folder, write_head):
    def key(**parameters):
        return pairs_of(ixi_folder, **parameters)[0][0].synthesized.key

    keys = [key(), key(size=32), key(resample=True), key(strip="simple"), key(source="pd")]
    assert len(set(keys)) == len(keys)
    assert key() == keys[0]
    write_head(ixi_folder / "IXI-T2" / "IXI002-Guys-0802-T2.nii.gz", "pd", 5)
    assert key() == keys[0]
    assert key(resample=True) != keys[2]


def test_subjects_hold_all_modalities_on_one_grid(ixi_folder):
    dataset = IXI(ixi_folder, source="t1", resample=True, size=30, slices="8:11", strip="simple")
    subjects = {subject.name: subject for subject in dataset.subjects()}
    assert list(subjects) == ["IXI002", "IXI012", "IXI013", "IXI015"]
    assert list(subjects["IXI002"].images) == ["t1", "t2", "pd"]
    assert list(subjects["IXI012"].images) == ["t1", "t2"]
    made = [image.make() for image in (*subjects["IXI002"].images.values(), subjects["IXI002"].mask)]
    assert all(np.allclose(image.affine, made[0].affine) and image.spatial == (30, 30, 20) for image in made)
    assert subjects["IXI002"].groups["lesion"] is False
    assert subjects["IXI002"].slices == "8:11"
    assert subjects["IXI002"].labels is None


def test_subjects_off_the_grid_are_left_out_with_the_remedy(ixi_folder):
    dataset = IXI(ixi_folder, source="pd")
    assert all("t1" not in subject.images for subject in dataset.subjects())
    assert any("give resample=true" in line for line in dataset.left_out)
    with pytest.raises(UsageError, match=r"no subject to train on .*resample=true"):
        list(IXI(ixi_folder, source="t1").subjects())


def test_images_can_be_sent_to_other_processes(ixi_folder):
    pair = pairs_of(ixi_folder, resample=True, strip="simple")[0][0]
    again = pickle.loads(pickle.dumps(pair.synthesized))
    assert np.array_equal(again.make().pixels, pair.synthesized.make().pixels)


def test_links_to_nowhere_and_in_circles_stop_nothing(ixi_folder):
    path = ixi_folder / "IXI-PD" / "IXI002-Guys-0802-PD.nii.gz"
    path.unlink()
    path.symlink_to(ixi_folder / "gone.nii.gz")
    (ixi_folder / "IXI-PD" / "circle").symlink_to(ixi_folder)
    pairs, left_out = pairs_of(ixi_folder, source="pd")
    assert [pair.groups["subject"] for pair in pairs] == ["IXI013", "IXI015"]
    assert "IXI002: has no pd file" in left_out


def test_a_damaged_file_is_an_error_of_its_pair_alone(ixi_folder, iqa):
    (ixi_folder / "IXI-PD" / "IXI002-Guys-0802-PD.nii.gz").write_bytes(b"not gzip")
    done = iqa(
        "evaluate", "--dataset", f"ixi:{ixi_folder},source=pd,slices=8:10", "--metric", "psnr", "--json"
    )
    rows = json.loads(done.stdout)
    assert {row["subject"] for row in rows if row["status"] == "error"} == {"IXI002"}
    # PSNR of equal slices is infinite, which JSON cannot hold as a score.
    assert {row["subject"] for row in rows if row["status"] == "infinite"} == {"IXI013", "IXI015"}
    assert "IXI002-Guys-0802-PD.nii.gz" in done.stderr


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ("source=t2,target=t2", "a modality against itself"),
        ("masks=/nowhere", "masks=/nowhere: no such folder"),
        ("size=-3", "size=-3"),
        ("slices=fifty", "slices"),
        ("source=flair", "source"),
    ],
)
def test_wrong_parameters_are_usage_errors(ixi_folder, parameters, message, iqa):
    done = iqa("evaluate", "--dataset", f"ixi:{ixi_folder},{parameters}", "--metric", "psnr")
    assert done.returncode == 2
    assert message in done.stderr


def test_archives_that_are_not_unpacked_are_named(tmp_path):
    (tmp_path / "IXI-T1.tar").write_bytes(b"")
    with pytest.raises(UsageError, match=r"IXI002-Guys-0828-T1.nii.gz; unpack IXI-T1.tar first"):
        list(IXI(tmp_path).pairs())
    with pytest.raises(UsageError, match="no such folder"):
        list(IXI(tmp_path / "none").pairs())


def test_parameters_are_described():
    registry = build_registry()
    properties = registry.parameters(registry.datasets["ixi"]).model_json_schema()["properties"]
    assert all("description" in item for item in properties.values())
    assert "no substitute" in properties["strip"]["description"]
    assert registry.dataset("ixi:.,size=none").settings.side == 0
