"""The run: metrics are started, the plan is made, batch after batch is loaded, scored and stored."""

from __future__ import annotations

import hashlib
import platform
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from importlib import metadata
from pathlib import Path
from typing import Any

import polars as pl

from iqa_registry.errors import ImageError, IQAError, UsageError
from iqa_registry.evaluation import distribution
from iqa_registry.evaluation.loader import Loaded, Loader
from iqa_registry.evaluation.options import Options, choose_batch_size, choose_device
from iqa_registry.evaluation.plan import Item, make_batches, plan_items
from iqa_registry.evaluation.scoring import NamedMetric, Row, Scorer, concerns
from iqa_registry.evaluation.store import Store
from iqa_registry.images.formats import LazyImage
from iqa_registry.images.pairs import Pair
from iqa_registry.metrics import DistributionMetric
from iqa_registry.registry import Registry
from iqa_registry.tables.schema import make_table, table_types

Progress = Callable[[float, int], None]
"""Called with the items done (a metric that is done with a batch counts as its part of it) and the items in all."""


@dataclass(slots=True)
class Started:
    """The metrics of a run: those that are ready, and those that cannot start, with the reason."""

    ready: list[NamedMetric] = field(default_factory=list)
    failed: dict[str, str] = field(default_factory=dict)
    weights: dict[str, dict[str, str]] = field(default_factory=dict)

    @property
    def of_pairs(self) -> list[NamedMetric]:
        """The metrics that give a score to each pair."""
        return [item for item in self.ready if not isinstance(item.metric, DistributionMetric)]

    @property
    def of_sets(self) -> list[NamedMetric]:
        """The metrics that give a score to a whole set."""
        return [item for item in self.ready if isinstance(item.metric, DistributionMetric)]


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a run gives back: the table, and the pairs whose residual shift reaches a pixel."""

    table: pl.DataFrame
    stopped: str | None = None


class Run:
    """One evaluation, from pairs to the table.

    Args:
        pairs: what to score.
        started: the metrics, see :func:`start_metrics`.
        options: the settings.
        device: where the metrics are.
    """

    def __init__(self, pairs: Sequence[Pair], started: Started, options: Options, device: str) -> None:
        if not started.ready:
            raise UsageError("none of the metrics can start: " + "; ".join(started.failed.values()))
        if not pairs:
            raise UsageError("there are no image pairs to score.")
        self.pairs = pairs
        self.started = started
        self.options = options
        self.device = device
        dimensions = {item.metric.dimensions for item in started.ready}
        self.items = plan_items(pairs, options, dimensions)
        self._loader = Loader(options)
        self.batch_size = options.batch_size or self._automatic_batch_size()
        self._schema = table_types(pair.groups for pair in pairs)

    def _automatic_batch_size(self) -> int:
        """From the size of the first image that can be read."""
        for item in self.items[:16]:
            loaded = self._loader.load_safely(item)
            if isinstance(loaded, Loaded) and not item.whole:
                return choose_batch_size(loaded.synthesized[0].numel(), self.device)
        return 1

    def record(self, arguments: Mapping[str, Any]) -> dict[str, Any]:
        """What ``run.json`` holds; ``fixed`` is what a resumed run must agree with."""
        packages = ("iqa-registry", "torch", "torchvision", "numpy")
        metrics = {
            item.text: {
                "configuration": item.metric.configuration,
                "weights": self.started.weights[item.text],
            }
            for item in self.started.ready
        }
        plugins = {str(item.metric.spec.origin) for item in self.started.ready if item.metric.spec}
        fixed = {
            "arguments": dict(arguments),
            "options": self.options.recorded(),
            "metrics": metrics,
            "pairs": {"count": len(self.pairs), "digest": _pairs_digest(self.pairs)},
            "batch_size": self.batch_size,
            "device": self.device,
            "versions": {name: metadata.version(name) for name in packages} | {"plugins": sorted(plugins)},
        }
        return {"fixed": fixed, "not_started": self.started.failed, "python": platform.python_version()}

    def execute(self, store: Store, progress: Progress = lambda done, total: None) -> Outcome:
        """Score everything that ``store`` does not have yet.

        Returns:
            The table in the order of the pairs.

        Raises:
            IQAError: the store cannot be written; what it has stays there.
        """
        batches = make_batches(self.items, self.batch_size)
        names = [f"{number:06d}" for number in range(len(batches))]
        store.expect(names)
        digests = [_inputs_digest(batch) for batch in batches]
        kept = [store.get(name, digest) for name, digest in zip(names, digests, strict=True)]
        todo = [(number, self._missing(batches[number], kept[number])) for number in range(len(batches))]
        done = sum(len(batches[number]) for number, metrics in todo if not metrics)
        todo = [(number, metrics) for number, metrics in todo if metrics]
        progress(done, len(self.items))
        scorer = Scorer(self.started.of_pairs, self.options, self.device)
        loading = self._loader.batches([batches[number] for number, _ in todo])
        stopped = None
        for (number, metrics), loaded in zip(todo, loading, strict=True):
            rows = self._frame(scorer.score(loaded, metrics, _stepper(progress, done, len(self.items))))
            earlier = kept[number]
            if earlier is not None:
                again = [item.text for item in metrics]
                rows = pl.concat([earlier.filter(~pl.col("metric").is_in(again)), rows])
            store.put(names[number], digests[number], rows)
            done += len(batches[number])
            progress(done, len(self.items))
            stopped = self._first_failure(rows) if self.options.strict else None
            if stopped:
                break
        loading.close()
        names += self._score_sets(store) if not stopped else []
        table = store.table(names, [item.text for item in self.started.ready])
        return Outcome(table, stopped)

    def _missing(self, batch: Sequence[Item], rows: pl.DataFrame | None) -> list[NamedMetric]:
        """The metrics that have no row yet for some item, or a row of status ``error``, which is tried again."""
        metrics = [item for item in self.started.of_pairs if any(concerns(one, item) for one in batch)]
        if rows is None:
            return metrics
        there = set(rows["metric"])
        failed = set(rows.filter(pl.col("status") == "error")["metric"])
        return [item for item in metrics if item.text not in there or item.text in failed]

    def _score_sets(self, store: Store) -> list[str]:
        names = []
        digest = hashlib.sha256("".join(_inputs_digest([item]) for item in self.items).encode()).hexdigest()
        for number, named in enumerate(self.started.of_sets):
            name = f"set-{number:03d}-{hashlib.sha256(named.text.encode()).hexdigest()[:8]}"
            names.append(name)
            earlier = store.get(name, digest)
            if earlier is None or "error" in earlier["status"]:
                batches = make_batches(self.items, self.batch_size)
                row = distribution.score_set(named, batches, self._loader, self.device)
                store.put(name, digest, self._frame([row | {"order": len(self.items)}]))
        return names

    def _frame(self, rows: list[Row]) -> pl.DataFrame:
        frame = make_table(rows, self._schema)
        return frame.with_columns(pl.col("status").fill_null("error")).sort("order", maintain_order=True)

    def _first_failure(self, rows: pl.DataFrame) -> str | None:
        failed = rows.filter(pl.col("status") != "ok")
        return (
            None
            if failed.is_empty()
            else f"{failed['pair_id'][0]}: {failed['metric'][0]}: {failed['message'][0]}"
        )


def _stepper(progress: Progress, done: int, total: int) -> Callable[[float], None]:
    """Report progress within a batch, from ``done`` items on."""
    so_far = float(done)

    def step(pairs: float) -> None:
        nonlocal so_far
        so_far += pairs
        progress(so_far, total)

    return step


def start_metrics(registry: Registry, texts: Sequence[str], device: str) -> Started:
    """Build each metric; one that cannot start is noted with its reason, the others go on.

    Raises:
        UsageError: an unknown name or a wrong parameter, which is wrong usage and stops everything.
    """
    started = Started()
    resolved = {item.text: item for item in (registry.resolve_metric(text) for text in texts)}
    for text, metric in resolved.items():
        try:
            built = registry.metric(metric, device)
            declared = {name: registry.weights.loaded.get(name, "") for name in metric.weights}
            started.ready.append(NamedMetric(text, built))
            started.weights[text] = declared | dict(built.weights_used)
        except UsageError:
            raise
        except IQAError as error:
            started.failed[text] = f"{text}: {error}"
    return started


def _pairs_digest(pairs: Sequence[Pair]) -> str:
    digest = hashlib.sha256()
    for pair in pairs:
        digest.update(
            repr((pair.pair_id, *map(_source_name, _sources(pair)), sorted(pair.groups.items()))).encode()
        )
    return digest.hexdigest()


def _sources(pair: Pair) -> tuple[Any, Any, Any]:
    return pair.synthesized, pair.reference, pair.mask


def _source_name(source: Any) -> str:
    if isinstance(source, LazyImage):
        return source.key
    return str(Path(source).resolve()) if isinstance(source, str | Path) else type(source).__name__


def _inputs_digest(batch: Sequence[Item]) -> str:
    """What the files of a batch are now; a part made from other files is computed again."""
    digest = hashlib.sha256()
    for item in batch:
        digest.update(repr((item.order, item.pair_id)).encode())
        for source in _sources(item.pair):
            digest.update(_source_state(source))
    return digest.hexdigest()


def _source_state(source: Any) -> bytes:
    if source is None:
        return b"-"
    if isinstance(source, LazyImage):
        return source.key.encode()
    if not isinstance(source, str | Path):
        return hashlib.sha256(memoryview(source).cast("B") if hasattr(source, "dtype") else b"").digest()
    try:
        state = Path(source).stat()
    except OSError:
        return b"absent"
    return repr((str(source), state.st_size, state.st_mtime_ns)).encode()


__all__ = ["ImageError", "Outcome", "Run", "Started", "choose_device", "start_metrics"]
