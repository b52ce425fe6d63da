"""The run: metrics are started, the plan is made, batch after batch is loaded, scored and stored."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import polars as pl

from iqa_registry.errors import IQAError, UsageError
from iqa_registry.evaluation.alignment import can_align
from iqa_registry.evaluation.chosen import Chosen, as_chosen, built, check_texts
from iqa_registry.evaluation.encoding import Encoder
from iqa_registry.evaluation.items import BOTH_EMPTY, OUTSIDE, Item, Loaded
from iqa_registry.evaluation.loader import Loader
from iqa_registry.evaluation.options import Options, choose_batch_size, choose_device
from iqa_registry.evaluation.plan import make_batches, plan_items
from iqa_registry.evaluation.record import inputs_digest, make_record
from iqa_registry.evaluation.scoring import Row, Scorer
from iqa_registry.evaluation.sets import score_set
from iqa_registry.evaluation.store import MemoryStore, RunFolder, Store
from iqa_registry.evaluation.summary import noted
from iqa_registry.evaluation.watching import Watched, watched
from iqa_registry.inputs import Inputs
from iqa_registry.metrics import DistributionMetric, Metric
from iqa_registry.naming import split_metrics
from iqa_registry.registry import Registry, ResolvedMetric
from iqa_registry.tables.schema import make_table, table_types

Progress = Callable[[float, int], None]
"""Called with the items done (a metric that is done with a batch counts as its part of it) and the items in all."""


def silent(done: float, total: int) -> None:
    """Progress that nobody watches."""


@dataclass(frozen=True, slots=True)
class Started:
    """The metrics of a run: those that are ready on ``device``, and those that cannot start, with the reason."""

    device: str
    ready: list[Metric] = field(default_factory=list)
    failed: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a run gives back.

    Attributes:
        table: the rows, in the order of the pairs.
        failed: the metrics that could not start, with the reason.
        left_out: what was passed over when the inputs were opened, a line each.
        stopped: the first row that was not scored, where the options are strict.
        remarks: what was found of earlier scores in the run folder, a line each.

    The column ``notes`` of the table says what a reader of a score must know; :attr:`notes` says it once.
    """

    table: pl.DataFrame
    failed: dict[str, str] = field(default_factory=dict)
    left_out: Sequence[str] = ()
    stopped: str | None = None
    remarks: Sequence[str] = ()

    @property
    def notes(self) -> list[tuple[str, int]]:
        """The first note of each kind, and how many further ones there are."""
        return noted(self.table)


def evaluate(
    inputs: Inputs,
    metrics: Chosen | Sequence[Chosen] | Started,
    options: Options,
    registry: Registry,
    folder: RunFolder | None = None,
    progress: Progress = silent,
) -> Outcome:
    """Score inputs with metrics.

    Args:
        inputs: what :func:`iqa_registry.inputs.open_inputs` gives.
        metrics: names with parameters (``lpips:net=vgg``), metrics or functions; or what is started already.
        options: the settings.
        registry: where names are looked up.
        folder: keeps the scores, and what it has already is not scored again; by default they stay in memory.
        progress: told the items done and the items in all.

    Raises:
        UsageError: an unknown name, no pairs, no metric that can start, or a run folder of another run.
        IQAError: the folder cannot be written; what it has stays there.

    Example:
        >>> import numpy as np
        >>> from iqa_registry.inputs import open_inputs
        >>> from iqa_registry.registry import build_registry
        >>> image = np.linspace(0, 255, 64 * 64).reshape(64, 64).astype(np.uint8)
        >>> found = evaluate(open_inputs(pairs=[(image // 2, image)]), ["mae"], Options(), build_registry())
        >>> round(found.table["score"][0], 4)
        0.25
    """
    if not isinstance(metrics, Started):
        metrics = start_metrics(registry, metrics, choose_device(options.device))
    run = _Run(inputs, metrics, options.named(inputs.label_names))
    if folder is None:
        return run.execute(MemoryStore(), progress)
    with folder.opened(run.record()) as store:
        return run.execute(store, progress)


