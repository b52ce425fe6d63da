"""Model files: safetensors with the model's settings and its history in the metadata.

Nothing in such a file can run. ``iqa_kcross`` is the key of the metadata that holds everything as JSON.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from safetensors import SafetensorError
from safetensors.torch import save_file

from iqa_kcross.model import KCrossModel, ModelSettings
from iqa_registry.plugin import UnknownNameError, WeightFile, WeightsError, open_file

KEY = "iqa_kcross"
FORMAT = 1
TRAINING_PART = ".training_networks."


@dataclass(frozen=True, slots=True)
class History:
    """How a model came about.

    Attributes:
        data: the dataset that it was trained on.
        simulated: whether images or raters were simulated.
        segmenter: what found the lesions in training.
        rated: the rated pairs of stage two.
        stages: for each finished stage what was run, with its numbers.
    """

    data: str = ""
    simulated: bool = False
    segmenter: str = ""
    rated: str = ""
    stages: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class ModelFile:
    """What a model file says of itself.

    Attributes:
        weights: name or path, as the user gave it.
        path: the file.
        settings: what the model is built from.
        history: how it came about.
    """

    weights: str
    path: Path
    settings: ModelSettings
    history: History

    @property
    def modalities(self) -> str:
        """For example ``t1 to t2``."""
        return f"{self.settings.branch.source} to {self.settings.branch.target}"

    @property
    def trained_on(self) -> str:
        """The dataset that the model was trained on."""
        return self.history.rated or self.history.data or "unknown data"


def save_model(model: KCrossModel, path: Path, history: History, for_scoring: bool = False) -> None:
    """Write a model, whole or without what only stage one needs; the file appears when it is complete.

    Example:
        >>> import tempfile
        >>> from iqa_kcross.branch import BranchSettings
        >>> model = KCrossModel(ModelSettings(("structure",), BranchSettings(width=4)))
        >>> path = Path(tempfile.mkdtemp(), "model.safetensors")
        >>> save_model(model, path, History(data="phantom:seed=1", simulated=True))
        >>> loaded, history = load_model(path)
        >>> loaded.settings.branch.width, history.simulated
        (4, True)
    """
    tensors = {
        name: tensor.detach().cpu().contiguous()
        for name, tensor in model.state_dict().items()
        if not (for_scoring and TRAINING_PART in name)
    }
    text = json.dumps({"format": FORMAT, "settings": model.settings.as_dict(), "history": asdict(history)})
    part = path.with_name(f".{path.name}.part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        save_file(tensors, part, metadata={KEY: text})
        part.replace(path)
    except (OSError, SafetensorError) as error:
        raise WeightsError(f"{path}: cannot be written: {error}") from error


def read_settings(model: Path | WeightFile) -> tuple[ModelSettings, History]:
    """The settings and the history of a model file.

    Raises:
        WeightsError: no such file, or not a model of K-CROSS.
    """
    file = _opened(model)
    try:
        values = json.loads(file.metadata[KEY])
        if values["format"] != FORMAT:
            raise WeightsError(
                f"{file.path}: written by another version of iqa-registry (format {values['format']}). "
                "Install that version, or train the model again."
            )
        return ModelSettings.from_dict(values["settings"]), History(**values["history"])
    except (KeyError, TypeError, ValueError, RecursionError) as error:
        raise WeightsError(
            f"{file.path}: not a model of K-CROSS. Train one with `iqa kcross train`."
        ) from error


def load_model(
    model: Path | WeightFile, training: bool = False, branches: list[str] | None = None
) -> tuple[KCrossModel, History]:
    """Read a model.

    Args:
        model: a file that :func:`save_model` wrote.
        training: whether the networks that only stage one needs are read as well.
        branches: some of the model's branches, or branches that need no weights; all of the model's by default.

    Raises:
        WeightsError: no such file, not a model of K-CROSS, or it lacks what is asked for.
        UnknownNameError: a branch that is not installed.
    """
    file = _opened(model)
    settings, history = read_settings(file)
    chosen = ModelSettings(tuple(branches or settings.branches), settings.branch)
    try:
        built = KCrossModel(chosen, training=training)
    except UnknownNameError as error:
        raise error if branches else WeightsError(f"{file.path}: {error}") from error
    _fill(built, file, settings)
    return built, history


def has_training_networks(file: WeightFile) -> bool:
    """Whether a model file holds what stage one needs."""
    return any(TRAINING_PART in name for name in file.tensors)


def _opened(model: Path | WeightFile) -> WeightFile:
    return open_file(model) if isinstance(model, Path) else model


def _fill(model: KCrossModel, file: WeightFile, settings: ModelSettings) -> None:
    given, path = file.tensors, file.path
    tensors = {
        name: given[name].to(parameter.dtype)
        for name, parameter in model.state_dict().items()
        if name in given
    }
    missing = [name for name in model.state_dict() if name not in tensors]
    if any(TRAINING_PART in name for name in missing):
        raise WeightsError(
            f"{path}: exported for scoring, without the networks of stage one. Give the model of a training run."
        )
    absent = [name for name in model.settings.branches if name not in settings.branches]
    if absent and any(name.startswith(tuple(f"branches.{item}." for item in absent)) for name in missing):
        raise WeightsError(
            f"{path}: has no branch {', '.join(absent)}, only {', '.join(settings.branches)}. "
            "Choose among them with branches=, or train a model that has it."
        )
    try:
        if missing:
            raise RuntimeError(f"it lacks {missing[0]}")
        model.load_state_dict(tensors)
    except RuntimeError as error:
        raise WeightsError(f"{path}: tensors do not fit: {str(error).splitlines()[-1].strip()}") from error


def describe_file(model: Path | WeightFile) -> dict[str, Any]:
    """What a model file says about itself.

    Raises:
        WeightsError: no such file, or not a model of K-CROSS.
    """
    settings, history = read_settings(model)
    values = settings.as_dict() | {"branches": "+".join(settings.branches)}
    data = {"data": history.data, "rated": history.rated, "simulated": history.simulated}
    return {**values, **data, "segmenter": history.segmenter, **history.stages}
