"""A training run: a folder that holds both stages, and resumes where it was interrupted.

Layout: ``config.json``; ``stage-one/`` and ``stage-two/`` with ``last.ckpt``, ``csv/metrics.csv``, ``tensorboard/``
and, once the stage is finished, ``model.safetensors``; after stage two ``model.safetensors``, the whole model.
"""

from __future__ import annotations

import copy
import hashlib
import json
import time
from collections.abc import Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Protocol

import lightning
import torch
from lightning.pytorch.utilities.exceptions import MisconfigurationException
from torch.utils.data import DataLoader

from iqa_kcross.checkpoint import History, has_training_networks, load_model, save_model
from iqa_kcross.metric import KCross
from iqa_kcross.model import KCrossModel
from iqa_kcross.pairs import is_simulated
from iqa_kcross.training import stage_one, stage_two
from iqa_kcross.training.config import TrainingConfig
from iqa_kcross.training.images import SubjectImages, options_of, read_subjects
from iqa_kcross.training.rated import RatedPairs, read_rated
from iqa_kcross.training.trainer import (
    last_checkpoint,
    make_trainer,
    quiet,
    random_batches,
    read_checkpoint,
)
from iqa_registry.plugin import Registry, Segmenter, UsageError, open_file, write_atomically

MODEL = "model.safetensors"
CONFIG = "config.json"
STAGES = ("stage-one", "stage-two")
INPUTS = "inputs.json"


class Bars(Protocol):
    """Makes a progress bar of a label."""

    def __call__(self, label: str, unit: str = ...) -> AbstractContextManager[Any]:
        """A context that gives what is called with the number done and in all."""


@dataclass(frozen=True, slots=True)
class Session:
    """What the stages share.

    Attributes:
        config: the settings.
        folder: where the run is kept.
        registry: where datasets, segmenters and metrics are looked up.
        bars: makes progress bars.
    """

    config: TrainingConfig
    folder: Path
    registry: Registry
    bars: Bars

    def segmenter(self) -> Segmenter | None:
        """The frozen segmenter, where a branch looks at lesions."""
        from iqa_kcross.hookspecs import choose_branches

        branches = choose_branches(list(self.config.network.branches)).values()
        return (
            self.registry.segmenter(self.config.data.segmenter)
            if any(b.needs_lesions for b in branches)
            else None
        )


def open_run(config: TrainingConfig, folder: Path, registry: Registry, bars: Bars) -> Session:
    """Make the folder of a run, or check that the one that is there was begun with the same settings.

    Raises:
        UsageError: the folder holds something else, or a run with other settings.
    """
    path = folder / CONFIG
    wanted = json.loads(config.model_dump_json())
    if path.is_file():
        difference = _difference(_read_json(path), wanted, (folder / STAGES[1]).exists())
        if difference:
            raise UsageError(
                f"{folder}: was begun with {difference}. Choose another folder, or the same settings."
            )
        write_atomically(path, json.dumps(wanted, indent=2).encode())
    elif folder.exists() and any(folder.iterdir()):
        raise UsageError(f"{folder}: is not empty and not a training run. Choose another folder.")
    else:
        folder.mkdir(parents=True, exist_ok=True)
        write_atomically(path, json.dumps(wanted, indent=2).encode())
    return Session(config, folder, registry, bars)


def _read_json(path: Path) -> dict[str, Any]:
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise UsageError(f"{path}: cannot be read ({error}). Choose another folder with -o.") from error
    return values if isinstance(values, dict) else {}


def _difference(old: dict[str, Any], new: dict[str, Any], two_begun: bool = True) -> str:
    """The first setting that differs, but for those that only say how fast it goes, or are of a stage to come."""
    free = {"run.accelerator", "run.devices", "run.checkpoint_every"}
    if not two_begun:
        free |= {"data.rated", "data.ratings", "data.rating_range"}
    for section, values in new.items():
        for name, value in values.items():
            before = old.get(section, {}).get(name)
            to_come = section == "stage_two" and not two_begun
            if before != value and f"{section}.{name}" not in free and not to_come:
                return f"{section}.{name} = {before}, not {value}"
    return ""


