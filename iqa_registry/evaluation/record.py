"""What a run folder remembers of a run: what was asked for, of which versions, on which files."""

from __future__ import annotations

import hashlib
import platform
import sys
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np

from iqa_registry.evaluation.items import Item
from iqa_registry.evaluation.options import Options
from iqa_registry.files import file_state
from iqa_registry.images._arrays import to_array
from iqa_registry.images.formats import files_of
from iqa_registry.images.image import Array, Image, LazyImage, Source
from iqa_registry.images.pair import Pair
from iqa_registry.metrics import Metric

PACKAGES = ("iqa-registry", "torch", "torchvision", "numpy")
READERS = ("nibabel", "pydicom", "SimpleITK", "pillow", "tifffile", "h5py", "scipy", "polars")


def make_record(
    pairs: Sequence[Pair],
    metrics: Sequence[Metric],
    options: Options,
    run: Mapping[str, Any],
    not_started: Mapping[str, str],
) -> dict[str, Any]:
    """What ``run.json`` holds; ``fixed`` is what a resumed run must agree with.

    Args:
        pairs: what is scored.
        metrics: those that are ready.
        options: the settings.
        run: what else must agree: ``arguments``, ``batch_size`` and ``device``.
        not_started: the metrics that cannot start, with the reason.
    """
    plugins = {str(metric.spec.origin) for metric in metrics if metric.spec}
    fixed = {
        **run,
        "options": options.recorded(),
        "metrics": {
            metric.text: {"configuration": metric.configuration, "weights": dict(metric.weights_used)}
            for metric in metrics
        },
        "pairs": {"count": len(pairs), "digest": _pairs_digest(pairs)},
        "versions": {name: metadata.version(name) for name in PACKAGES} | {"plugins": sorted(plugins)},
    }
    return {
        "fixed": fixed,
        "not_started": dict(not_started),
        "python": platform.python_version(),
        "readers": {name: version for name in READERS if (version := _version(name))},
        "command": sys.argv,
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
    }


def _version(package: str) -> str | None:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None


def inputs_digest(batch: Sequence[Item]) -> str:
    """What the files of a batch are now; a part made from other files is computed again."""
    digest = hashlib.sha256()
    for item in batch:
        digest.update(repr((item.order, item.pair_id, sorted(item.pair.groups.items()))).encode())
        for source in item.pair.sources:
            digest.update(_source_state(source))
    return digest.hexdigest()


def _pairs_digest(pairs: Sequence[Pair]) -> str:
    digest = hashlib.sha256()
    for pair in pairs:
        names = map(_source_name, pair.sources)
        digest.update(repr((pair.pair_id, *names, sorted(pair.groups.items()))).encode())
    return digest.hexdigest()


def _source_name(source: Source | None) -> str:
    if isinstance(source, LazyImage):
        return source.key
    return str(Path(source).resolve()) if isinstance(source, str | Path) else type(source).__name__


def _source_state(source: Source | None) -> bytes:
    if source is None:
        return b"-"
    if isinstance(source, LazyImage):
        return source.key.encode()
    if isinstance(source, Image):
        arrays = (source.pixels, source.affine, source.valid)
        return b"".join(_array_state(array) for array in arrays if array is not None)
    if not isinstance(source, str | Path):
        return _array_state(to_array(source))
    return repr((_source_name(source), [_file_state(path) for path in files_of(source)])).encode()


def _file_state(path: Path) -> tuple[object, ...]:
    return (path.name, *(file_state(path) or ("absent",)))


def _array_state(array: Array) -> bytes:
    """The same for equal values of one type, however they lie in memory."""
    digest = hashlib.sha256(repr((array.shape, array.dtype.str)).encode())
    digest.update(np.ascontiguousarray(array).data.cast("B") if array.size else b"")
    return digest.digest()