def start_metrics(registry: Registry, metrics: Chosen | Sequence[Chosen], device: str) -> Started:
    """Build each metric; one that cannot start is noted with its reason, the others start.

    Args:
        registry: where names are looked up.
        metrics: one or several names, metrics that are built already, and functions; see
            :mod:`iqa_registry.evaluation.chosen`.
        device: where they score.

    Raises:
        UsageError: an unknown name or a wrong parameter, which is wrong usage and stops everything.
    """
    started = Started(device)
    texts: set[str] = set()
    for metric in _wanted(registry, metrics, started):
        if not isinstance(metric, ResolvedMetric):
            started.ready.append(built(metric, device))
            continue
        if metric.text in texts:
            continue
        texts.add(metric.text)
        try:
            started.ready.append(registry.metric(metric, device))
        except UsageError:
            raise
        except IQAError as error:
            _note_failure(started, metric.text, error)
    check_texts(started.ready)
    return started


def _wanted(
    registry: Registry, metrics: Chosen | Sequence[Chosen], started: Started
) -> list[Metric | Callable[..., Any] | ResolvedMetric]:
    """The metrics with their parameters; one whose plugin cannot be imported is noted."""
    wanted: list[Metric | Callable[..., Any] | ResolvedMetric] = []
    for item in as_chosen(metrics):
        for name in split_metrics([item], registry.metrics) if isinstance(item, str) else [item]:
            try:
                wanted.append(registry.resolve_metric(name) if isinstance(name, str) else name)
            except UsageError:
                raise
            except IQAError as error:
                _note_failure(started, str(name), error)
    return wanted


def _note_failure(started: Started, text: str, error: IQAError) -> None:
    reason = str(error)
    started.failed[text] = reason if reason.startswith(text) else f"{text}: {reason}"


