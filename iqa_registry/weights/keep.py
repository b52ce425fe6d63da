"""Keeping a weight file: check it in a temporary folder, then give it its name in one step."""

from __future__ import annotations

import shutil
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from iqa_registry.errors import WeightsError
from iqa_registry.weights.hashing import check_sha256

if TYPE_CHECKING:
    from iqa_registry.specs import WeightSpec
    from iqa_registry.weights.sources import Source

_PREFIX = ".incoming-"
_DAY = 86400.0


def published_name(spec: WeightSpec) -> str:
    """Name of the file that weights are kept in; a name's one possible ``/`` makes no folder."""
    stem = spec.name.replace("/", "--")
    if spec.hashed == "file":
        return stem + (Path(spec.sources[0].file).suffix or ".pth")
    return f"{stem}.safetensors"


@contextmanager
def workspace(directory: Path) -> Iterator[Path]:
    """A temporary folder inside ``directory``, on the same disk, gone afterwards.

    Raises:
        WeightsError: ``directory`` cannot be written, or the disk is full.
    """
    try:
        directory.mkdir(parents=True, exist_ok=True)
        _remove_leftovers(directory)
        with tempfile.TemporaryDirectory(prefix=_PREFIX, dir=directory) as folder:
            yield Path(folder)
    except OSError as error:
        raise WeightsError(
            f"cannot write to the weights folder {directory}: {error.strerror or error}. "
            "Free space there, or set IQA_WEIGHTS_DIR to another folder."
        ) from error


def keep(spec: WeightSpec, file: Path, source: Source, target: Path, folder: Path) -> Path:
    """Check ``file`` against the declaration and put it where it belongs.

    Args:
        spec: the declaration.
        file: what a source delivered, or a user brought.
        source: opens it.
        target: the final path.
        folder: a workspace on the same disk.

    Raises:
        WeightsError: it is not what was declared.
    """
    ready = folder / f"ready-{target.name}"
    if spec.hashed == "file":
        shutil.copyfile(file, ready)
        check_sha256(ready, spec.sha256)
    else:
        from iqa_registry.weights.formats import write

        write(source.open(file, spec).tensors, ready)
    ready.replace(target)
    return target


def _remove_leftovers(directory: Path) -> None:
    """Workspaces of processes that were killed; a day is longer than any download."""
    for leftover in directory.glob(f"{_PREFIX}*"):
        if time.time() - leftover.stat().st_mtime > _DAY:
            shutil.rmtree(leftover, ignore_errors=True)
