"""Several training runs, one per settings file."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from iqa_kcross.training.config import read_config
from iqa_kcross.training.run import Bars, open_run, run_stage_one, run_stage_two
from iqa_registry.plugin import Registry, UsageError


def train_models(configs: Sequence[Path], folder: Path, registry: Registry, bars: Bars) -> list[str]:
    """Train a model for each settings file in ``FOLDER/NAME``; what is trained already is not trained again.

    Returns:
        The model files.

    Raises:
        UsageError: a settings file that does not fit, two of one name, or a folder of another run.
    """
    names = [path.stem for path in configs]
    for name in names:
        if names.count(name) > 1:
            raise UsageError(
                f"two settings files are called {name}. Rename one: each names its run's folder."
            )
    read = {path: read_config(path) for path in configs}
    for path, config in read.items():
        if not config.data.data:
            raise UsageError(f"{path}: names no dataset to train on. Set data under [data].")
    models = []
    for path, config in read.items():
        session = open_run(config, folder / path.stem, registry, bars)
        models.append(str(run_stage_two(session, run_stage_one(session))))
    return models
