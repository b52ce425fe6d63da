"""What this plugin contributes; nothing heavy is imported here."""

from __future__ import annotations

from collections.abc import Callable

from iqa_registry.plugin import Configuration, MetricSpec, PackageFile, WeightSpec, hookimpl

DEFAULT_WEIGHTS = "kcross-t1-t2"


def _shipped(name: str, modalities: str, sha256: str, size: int) -> WeightSpec:
    return WeightSpec(
        name=name,
        summary=f"K-CROSS for {modalities}, trained on simulated brain MRI with simulated raters",
        sha256=sha256,
        size=size,
        license="Apache-2.0",
        hashed="file",
        sources=(PackageFile(package="iqa_kcross", path=f"data/{name}.safetensors", sha256=sha256),),
    )


WEIGHTS = (
    _shipped(
        DEFAULT_WEIGHTS,
        "T1 to T2",
        "2b4a6ddf5aed241feaf1e26f833bd5cf5295a08ff36dc465e2dd284265a32c7b",
        8567300,
    ),
)

METRICS: tuple[MetricSpec | Configuration, ...] = (
    MetricSpec(
        name="kcross",
        summary="learned score of synthesized MRI from k-space, lesions and structure (K-CROSS)",
        kind="full-reference",
        dimensions=(2,),
        higher_is_better=True,
        score_range=(0.0, 1.0),
        identity_score=None,
        minimum_size=32,
        mask_support="none",
        supports_gradient=True,
        symmetric=True,
        validated_on="simulated brain MRI, simulated raters",
        license="Apache-2.0",
        reference="arXiv:2307.04296",
        factory="iqa_kcross.metric:build",
        uses_labels=("lesions",),
        weights=("{weights}",),
        weights_license="Apache-2.0",
    ),
    Configuration(
        name="kcross-healthy",
        summary="K-CROSS for people without lesions: k-space and structure",
        base="kcross",
        defaults={"branches": ["complex", "structure"]},
    ),
    *(
        Configuration(
            name=f"kcross-{branch}",
            summary=f"the {branch} branch of K-CROSS: {what}",
            base="kcross",
            defaults={"branches": [branch]},
        )
        for branch, what in (
            ("complex", "k-space, amplitudes and phases"),
            ("tumor", "lesions; not applicable where neither image has one"),
            ("structure", "anatomy"),
        )
    ),
)


@hookimpl
def iqa_register_metrics(register: Callable[[MetricSpec | Configuration], None]) -> None:
    """K-CROSS and its configurations."""
    for spec in METRICS:
        register(spec)


@hookimpl
def iqa_register_weights(register: Callable[[WeightSpec], None]) -> None:
    """The models that ship."""
    for spec in WEIGHTS:
        register(spec)


@hookimpl
def iqa_register_commands(register: Callable[..., None]) -> None:
    """``iqa kcross``."""
    register("kcross", "Train, export and examine K-CROSS.", "iqa_kcross.commands:kcross", "Models")
