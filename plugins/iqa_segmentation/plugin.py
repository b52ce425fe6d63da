"""What this plugin contributes; nothing heavy is imported here."""

from __future__ import annotations

from collections.abc import Callable

from iqa_registry.plugin import PackageFile, SegmenterSpec, WeightSpec, hookimpl

SEGMENTERS = (
    SegmenterSpec(
        name="nnunet",
        summary="a trained-model folder of nnU-Net v2 (nnunet:PATH,fold=0); without PATH a small one that ships",
        factory="iqa_segmentation.nnunet:NnUNet",
    ),
    SegmenterSpec(
        name="monai",
        summary="AttentionUnet, SwinUNETR, UNETR, DynUNet or SegResNet with a weight file (monai:weights=FILE)",
        factory="iqa_segmentation.monai_segmenter:Monai",
        extra="segment",
    ),
    SegmenterSpec(
        name="labels",
        summary="no segmentation: only the label maps that the user gives count",
        factory="iqa_segmentation.fixed:UserLabels",
    ),
    SegmenterSpec(
        name="none",
        summary="no lesions at all",
        factory="iqa_segmentation.fixed:NoLesions",
    ),
)

WEIGHTS = (
    WeightSpec(
        name="nnunet-phantom",
        summary="the segmenter nnunet without PATH, trained on simulated brain MRI",
        sha256="47b56a0a1ad2876094db22e8114199d309e7684876bdd54aac32c6b352ae8238",
        size=1_796_455,
        license="Apache-2.0",
        hashed="file",
        sources=(
            PackageFile(
                package="iqa_segmentation",
                path="data/nnunet_phantom/fold_0/checkpoint_final.pth",
                convert="iqa_segmentation.monai_files:named_tensors",
            ),
        ),
    ),
)


@hookimpl
def iqa_register_weights(register: Callable[[WeightSpec], None]) -> None:
    """The model that ships."""
    for spec in WEIGHTS:
        register(spec)


@hookimpl
def iqa_register_segmenters(register: Callable[[SegmenterSpec], None]) -> None:
    """nnU-Net, MONAI, the user's label maps, none."""
    for spec in SEGMENTERS:
        register(spec)


@hookimpl
def iqa_register_commands(register: Callable[..., None]) -> None:
    """``iqa segment``."""
    register(
        "segment", "List, train, test and run segmenters.", "iqa_segmentation.commands:segment", "Models"
    )
