"""What this plugin contributes; nothing heavy is imported here."""

from __future__ import annotations

from collections.abc import Callable

from iqa_registry.plugin import DatasetSpec, hookimpl

DATASETS = (
    DatasetSpec(
        name="ixi",
        summary="IXI as published: T1, T2 and PD volumes of healthy people (ixi:PATH,source=t1,target=t2)",
        license="CC-BY-SA-3.0",
        factory="iqa_datasets.ixi:IXI",
        parameters="iqa_datasets.ixi:IXISettings",
    ),
    DatasetSpec(
        name="brats",
        summary="BraTS 2017-2021 and since 2023: T1, T1ce, T2, FLAIR, tumor labels (brats:PATH,source=t1,target=t2)",
        license="terms of the BraTS challenge",
        factory="iqa_datasets.brats:BraTS",
        parameters="iqa_datasets.brats:BraTSSettings",
    ),
    DatasetSpec(
        name="nirps",
        summary="NIRPS as published: synthesized slices with radiologists' ratings, or the scores alone (nirps:PATH)",
        license="not stated by its authors",
        factory="iqa_datasets.nirps:NIRPS",
    ),
    DatasetSpec(
        name="phantom",
        summary="simulated brain MRI with known errors and simulated raters (phantom:pairs=100,seed=7)",
        license="Apache-2.0, anatomy from ICBM 2009a",
        factory="iqa_datasets.phantom.dataset:Phantom",
        extra="phantom",
    ),
)


@hookimpl
def iqa_register_datasets(register: Callable[[DatasetSpec], None]) -> None:
    """Three datasets on disk and a simulated one."""
    for spec in DATASETS:
        register(spec)


@hookimpl
def iqa_register_commands(register: Callable[..., None]) -> None:
    """``iqa datasets`` and ``iqa phantom``."""
    register(
        "datasets", "List, describe, export and build datasets.", "iqa_datasets.commands:datasets", "Data"
    )
    register(
        "phantom",
        "Make simulated brain MRI with simulated raters.",
        "iqa_datasets.phantom.commands:phantom",
        "Data",
    )
