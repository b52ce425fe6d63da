"""DeepIQA against pyiqa's WaDIQaM-FR holding the same random weights, and the loading of its published file."""

from __future__ import annotations

import warnings
from dataclasses import replace
from types import SimpleNamespace

import pytest
import torch

from iqa_learned.deepiqa import PATCH, DeepIQA, build, cut_patches
from iqa_learned.plugin import WEIGHTS
from iqa_registry.errors import WeightsError
from iqa_registry.weights import WeightStore
from iqa_registry.weights.hashing import file_sha256
from learned_references import colour, image_pairs
from random_learned import deepiqa_state


@pytest.fixture(scope="module")
def state():
    return deepiqa_state()


@pytest.fixture(scope="module")
def metric(state) -> DeepIQA:
    return DeepIQA(state=state)


@pytest.mark.slow
def test_equals_pyiqa_with_random_weights(metric, state):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        arch = pytest.importorskip("pyiqa.archs.wadiqam_arch")
        model = arch.WaDIQaM(metric_type="FR", pretrained=False).eval()
    model.load_state_dict(state)
    with torch.no_grad():
        for first, second in image_pairs(12):
            # pyiqa leaves the last patches out where a side is a multiple of 32; these sides are none.
            first, second = (torch.nn.functional.interpolate(x, (70, 101)) for x in (first, second))
            expected = model(colour(first), colour(second)).item()
            assert metric(first, second).item() == pytest.approx(expected, rel=1e-4, abs=1e-4)


def test_equals_the_formula_patch_by_patch(metric):
    first, second = torch.linspace(0, 1, 101) * torch.rand(1, 3, 70, 101), torch.rand(1, 3, 70, 101)
    qualities, weights = [], []
    for top in (0, 32):
        for left in (0, 32, 64):
            cut = (..., slice(top, top + PATCH), slice(left, left + PATCH))
            distorted, original = (metric.features(x[cut]).flatten() for x in (first, second))
            fused = torch.cat([original, distorted, distorted - original])
            qualities.append(metric.fc_q(fused))
            weights.append(metric.fc_w(fused).clamp_min(0) + 1e-8)
    quality, weight = torch.cat(qualities), torch.cat(weights)
    assert 0 < weight.min() < 0.95 * weight.max()
    expected = ((quality * weight).sum() / weight.sum()).item()
    assert metric(first, second).item() == pytest.approx(expected, rel=1e-4, abs=1e-4)


def test_patches_are_adjacent_and_complete():
    patches = cut_patches(torch.rand(2, 3, 64, 100))
    assert patches.shape == (2, 6, 3, 32, 32)
    image = torch.rand(1, 1, 32, 64)
    assert torch.equal(cut_patches(image)[0, 1], image[0, :, :, 32:])


def test_mask_leaves_patches_out(metric):
    first, second = torch.rand(1, 1, 32, 64), torch.rand(1, 1, 32, 64)
    left = torch.zeros(1, 1, 32, 64, dtype=torch.bool)
    left[..., :32] = True
    alone = metric(first[..., :32], second[..., :32]).item()
    assert metric(first, second, left).item() == pytest.approx(alone, rel=1e-4, abs=1e-5)
    assert metric(first, second, torch.zeros_like(left)).isnan().all()


@pytest.mark.parametrize(
    "wrap", [dict, lambda state: {"params": {f"module.{k}": v for k, v in state.items()}}]
)
def test_the_published_file_would_be_loaded(tmp_path, state, wrap):
    """A file of random weights in the place of the published one, known by its own hash in the same way."""
    file = tmp_path / "WaDIQaM-kadid-f7541ea5.pth"
    torch.save(wrap(state), file)
    spec = next(spec for spec in WEIGHTS if spec.name == "deepiqa")
    spec = replace(spec, sha256=file_sha256(file))
    store = WeightStore({"deepiqa": spec}, tmp_path / "weights", offline=True, progress=False)
    assert store.import_file(file) == ("deepiqa",)
    built = build(registry=SimpleNamespace(weights=store))
    first, second = torch.rand(1, 1, 40, 40), torch.rand(1, 1, 40, 40)
    assert built(first, second).item() == DeepIQA(state=state)(first, second).item()


def test_another_file_under_its_name_is_refused(local, tmp_path, state):
    torch.save(state, tmp_path / "WaDIQaM-kadid-f7541ea5.pth")
    with pytest.raises(WeightsError, match=r"is not the declared 'deepiqa': expected sha256 f7541ea5dd4d"):
        local.import_file(tmp_path / "WaDIQaM-kadid-f7541ea5.pth", "deepiqa")


def test_weights_that_do_not_fit_are_refused(state):
    with pytest.raises(WeightsError, match=r"'deepiqa' do not fit the network"):
        DeepIQA(state={name: tensor for name, tensor in state.items() if name != "fc_q.3.bias"})
