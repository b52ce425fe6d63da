"""The settings of a training run: a TOML file, checked, with the paper's values as defaults where the paper has one.

The paper fixes the width (64), all loss weights (1), slices 50 to 80 of skull-stripped volumes, 256 x 256 pixels, an
80/20 split and the networks. It says nothing of optimizers, batch sizes and steps: those defaults are ours.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from iqa_kcross.branch import BranchSettings
from iqa_kcross.model import BRANCHES, ModelSettings
from iqa_registry.plugin import UsageError


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class DataConfig(_Section):
    """What is trained on."""

    data: Annotated[
        str, Field(description="dataset of subjects for stage one, brats:PATH or phantom:pairs=800")
    ] = ""
    rated: Annotated[
        str, Field(description="dataset or manifest of rated pairs for stage two; by default the same")
    ] = ""
    ratings: Annotated[
        str, Field(description="table of ratings; by default they are in the dataset or manifest")
    ] = ""
    source: Annotated[str, Field(description="modality that is translated")] = "t1"
    target: Annotated[str, Field(description="modality that is scored")] = "t2"
    segmenter: Annotated[str, Field(description="finds the lesions; frozen")] = "nnunet"
    lesions: Annotated[
        str, Field(description="labels of the masks that are lesion, or 'dataset'; used before the segmenter")
    ] = ""
    intensity: Annotated[
        str, Field(description="intensity rule as for iqa evaluate; by default the automatic one")
    ] = ""
    slices: Annotated[
        str, Field(description="slices of volumes, such as 50:80; by default the dataset's")
    ] = ""
    size: Annotated[
        int, Field(ge=32, multiple_of=32, description="rows and columns in pixels, padded or cropped to")
    ] = 256
    held_out: Annotated[
        float, Field(gt=0, lt=1, description="share of the subjects that nothing is learned from")
    ] = 0.2
    rating_range: Annotated[tuple[float, float], Field(description="worst and best possible rating")] = (
        0.0,
        1.0,
    )


class NetworkConfig(_Section):
    """What is trained."""

    width: Annotated[int, Field(ge=1, description="channels of the first feature map")] = 64
    descriptor: Annotated[
        Literal["layers", "code"], Field(description="all five feature maps, or the last")
    ] = "layers"
    branches: Annotated[tuple[str, ...], Field(min_length=1, description="names of branches")] = BRANCHES


class StageOneConfig(_Section):
    """Algorithm 1: encoders and decoders."""

    steps: Annotated[int, Field(ge=1, description="optimizer steps")] = 20_000
    batch_size: Annotated[int, Field(ge=2, description="subjects a step")] = 8
    learning_rate: Annotated[float, Field(gt=0, description="of Adam")] = 5e-4
    weights: Annotated[
        dict[str, float], Field(description="weight of each loss; a loss that is not named has weight 1")
    ] = {"frequency": 1.0, "similarity": 1.0, "tumor": 1.0, "structure": 1.0}
    focal: Annotated[
        float, Field(ge=0, description="exponent of the focal weight of the frequency loss, 0 for none")
    ] = 0.0
    bandwidths: Annotated[tuple[float, ...], Field(description="of the similarity loss")] = (
        0.25,
        0.5,
        1.0,
        2.0,
        4.0,
    )
    levels: Annotated[int, Field(ge=1, description="of the Laplacian pyramid")] = 5
    perceptual: Annotated[str, Field(description="perceptual loss of the tumor branch, or none")] = (
        "lpips:net=vgg"
    )
    flip: Annotated[bool, Field(description="mirror half of the subjects")] = True


class StageTwoConfig(_Section):
    """Algorithm 2: score networks, on the descriptors of frozen encoders."""

    steps: Annotated[int, Field(ge=1, description="optimizer steps")] = 4_000
    batch_size: Annotated[int, Field(ge=2, description="pairs a step")] = 256
    learning_rate: Annotated[float, Field(gt=0, description="of AdamW, falling to 0 along a cosine")] = 1e-3
    weight_decay: Annotated[float, Field(ge=0, description="of AdamW")] = 1e-3
    dropout: Annotated[float, Field(ge=0, lt=1, description="of the score networks' hidden layer")] = 0.0
    identity_share: Annotated[
        float, Field(ge=0, lt=1, description="share of pairs (x, x), which have the top rating")
    ] = 0.05


class RunConfig(_Section):
    """How it is trained."""

    seed: Annotated[int, Field(ge=0, description="of initial weights, the split and the order")] = 0
    accelerator: Annotated[str, Field(description="auto, cpu or gpu")] = "auto"
    devices: Annotated[int, Field(ge=1, description="how many; several train stage one in parallel")] = 1
    precision: Annotated[
        Literal["auto", "32-true", "bf16-mixed", "16-mixed"], Field(description="of the computations")
    ] = "auto"
    checkpoint_every: Annotated[int, Field(ge=1, description="steps between checkpoints")] = 200


class TrainingConfig(_Section):
    """Everything; also the layout of the TOML file.

    Example:
        >>> TrainingConfig().network.width, TrainingConfig().stage_one.weights["tumor"]
        (64, 1.0)
    """

    data: DataConfig = DataConfig()
    network: NetworkConfig = NetworkConfig()
    stage_one: StageOneConfig = StageOneConfig()
    stage_two: StageTwoConfig = StageTwoConfig()
    run: RunConfig = RunConfig()

    @property
    def model(self) -> ModelSettings:
        """The settings of the model."""
        network = self.network
        branch = BranchSettings(network.width, network.descriptor, self.data.source, self.data.target)
        return ModelSettings(network.branches, branch)


def read_config(path: Path | None, changes: Mapping[str, Any] | None = None) -> TrainingConfig:
    """Read a settings file and change some values.

    Args:
        path: a TOML file; the defaults without it.
        changes: values by ``section.name``; text is read as TOML where that is possible.

    Raises:
        UsageError: a file that cannot be read, an unknown name or a value that does not fit.

    Example:
        >>> read_config(None, {"network.width": 16, "stage_one.steps": "600"}).stage_one.steps
        600
    """
    values: dict[str, Any] = {}
    if path is not None:
        if path.exists() and not path.is_file():  # a pipe would wait for ever
            raise UsageError(f"{path}: is not a regular file. Give a TOML file.")
        try:
            values = tomllib.loads(path.read_text(encoding="utf-8"))
        except (OSError, ValueError, RecursionError) as error:
            raise UsageError(f"{path}: cannot be read as TOML: {error}") from error
    for name, value in (changes or {}).items():
        section, dot, key = name.partition(".")
        if not dot:
            raise UsageError(f"--set {name}: expected SECTION.NAME=VALUE, such as stage_one.steps=600.")
        if not isinstance(values.setdefault(section, {}), dict):
            raise UsageError(f"{path}: {section} must be a table, [{section}].")
        values[section][key] = _parsed(value, section, key)
    try:
        return TrainingConfig.model_validate(values)
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(map(str, first["loc"]))
        raise UsageError(f"{path or 'settings'}: {place}: {first['msg']}, got {first['input']!r}.") from None


def _parsed(value: Any, section: str, key: str) -> Any:
    """Text from a command line: as it is where text is wanted, else as TOML."""
    field = TrainingConfig.model_fields.get(section)
    inner = type(field.default).model_fields.get(key) if field else None
    if not isinstance(value, str) or (inner is not None and inner.annotation is str):
        return value
    try:
        return tomllib.loads(f"value = {value}")["value"]
    except tomllib.TOMLDecodeError:
        return value


def describe_config() -> Sequence[tuple[str, str, Any]]:
    """Every setting as name, description and default, for help and documents."""
    rows = []
    for section, field in TrainingConfig.model_fields.items():
        for name, inner in type(field.default).model_fields.items():
            rows.append((f"{section}.{name}", inner.description or "", inner.default))
    return rows
