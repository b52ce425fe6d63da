"""A training from beginning to end: read, train, save, read back, measure."""

from __future__ import annotations

import importlib.metadata
import importlib.util
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch

from iqa_registry.plugin import Dataset, MissingExtraError, Segmenter, UsageError
from iqa_segmentation.training.loop import Recipe, train
from iqa_segmentation.training.samples import Samples, collect
from iqa_segmentation.training.saving import save_folder, write_json
from iqa_segmentation.training.scores import measure

Progress = Callable[[float, int], None]


@dataclass(frozen=True, slots=True)
class Plan:
    """What to train.

    Attributes:
        segmenter: ``nnunet`` or ``monai``.
        recipe: how.
        architecture: of MONAI.
        channels: of the stages; the kind's own by default.
        patch: side of the slices, pixels.
        held_out: share of the subjects that the result is measured on.
        start: a folder or file to take the first weights from; random ones without it.
        command: for the record.
    """

    segmenter: str
    recipe: Recipe
    architecture: str
    channels: tuple[int, ...] | None
    patch: int
    held_out: float
    start: Path | None
    command: str


def run(plan: Plan, dataset: Dataset, out: Path, progress: tuple[Progress, Progress]) -> list[dict[str, Any]]:
    """Train and save.

    Args:
        plan: what to train.
        dataset: with subjects, label maps and lesion labels.
        out: the folder, or for ``monai`` the file ``*.safetensors``; what was trained, how long and how well goes into
            ``training.json`` in the folder, or beside the file under its name.
        progress: for reading and for training.

    Returns:
        The rows of :func:`~iqa_segmentation.training.scores.measure` on the subjects held out.

    Raises:
        UsageError: a dataset that cannot teach, or a wrong name of the file.
    """
    _check(plan, out)
    trained = _train_nnunet if plan.segmenter == "nnunet" else _train_monai
    samples = collect(dataset, plan.patch, progress[0])
    first, last = samples.split(plan.held_out)
    segmenter, seconds = trained(plan, first, out, progress[1])
    rows = measure(segmenter, last)
    record = out / "training.json" if plan.segmenter == "nnunet" else out.with_suffix(".json")
    write_json(record, _record(plan, samples, len(last), seconds) | {"held_out": rows})
    return rows


def _check(plan: Plan, out: Path) -> None:
    """Reject what would fail only after images were read or a network was trained."""
    from iqa_segmentation.monai_networks import make_shape
    from iqa_segmentation.plans import FEATURES, make_plans

    if plan.segmenter == "nnunet":
        if out.is_file():
            raise UsageError(f"{out}: is a file, and nnU-Net's models are folders; name another.")
        make_plans("", plan.channels or FEATURES, plan.patch)
        return
    if out.suffix != ".safetensors":
        raise UsageError(f"{out}: a network of MONAI is written to a file; name it *.safetensors.")
    if importlib.util.find_spec("monai") is None:
        raise MissingExtraError.of("--segmenter monai needs monai", "segment")
    make_shape(plan.architecture, plan.channels, 2, 2, plan.patch)


def _train_nnunet(plan: Plan, samples: Samples, out: Path, progress: Progress) -> tuple[Segmenter, float]:
    from iqa_segmentation.nnunet import NnUNet
    from iqa_segmentation.nnunet_folder import read_folder
    from iqa_segmentation.nnunet_predictor import load_weights
    from iqa_segmentation.plans import FEATURES, build_network, dataset_description, make_plans

    name = "Dataset001_Lesions"
    plans = make_plans(name, plan.channels or FEATURES, plan.patch, batch=plan.recipe.batch)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(plan.recipe.seed)
        network = build_network(plans)
    if plan.start is not None:
        load_weights(network, read_folder(plan.start))
    seconds = train(network, samples, plan.recipe, progress)
    save_folder(network, plans, dataset_description(len(samples), name), out)
    return NnUNet(str(out), device=plan.recipe.device), seconds


def _train_monai(plan: Plan, samples: Samples, out: Path, progress: Progress) -> tuple[Segmenter, float]:
    from iqa_registry.plugin import open_file
    from iqa_segmentation.monai_files import load_network, named_tensors, save_network
    from iqa_segmentation.monai_networks import build_network, make_shape
    from iqa_segmentation.monai_segmenter import Monai

    shape = make_shape(plan.architecture, plan.channels, 2, 2, plan.patch)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(plan.recipe.seed)
        network = build_network(shape)
    if plan.start is not None:
        load_network(network, open_file(plan.start, convert=named_tensors), shape)
    seconds = train(network, samples, plan.recipe, progress)
    save_network(network, shape, "zscore", out)
    return Monai(str(out), device=plan.recipe.device), seconds


def _record(plan: Plan, samples: Samples, held_out: int, seconds: float) -> dict[str, Any]:
    packages = ("torch", "nnunetv2") if plan.segmenter == "nnunet" else ("torch", "monai")
    return {
        "command": plan.command,
        "seconds": round(seconds, 1),
        "recipe": asdict(plan.recipe),
        "slices": len(samples) - held_out,
        "slices_held_out": held_out,
        "versions": {package: version for package in packages if (version := _version(package))},
    }


def _version(package: str) -> str | None:
    """Of an installed package; plain networks are trained without nnU-Net's."""
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return None
