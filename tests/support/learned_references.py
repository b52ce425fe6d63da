"""The reference implementations of the learned metrics around given tensors, without their own downloads."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from unittest import mock

import torch
import torchvision
from torch import Tensor, nn

NETWORKS = {"alex": "alexnet", "vgg": "vgg16", "squeeze": "squeezenet1_1"}
CHANNELS = {
    "alex": (64, 192, 384, 256, 256),
    "vgg": (64, 128, 256, 512, 512),
    "squeeze": (64, 128, 256, 384, 384, 512, 512),
}


def torchvision_net(net: str, state: dict[str, Tensor] | None = None) -> SimpleNamespace:
    """Torchvision's own layers, holding ``state``, or empty; nothing is drawn at random."""
    with torch.device("meta"):
        features = getattr(torchvision.models, NETWORKS[net])(weights=None).features
    if state:
        wanted = {name.removeprefix("features."): tensor.clone() for name, tensor in state.items()}
        features.load_state_dict(wanted, assign=True)
    return SimpleNamespace(features=features)


def random_backbone(net: str, seed: int = 0) -> dict[str, Tensor]:
    """Weights with the spread that keeps activations about one, biases about zero."""
    generator = torch.Generator().manual_seed(seed)
    state = {}
    for name, empty in torchvision_net(net).features.state_dict().items():
        spread = (2 / empty[0].numel()) ** 0.5 if empty.ndim == 4 else 0.1
        state[f"features.{name}"] = torch.randn(empty.shape, generator=generator) * spread
    return state


def random_heads(net: str, seed: int = 1) -> dict[str, Tensor]:
    generator = torch.Generator().manual_seed(seed)
    return {f"heads.{i}": torch.rand(c, generator=generator) for i, c in enumerate(CHANNELS[net])}


def random_dists(seed: int = 2) -> dict[str, Tensor]:
    """Sums to one as the published ones do, which piq relies on."""
    both = torch.rand(2, 1475, generator=torch.Generator().manual_seed(seed))
    alpha, beta = both / both.sum()
    return {"alpha": alpha, "beta": beta}


def package_lpips(
    net: str, backbone: dict[str, Tensor], heads: dict[str, Tensor], spatial: bool = False
) -> nn.Module:
    import lpips

    made = torchvision_net(net, backbone)
    with mock.patch.object(torchvision.models, NETWORKS[net], return_value=made):
        model = lpips.LPIPS(net=net, pnet_rand=True, pretrained=False, spatial=spatial, verbose=False)
    for index, layer in enumerate(model.lins):
        layer.model[-1].weight.data = heads[f"heads.{index}"].view(1, -1, 1, 1).clone()
    return model.eval()


def package_dists(backbone: dict[str, Tensor], weights: dict[str, Tensor]) -> nn.Module:
    from DISTS_pytorch import DISTS_pt

    made = torchvision_net("vgg", backbone)
    with mock.patch.object(DISTS_pt.models, "vgg16", return_value=made):
        model = DISTS_pt.DISTS(load_weights=False)
    for name, tensor in weights.items():
        getattr(model, name).data = tensor.view(1, -1, 1, 1).clone()
    return model.eval()


def piq_dists(backbone: dict[str, Tensor], weights: dict[str, Tensor]) -> nn.Module:
    import piq

    published = {name: tensor.view(1, -1, 1, 1).clone() for name, tensor in weights.items()}
    with _piq_without_downloads(backbone, published):
        return piq.DISTS(reduction="none")


def piq_lpips(backbone: dict[str, Tensor], heads: dict[str, Tensor]) -> nn.Module:
    import piq

    published = [heads[f"heads.{index}"].view(1, -1, 1, 1).clone() for index in range(5)]
    with _piq_without_downloads(backbone, published):
        return piq.LPIPS(reduction="none")


@contextmanager
def _piq_without_downloads(backbone: dict[str, Tensor], published: object) -> Iterator[None]:
    made = torchvision_net("vgg", backbone)
    with (
        mock.patch("piq.perceptual.vgg16", return_value=made),
        mock.patch("torch.hub.load_state_dict_from_url", return_value=published),
    ):
        yield


def image_pairs(count: int) -> Iterator[tuple[Tensor, Tensor]]:
    """Pairs of gray and color images of odd sizes: noise, smoothed noise, gradients, with distortions."""
    generator = torch.Generator().manual_seed(7)
    for index in range(count):
        height, width = ((64, 64), (33, 70), (81, 47), (96, 65))[index % 4]
        channels = 1 if index % 3 else 3
        image = torch.rand(1, channels, height, width, generator=generator)
        if index % 4 in (1, 2):
            image = torch.nn.functional.avg_pool2d(image, 9, 1, 4, count_include_pad=False)
        if index % 4 == 3:
            image = image / 4 + torch.linspace(0, 0.75, width)
        noise = torch.randn(image.shape, generator=generator) * 0.1
        yield (image + noise).clamp(0, 1), image


def colour(image: Tensor) -> Tensor:
    return image.expand(-1, 3, -1, -1)


def mri_pairs(count: int) -> Iterator[tuple[Tensor, Tensor]]:
    """Slices of T1 against T1 with contrast agent of a real patient; nothing where the data is not at hand."""
    folder = Path(__file__).parents[3] / "shared" / "data" / "tcga-fg-6692"
    if not folder.is_dir():
        return
    import nibabel

    volumes = [nibabel.load(folder / f"{name}.nii.gz").get_fdata() for name in ("t1", "t1c")]
    middle = volumes[0].shape[2] // 2
    for index in range(middle - count // 2, middle - count // 2 + count):
        slices = [torch.from_numpy(volume[:, :, index]).float()[None, None] for volume in volumes]
        top = max(float(image.max()) for image in slices)
        yield (slices[0] / top).clamp(0, 1), (slices[1] / top).clamp(0, 1)
