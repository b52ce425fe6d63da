"""The Python interface: :func:`metric`, :func:`evaluate` and :func:`agree`."""

from __future__ import annotations

import math
import warnings
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

from iqa_registry.errors import IQAError, UsageError, nearest
from iqa_registry.evaluation.options import OptionFields
from iqa_registry.registry import Registry, build_registry
from iqa_registry.tables.frame import Table

if TYPE_CHECKING:
    from typing_extensions import Unpack

    from iqa_registry.agreement.judging import SettingFields
    from iqa_registry.evaluation.finishing import Units
    from iqa_registry.evaluation.options import Options
    from iqa_registry.evaluation.pooling import Level
    from iqa_registry.inputs import Inputs
    from iqa_registry.local_maps import LocalMap
    from iqa_registry.metrics import Metric


def metric(
    name: str,
    device: str = "cpu",
    registry: Registry | None = None,
    *,
    value_range: tuple[float, float] | None = None,
    check: bool | None = None,
) -> Metric:
    """Build a metric, ready to score.

    Args:
        name: ``NAME`` or ``NAME:KEY=VALUE,...``, such as ``lpips:net=vgg``; ``iqa list`` shows all.
        device: ``cpu``, ``cuda`` or ``cuda:N``.
        registry: where to look it up; by default a new registry of the installed plugins.
        value_range: lowest and highest value of the images, [0, 1] by default; ``(-1, 1)`` for the output of tanh.
        check: whether images with NaN or with values outside the range are rejected, which waits for the device;
            they are by default, except in a graph compiled by ``torch.compile``.

    Returns:
        A module: full-reference metrics take ``(synthesized, reference, mask=None)``, the images ``(N, C, H, W)`` in
        [0, 1], and return ``(N,)`` scores. It is differentiable where its declaration says so, and its method
        ``as_loss`` makes it a loss.

    Raises:
        UnknownNameError: no such metric; the nearest names are offered.
        ParameterError: a parameter that it does not have, or a value that it does not take.
        WeightsError: a weight file that is missing, or is not what was declared.
        MissingExtraError: a package that is not installed.

    Example:
        >>> import torch
        >>> reference = torch.linspace(0, 1, 32 * 32).reshape(1, 1, 32, 32)
        >>> round(float(metric("psnr")((reference - 0.1).clamp(0, 1), reference)), 3)
        20.302
    """
    built = (registry or build_registry()).metric(name, device)
    return built if value_range is None and check is None else built.in_range(value_range, check)


class EvaluateFields(OptionFields, total=False):
    """The keyword arguments of :func:`evaluate` beside those that it names itself."""

    synthesized: Any
    reference: Any
    mask: Any
    labels: Any
    dataset: Any


class ScoreFields(EvaluateFields, total=False):
    """What :func:`evaluate` takes besides: how its table is handed back."""

    pool: Level | None
    units: Units
    group_by: str | Sequence[str]