def run_stage_one(session: Session) -> Path:
    """Train encoders and decoders; returns the model file. What is finished is not done again."""
    folder = session.folder / STAGES[0]
    if (folder / MODEL).is_file():
        return folder / MODEL
    config, started = session.config, time.monotonic()
    perceptual = None
    if "tumor" in config.network.branches:
        perceptual = stage_one.make_perceptual(session.registry, config.stage_one.perceptual)
    images = _subjects(session)
    held_out = held_out_subjects(images.subjects, config.data.held_out, config.run.seed)
    lightning.seed_everything(config.run.seed, verbose=False)
    model = KCrossModel(config.model, training=True).to(memory_format=torch.channels_last)
    stage_one.freeze_for_stage_one(model)
    module = stage_one.StageOne(model, config.stage_one, perceptual)
    settings = config.stage_one
    training = images.part(held_out, inside=False)
    loaders = (
        random_batches(training, settings.batch_size, settings.steps, _order_seed(config, folder)),
        DataLoader(images.part(held_out, inside=True), settings.batch_size),
    )
    numbers = _fit(session, folder, module, settings.steps, loaders, None)
    stages = {
        STAGES[0]: {**settings.model_dump(), **numbers, "slices": len(training), "seconds": _since(started)}
    }
    save_model(model, folder / MODEL, _history(session, stages))
    return folder / MODEL


def _subjects(session: Session) -> SubjectImages:
    dataset = session.registry.dataset(session.config.data.data)
    with session.bars("reading subjects", unit="slices") as progress:
        return read_subjects(dataset, session.config.data, session.segmenter(), progress)


def run_stage_two(session: Session, start: Path) -> Path:
    """Train score networks on ratings; returns the file of the whole model. What is finished is not done again.

    Args:
        session: the run.
        start: a model after stage one, or a finished one, whose score networks are then trained on.

    Raises:
        UsageError: no ratings, ratings of one subject only, a branch that applies to none of the pairs, or a folder
            that was begun with another start or other ratings.
    """
    folder, final = session.folder / STAGES[1], session.folder / MODEL
    config, started = session.config, time.monotonic()
    begun = open_file(start)
    model, history = load_model(begun)
    rated = read_rated(config.data, session.registry)
    _check_inputs(folder, begun.sha256, rated)
    if final.is_file():
        return final
    data = _described(session, model, rated, folder)
    training, held_out = _split(data, rated, config)
    lightning.seed_everything(config.run.seed, verbose=False)
    model = _with_dropout(model, config.stage_two.dropout)
    stage_two.standardize(model, training)
    stage_two.freeze_for_stage_two(model)
    module = stage_two.StageTwo(model, config.stage_two)
    settings = config.stage_two
    loaders = (
        random_batches(
            training, settings.batch_size, settings.steps, _order_seed(config, folder), stage_two.as_it_is
        ),
        DataLoader(held_out, batch_size=4096, collate_fn=stage_two.as_it_is),
    )
    # On descriptors a step costs next to nothing; several devices would only wait for each other.
    single = replace(session, config=_on_one_device(config))
    numbers = _fit(single, folder, module, settings.steps, loaders, "held_out_loss")
    own = {**settings.model_dump(), **numbers, "pairs": len(training), "seconds": _since(started)}
    simulated = history.simulated or is_simulated(rated.place)
    history = replace(
        history,
        stages={**history.stages, STAGES[1]: own},
        rated=rated.place,
        simulated=simulated,
        segmenter=config.data.segmenter,
    )
    full, _ = load_model(begun, training=has_training_networks(begun))
    full.load_state_dict(module.model.state_dict(), strict=False)
    save_model(full, final, history)
    return final


def _check_inputs(folder: Path, start: str, rated: RatedPairs) -> None:
    """Note what stage two is begun with, or reject something else."""
    pairs = repr([(item.pair_id, rating) for item, rating in zip(rated.items, rated.ratings, strict=True)])
    inputs = {"start": start, "rated pairs": hashlib.sha256(pairs.encode()).hexdigest()}
    path = folder / INPUTS
    if not path.is_file():
        folder.mkdir(parents=True, exist_ok=True)
        write_atomically(path, json.dumps(inputs, indent=2).encode())
        return
    before = _read_json(path)
    for name, value in inputs.items():
        if before.get(name) != value:
            raise UsageError(f"{folder}: was begun with another {name}. Choose another folder with -o.")


