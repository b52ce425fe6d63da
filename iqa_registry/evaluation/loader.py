"""From an item of the plan to tensors in [0, 1]: reading, checking, bringing to one grid and one scale."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Generator, Iterable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from typing import Any, Generic, TypeVar

import numpy as np
import torch
from torch import Tensor

from iqa_registry.errors import GeometryError, ImageError, IntensityError, IQAError
from iqa_registry.evaluation.gaps import Gaps, Reason, check_gaps, fill_gaps, find_broken, restrict_regions
from iqa_registry.evaluation.items import BOTH_EMPTY, VOLUME_BUDGET, WHOLE_IMAGE, Failed, Item, Loaded
from iqa_registry.evaluation.observing import equal_note, is_empty
from iqa_registry.evaluation.options import Options, format_slices
from iqa_registry.evaluation.regions import read_regions
from iqa_registry.images.coverage import check_coverage, common_valid, outside_share, resample_covered
from iqa_registry.images.formats import Image, Source, read_scan, source_key, take_section
from iqa_registry.images.geometry import check_affines, check_sizes, crop_common, on_stored_grid, resize_to
from iqa_registry.images.intensity import Limits, apply_limits, check_scales, resolve_limits
from iqa_registry.images.notes import Note, join_notes
from iqa_registry.images.pair import Pair
from iqa_registry.images.scale_notes import scale_notes

T = TypeVar("T")
IMAGES_HELD = 32


@dataclass(slots=True)
class _Prepared:
    """A pair on one grid, with the limits of its intensity rule."""

    synthesized: Image
    reference: Image | None
    limits: Limits
    masks: dict[str, np.ndarray] = field(default_factory=dict)
    labels: dict[str, np.ndarray] = field(default_factory=dict)
    gaps: Gaps | None = None
    notes: tuple[Note, ...] = ()
    backgrounds: tuple[float, float] | None = None

    @property
    def nbytes(self) -> int:
        arrays = [self.synthesized.pixels, *self.masks.values(), *self.labels.values()]
        return sum(array.nbytes for array in arrays)


class _Cache(Generic[T]):
    """A small least-recently-used cache that several threads may fill; each key is made once."""

    def __init__(self, capacity: int, weight: Callable[[T], int]) -> None:
        self._capacity = capacity
        self._weight = weight
        self._lock = threading.Lock()
        self._entries: OrderedDict[Any, Future[T]] = OrderedDict()

    def get(self, key: Any, make: Callable[[], T]) -> T:
        with self._lock:
            future = self._entries.get(key)
            mine = future is None
            if future is None:
                future = self._entries[key] = Future()
            self._entries.move_to_end(key)
        if mine:
            try:
                future.set_result(make())
            except BaseException as error:
                future.set_exception(error)
            self._trim()
        return future.result()

    def _trim(self) -> None:
        with self._lock:
            done = [(key, item) for key, item in self._entries.items() if item.done()]
            failed = max(1, self._capacity // 64)
            weights = {key: failed if item.exception() else self._weight(item.result()) for key, item in done}
            total = sum(weights.values())
            # The newest entry stays however large it is: the caller is about to use it.
            for key, _ in done[:-1]:
                if total <= self._capacity:
                    break
                total -= weights[key]
                del self._entries[key]


class Loader:
    """Reads items; keeps a bounded number of references and volumes at hand.

    Args:
        options: how images are read.
        labels: names of the labels that the run's metrics look at, see ``Options.use_labels``.

    Example:
        >>> from iqa_registry.images.pairs import make_pairs
        >>> from iqa_registry.evaluation.plan import plan_items
        >>> image = np.linspace(0, 255, 64, dtype=np.uint8).reshape(8, 8)
        >>> item = plan_items(make_pairs([(image, image)]), Options(), {2})[0]
        >>> float(Loader(Options()).load(item).synthesized.max())
        1.0
    """

    def __init__(self, options: Options, labels: Iterable[str] = ()) -> None:
        self._options = options
        self._labels = [name for name in labels if options.use_labels and name in options.label_names]
        self._images: _Cache[Image] = _Cache(IMAGES_HELD, lambda image: 1)
        self._volumes: _Cache[_Prepared] = _Cache(VOLUME_BUDGET, lambda prepared: prepared.nbytes)
        self._references: _Cache[Image] = _Cache(VOLUME_BUDGET // 2, lambda image: image.pixels.nbytes)

    def batches(self, batches: Sequence[Sequence[Item]]) -> Generator[list[Loaded | Failed], None, None]:
        """Load batch after batch, ``workers`` threads reading at most two batches ahead."""
        if self._options.workers == 0:
            for batch in batches:
                yield [self.load_safely(item) for item in batch]
            return
        with ThreadPoolExecutor(self._options.workers, thread_name_prefix="iqa-read") as pool:
            waiting: list[list[Future[Loaded | Failed]]] = []
            try:
                for batch in batches:
                    waiting.append([pool.submit(self.load_safely, item) for item in batch])
                    if len(waiting) > 2:
                        yield [future.result() for future in waiting.pop(0)]
                while waiting:
                    yield [future.result() for future in waiting.pop(0)]
            finally:
                for future in [future for futures in waiting for future in futures]:
                    future.cancel()

    def load_safely(self, item: Item) -> Loaded | Failed:
        """Load an item; a failure of any kind becomes a :class:`Failed`, so that the run goes on."""
        try:
            return self.load(item)
        except IQAError as error:
            return Failed(item, str(error))
        except Exception as error:
            return Failed(item, f"{item.pair_id}: {type(error).__name__}: {error}")

    def load(self, item: Item) -> Loaded:
        """Load one item.

        Raises:
            ImageError: an image that cannot be read, or contains NaN.
            GeometryError: sizes or affines that differ.
            IntensityError: values that do not fit the intensity rule.
        """
        prepared = self._prepare(item)
        if item.axis is None and prepared.synthesized.is_volume:
            raise ImageError(
                f"{item.pair_id}: the synthesized image is a volume and the reference is a 2-D image."
            )
        gaps = prepared.gaps
        valid = None if gaps is None else self._cut_mask(gaps.valid, item)
        synthesized, clipped = self._scaled(prepared.synthesized, item, prepared.limits.synthesized, valid)
        reference, clipped_reference = None, None
        if prepared.reference is not None:
            reference, clipped_reference = self._scaled(
                prepared.reference, item, prepared.limits.reference, valid
            )
            synthesized, reference = _equal_channels(synthesized, reference)
        regions: dict[str, Tensor | None] = {WHOLE_IMAGE: None}
        for name, mask in prepared.masks.items():
            regions[name] = self._cut_mask(mask, item)
        labels = {name: self._cut_mask(mask, item) for name, mask in prepared.labels.items()}
        columns = _limit_columns(prepared.limits, clipped, clipped_reference)
        notes, reasons = self._observe(prepared, item, synthesized, reference, regions)
        columns["notes"] = join_notes(notes)
        if gaps is None or valid is None or valid.all():
            return Loaded(item, synthesized, reference, regions, columns, labels, reasons)
        columns["outside_share"] = outside_share(valid.numpy())
        synthesized, reference = fill_gaps(synthesized, reference, valid)
        regions, missing = restrict_regions(regions, valid, gaps)
        return Loaded(item, synthesized, reference, regions, columns, labels, {**missing, **reasons})

    def _observe(
        self,
        prepared: _Prepared,
        item: Item,
        synthesized: Tensor,
        reference: Tensor | None,
        regions: Iterable[str],
    ) -> tuple[tuple[Note, ...], dict[str, Reason]]:
        """What is to be said of an item, and why it is not scored if it shows nothing."""
        if prepared.reference is None or reference is None:
            return prepared.notes, {}
        stored = self._cut(prepared.synthesized, item), self._cut(prepared.reference, item)
        low, high = prepared.backgrounds if prepared.backgrounds and item.slice is not None else (None, None)
        if is_empty(synthesized, stored[0], low) and is_empty(reference, stored[1], high):
            skip = self._options.empty == "skip"
            return prepared.notes, dict.fromkeys(regions, ("not_applicable", BOTH_EMPTY)) if skip else {}
        return (*prepared.notes, *equal_note(item.pair_id, (synthesized, reference), stored)), {}

    def _prepare(self, item: Item) -> _Prepared:
        if item.axis is None:
            return self._make_prepared(item.pair, self._images)
        return self._volumes.get(
            _cache_key(item.pair), lambda: self._make_prepared(item.pair, self._references)
        )

    def _make_prepared(self, pair: Pair, held: _Cache[Image]) -> _Prepared:
        synthesized = read_scan(pair.synthesized)
        reference = None if pair.reference is None else _read_held(pair.reference, held)
        images = [synthesized] if reference is None else [synthesized, reference]
        broken = find_broken(synthesized, reference)
        if reference is not None:
            synthesized, reference = self._on_one_grid(synthesized, reference, pair)
            if not self._options.allow_scale_mismatch:
                check_scales(synthesized, reference, self._options.rule)
        limits = resolve_limits(self._options.rule, synthesized, reference)
        like = synthesized if reference is None else reference
        masks, labels, notes = read_regions(pair, like, images, self._options, self._labels)
        check_gaps(broken, self._options.nan, bool(masks))
        valid = common_valid(synthesized, reference)
        gaps = None if valid is None else Gaps.of(valid, broken, self._options.nan)
        notes += scale_notes(limits, synthesized, reference)
        notes += tuple(
            note for image in (synthesized, reference) if image is not None for note in image.notes
        )
        backgrounds = None
        if reference is not None and reference.is_volume:
            backgrounds = float(synthesized.pixels.min()), float(reference.pixels.min())
        return _Prepared(synthesized, reference, limits, masks, labels, gaps, notes, backgrounds)

    def _on_one_grid(self, synthesized: Image, reference: Image, pair: Pair) -> tuple[Image, Image]:
        if synthesized.is_volume != reference.is_volume:
            kinds = {True: "a volume", False: "a 2-D image"}
            raise GeometryError(
                f"{pair.pair_id}: {synthesized.name} is {kinds[synthesized.is_volume]}, "
                f"{reference.name} is {kinds[reference.is_volume]}."
            )
        if self._options.resample and synthesized.is_volume:
            resampled = resample_covered(synthesized, reference)
            return check_coverage(resampled, synthesized, reference), reference
        if self._options.geometry == "ignore" and synthesized.is_volume:
            return on_stored_grid(synthesized, reference), reference
        check_affines(synthesized, reference)
        if synthesized.is_volume or not (self._options.resize or self._options.crop):
            check_sizes(synthesized, reference)
            return synthesized, reference
        # The pixels that are left are others, so that those without data cannot be set aside.
        check_gaps(find_broken(synthesized, reference), "error", False)
        if self._options.resize:
            pixels = resize_to(synthesized.pixels, reference.pixels.shape[-2:])
            return replace(synthesized, pixels=pixels), reference
        first, second = crop_common(synthesized.pixels, reference.pixels)
        return replace(synthesized, pixels=first), replace(reference, pixels=second)

    def _scaled(
        self, image: Image, item: Item, limits: tuple[float, float], valid: Tensor | None
    ) -> tuple[Tensor, float]:
        stored = self._cut(image, item)
        pixels, clipped = apply_limits(stored, limits)
        if valid is not None and not valid.all():
            _, clipped = apply_limits(stored[np.broadcast_to(valid.numpy(), stored.shape)], limits)
        if clipped and self._options.out_of_range == "error":
            raise IntensityError(
                f"{image.name}: {clipped:.2%} of the pixels lie outside [{limits[0]:.5g}, {limits[1]:.5g}]; "
                "choose another --intensity, or --out-of-range clip."
            )
        return torch.from_numpy(pixels), clipped

    def _cut_mask(self, mask: np.ndarray, item: Item) -> Tensor:
        return torch.from_numpy(np.ascontiguousarray(self._cut(mask, item)))

    def _cut(self, image: Image | np.ndarray, item: Item) -> np.ndarray:
        """The part of an image (or of a mask in the same layout) that the item is about."""
        pixels, name = (image, "mask") if isinstance(image, np.ndarray) else (image.pixels, image.name)
        if item.axis is None:
            return pixels[None] if isinstance(image, np.ndarray) else pixels
        length = pixels.shape[item.axis]
        if not item.sections or max(item.sections) >= length:
            wanted = format_slices(self._options.slices) or item.pair.slices
            raise ImageError(
                f"{name}: none of its {length} slices is in {wanted}. Choose others with --slices."
            )
        sections = [take_section(pixels, item.axis, index) for index in item.sections]
        return np.stack(sections)[None] if item.whole else sections[0][None]


def _read_held(source: Source, held: _Cache[Image]) -> Image:
    key = source_key(source)
    # Arrays are in memory already.
    return held.get(key, lambda: read_scan(source)) if isinstance(key, str) else read_scan(source)


def _cache_key(pair: Pair) -> tuple[str | int, ...]:
    return tuple(source_key(source) for source in (pair.synthesized, pair.reference, pair.mask, pair.labels))


def _equal_channels(synthesized: Tensor, reference: Tensor) -> tuple[Tensor, Tensor]:
    """A gray image against a color one is scored in color, its channel repeated."""
    if synthesized.ndim == 3 and synthesized.shape[0] != reference.shape[0]:
        shape = torch.broadcast_shapes(synthesized.shape, reference.shape)
        return synthesized.expand(shape).contiguous(), reference.expand(shape).contiguous()
    return synthesized, reference


def _limit_columns(limits: Limits, clipped: float, clipped_reference: float | None) -> dict[str, Any]:
    return {
        "intensity": limits.rule,
        "synthesized_low": limits.synthesized[0],
        "synthesized_high": limits.synthesized[1],
        "reference_low": limits.reference[0],
        "reference_high": limits.reference[1],
        "clipped": clipped,
        "clipped_reference": clipped_reference,
    }
