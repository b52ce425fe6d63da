"""From pairs to maps: read as an evaluation reads, encode, map."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from iqa_registry.errors import IQAError, NotApplicableError
from iqa_registry.evaluation.loader import Failed, Loaded, Loader
from iqa_registry.evaluation.options import Options, choose_device, parse_slices
from iqa_registry.evaluation.plan import Item, plan_items
from iqa_registry.images.formats import Source, probe_image, source_key
from iqa_registry.images.pairs import Pair
from iqa_registry.maps.kinds import Scale, scale_for
from iqa_registry.metrics import Features, FullReferenceMetric

Plane = np.ndarray[Any, np.dtype[np.float32]]
Mask = np.ndarray[Any, np.dtype[np.bool_]]


@dataclass(frozen=True, slots=True, eq=False)
class LocalMap:
    """One map of one picture, or of one slice of a volume.

    Attributes:
        metric: the text that it was asked for by.
        values: ``(H, W)`` float32, NaN where the map is not defined.
        scale: the values that its colours stand for.
        pair: where the images came from.
        axis: the axis along which the volume was cut, ``None`` for a picture.
        slice: the slice's index, ``None`` for a picture.
        synthesized: ``(C, H, W)`` in [0, 1].
        reference: the same shape.
        regions: boolean ``(H, W)`` by name, without the whole image.
    """

    metric: str
    values: Plane
    scale: Scale
    pair: Pair
    axis: int | None
    slice: int | None
    synthesized: Plane
    reference: Plane
    regions: Mapping[str, Mask]

    @property
    def pair_id(self) -> str:
        """The identifier of the row that an evaluation would give this picture or slice."""
        return Item(0, self.pair, (), self.axis, self.slice).pair_id

    def mean(self, region: str | None = None) -> float | None:
        """Mean over the pixels where the map is defined (of a region); ``None`` if there are none.

        It is the mean of what the picture shows, not the metric's score: GMSD, say, is a standard deviation.
        """
        values = self.values if region is None else self.values[self.regions[region]]
        defined = values[~np.isnan(values)]
        return float(defined.mean(dtype=np.float64)) if defined.size else None


@dataclass(frozen=True, slots=True)
class FailedMap:
    """What could not be mapped, and why."""

    pair_id: str
    message: str


class Mapper:
    """Computes maps pair by pair.

    Args:
        metrics: by the text that asked for them, on the device of ``options``.
        options: the settings of an evaluation.
        scales: scales that were asked for; the others are found by :func:`~iqa_registry.maps.kinds.scale_for`.

    Example:
        >>> from iqa_registry.images.pairs import make_pairs
        >>> from iqa_registry.maps.kinds import ERRORS
        >>> pairs = make_pairs([(np.full((8, 8), 51, np.uint8), np.zeros((8, 8), np.uint8))])
        >>> found = next(Mapper({"error": ERRORS["error"]()}, Options()).run(pairs))
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
        self._device = choose_device(options.device)
        self._scales = dict(scales or {})
        self._held: dict[str, tuple[Any, Features]] = {}

    def run(
        self, pairs: Sequence[Pair], progress: Callable[[int, int], None] = lambda done, total: None
    ) -> Iterator[LocalMap | FailedMap]:
        """The maps, slice by slice of a volume, volume by volume; what fails is told and the others go on."""
        items = plan_items(pairs, self._options, {metric.dimensions for metric in self._metrics.values()})
        loading = Loader(self._options).batches([[item] for item in items])
        for number, (loaded,) in enumerate(loading):
            progress(number, len(items))
            if isinstance(loaded, Failed):
                yield FailedMap(loaded.item.pair_id, loaded.message)
                continue
            for name, metric in self._metrics.items():
                if loaded.item.axis is None or loaded.item.whole == (metric.dimensions == 3):
                    yield from self._map_safely(name, metric, loaded)
        progress(len(items), len(items))

    def _map_safely(
        self, name: str, metric: FullReferenceMetric, loaded: Loaded
    ) -> list[LocalMap] | list[FailedMap]:
        pair_id = loaded.item.pair_id
        try:
            return self._map(name, metric, loaded)
        except IQAError as error:
            return [FailedMap(pair_id, f"{pair_id}: {error}")]
        except Exception as error:
            text = " ".join(str(error).split())[:200]
            return [FailedMap(pair_id, f"{pair_id}: {name} failed: {type(error).__name__}: {text}")]

    def _map(self, name: str, metric: FullReferenceMetric, loaded: Loaded) -> list[LocalMap]:
        if loaded.reference is None:
            raise NotApplicableError("the pair has no reference image")
        synthesized, reference = (
            tensor[None].to(self._device) for tensor in (loaded.synthesized, loaded.reference)
        )
        if metric.dimensions != synthesized.ndim - 2:
            raise NotApplicableError(
                f"{metric.label} works on volumes here, and a picture has no third dimension"
            )
        metric.check_size(synthesized.shape)
        with torch.inference_mode():
            if name not in self._scales:
                self._scales[name] = scale_for(metric, reference)
            lesions = None if loaded.lesions is None else loaded.lesions[None].to(self._device)
            features = self._reference_features(name, metric, loaded, reference, lesions)
            encoded = metric.encode_with(synthesized, lesions)
            size = tuple(synthesized.shape[2:])
            values = metric.local_map(encoded, features, size)[0, 0].float().cpu().numpy()
        planes = values if loaded.item.whole else values[None]
        return [self._local_map(name, plane, loaded, number) for number, plane in enumerate(planes)]

    def _reference_features(
        self,
        name: str,
        metric: FullReferenceMetric,
        loaded: Loaded,
        reference: Tensor,
        lesions: Tensor | None,
    ) -> Features:
        """The encoding of the reference, kept from the pair before if that had the same one."""
        limits = (loaded.columns["reference_low"], loaded.columns["reference_high"])
        masked = None if lesions is None or not metric.takes_lesions else source_key(loaded.item.pair.mask)
        key = (loaded.item.whole, loaded.item.reference_key, limits, tuple(reference.shape), masked)
        if self._held.get(name, (None,))[0] != key:
            self._held[name] = (key, metric.encode_with(reference, lesions))
        return self._held[name][1]

    def _local_map(self, name: str, plane: Plane, loaded: Loaded, number: int) -> LocalMap:
        """One slice of what was computed; ``number`` counts the slices of a volume that was mapped whole."""
        item = loaded.item
        index = item.slice
        cut: tuple[slice | int, ...] = (slice(None),)
        if item.whole:
            shape = probe_image(grid_source(item.pair)).shape
            index = range(shape[item.axis or 0])[parse_slices(self._options.slices)][number]
            cut = (slice(None), number)
        regions = {
            region: np.asarray(mask[cut][0]) for region, mask in loaded.regions.items() if mask is not None
        }
        images = [
            tensor[cut].numpy() for tensor in (loaded.synthesized, loaded.reference) if tensor is not None
        ]
        return LocalMap(
            name, plane, self._scales[name], item.pair, item.axis, index, images[0], images[1], regions
        )


def grid_source(pair: Pair) -> Source:
    """The image on whose grid the maps lie."""
    return pair.synthesized if pair.reference is None else pair.reference
