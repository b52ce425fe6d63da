"""Pairing by template: what placeholders mean, how two sides join, and slices against a volume."""

from __future__ import annotations

from pathlib import Path

import nibabel
import numpy as np
import pytest
from PIL import Image as Picture

from iqa_registry import evaluate
from iqa_registry.errors import UsageError
from iqa_registry.images.formats import read_image
from iqa_registry.images.pairs import pair_paths
from iqa_registry.images.templates import Template, is_template


@pytest.fixture
def fill(tmp_path, monkeypatch):
    """``fill("a.png", ...)``: empty files in the working folder."""
    monkeypatch.chdir(tmp_path)

    def make(*names):
        for name in names:
            Path(name).parent.mkdir(parents=True, exist_ok=True)
            Path(name).touch()

    return make


def joined(found):
    return {pair.pair_id: (pair.synthesized, pair.reference) for pair in found.pairs}


@pytest.mark.parametrize(
    ("text", "path", "values"),
    [
        ("{case}_0000.nii.gz", "BRATS_001_0000.nii.gz", {"case": "BRATS_001"}),
        ("{case}_{slice}.png", "p_01_007.png", {"case": "p_01", "slice": 7}),
        ("e{epoch:d}/{case}.png", "e012/a.png", {"epoch": 12, "case": "a"}),
        ("{case}.png", "a/b.png", None),
        ("{case:path}.png", "a/b.png", {"case": "a/b"}),
        ("sub-{subject}/anat/sub-{subject}_T2w", "sub-01/anat/sub-01_T2w", {"subject": "01"}),
        ("sub-{subject}/anat/sub-{subject}_T2w", "sub-01/anat/sub-02_T2w", None),
        ("*/{case}.png", "a/b.png", {"case": "b"}),
        ("**/{case}.png", "a/b/c.png", {"case": "c"}),
        ("**/{case}.png", "c.png", {"case": "c"}),
        ("a.b_{case}.png", "axb_1.png", None),
        ("Mu\u0308ller_{case}.png", "M\u00fcller_1.png", {"case": "1"}),
    ],
)
def test_a_template_reads_names(text, path, values):
    assert Template(text).match(path) == values


def test_a_name_that_reads_two_ways_is_refused():
    with pytest.raises(UsageError, match=r"case=a, model=1_gan and as case=a_1, model=gan"):
        Template("{case}_{model}.png").match("a_1_gan.png")


@pytest.mark.parametrize("text", ["{}.png", "{a b}.png", "{case.png", "case}.png", "{case:x}.png"])
def test_what_is_no_placeholder_is_refused(text):
    with pytest.raises(UsageError, match="is not a placeholder"):
        Template(text)


def test_a_file_of_that_name_is_a_file(fill):
    fill("{a}.png")
    assert not is_template("{a}.png")


def test_several_models_join_one_reference(fill):
    fill(
        "fake/gan/s0_fake_B.png",
        "fake/gan/s1_fake_B.png",
        "fake/unet/s0_fake_B.png",
        "fake/gan/s9_fake_B.png",
    )
    fill("real/s0_real_B.png", "real/s1_real_B.png", "real/s2_real_B.png", "real/notes.txt")
    found = pair_paths("fake/{model}/{case}_fake_B.png", "real/{case}_real_B.png")
    assert joined(found) == {
        "gan/s0": ("fake/gan/s0_fake_B.png", "real/s0_real_B.png"),
        "gan/s1": ("fake/gan/s1_fake_B.png", "real/s1_real_B.png"),
        "unet/s0": ("fake/unet/s0_fake_B.png", "real/s0_real_B.png"),
    }
    assert [pair.groups["model"] for pair in found.pairs] == ["gan", "gan", "unet"]
    assert found.unmatched == [
        "fake/gan/s9_fake_B.png has no partner in real/{case}_real_B.png",
        "real/s2_real_B.png has no partner in fake/{model}/{case}_fake_B.png",
    ]


