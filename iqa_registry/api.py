"""The Python interface: :func:`metric`, :func:`evaluate` and :func:`agree`."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

from iqa_registry.errors import IQAError, UsageError, nearest
from iqa_registry.registry import Registry, build_registry

if TYPE_CHECKING:
    import polars as pl
    from typing_extensions import Unpack

    from iqa_registry.agreement.judging import SettingFields
    from iqa_registry.evaluation.options import OptionFields
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


def evaluate(
    pairs: str | Path | Iterable[Any],
    metrics: Sequence[str],
    *,
    output: str | Path | None = None,
    fresh: bool = False,
    registry: Registry | None = None,
    **options: Unpack[OptionFields],
) -> pl.DataFrame:
    """Score image pairs with several metrics.

    Args:
        pairs: a manifest (CSV or Parquet), or pairs ``(synthesized, reference)`` or
            ``(synthesized, reference, mask)`` of paths, arrays or tensors, or
            :class:`~iqa_registry.images.pairs.Pair` objects.
        metrics: names, see :func:`metric`.
        output: a run folder; repeat the call to resume an interrupted run. By default the scores stay in memory.
        fresh: discard what is in the run folder.
        registry: where to look the metrics up.
        **options: fields of :class:`~iqa_registry.evaluation.options.Options`: ``intensity``, ``axis``,
            ``slices``, ``foreground``, ``regions``, ``device`` and so on.

    Returns:
        A polars table with one row per pair, metric and region: ``pair_id, subject, slice, region, metric, score,
        status, message`` and what led to it. ``.to_pandas()`` needs the extra ``pandas``.

    Raises:
        UsageError: an unknown metric, parameter or option.
        IQAError: a metric that cannot start, or a run folder that cannot be written.

    Example:
        >>> import numpy as np
        >>> reference = np.linspace(0, 255, 64 * 64).reshape(64, 64).astype(np.uint8)
        >>> table = evaluate([(reference // 2, reference)], ["mae"])
        >>> round(table["score"][0], 4), table["status"][0]
        (0.25, 'ok')
    """
    from iqa_registry.evaluation.evaluate import evaluate as run
    from iqa_registry.evaluation.evaluate import start_metrics
    from iqa_registry.evaluation.options import choose_device, make_options
    from iqa_registry.evaluation.store import RunFolder
    from iqa_registry.inputs import open_inputs

    registry = registry or build_registry()
    settings = make_options(options)
    inputs = open_inputs(pairs=pairs, registry=registry)
    started = start_metrics(registry, metrics, choose_device(settings.device))
    if started.failed:
        raise IQAError("; ".join(started.failed.values()))
    folder = None if output is None else RunFolder(Path(output), fresh)
    return run(inputs, started, settings, registry, folder).table


def agree(
    scores: Any,
    ratings: Any = None,
    *,
    ranker: str = "levels",
    registry: Registry | None = None,
    **options: Unpack[SettingFields],
) -> pl.DataFrame:
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
    return pl.DataFrame(metric_rows(groups), infer_schema_length=None)
