"""Local maps: where an image differs from its reference, as numbers, images and NIfTI volumes.

:func:`local_maps` gives the numbers; :class:`~iqa_registry.maps.writer.MapWriter` writes files; the command is
``iqa maps``. Images are read, scaled, resampled and sliced exactly as :func:`iqa_registry.evaluate` does it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from iqa_registry.errors import ImageError, IQAError
from iqa_registry.maps.engine import Mapper
from iqa_registry.maps.kinds import ERRORS, names_with_map, start_maps
from iqa_registry.maps.local_map import LocalMap
from iqa_registry.registry import Registry, build_registry

if TYPE_CHECKING:
    from typing_extensions import Unpack

    from iqa_registry.evaluation.options import OptionFields

__all__ = ["ERRORS", "LocalMap", "Mapper", "local_maps", "names_with_map", "start_maps"]


def local_maps(
    pairs: str | Path | Iterable[Any],
    metrics: Sequence[str],
    *,
    registry: Registry | None = None,
    **options: Unpack[OptionFields],
) -> Iterator[LocalMap]:
    """Map where images differ from their references.

    Args:
        pairs: as for :func:`iqa_registry.evaluate`: a manifest, or pairs of paths, arrays or tensors.
        metrics: ``error`` (absolute), ``signed-error``, or metrics that provide a map, with parameters if you like
            (``lpips:net=vgg``); :func:`names_with_map` gives all.
        registry: where to look the metrics up.
        **options: fields of :class:`~iqa_registry.evaluation.options.Options`: ``intensity``, ``axis``, ``slices``,
            ``resample``, ``device`` and so on.

    Yields:
        A :class:`LocalMap` for each 2-D image or slice and each metric; its ``values`` are ``(H, W)`` float32, NaN
        where the map is not defined. What they mean depends on the metric: 0 where the images are equal for errors
        and LPIPS, 1 for SSIM, GMSD and FSIM.

    Raises:
        UsageError: a metric without a map, or an unknown metric, parameter or option.
        IQAError: a metric that cannot start.
        ImageError: a pair that cannot be read or does not fit.

    Example:
        >>> import numpy as np
        >>> reference = np.linspace(0, 255, 64 * 64).reshape(64, 64).astype(np.uint8)
        >>> found = next(local_maps([(reference // 2, reference)], ["error"]))
        >>> round(float(found.values.mean()), 4), found.values.shape
        (0.25, (64, 64))
    """
    from iqa_registry.evaluation.options import choose_device, make_options
    from iqa_registry.inputs import open_inputs

    settings = make_options(options)
    registry = registry or build_registry()
    started = start_maps(registry, metrics, choose_device(settings.device))
    if started.failed:
        raise IQAError("; ".join(started.failed.values()))
    for found in Mapper(started.ready, settings).run(open_inputs(pairs=pairs, registry=registry)):
        if not isinstance(found, LocalMap):
            raise ImageError(found.message)
        yield found