def test_masks_and_the_subject_of_volumes(fill):
    fill("p/1BA0/sct.mha", "p/1BA1/sct.mha", "g/1BA0/ct.mha", "g/1BA1/ct.mha", "g/1BA0/mask.mha")
    found = pair_paths("p/{case}/sct.mha", "g/{case}/ct.mha", "g/{case}/mask.mha")
    assert [(pair.pair_id, pair.mask, pair.groups["subject"]) for pair in found.pairs] == [
        ("1BA0", "g/1BA0/mask.mha", "1BA0"),
        ("1BA1", None, "1BA1"),
    ]
    assert found.unmatched == ["p/1BA1/sct.mha has no mask in g/{case}/mask.mha; it is scored as a whole"]


def test_numbers_join_with_and_without_zeros(fill):
    fill("p/7.png", "p/12.png", "g/case_007.png", "g/case_012.png")
    for ours, theirs in (("{case:d}", "{case}"), ("{case}", "{case:d}"), ("{case:d}", "{case:d}")):
        found = pair_paths(f"p/{ours}.png", f"g/case_{theirs}.png")
        assert {Path(first).stem: Path(second).stem for first, second in joined(found).values()} == {
            "7": "case_007",
            "12": "case_012",
        }


def test_names_join_whatever_their_unicode_form(fill):
    fill("p/Mu\u0308ller_pred.png", "g/M\u00fcller.png")
    assert list(joined(pair_paths("p/{case}_pred.png", "g/{case}.png"))) == ["M\u00fcller"]
    fill("h/M\u00fcller_pred.png")
    assert len(pair_paths("p", "h").pairs) == 1


@pytest.mark.parametrize(
    ("ours", "theirs", "message"),
    [
        ("p/{case}_x.png", "g/{case}.png", r"p/\{case\}_x\.png matches no image; p holds 1\.png, 2\.png"),
        ("p/{case}.png", "g/{other}.png", "has no placeholder of the synthesized images"),
        ("p/{case}.png", "g*/{case}.*", r"g2/1\.png and g/1\.png are both case=1"),
        ("[pq]*/{case}.png", "g/{case}.png", "matches no image|no such folder"),
        ("?/{case}.png", "g/{case}.png", r"g/1\.png and p/1\.png are both '1'"),
        ("p/{case}.png", "g", "g is a folder beside a template"),
        ("p/*.png", "g/{case}.png", r"has no placeholder\. Name"),
        ("p/{metric}.png", "g/{metric}.png", "is a column of the score table"),
        ("p/{case}.png", "none/{case}.png", "none: no such folder"),
        ("p/{case}.png", "h/{case}.png", "no image of .* has a partner .* is case=1; h/9.png is case=9"),
    ],
)
def test_templates_that_cannot_be_joined(fill, ours, theirs, message):
    fill("p/1.png", "p/2.png", "g/1.png", "g/2.png", "g2/1.png", "h/9.png")
    with pytest.raises(UsageError, match=message):
        pair_paths(ours, theirs)


def test_a_mask_that_is_the_reference_is_refused(fill):
    fill("p/1.png", "g/1.png")
    for arguments in (
        ("p", "g", "g"),
        ("p/1.png", "g/1.png", "g/1.png"),
        ("p/{c}.png", "g/{c}.png", "g/{c}.png"),
    ):
        with pytest.raises(UsageError, match="mask of 1 and its reference too"):
            pair_paths(*arguments)


def test_a_folder_against_itself_is_said(fill):
    fill("p/1.png", "p/2.png")
    assert "p/1.png is compared with itself (and 1 more)" in pair_paths("p", "p").remarks[0]


