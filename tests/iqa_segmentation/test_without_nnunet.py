"""The base installation has no nnU-Net: what works without it, and what the rest says."""

import copy
import subprocess
import sys
import textwrap

import numpy as np
import pytest
import torch

from iqa_registry.errors import MissingExtraError
from iqa_segmentation import nnunet_predictor
from iqa_segmentation.nnunet import NnUNet
from iqa_segmentation.nnunet_predictor import unchanged
from iqa_segmentation.nnunet_slices import ZScore, _starts, _window
from iqa_segmentation.plain_unet import build_unet, is_plain
from iqa_segmentation.plans import make_plans
from nnunet_reference import by_nnunet

ABSENT = ("nnunetv2", "dynamic_network_architectures", "batchgenerators", "timm", "statsmodels", "pandas")
BLOCKED = f"""
import importlib.abc, sys
class Absent(importlib.abc.MetaPathFinder):
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {ABSENT!r}:
            raise ModuleNotFoundError(f"No module named {{name!r}}", name=name)
sys.meta_path.insert(0, Absent())
"""


def run_without(code, **options):
    code = BLOCKED + textwrap.dedent(code)
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, **options)


@pytest.fixture
def absent(monkeypatch):
    """nnU-Net is not found in this process."""
    found = nnunet_predictor.importlib.util.find_spec
    monkeypatch.setattr(
        nnunet_predictor.importlib.util, "find_spec", lambda name: None if name == "nnunetv2" else found(name)
    )


def test_the_sample_is_scored_with_kcross(tmp_path):
    done = run_without(
        "from iqa_registry.cli import main\nsys.argv = ['iqa', 'evaluate', '--metric', 'kcross']\nmain()",
        cwd=tmp_path,
    )
    assert done.returncode == 0, done.stderr
    assert "0.3791" in done.stdout


def test_slices_larger_than_the_patch_need_no_package():
    done = run_without(
        """
        import torch
        from iqa_segmentation.nnunet import NnUNet
        image = torch.rand(1, 1, 300, 280, generator=torch.Generator().manual_seed(0))
        print(NnUNet().mask(image).shape)
        """
    )
    assert (done.returncode, done.stdout.strip()) == (0, "torch.Size([1, 1, 300, 280])"), done.stderr


@pytest.mark.parametrize("shape", [(97, 64), (64, 130), (129, 200), (40, 65)])
def test_windows_give_nnunet_s_labels(folder, shape):
    path = folder(labels=("background", "core", "oedema"))
    pixels = torch.rand(1, 1, *shape, generator=torch.Generator().manual_seed(5))
    image = torch.nn.functional.avg_pool2d(pixels, 9, 1, 4)[0, 0].numpy()
    image[:3] = 0
    np.testing.assert_array_equal(NnUNet(str(path))(image), by_nnunet(path, image, [999.0, 1.0, 1.0]))


def test_a_batch_of_large_slices_is_each_of_them_alone(folder, images):
    segmenter = NnUNet(str(folder()))
    large = torch.cat([images, images.flip(2)], dim=3).repeat(1, 1, 2, 1)
    masks = segmenter.mask(large)
    assert masks[:3].flatten(1).any(dim=1).all()
    for number in range(4):
        assert torch.equal(masks[number], segmenter.mask(large[number : number + 1])[0])


@pytest.mark.parametrize(("length", "size"), [(64, 64), (65, 64), (96, 64), (97, 64), (512, 256), (1000, 96)])
def test_windows_begin_where_nnunet_s_do(length, size):
    with unchanged():
        from nnunetv2.inference.sliding_window_prediction import compute_steps_for_sliding_window

        assert [_starts(length, size)] == compute_steps_for_sliding_window((length,), (size,), 0.5)


@pytest.mark.parametrize("patch", [(64, 64), (48, 80), (256, 256)])
def test_the_weights_of_a_window_are_nnunet_s(patch):
    with unchanged():
        from nnunetv2.inference.sliding_window_prediction import compute_gaussian

        theirs = compute_gaussian(patch, 1 / 8, 10, device=torch.device("cpu"))
    assert torch.equal(_window(patch, torch.device("cpu")), theirs)


@pytest.mark.parametrize("masked", [False, True])
def test_the_normalization_is_nnunet_s(masked):
    with unchanged():
        from nnunetv2.preprocessing.normalization.default_normalization_schemes import ZScoreNormalization

    image = np.random.default_rng(0).normal(3, 2, (30, 40)).astype(np.float32)
    image[:9] = 0
    outside = np.where(image != 0, 0, -1).astype(np.int8)
    theirs = ZScoreNormalization(masked, {}).run(image.copy(), outside)
    np.testing.assert_allclose(ZScore(masked).run(image, outside), theirs, rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize(
    "changes", [{}, {"strides": [1, [2, 1], 2]}, {"n_conv_per_stage": 2, "kernel_sizes": 3}]
)
def test_the_network_is_the_one_of_nnunet_s_package(changes):
    with unchanged():
        from nnunetv2.utilities.get_network_from_plans import get_network_from_plans

    architecture = copy.deepcopy(make_plans("D", (4, 8, 8), 32)["configurations"]["2d"]["architecture"])
    architecture["arch_kwargs"] |= changes
    assert is_plain(architecture)
    name, arguments, imports = (
        architecture[key] for key in ("network_class_name", "arch_kwargs", "_kw_requires_import")
    )
    made = []
    with torch.random.fork_rng(devices=[]), unchanged():
        torch.manual_seed(0)
        made.append(get_network_from_plans(name, arguments, imports, 1, 3, deep_supervision=False))
        torch.manual_seed(0)
        made.append(build_unet(arguments, 3))
    theirs, ours = (network.state_dict() for network in made)
    assert list(ours) == list(theirs)
    assert all(torch.equal(ours[key], theirs[key]) for key in theirs)
    images = torch.rand(2, 1, 32, 48)
    assert torch.equal(made[1](images), made[0](images))


@pytest.mark.parametrize(
    "changes",
    [
        {"dropout_op": "torch.nn.Dropout2d"},
        {"nonlin": "torch.nn.ReLU"},
        {"conv_op": "torch.nn.Conv3d"},
        {"nonlin_first": True},
        {"norm_op": None},
    ],
)
def test_other_plans_are_left_to_nnunet(changes, absent):
    architecture = copy.deepcopy(make_plans("D", (4, 8), 32)["configurations"]["2d"]["architecture"])
    architecture["arch_kwargs"] |= changes
    assert not is_plain(architecture)
    with pytest.raises(MissingExtraError, match=r'needs nnU-Net\. Run: pip install "iqa-registry\[nnunet\]"'):
        nnunet_predictor.build_network(architecture, 2, "model")


def test_what_needs_nnunet_says_so_before_it_starts(folder, images, volume, absent):
    path = str(folder())
    found = NnUNet(path).mask(images)
    assert found.any()
    with pytest.raises(MissingExtraError, match=r"^mirror=true needs nnU-Net\. Run: pip install"):
        NnUNet(path, mirror=True)
    with pytest.raises(MissingExtraError, match=r"^segmenting a whole volume needs nnU-Net"):
        NnUNet(path)(volume)
    with pytest.raises(
        MissingExtraError, match=r"^resampling an image to the spacing of .*/model needs nnU-Net"
    ):
        NnUNet(path)(images[0, 0].numpy(), np.diag([1.5, 1.0, 1.0, 1.0]))