class _Run:
    """One evaluation, from pairs to the table."""

    def __init__(self, inputs: Inputs, started: Started, options: Options) -> None:
        if not started.ready:
            raise UsageError("none of the metrics can start: " + "; ".join(started.failed.values()))
        if not inputs.pairs:
            raise UsageError("there are no image pairs to score.")
        self.inputs = inputs
        self.started = started
        self.options = options
        self.sets = [metric for metric in started.ready if isinstance(metric, DistributionMetric)]
        self.metrics = [metric for metric in started.ready if not isinstance(metric, DistributionMetric)]
        self.items = plan_items(inputs.pairs, options, {metric.dimensions for metric in started.ready})
        self._loader = Loader(options, {name for metric in started.ready for name in metric.uses_labels})
        self.batch_size = options.batch_size or self._automatic_batch_size()
        self._batches = make_batches(self.items, self.batch_size)
        self._schema = table_types(pair.groups for pair in inputs.pairs)

    def _automatic_batch_size(self) -> int:
        """From the size of the first image that can be read."""
        for item in self.items[:16]:
            loaded = self._loader.load_safely(item)
            if isinstance(loaded, Loaded) and not item.whole:
                return choose_batch_size(loaded.synthesized[0].numel(), self.started.device)
        return 1

    def record(self) -> dict[str, object]:
        """What ``run.json`` holds."""
        run = {
            "arguments": dict(self.inputs.arguments),
            "batch_size": self.batch_size,
            "device": self.started.device,
        }
        return make_record(self.inputs.pairs, self.started.ready, self.options, run, self.started.failed)

    def execute(self, store: Store, progress: Progress) -> Outcome:
        """Score everything that ``store`` does not have yet."""
        names = [f"{number:06d}" for number in range(len(self._batches))]
        store.expect(names)
        with watched(store, self.items) as files:
            return self._execute(store, names, files, progress)

    def _execute(self, store: Store, names: list[str], files: Watched, progress: Progress) -> Outcome:
        for name, batch in zip(names, self._batches, strict=True):
            if files.is_stale(batch):
                store.discard(name)
        digests = [inputs_digest(batch) for batch in self._batches]
        kept = [store.get(name, digest) for name, digest in zip(names, digests, strict=True)]
        todo = {
            number: missing
            for number, batch in enumerate(self._batches)
            if (missing := self._missing(batch, kept[number]))
        }
        finished = [batch for number, batch in enumerate(self._batches) if number not in todo]
        for batch in finished:
            files.add(batch, scored=True)
        done = sum(map(len, finished))
        progress(done, len(self.items))
        scorer = Scorer(self.metrics, self.options, self.started.device)
        loading = self._loader.batches([self._batches[number] for number in todo])
        stopped = None
        for (number, metrics), loaded in zip(todo.items(), loading, strict=True):
            files.add(self._batches[number])
            rows = self._frame(scorer.score(loaded, metrics, _stepper(progress, done, len(self.items))))
            earlier = kept[number]
            if earlier is not None:
                again = [metric.text for metric in metrics]
                # Scores of an earlier version may lack a column.
                rows = pl.concat(
                    [earlier.filter(~pl.col("metric").is_in(again)), rows], how="diagonal_relaxed"
                ).select(rows.columns)
            store.put(names[number], digests[number], rows)
            done += len(self._batches[number])
            progress(done, len(self.items))
            stopped = _first_failure(rows) if self.options.strict else None
            if stopped:
                break
        loading.close()
        names += self._score_sets(store, files) if not stopped else []
        table = store.table(names, [metric.text for metric in self.started.ready])
        remarks = [*store.remarks, *files.remarks, *self._not_aligned()]
        return Outcome(table, self.started.failed, self.inputs.left_out, stopped, remarks)

    def _not_aligned(self) -> list[str]:
        names = [metric.text for metric in self.started.ready if not can_align(metric)]
        if not names or not self.options.align:
            return []
        return [f"{', '.join(names)}: no aligned scores, which need a metric that compares 2-D images."]

    def _missing(self, batch: Sequence[Item], rows: pl.DataFrame | None) -> list[Metric]:
        """The metrics that have no row yet for some item, or a row of status ``error``, which is tried again."""
        metrics = [m for m in self.metrics if any(item.suits(m.dimensions) for item in batch)]
        if rows is None:
            return metrics
        there = set(rows.select("metric", "order").unique().rows())
        failed = set(rows.filter(pl.col("status") == "error")["metric"])
        return [
            metric
            for metric in metrics
            if metric.text in failed
            or any((metric.text, item.order) not in there for item in batch if item.suits(metric.dimensions))
        ]

    def _score_sets(self, store: Store, files: Watched) -> list[str]:
        names = []
        encoder = Encoder(self.sets, self.started.device, self.options.precision)
        digest = hashlib.sha256("".join(inputs_digest([item]) for item in self.items).encode()).hexdigest()
        tasks = [(metric, *part) for metric in self.sets for part in self._set_parts(metric)]
        stale = files.is_stale(self.items)
        for number, (metric, plane, batches) in enumerate(tasks):
            name = f"set-{number:03d}-{hashlib.sha256(metric.text.encode()).hexdigest()[:8]}"
            names.append(name)
            if stale:
                store.discard(name)
            earlier = store.get(name, digest)
            if earlier is None or "error" in earlier["status"]:
                row = score_set(metric, batches, self._loader, encoder, plane)
                store.put(name, digest, self._frame([row | {"order": len(self.items)}]))
        return names

    def _set_parts(self, metric: DistributionMetric) -> list[tuple[str | None, list[list[Item]]]]:
        """The batches that are one set: where there are several planes, the slices of each are one of their own."""
        if len(self.options.axes) == 1 or metric.dimensions == 3:
            return [(None, self._batches)]
        slices = [[item for item in batch if not item.whole] for batch in self._batches]
        planes = dict.fromkeys(item.plane for batch in slices for item in batch)
        return [
            (plane, [[item for item in batch if item.plane == plane] for batch in slices]) for plane in planes
        ]

    def _frame(self, rows: list[Row]) -> pl.DataFrame:
        frame = make_table(rows, self._schema)
        return frame.with_columns(pl.col("status").fill_null("error")).sort("order", maintain_order=True)


def _first_failure(rows: pl.DataFrame) -> str | None:
    """The first error, or pair that a metric scored in no region; what counts as scored is as in the exit code."""
    rows = rows.filter(pl.col("component") == "")
    status = pl.col("status")
    scored = (status == "ok").any().over("metric", "pair_id")
    harmless = pl.col("message").is_in([BOTH_EMPTY, OUTSIDE]).fill_null(False)
    failed = rows.filter((status == "error") | (~scored & ~harmless))
    if failed.is_empty():
        return None
    return f"{failed['pair_id'][0]}: {failed['metric'][0]}: {failed['message'][0]}"


def _stepper(progress: Progress, done: int, total: int) -> Callable[[float], None]:
    """Report progress within a batch, from ``done`` items on."""
    so_far = float(done)

    def step(pairs: float) -> None:
        nonlocal so_far
        so_far += pairs
        progress(so_far, total)

    return step
