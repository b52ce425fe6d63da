"""Trained-model folders of nnU-Net v2: what must be there, and reading it without running anything in it.

A checkpoint is a pickle, which may run any code while it is read. :func:`iqa_registry.weights.open_file` admits only
tensors, plain values and numbers of numpy, which is all that nnU-Net's own trainers write. A checkpoint that holds more
is unpickled only with ``trust=true``.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from iqa_registry.plugin import IQAError, WeightsError, open_file
from iqa_segmentation.allowed import check_plans

SHIPPED = Path(__file__).parent / "data" / "nnunet_phantom"
"""The model that ships with this package; its card is the ``README.md`` in it."""


@dataclass(frozen=True, slots=True)
class ModelFolder:
    """A trained-model folder, read.

    Attributes:
        path: the folder.
        file: the checkpoint.
        dataset: ``dataset.json``.
        plans: ``plans.json``.
        checkpoint: what nnU-Net's predictor takes from the checkpoint: ``network_weights``, ``trainer_name``,
            ``init_args`` and ``inference_allowed_mirroring_axes``.
    """

    path: Path
    file: Path
    dataset: dict[str, Any]
    plans: dict[str, Any]
    checkpoint: dict[str, Any]

    @property
    def configuration(self) -> str:
        """Name of the configuration that was trained, such as ``2d``."""
        return str(self.checkpoint["init_args"]["configuration"])

    @property
    def settings(self) -> dict[str, Any]:
        """The configuration's entry in the plans, with what it inherits."""
        found: dict[str, Any] = {}
        name: str | None = self.configuration
        seen: set[str] = set()
        while name is not None and name not in seen:
            seen.add(name)
            if name not in self.plans["configurations"]:
                raise WeightsError(
                    f"{self.path / 'plans.json'}: has no configuration {name!r}; "
                    "take the plans.json that the checkpoint was trained with."
                )
            entry = self.plans["configurations"][name]
            found = {**entry, **found}
            name = entry.get("inherits_from")
        return found

    @property
    def dimensions(self) -> int:
        """2 or 3."""
        return len(self.settings["patch_size"])

    @property
    def channels(self) -> list[str]:
        """Names of the input channels."""
        named = self.dataset.get("channel_names") or self.dataset.get("modality") or {}
        return [str(name) for name in named.values()]


def read_folder(
    path: Path, fold: str = "0", checkpoint: str = "checkpoint_final.pth", trust: bool = False
) -> ModelFolder:
    """Read a trained-model folder.

    Args:
        path: what nnU-Net calls the model training output folder, ``.../nnUNetTrainer__nnUNetPlans__2d``.
        fold: ``0`` to ``4`` or ``all``.
        checkpoint: name of the file in the fold's folder.
        trust: unpickle the checkpoint freely where it holds more than tensors and plain values, and let the plans name
            any Python object.

    Raises:
        WeightsError: something is missing or not as it should be; the message names it and the remedy.
    """
    if not path.is_dir():
        raise WeightsError(
            f"{path}: no such folder; expected a trained model of nnU-Net v2, "
            "…/nnUNetTrainer__nnUNetPlans__2d with dataset.json, plans.json and fold_0."
        )
    dataset, plans = (_read_json(path / name) for name in ("dataset.json", "plans.json"))
    with described_by(path):
        if not trust:
            check_plans(plans, path / "plans.json")
    file = _find_checkpoint(path, fold, checkpoint)
    opened = open_file(file, f"{path.name}/{file.parent.name}/{file.name}", trust=trust)
    folder = ModelFolder(path, file, dataset, plans, _checked(opened.content, file))
    with described_by(path):
        _check(folder)
    return folder


@contextmanager
def described_by(path: Path) -> Iterator[None]:
    """Turn what plans of another form lead to into an error that names them."""
    try:
        yield
    except IQAError:
        raise
    except (LookupError, TypeError, ValueError, AttributeError, RuntimeError, ArithmeticError) as error:
        reason = " ".join(str(error).split())[:160] or "nothing"
        raise WeightsError(
            f"{path}: plans.json or dataset.json does not describe a model ({type(error).__name__}: {reason}). "
            "Copy both again from the training of nnU-Net v2."
        ) from error


def _read_json(file: Path) -> dict[str, Any]:
    if not file.is_file():
        raise WeightsError(
            f"{file.parent}: has no {file.name}; expected a trained-model folder of nnU-Net v2, "
            "the one that holds the folders fold_0, fold_1 …"
        )
    try:
        content = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise WeightsError(f"{file}: cannot be read as JSON: {error}") from error
    needed = {"dataset.json": "labels", "plans.json": "configurations"}[file.name]
    if not isinstance(content, dict) or needed not in content:
        raise WeightsError(f"{file}: has no {needed!r}; copy it again from the training of nnU-Net v2.")
    return content


def _find_checkpoint(path: Path, fold: str, checkpoint: str) -> Path:
    file = path / f"fold_{fold}" / checkpoint
    if file.is_file():
        return file
    if not file.parent.is_dir():
        there = sorted(item.name.removeprefix("fold_") for item in path.glob("fold_*") if item.is_dir())
        known = (
            f"it has {', '.join(there)}; choose one with fold=" if there else "it has none; train one first"
        )
        raise WeightsError(f"{path}: fold {fold} was not trained; {known}.")
    names = sorted(item.name for item in file.parent.glob("*.pth"))
    known = f"it has {', '.join(names)}; choose one with checkpoint=" if names else "training is not finished"
    raise WeightsError(f"{file.parent}: has no {checkpoint}; {known}.")


def _checked(content: Any, file: Path) -> dict[str, Any]:
    needed = ("network_weights", "trainer_name", "init_args")
    missing = [key for key in needed if not isinstance(content, dict) or key not in content]
    if missing:
        raise WeightsError(f"{file}: has no {', '.join(missing)}; expected a checkpoint of nnU-Net v2.")
    if "configuration" not in content["init_args"]:
        raise WeightsError(f"{file}: does not say which configuration it was trained with; copy it again.")
    kept = {key: content[key] for key in needed}
    return kept | {"inference_allowed_mirroring_axes": content.get("inference_allowed_mirroring_axes")}


def _check(folder: ModelFolder) -> None:
    if len(folder.channels) != 1:
        raise WeightsError(
            f"{folder.path}: the model takes {len(folder.channels)} channels ({', '.join(folder.channels)}), and a "
            "segmenter sees one image; use a model that was trained on one channel."
        )
    if folder.settings.get("previous_stage"):
        raise WeightsError(
            f"{folder.path}: {folder.configuration} is the second stage of a cascade; "
            "use the folder of 2d or 3d_fullres."
        )
