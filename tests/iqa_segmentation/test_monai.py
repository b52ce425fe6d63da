import sys

import numpy as np
import pytest
import torch

from iqa_registry.errors import ImageError, MissingExtraError, ParameterError, WeightsError
from iqa_registry.registry import build_registry
from iqa_segmentation.frames import in_windows
from iqa_segmentation.monai_files import save_network
from iqa_segmentation.monai_networks import build_network, make_shape
from iqa_segmentation.monai_segmenter import Monai

SMALL = {
    "AttentionUnet": (4, 8, 8),
    "SwinUNETR": (12,),
    "UNETR": (4, 64),
    "DynUNet": (4, 8, 8),
    "SegResNet": (8,),
}


@pytest.fixture
def weights(tmp_path):
    """``weights(architecture)`` writes a network with random weights."""

    def make(architecture="SegResNet", dimensions=2, classes=2, patch=64):
        shape = make_shape(architecture, SMALL[architecture], classes, dimensions, patch)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(5)
            network = build_network(shape)
        path = tmp_path / f"{architecture}.safetensors"
        save_network(network, shape, "zscore", path)
        return path

    return make


@pytest.mark.parametrize("architecture", SMALL)
def test_each_architecture_segments_slices_by_its_file_alone(weights, images, architecture):
    segmenter = build_registry().segmenter(f"monai:weights={weights(architecture, classes=3)}")
    masks = segmenter.mask(images)
    assert masks.shape == images.shape
    assert masks[:3].any()
    assert not masks[3].any()
    for number in range(4):
        assert torch.equal(masks[number], segmenter.mask(images[number : number + 1])[0])
        assert torch.equal(masks[number, 0], torch.from_numpy(segmenter(images[number, 0].numpy()) > 0))


@pytest.mark.parametrize("architecture", SMALL)
def test_each_architecture_segments_volumes(weights, volume, architecture):
    labels = Monai(str(weights(architecture, dimensions=3, patch=64 if architecture == "SwinUNETR" else 32)))(
        volume[:, :32, :40]
    )
    assert labels.shape == (10, 32, 40)
    assert labels.any()


def test_a_network_of_slices_goes_through_a_volume(weights, volume):
    segmenter = Monai(str(weights()))
    np.testing.assert_array_equal(segmenter(volume)[7], segmenter(volume[7]))


def test_the_labels_are_the_largest_outputs_of_the_network(weights, images):
    segmenter = Monai(str(weights()))
    image = images[0, 0]
    padded = torch.zeros(1, 1, 64, 64)
    padded[0, 0, 8:56, 4:60] = (image - image.mean()) / image.std(correction=0)
    expected = segmenter.network(padded)[0].argmax(dim=0)[8:56, 4:60]
    np.testing.assert_array_equal(segmenter(image.numpy()), expected.numpy())


def test_intensities_are_left_alone_where_asked(weights, images):
    path = str(weights())
    scaled, raw = Monai(path), Monai(path, normalization="none")
    image = images[0, 0].numpy()
    np.testing.assert_array_equal(scaled(image), scaled(2 * image))
    assert (raw(image) != raw(20 * image)).any()


@pytest.mark.parametrize("shape", [(64, 64), (64, 150), (97, 131), (33, 40, 70)])
def test_windows_cover_an_image(shape):
    size = min(shape) - min(shape) % 32
    image = torch.rand(1, 1, *shape)
    seen = in_windows(lambda window: torch.cat([window, 1 - window], dim=1), image, size)
    torch.testing.assert_close(seen, torch.cat([image, 1 - image], dim=1))


def test_a_larger_image_is_segmented_window_by_window(weights, images):
    assert Monai(str(weights())).mask(images.repeat(1, 1, 2, 2)).shape == (4, 1, 96, 112)


def test_a_state_dict_of_torch_save_with_a_prefix(weights, images, tmp_path):
    path = str(weights("AttentionUnet"))
    segmenter = Monai(path)
    state = {f"module.{name}": value for name, value in segmenter.network.state_dict().items()}
    torch.save({"state_dict": state, "epoch": 3}, tmp_path / "net.pt")
    again = Monai(str(tmp_path / "net.pt"), architecture="AttentionUnet", channels=[4, 8, 8], patch=64)
    assert torch.equal(again.mask(images), segmenter.mask(images))


def test_a_file_that_does_not_say_its_network(weights, tmp_path):
    torch.save(Monai(str(weights())).network.state_dict(), tmp_path / "net.pt")
    with pytest.raises(
        ParameterError, match=r"net.pt does not say which network it is for. Add architecture="
    ):
        Monai(str(tmp_path / "net.pt"))


def test_weights_that_do_not_fit_name_the_file_and_the_first_keys(weights):
    with pytest.raises(
        WeightsError, match=r"SegResNet.safetensors: does not fit DynUNet .* is missing; .* more"
    ):
        Monai(str(weights()), architecture="DynUNet", channels=[4, 8, 8])
    with pytest.raises(WeightsError, match=r"channels=16.*convInit.conv.weight is 8x1x3x3, not 16x1x3x3"):
        Monai(str(weights()), channels=[16])


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"channels": [8, 8]}, "SegResNet takes 1 channels, as in 8, got 8.8"),
        ({"channels": [9]}, "takes channels=8 or a multiple, got 9"),
        ({"architecture": "AttentionUnet", "channels": [8, 8]}, "at least 3 stages"),
        ({"architecture": "UNETR"}, "UNETR takes 2 channels"),
        ({"patch": 100}, "a patch of 16 or another multiple of 8, got 100"),
    ],
)
def test_shapes_that_cannot_be(weights, parameters, message):
    with pytest.raises(ParameterError, match=message):
        Monai(str(weights()), **parameters)


def test_a_missing_file_and_a_slice_for_a_network_of_volumes(weights, images):
    with pytest.raises(WeightsError, match=r"nowhere.safetensors: no such file"):
        Monai("nowhere.safetensors")
    with pytest.raises(ImageError, match=r"segments volumes \(D, H, W\), got a slice"):
        Monai(str(weights(dimensions=3))).mask(images)


def test_without_monai_the_extra_is_named(weights, monkeypatch):
    path = weights()
    for name in [name for name in sys.modules if name.partition(".")[0] == "monai"]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "monai", None)
    with pytest.raises(MissingExtraError, match=r'pip install "iqa-registry\[segment\]"'):
        build_registry().segmenter(f"monai:weights={path}")
