import nibabel
import numpy as np
import pytest
from PIL import Image as Picture

from command_line import run_in_process
from iqa_registry.registry import build_registry
from iqa_segmentation.nnunet import NnUNet


@pytest.fixture
def picture(images, tmp_path):
    pixels = np.rint(images[0, 0].numpy() * 255).astype(np.uint8)
    Picture.fromarray(pixels).save(tmp_path / "slice.png")
    return tmp_path / "slice.png", pixels


def test_a_picture_gives_a_png(folder, picture, tmp_path):
    path, pixels = picture
    done = run_in_process("segment", "predict", path, "--segmenter", f"nnunet:{folder()}", tmp_path / "l.png")
    assert (done.returncode, done.stderr) == (0, "")
    found = np.asarray(Picture.open(tmp_path / "l.png"))
    np.testing.assert_array_equal(found, NnUNet(str(tmp_path / "model"))(pixels / 255))
    assert done.stdout == f"{(found == 1).sum()} of label 1 in {found.size} pixels; {tmp_path / 'l.png'}\n"


@pytest.mark.parametrize("codes", ["RAS", "LPS", "PIR"])
def test_a_volume_gives_labels_on_its_own_grid(folder, volume, tmp_path, codes):
    lps = nibabel.Nifti1Image(volume.T.copy(), np.diag([-1.0, -1.0, 2.0, 1.0]))
    wanted = nibabel.orientations.axcodes2ornt(codes)
    stored = lps.as_reoriented(
        nibabel.orientations.ornt_transform(nibabel.io_orientation(lps.affine), wanted)
    )
    nibabel.save(stored, tmp_path / "v.nii.gz")
    command = ["segment", "predict", tmp_path / "v.nii.gz", "--segmenter", f"nnunet:{folder()}"]
    done = run_in_process(*command, tmp_path / "l.nii.gz")
    assert (done.returncode, done.stderr) == (0, "")
    labels = nibabel.load(tmp_path / "l.nii.gz")
    np.testing.assert_allclose(labels.affine, stored.affine)
    back = labels.as_reoriented(
        nibabel.orientations.ornt_transform(wanted, nibabel.io_orientation(lps.affine))
    )
    expected = NnUNet(str(tmp_path / "model"))(volume, np.diag([2.0, 1.0, 1.0, 1.0]))
    np.testing.assert_array_equal(np.asarray(back.dataobj).T, expected)


def test_the_file_may_be_given_as_before_and_must_be_given(folder, picture, tmp_path):
    command = ["segment", "predict", picture[0], "--segmenter", f"nnunet:{folder()}"]
    assert run_in_process(*command, "-o", tmp_path / "l.png").returncode == 0
    assert (tmp_path / "l.png").is_file()
    done = run_in_process(*command)
    assert done.returncode == 2
    assert "Missing argument 'FILE'" in done.stderr


def test_a_suffix_that_cannot_hold_it(picture, tmp_path):
    done = run_in_process("segment", "predict", picture[0], tmp_path / "l.nii.gz")
    assert done.returncode == 2
    assert "the label map of a 2-D image is written as *.png" in done.stderr


def test_list_names_the_segmenters():
    shown = run_in_process("segment", "list", "--json").stdout
    assert {"labels", "monai", "nnunet", "none"} <= set(build_registry().segmenters)
    assert '"segmenter": "nnunet"' in shown
