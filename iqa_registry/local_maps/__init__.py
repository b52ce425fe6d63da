"""Local maps: where an image differs from its reference, as numbers, images and NIfTI volumes.

:func:`iqa_registry.maps` gives the numbers; :class:`~iqa_registry.local_maps.writer.MapWriter` writes files; the
command is ``iqa maps``. Images are read, scaled, resampled and sliced exactly as :func:`iqa_registry.evaluate` does it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from iqa_registry.errors import ImageError, IQAError
from iqa_registry.evaluation.options import Options, choose_device
from iqa_registry.inputs import Inputs
from iqa_registry.local_maps.engine import Mapper
from iqa_registry.local_maps.kinds import ERRORS, names_with_map, start_maps
from iqa_registry.local_maps.local_map import LocalMap
from iqa_registry.registry import Registry

__all__ = ["ERRORS", "LocalMap", "Mapper", "draw_maps", "names_with_map", "start_maps"]


def draw_maps(
    inputs: Inputs, metrics: Sequence[str], options: Options, registry: Registry
) -> Iterator[LocalMap]:
    """The maps of what is opened already; see :func:`iqa_registry.maps`.

    Raises:
        UsageError: a metric without a map, or an unknown metric or parameter.
        IQAError: a metric that cannot start.
        ImageError: while the maps are drawn: a pair that cannot be read or does not fit.
    """
    started = start_maps(registry, metrics, choose_device(options.device))
    if started.failed:
        raise IQAError("; ".join(started.failed.values()))
    return _draw(inputs, Mapper(started.ready, options))


def _draw(inputs: Inputs, mapper: Mapper) -> Iterator[LocalMap]:
    for found in mapper.run(inputs):
        if not isinstance(found, LocalMap):
            raise ImageError(found.message)
        yield found
