"""LPIPS with published weights against the authors' package; its map, linear weights and sizes."""

from __future__ import annotations

from pathlib import Path

import lpips
import pytest
import torch

from iqa_learned.lpips import DESIGNS, LPIPS, build
from iqa_registry.errors import NotApplicableError, WeightsError
from learned_references import (
    colour,
    image_pairs,
    mri_pairs,
    package_lpips,
    piq_lpips,
    random_backbone,
    random_heads,
)

NETS = ("alex", "vgg", "squeeze")


@pytest.fixture(scope="module")
def models():
    """For each net our metric and the package's, around the same random tensors."""
    made = {}
    for net in NETS:
        backbone, heads = random_backbone(net), random_heads(net)
        made[net] = (
            LPIPS(net=net, backbone=backbone, heads=heads),
            package_lpips(net, backbone, heads, spatial=True),
        )
    return made


@pytest.mark.parametrize("net", NETS)
def test_map_equals_the_packages(models, net):
    ours, package = models[net]
    with torch.no_grad():
        for first, second in image_pairs(4):
            expected, layers = package(colour(first), colour(second), retPerLayer=True, normalize=True)
            values = ours.local_map(ours.encode(first), ours.encode(second), tuple(first.shape[2:]))
            torch.testing.assert_close(values, expected, rtol=1e-4, atol=1e-4)
            assert len(layers) == len(DESIGNS[net].taps)


def test_weights_take_no_gradient(models):
    assert not any(parameter.requires_grad for parameter in models["alex"][0].parameters())


@pytest.mark.network
@pytest.mark.parametrize("net", ["alex", "vgg"])
def test_equals_the_package_with_published_weights(published, net):
    backbone, heads = published.open(f"imagenet-{net}").tensors, published.open(f"lpips-{net}").tensors
    ours, package = LPIPS(net=net, backbone=backbone, heads=heads), package_lpips(net, backbone, heads)
    other = piq_lpips(backbone, heads) if net == "vgg" else None
    with torch.no_grad():
        for first, second in [*image_pairs(16), *mri_pairs(4)]:
            score = ours(first, second).item()
            assert score == pytest.approx(
                package(colour(first), colour(second), normalize=True).item(), abs=1e-4
            )
            if other is not None:
                assert score == pytest.approx(other(colour(first), colour(second)).item(), abs=1e-4)


def test_heads_are_those_of_the_installed_package(registry):
    for net in NETS:
        heads = registry.weights.open(f"lpips-{net}").tensors
        model = package_lpips(net, random_backbone(net), random_heads(net))
        path = Path(lpips.__file__).parent / "weights" / "v0.1" / f"{net}.pth"
        model.load_state_dict(torch.load(path, map_location="cpu", weights_only=True), strict=False)
        for index, layer in enumerate(model.lins):
            assert torch.equal(layer.model[-1].weight.flatten(), heads[f"heads.{index}"])


@pytest.mark.parametrize("net", NETS)
def test_minimum_size_is_the_least_that_works(models, net):
    metric = models[net][0]
    least = DESIGNS[net].minimum_size
    assert torch.isfinite(metric(torch.rand(1, 1, least, 40), torch.rand(1, 1, least, 40))).all()
    small = torch.rand(1, 1, least - 1, 40)
    with pytest.raises(NotApplicableError, match=rf"at least {least} pixels a side"):
        metric(small, small)
    with pytest.raises(RuntimeError, match=r"[Oo]utput size|[Kk]ernel size"):
        metric.encode(small)


def test_gradient_is_finite_where_features_vanish():
    backbone = {name: -tensor.abs() for name, tensor in random_backbone("alex").items()}
    metric = LPIPS(net="alex", backbone=backbone, heads=random_heads("alex"))
    image = torch.ones(1, 1, 40, 40, requires_grad=True)
    score = metric(image, torch.ones(1, 1, 40, 40))
    score.sum().backward()
    assert score.item() == 0
    assert image.grad is not None
    assert image.grad.isfinite().all()


def test_weights_that_do_not_fit_are_refused():
    backbone, heads = random_backbone("alex"), random_heads("alex")
    with pytest.raises(WeightsError, match=r"'imagenet-vgg' do not fit"):
        LPIPS(net="vgg", backbone=backbone, heads=heads)
    with pytest.raises(WeightsError, match=r"heads\.4 is missing or negative"):
        LPIPS(net="alex", backbone=backbone, heads={**heads, "heads.4": -heads["heads.4"]})


def test_missing_weights_name_the_remedy(registry):
    with pytest.raises(
        WeightsError, match=r"(?s)'imagenet-vgg' are missing .*iqa weights fetch imagenet-vgg"
    ):
        build(net="vgg", registry=registry)
