import os
import subprocess
import sys

import numpy as np
import pytest
import torch
from scipy.ndimage import label

from iqa_registry.errors import ImageError
from iqa_registry.registry import build_registry
from iqa_registry.weights import recording
from iqa_registry.weights.hashing import file_sha256
from iqa_segmentation.nnunet import NnUNet
from nnunet_reference import by_nnunet


def masked_norm(plans):
    plans["configurations"]["2d"]["use_mask_for_norm"] = [True]
    return plans


@pytest.mark.parametrize("change", [None, masked_norm])
@pytest.mark.parametrize("labels", [("background", "lesion"), ("background", "core", "oedema")])
def test_slices_get_the_labels_that_nnunet_gives(folder, images, change, labels):
    path = folder(change=change, labels=labels)
    segmenter = NnUNet(str(path))
    for image in images[:3, 0].numpy():
        found = segmenter(image)
        assert 100 < (found > 0).sum() < found.size - 100
        np.testing.assert_array_equal(found, by_nnunet(path, image, [999.0, 1.0, 1.0]))


def test_lesions_of_a_batch_are_those_of_each_image_alone(folder, images):
    segmenter = NnUNet(str(folder(labels=("background", "core", "oedema"))), lesion_labels=[2])
    masks = segmenter.mask(images)
    assert masks.shape == images.shape
    assert masks.dtype == torch.bool
    assert masks[:3].flatten(1).any(dim=1).all()
    for number in range(4):
        assert torch.equal(masks[number], segmenter.mask(images[number : number + 1])[0])
        assert torch.equal(masks[number, 0], torch.from_numpy(segmenter(images[number, 0].numpy()) == 2))
    assert torch.equal(segmenter.mask(images.flip(0)).flip(0), masks)


def test_a_larger_slice_goes_through_the_sliding_window(folder, images):
    path = folder()
    large = images[0].repeat(1, 2, 1)
    expected = by_nnunet(path, large[0].numpy(), [999.0, 1.0, 1.0])
    np.testing.assert_array_equal(NnUNet(str(path)).mask(large[None])[0, 0].numpy(), expected == 1)


def test_another_spacing_is_resampled_as_nnunet_does(folder, images):
    path, image = folder(), images[1, 0].numpy()
    found = NnUNet(str(path))(image, np.diag([1.5, 1.25, 1.0, 1.0]))
    np.testing.assert_array_equal(found, by_nnunet(path, image, [999.0, 1.5, 1.25]))


@pytest.mark.parametrize("dimensions", [2, 3])
def test_volumes_take_models_of_slices_and_of_volumes(folder, volume, dimensions):
    path = folder(dimensions=dimensions)
    found = NnUNet(str(path))(volume, np.diag([2.0, 1.0, 1.0, 1.0]))
    assert found.shape == volume.shape
    assert found.any()
    np.testing.assert_array_equal(found, by_nnunet(path, volume, [2.0, 1.0, 1.0]))


def test_mirroring_averages_as_nnunet_does(folder, images):
    path, image = folder(), images[0, 0].numpy()
    found = NnUNet(str(path), mirror=True)(image)
    np.testing.assert_array_equal(found, by_nnunet(path, image, [999.0, 1.0, 1.0], mirror=True))
    assert (found != NnUNet(str(path))(image)).any()


def test_an_empty_image_has_no_structure(folder):
    for mirror in (False, True):
        assert not NnUNet(str(folder()), mirror=mirror)(np.zeros((20, 20), np.float32)).any()


def test_small_regions_are_dropped(folder, images):
    path, image = folder(), images[:1]
    found = NnUNet(str(path)).mask(image)[0, 0].numpy()
    regions, _ = label(found, np.ones((3, 3)))
    areas = np.bincount(regions.ravel())[1:]
    largest = NnUNet(str(path), minimum_area=int(areas.max())).mask(image)[0, 0].numpy()
    np.testing.assert_array_equal(largest, regions == 1 + areas.argmax())
    assert not NnUNet(str(path), minimum_area=int(areas.max()) + 1).mask(image).any()


def test_a_model_of_volumes_refuses_a_slice(folder, images):
    segmenter = NnUNet(str(folder(dimensions=3)))
    with pytest.raises(ImageError, match=r"segments volumes \(D, H, W\), got a slice \(48, 56\)"):
        segmenter.mask(images)


def test_the_registry_builds_it_and_the_hash_goes_into_the_record(folder):
    path = folder()
    with recording() as used:
        segmenter = build_registry().segmenter(f"nnunet:{path},fold=0,lesion_labels=1+2,device=cpu")
    assert segmenter.mask_labels == (1, 2)
    file = path / "fold_0" / "checkpoint_final.pth"
    assert used == {"model/fold_0/checkpoint_final.pth": file_sha256(file)}


def test_nothing_is_printed_and_the_environment_and_torch_stay(folder, images, capfd):
    before = dict(os.environ), torch.get_num_threads(), torch.backends.cudnn.benchmark
    segmenter = NnUNet(str(folder()), mirror=True)
    assert segmenter.mask(images).any()
    assert (dict(os.environ), torch.get_num_threads(), torch.backends.cudnn.benchmark) == before
    assert capfd.readouterr() == ("", "")


def test_slices_need_no_slow_import_and_give_no_warning(folder):
    code = (
        "import sys, torch; from iqa_segmentation.nnunet import NnUNet; "
        f"NnUNet({str(folder())!r}).mask(torch.rand(1, 1, 32, 32)); "
        "print('torch._dynamo' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-W", "error", "-c", code], capture_output=True, text=True)
    assert (done.stdout, done.stderr) == ("False\n", "")
