"""Lightning's trainer as both stages use it: logs, checkpoints, progress, precision, devices."""

from __future__ import annotations

import logging
import pickle
import sys
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import lightning
import torch
from lightning.pytorch.callbacks import Callback, ModelCheckpoint, RichProgressBar
from lightning.pytorch.loggers import CSVLogger, TensorBoardLogger
from torch.utils.data import DataLoader, Dataset, RandomSampler

from iqa_kcross.training.config import RunConfig
from iqa_registry.plugin import UsageError

LAST = "last.ckpt"
Collate = Callable[[list[Any]], Any] | None


def make_trainer(
    folder: Path, run: RunConfig, steps: int, monitor: str | None = None, every: int | None = None
) -> lightning.Trainer:
    """A trainer that logs to CSV and TensorBoard and keeps the last checkpoint, and the best by ``monitor``.

    Args:
        folder: where logs and checkpoints go.
        run: accelerator, devices, precision.
        steps: when it stops.
        monitor: a logged number, smaller is better.
        every: steps between checkpoints and validations; by default as ``run`` says.
    """
    # Equal spans, so that the last one ends, and is validated, with the last step.
    spans = -(-steps // min(every or run.checkpoint_every, steps))
    every = steps // spans
    checkpoint = ModelCheckpoint(
        dirpath=folder,
        filename="best" if monitor else "{step}",
        monitor=monitor,
        save_last=True,
        every_n_train_steps=None if monitor else every,
        enable_version_counter=False,
    )
    callbacks: list[Callback] = [checkpoint]
    if sys.stderr.isatty():
        callbacks.append(RichProgressBar())
    return lightning.Trainer(
        max_steps=steps,
        max_epochs=-1,
        accelerator=run.accelerator,
        devices=run.devices,
        precision=choose_precision(run),  # type: ignore[arg-type]
        logger=[
            CSVLogger(folder, name="", version=_log_name(folder)),
            TensorBoardLogger(folder, name="", version="tensorboard"),
        ],
        callbacks=callbacks,
        val_check_interval=every,
        check_val_every_n_epoch=None,
        num_sanity_val_steps=0,
        log_every_n_steps=min(20, every),
        enable_progress_bar=sys.stderr.isatty(),
        enable_model_summary=False,
        deterministic=False,
    )


def _log_name(folder: Path) -> str:
    """``csv``, and after an interruption ``csv-2`` and so on, so that nothing that was logged is overwritten."""
    earlier = len(list(folder.glob("csv*")))
    return "csv" if not earlier else f"csv-{earlier + 1}"


def choose_precision(run: RunConfig) -> str:
    """What ``auto`` means here: bf16 where the device computes in it, else 32 bit."""
    if run.precision != "auto":
        return run.precision
    if run.accelerator != "cpu" and torch.cuda.is_available():
        return "bf16-mixed" if torch.cuda.is_bf16_supported() else "16-mixed"
    tiles: Any = getattr(torch.cpu, "_is_amx_tile_supported", lambda: False)
    return "bf16-mixed" if tiles() else "32-true"


@contextmanager
def quiet() -> Iterator[None]:
    """Hold back what Lightning tells developers: hints on workers, devices and its products."""
    loggers = [logging.getLogger(name) for name in ("lightning.pytorch", "lightning.fabric", "lightning")]
    levels = [logger.level for logger in loggers]
    with warnings.catch_warnings():
        for text in (
            ".*does not have many workers.*",
            ".*GPU available but not used.*",
            ".*Checkpoint directory.*",
            # Batches are drawn at random with replacement: there is no order to go on with.
            ".*resuming from a checkpoint that ended before the epoch ended.*",
        ):
            warnings.filterwarnings("ignore", message=text)
        # Of Lightning's and TensorBoard's own code, not of ours.
        warnings.filterwarnings("ignore", category=DeprecationWarning)
        warnings.filterwarnings("ignore", category=FutureWarning)
        for logger in loggers:
            logger.setLevel(logging.ERROR)
        try:
            yield
        finally:
            for logger, level in zip(loggers, levels, strict=True):
                logger.setLevel(level)


def random_batches(
    data: Dataset[Any], batch_size: int, steps: int, seed: int, collate: Collate = None
) -> DataLoader[Any]:
    """Random batches, ``steps`` of them, drawn with replacement: a stage is counted in steps, not in passes."""
    generator = torch.Generator().manual_seed(seed)
    sampler = RandomSampler(data, replacement=True, num_samples=steps * batch_size, generator=generator)  # type: ignore[arg-type]
    return DataLoader(data, batch_size=batch_size, sampler=sampler, collate_fn=collate)


def last_checkpoint(folder: Path) -> Path | None:
    """The checkpoint that an interrupted stage resumes from."""
    path = folder / LAST
    return path if path.is_file() else None


def read_checkpoint(path: Path) -> dict[str, Any]:
    """What a checkpoint holds, read without running anything in it.

    Raises:
        UsageError: it is damaged, or holds more than tensors and plain values.
    """
    try:
        content: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=True)
    except (pickle.UnpicklingError, RuntimeError, EOFError, ValueError, KeyError, AttributeError) as error:
        raise UsageError(
            f"{path} is damaged, or holds more than tensors and plain values, and reading it could run any code. "
            "Remove the file to train this stage again."
        ) from error
    return content
