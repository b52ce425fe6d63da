"""From pairs to maps: read as an evaluation reads, encode, map."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from functools import partial

import numpy as np

from iqa_registry.evaluation.encoding import Encoded, Encoder, Failure
from iqa_registry.evaluation.items import WHOLE_IMAGE, Failed, Loaded
from iqa_registry.evaluation.loader import Loader
from iqa_registry.evaluation.options import Options, choose_device
from iqa_registry.evaluation.plan import plan_items
from iqa_registry.inputs import Inputs
from iqa_registry.local_maps.kinds import scale_for
from iqa_registry.local_maps.local_map import FailedMap, LocalMap, Plane
from iqa_registry.local_maps.scale import Scale
from iqa_registry.metrics import FullReferenceMetric


class Mapper:
    """Computes maps pair by pair.

    Args:
        metrics: by the text that asked for them, on the device of ``options``.
        options: the settings of an evaluation.
        scales: scales that were asked for; the others are found by :func:`~iqa_registry.local_maps.kinds.scale_for`.

    Example:
        >>> from iqa_registry.inputs import open_inputs
        >>> from iqa_registry.local_maps.kinds import ERRORS
        >>> inputs = open_inputs(pairs=[(np.full((8, 8), 51, np.uint8), np.zeros((8, 8), np.uint8))])
        >>> found = next(Mapper({"error": ERRORS["error"]()}, Options()).run(inputs))
        >>> round(found.mean(), 4)
        0.2
    """

    def __init__(
        self,
        metrics: Mapping[str, FullReferenceMetric],
        options: Options,
        scales: Mapping[str, Scale] | None = None,
    ) -> None:
        self._metrics = metrics
        self._options = options
        self._encoder = Encoder([*metrics.values()], choose_device(options.device), options.precision)
        self._scales = dict(scales or {})

    def run(
        self, inputs: Inputs, progress: Callable[[int, int], None] = lambda done, total: None
    ) -> Iterator[LocalMap | FailedMap]:
        """The maps, slice by slice of a volume, volume by volume; what fails is told and the others go on."""
        metrics = self._metrics.values()
        options = self._options.named(inputs.label_names)
        items = plan_items(inputs.pairs, options, {metric.dimensions for metric in metrics})
        loader = Loader(options, {name for metric in metrics for name in metric.uses_labels})
        # Item by item, so that the maps come in the order of the pairs.
        for number, (loaded,) in enumerate(loader.batches([[item] for item in items])):
            progress(number, len(items))
            if isinstance(loaded, Failed):
                yield FailedMap(loaded.item.pair_id, loaded.message)
            else:
                yield from self._map(loaded)
        progress(len(items), len(items))

    def _map(self, loaded: Loaded) -> Iterator[LocalMap | FailedMap]:
        pair_id = loaded.item.pair_id
        (stack,) = self._encoder.stacks([loaded])
        for name, metric in self._metrics.items():
            if not loaded.item.suits(metric.dimensions):
                continue
            (values,) = self._encoder.apply(metric, stack, partial(self._values, name, metric))
            if isinstance(values, Failure):
                message = values.message
                own = f"{pair_id}: "
                yield FailedMap(pair_id, message if message.startswith(own) else own + message)
                continue
            planes = values if loaded.item.whole else values[None]
            for number, plane in enumerate(planes):
                yield self._local_map(name, plane, loaded, number)

    def _values(self, name: str, metric: FullReferenceMetric, encoded: Encoded) -> list[Plane]:
        if name not in self._scales and encoded.stack.references is not None:
            self._scales[name] = scale_for(metric, encoded.stack.references)
        size = tuple(encoded.stack.synthesized.shape[2:])
        values = metric.local_map(encoded.synthesized, encoded.reference, size)
        return [plane.float().cpu().numpy() for plane in values[:, 0]]

    def _local_map(self, name: str, plane: Plane, loaded: Loaded, number: int) -> LocalMap:
        """One slice of what was computed; ``number`` counts the slices of a volume that was mapped whole."""
        item = loaded.item
        index = item.slice
        cut: tuple[slice | int, ...] = (slice(None),)
        if item.whole:
            index, cut = item.sections[number], (slice(None), number)
        regions = {
            region: np.asarray(mask[cut][0]) for region, mask in loaded.regions.items() if mask is not None
        }
        covered = regions.pop(WHOLE_IMAGE, None)
        if covered is not None:  # both images were filled with 0 elsewhere, which shows no error and is none
            plane = np.where(covered, plane, np.float32(np.nan))
        images = [
            tensor[cut].numpy() for tensor in (loaded.synthesized, loaded.reference) if tensor is not None
        ]
        return LocalMap(
            name, plane, self._scales[name], item.pair, item.axis, index, images[0], images[1], regions
        )