@pytest.mark.parametrize("axis", ["axial", "coronal", "sagittal"])
def test_slices_against_their_volume(tmp_path, monkeypatch, axis):
    """Each picture has one gray value more than its slice, so that every mae is 1/255 if slice and order are right."""
    monkeypatch.chdir(tmp_path)
    values = np.random.default_rng(0).integers(0, 250, (6, 7, 5)).astype(np.uint8)
    nibabel.save(nibabel.Nifti1Image(values, np.eye(4)), "p_01.nii.gz")
    number = {"sagittal": 0, "coronal": 1, "axial": 2}[axis]
    for index in range(values.shape[number]):
        plane = np.take(values, index, axis=number)[::-1, ::-1].T
        Picture.fromarray(np.ascontiguousarray(plane) + 1).save(f"p_01_{index:03d}.png")
    for reference in ("{case}.nii.gz", "p_01.nii.gz"):
        found = pair_paths("{case}_{slice}.png", reference, axis=axis)
        assert len(found.pairs) == values.shape[number]
        assert {pair.groups["subject"] for pair in found.pairs} == {"p_01"}
        for pair in found.pairs:
            difference = read_image(pair.synthesized).pixels - read_image(pair.reference).pixels
            assert difference.min() == difference.max() == 1
        assert f"compared with {axis} slices" in found.remarks[0]
    table = evaluate(found.pairs, metrics=["mae"], intensity="range=0,255")
    assert table["score"].to_list() == pytest.approx([1 / 255] * values.shape[number], rel=1e-5)


def test_a_slice_that_the_volume_does_not_have(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    nibabel.save(nibabel.Nifti1Image(np.zeros((4, 4, 2), np.uint8), np.eye(4)), "v.nii.gz")
    Picture.fromarray(np.zeros((4, 4), np.uint8)).save("s_2.png")
    (pair,) = pair_paths("s_{slice}.png", "v.nii.gz").pairs
    with pytest.raises(UsageError, match="has slices 0 to 1"):
        pair.reference.make()


def test_arrays_of_a_file_by_name(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    real = np.arange(64, dtype=np.uint8).reshape(8, 8)
    for case in ("a", "b"):
        np.savez(f"{case}.npz", fake=real + 3, real=real)
    found = pair_paths("{case}.npz:fake", "{case}.npz:real")
    assert joined(found) == {case: (f"{case}.npz:fake", f"{case}.npz:real") for case in ("a", "b")}
    table = evaluate(found.pairs, metrics=["mae"], intensity="range=0,255")
    assert table["score"].to_list() == pytest.approx([3 / 255] * 2, rel=1e-5)
    with pytest.raises(UsageError, match="a placeholder cannot stand for the array"):
        pair_paths("{case}.npz:{model}", "{case}.npz:real")


def test_a_series_below_each_case(tmp_path, monkeypatch, write_series):
    monkeypatch.chdir(tmp_path)
    volume = np.arange(60, dtype=np.int16).reshape(4, 5, 3)
    for case in ("1", "2"):
        for side, values in (("fake", volume + 5), ("real", volume)):
            (tmp_path / side / case).mkdir(parents=True)
            write_series(tmp_path / side / case / "dicom", values, np.eye(4))
    found = pair_paths("fake/{case}/dicom", "real/{case}/dicom")
    assert joined(found) == {case: (f"fake/{case}/dicom", f"real/{case}/dicom") for case in ("1", "2")}
    assert [pair.groups["subject"] for pair in found.pairs] == ["1", "2"]
    table = evaluate(found.pairs, metrics=["mae"], intensity="range=0,100")
    assert table["score"].to_list() == pytest.approx([5 / 100] * 6, rel=1e-5)


def test_numbers_are_numbers_but_subjects_are_names(fill):
    fill("fake/1_10_7.png", "fake/2_20_7.png", "fake/2_03x_7.png", "real/7.png")
    found = pair_paths("fake/{epoch}_{variant}_{subject}.png", "real/{subject}.png")
    assert sorted((pair.groups["epoch"], pair.groups["variant"]) for pair in found.pairs) == [
        (1, "10"), (2, "03x"), (2, "20"),
    ]  # fmt: skip
    assert {pair.groups["subject"] for pair in found.pairs} == {"7"}


def test_numbers_with_leading_zeros_are_names(fill):
    fill("fake/01_a.png", "fake/10_a.png", "real/a.png")
    found = pair_paths("fake/{epoch}_{case}.png", "real/{case}.png")
    assert sorted(pair.groups["epoch"] for pair in found.pairs) == ["01", "10"]