def evaluate(
    pairs: Any = None,
    metrics: Any = None,
    *,
    output: str | Path | None = None,
    fresh: bool = False,
    verify: bool = False,
    registry: Registry | None = None,
    progress: bool | None = None,
    **options: Unpack[ScoreFields],
) -> Table:
    """Score image pairs with several metrics.

    An image is a path, an array in any memory order, a tensor, nested lists, or an image of nibabel, SimpleITK, MONAI
    or PIL; so are masks and label maps.

    Args:
        pairs: one pair ``(synthesized, reference)`` or ``(synthesized, reference, mask)``, or a list of these, of dicts
            or of :class:`~iqa_registry.images.pairs.Pair` objects; a pandas or polars table with these columns, whose
            further columns become groups; a manifest (CSV or Parquet); a dataset, also as text (``phantom:pairs=2``).
            A tuple of two folders is paired by name. By default the bundled sample.
        metrics: names (see :func:`metric`), metrics that are built already, and functions of
            ``(synthesized, reference)``, each ``(N, C, H, W)`` in [0, 1], that return ``(N,)`` or one number; one or
            several. By default psnr and ssim.
        output: a run folder; repeat the call to resume an interrupted run. By default the scores stay in memory.
        fresh: discard what is in the run folder.
        verify: read every file again, and score again where one holds something else than when it was scored.
        registry: where to look the metrics up.
        progress: by default a bar on terminals and in notebooks, and a line now and then in the log of a long run.
        **options: ``synthesized`` and ``reference`` (with ``mask`` and ``labels``) in place of ``pairs``: images or
            folders; and the fields of :class:`~iqa_registry.evaluation.options.Options`: ``intensity``, ``layout``,
            ``axis``, ``planes``, ``slices``, ``foreground``, ``regions``, ``align``, ``device`` and so on. What is
            handed back: ``pool="volume"`` or ``"subject"`` adds the means of slices, weighted by the pixels of the
            region, with the column ``level``, keeping apart the values of the columns ``group_by``; and
            ``units="native"`` gives the errors in the unit of the stored values (HU), without the metrics that have
            none. A run folder keeps the rows as they were scored. What a reader must know is a warning.

    Returns:
        A polars table with one row per pair, metric and region: ``pair_id, subject, slice, region, metric, score,
        status, message`` and what led to it. ``.to_pandas()`` gives one of pandas.

    Raises:
        UsageError: an unknown metric, parameter or option, or something that is not a pair.
        IQAError: a metric that cannot start, or a run folder that cannot be written.

    Example:
        >>> import numpy as np
        >>> reference = np.linspace(0, 255, 64 * 64).reshape(64, 64).astype(np.uint8)
        >>> table = evaluate((reference // 2, reference), "mae")
        >>> round(table["score"][0], 4), table["status"][0]
        (0.25, 'ok')
        >>> def largest(synthesized, reference):
        ...     return (synthesized - reference).abs().amax((1, 2, 3))
        >>> table = evaluate([(reference // 2, reference)], ["mae", largest])
        >>> table["metric"].to_list(), round(table["score"][1], 4)
        (['mae', 'largest'], 0.502)
    """
    from iqa_registry.evaluation.chosen import DEFAULT_METRICS
    from iqa_registry.evaluation.evaluate import evaluate as run
    from iqa_registry.evaluation.evaluate import start_metrics
    from iqa_registry.evaluation.finishing import check_finish, finish
    from iqa_registry.evaluation.options import choose_device
    from iqa_registry.evaluation.store import RunFolder
    from iqa_registry.images.layouts import check_layouts
    from iqa_registry.progress import progress_bar

    registry = registry or build_registry()
    given: dict[str, Any] = dict(options)
    level, units, groups = given.pop("pool", None), given.pop("units", "scaled"), given.pop("group_by", ())
    check_finish(level, units)
    inputs, settings = _open(pairs, given, registry)
    started = start_metrics(
        registry, DEFAULT_METRICS if metrics is None else metrics, choose_device(settings.device)
    )
    if started.failed:
        raise IQAError("; ".join(started.failed.values()))
    check_layouts(inputs.pairs, settings.layout, {item.dimensions for item in started.ready})
    folder = None if output is None else RunFolder(Path(output), fresh, verify)
    with progress_bar("scoring", show=progress) as report:
        outcome = run(inputs, started, settings, registry, folder, report)
    table, notes = finish(outcome.table, level, units, [groups] if isinstance(groups, str) else groups)
    for note in (*outcome.remarks, *notes):
        warnings.warn(note, stacklevel=2)
    return Table(table)


def maps(
    pairs: Any = None,
    metrics: str | Sequence[str] = ("error",),
    *,
    registry: Registry | None = None,
    **options: Unpack[EvaluateFields],
) -> Iterator[LocalMap]:
    """Map where images differ from their references.

    Args:
        pairs: as for :func:`evaluate`.
        metrics: ``error`` (absolute), ``signed-error``, or metrics that provide a map (``lpips:net=vgg``).
        registry: where to look the metrics up.
        **options: as for :func:`evaluate`.

    Yields:
        A :class:`~iqa_registry.local_maps.LocalMap` for each 2-D image or slice and each metric; its ``values`` are
        ``(H, W)`` float32, NaN where the map is not defined.

    Raises:
        UsageError: a metric without a map, or an unknown metric, parameter or option.
        IQAError: a metric that cannot start.
        ImageError: a pair that cannot be read or does not fit.

    Example:
        >>> import numpy as np
        >>> reference = np.linspace(0, 255, 64 * 64).reshape(64, 64).astype(np.uint8)
        >>> found = next(maps([(reference // 2, reference)], "error"))
        >>> round(float(found.values.mean()), 4), found.values.shape
        (0.25, (64, 64))
    """
    from iqa_registry.images.layouts import check_layouts
    from iqa_registry.local_maps import draw_maps

    registry = registry or build_registry()
    inputs, settings = _open(pairs, options, registry)
    check_layouts(inputs.pairs, settings.layout, {2})
    return draw_maps(inputs, [metrics] if isinstance(metrics, str) else list(metrics), settings, registry)


def _open(pairs: Any, options: Mapping[str, Any], registry: Registry) -> tuple[Inputs, Options]:
    """The inputs and the settings that a call names."""
    from iqa_registry.evaluation.options import make_options
    from iqa_registry.inputs import open_inputs

    given = dict(options)
    images = {
        role: given.pop(role, None) for role in ("synthesized", "reference", "mask", "labels", "dataset")
    }
    settings = make_options(given)
    inputs = open_inputs(**images, pairs=pairs, axis=settings.axis, layout=settings.layout, registry=registry)
    return inputs, settings