def _split(
    data: stage_two.RatedDescriptors, rated: RatedPairs, config: TrainingConfig
) -> tuple[stage_two.RatedDescriptors, stage_two.RatedDescriptors]:
    """The pairs to learn from, and those of the subjects that are held out."""
    held_out = held_out_subjects(rated.subjects, config.data.held_out, config.run.seed)
    inside = torch.tensor([name in held_out for name in rated.subjects])
    if not bool(inside.any()) or bool(inside.all()):
        raise UsageError("ratings of a single subject cannot be split. Give ratings of several subjects.")
    parts = data.rows(~inside), data.rows(inside)
    for part, what in zip(parts, ("rated", "held-out"), strict=True):
        idle = [name for name, applies in part.applies.items() if int(applies.sum()) < 2]
        if idle and (part is parts[0] or len(idle) == len(part.applies)):
            others = [name for name in data.applies if name not in idle]
            raise UsageError(
                f"{rated.place}: the {', '.join(idle)} branch has nothing to look at in the {what} pairs. "
                f"Give others, or train without it: --set network.branches={json.dumps(others)}."
            )
    return parts


def _on_one_device(config: TrainingConfig) -> TrainingConfig:
    return config.model_copy(update={"run": config.run.model_copy(update={"devices": 1})})


def _order_seed(config: TrainingConfig, folder: Path) -> int:
    """Of the order of batches: another one after an interruption, lest the first batches come again."""
    return config.run.seed + 1000 * len(list(folder.glob("csv*")))


def _with_dropout(model: KCrossModel, dropout: float) -> KCrossModel:
    for module in model.score_networks.modules():
        if isinstance(module, torch.nn.Dropout):
            module.p = dropout
    return model


def _described(
    session: Session, model: KCrossModel, rated: RatedPairs, folder: Path
) -> stage_two.RatedDescriptors:
    """The descriptors of all rated pairs, kept in the folder so that an interrupted stage need not begin again."""
    from safetensors.torch import load_file, save_file

    path = folder / "descriptors.safetensors"
    if path.is_file():
        tensors = load_file(path)
    else:
        options = options_of(session.config.data, rated.dataset)
        metric = KCross(copy.deepcopy(model), session.segmenter())
        with session.bars("describing pairs") as progress:
            found = stage_two.describe_pairs(metric, rated.items, options, progress)
        tensors = {f"{name}.descriptor": values for name, (values, _) in found.items()}
        tensors |= {f"{name}.applies": applies for name, (_, applies) in found.items()}
        folder.mkdir(parents=True, exist_ok=True)
        save_file(tensors, path.with_suffix(".part"))
        path.with_suffix(".part").replace(path)
    names = list(model.branches)
    return stage_two.RatedDescriptors(
        {name: tensors[f"{name}.descriptor"] for name in names},
        {name: tensors[f"{name}.applies"] for name in names},
        torch.tensor(rated.ratings, dtype=torch.float32),
    )


def _fit(
    session: Session, folder: Path, module: Any, steps: int, loaders: tuple[Any, Any], monitor: str | None
) -> dict[str, float]:
    """Train, or resume training; with ``monitor`` the best state by it is kept. Returns what was logged last."""
    folder.mkdir(parents=True, exist_ok=True)
    with quiet():
        try:
            trainer = make_trainer(folder, session.config.run, steps, monitor)
        except MisconfigurationException as error:
            raise UsageError(
                f"run.accelerator, devices or precision: {str(error).splitlines()[0]}"
            ) from error
        last = last_checkpoint(folder)
        if last is not None:
            read_checkpoint(last)
        # Checkpoints are pickles: only tensors and plain values are read, so that no folder can run code.
        trainer.fit(module, *loaders, ckpt_path=last, weights_only=True)
        if not trainer.is_global_zero:
            # One process of several writes the model and goes on.
            raise SystemExit(0)
        best = folder / "best.ckpt"
        if monitor and best.is_file():
            module.load_state_dict(read_checkpoint(best)["state_dict"])
    module.cpu().eval()
    return {name: round(float(value), 6) for name, value in trainer.callback_metrics.items()}


def held_out_subjects(subjects: Sequence[str], share: float, seed: int) -> set[str]:
    """The subjects that nothing is learned from: a random share, at least one where there are two.

    Example:
        >>> sorted(held_out_subjects(["a", "b", "c", "d", "e"], 0.2, seed=0))
        ['e']
    """
    names = sorted(set(subjects))
    order = torch.randperm(len(names), generator=torch.Generator().manual_seed(seed)).tolist()
    count = max(1, round(share * len(names))) if len(names) > 1 else 0
    return {names[number] for number in order[:count]}


def _history(session: Session, stages: dict[str, Any]) -> History:
    data = session.config.data
    return History(data.data, is_simulated(data.data), data.segmenter, stages=stages)


def _since(started: float) -> float:
    return round(time.monotonic() - started, 1)