def agree(
    scores: Any,
    ratings: Any = None,
    *,
    ranker: str = "levels",
    registry: Registry | None = None,
    **options: Unpack[SettingFields],
) -> Table:
    """Measure how well metrics agree with human ratings.

    Args:
        scores: a run folder, a score table (a polars or pandas frame, long or wide) or its file, or a dataset that
            brings scores (``nirps:PATH``).
        ratings: a table of ratings (polars or pandas) or its file; by default they are in the scores' table.
        ranker: brings scores onto the raters' scale; by default Algorithm 4 of K-CROSS.
        registry: where names are looked up.
        **options: fields of :class:`~iqa_registry.agreement.judging.Settings`: ``group_by``, ``cluster``,
            ``resamples``, ``seed`` and so on.

    Returns:
        A polars table with one row per group and metric, the most consistent first: ``inconsistency``, ``skill``,
        ``srocc`` and so on, each with its 95 % interval (``_low``, ``_high``).

    Raises:
        UsageError: scores, ratings, columns or options that are not there or do not fit.

    Example:
        >>> import polars as pl
        >>> table = pl.DataFrame({"psnr": [20.0, 30.0, 25.0, 22.0], "rating": [0.1, 0.9, 0.3, 0.5]})
        >>> agree(table, resamples=0)["inconsistency"].to_list()
        [0.1]
    """
    import polars as pl

    from iqa_registry.agreement.judging import Settings
    from iqa_registry.agreement.ratings import rate
    from iqa_registry.agreement.report import metric_rows
    from iqa_registry.agreement.scores import make_scores, read_scores
    from iqa_registry.agreement.study import judge
    from iqa_registry.tables.reading import as_frame

    known = [field.name for field in fields(Settings)]
    unknown = [name for name in options if name not in known]
    if unknown:
        raise UsageError(f"agree has no option {unknown[0]!r}.{nearest(unknown[0], known)}")
    registry = registry or build_registry()
    table = as_frame(scores, "scores")
    judged = ratings if ratings is None else as_frame(ratings, "ratings")
    if isinstance(table, pl.DataFrame):
        rated = rate(make_scores(table, registry), judged)
    else:
        rated = rate(read_scores(table, registry), judged)
    groups = judge(rated, registry.ranker(ranker), Settings(**options))
    return Table(metric_rows(groups), infer_schema_length=None)


def list_metrics(registry: Registry | None = None) -> Table:
    """All metrics, with what they declare.

    Args:
        registry: where they are looked up; by default a new one of the installed plugins.

    Returns:
        One row per metric: ``name``, ``kind``, ``dimensions``, ``higher_is_better``, ``lowest`` and ``highest`` (null
        where there is no bound), ``mask_support``, ``supports_gradient``, ``provides_map``, ``license``, ``summary``.

    Example:
        >>> import polars as pl
        >>> list_metrics().filter(pl.col("name") == "ssim").select("kind", "higher_is_better", "highest").row(0)
        ('full-reference', True, 1.0)
    """
    rows = [
        {
            "name": spec.name,
            "kind": spec.kind,
            "dimensions": list(spec.dimensions),
            "higher_is_better": spec.higher_is_better,
            "lowest": _bound(spec.score_range[0]),
            "highest": _bound(spec.score_range[1]),
            "mask_support": spec.mask_support,
            "supports_gradient": spec.supports_gradient,
            "provides_map": spec.provides_map,
            "license": spec.license,
            "summary": spec.summary,
        }
        for spec in (registry or build_registry()).metrics.values()
    ]
    return Table(rows, infer_schema_length=None)


def _bound(value: float) -> float | None:
    return float(value) if math.isfinite(value) else None


def correlate(
    table: Any,
    against: str | Sequence[str],
    *,
    metrics: Sequence[str] = (),
    group_by: str | Sequence[str] = (),
    system: str | None = None,
    seed: int = 0,
) -> Table:
    """Correlate metrics with a downstream score over systems, as ``iqa correlate`` does.

    Args:
        table: one row per system (a polars or pandas frame), or its file.
        against: the columns of downstream scores.
        metrics: the columns to correlate with them; by default all other columns of numbers.
        group_by: columns; correlations are taken within the rows that share these.
        system: the column that names the systems.
        seed: of random pairings, used for more than 8 systems.

    Returns:
        One row per group, target and metric, the strongest first: ``pearson`` and ``spearman``, each with its 95 %
        interval and p-value.

    Raises:
        UsageError: a column that is not there or does not hold numbers.
        IQAError: no group of at least 3 systems.

    Example:
        >>> import polars as pl
        >>> systems = pl.DataFrame({"name": list("abcd"), "dice": [0.1, 0.2, 0.3, 0.4], "psnr": [20, 21, 25, 24]})
        >>> round(correlate(systems, "dice")["spearman"][0], 4)
        0.8
    """
    import polars as pl

    from iqa_registry.agreement import systems
    from iqa_registry.tables.reading import as_frame, read_table

    frame = as_frame(table, "table")
    if not isinstance(frame, pl.DataFrame):
        frame = read_table(Path(frame))
    targets = [against] if isinstance(against, str) else list(against)
    groups = [group_by] if isinstance(group_by, str) else list(group_by)
    found = systems.correlate(
        frame, systems.choose_columns(frame, targets, metrics, groups, system), "spearman", seed
    )
    if not found.found:
        raise IQAError(f"no group has values of {', '.join(targets)} for 3 systems. Add systems.")
    return Table([item.row() for item in found.found], infer_schema_length=None)
