"""The score table: its columns, the types of further columns, its long and its wide form.

Long, as a run writes it: one row per image, metric, component and region. Wide, as other programs like it: one row per
image and region, one column per score, named ``METRIC`` or ``METRIC[COMPONENT]``. No other module lists the columns or
takes such a name apart.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import polars as pl

from iqa_registry.errors import UsageError

PAIR_ID, SUBJECT, RATER = "pair_id", "subject", "rater"
ORDER, REGION, METRIC, COMPONENT, SCORE, STATUS = "order", "region", "metric", "component", "score", "status"
DIRECTION = "higher_is_better"
LEVEL, NATIVE, INFINITE, PLANE = "level", "score_native", "infinite", "plane"
_INFINITIES = {INFINITE: float("inf"), f"-{INFINITE}": float("-inf")}
"""What the status of a row in a JSON file, which cannot hold the number, says of the score."""
OK = "ok"
"""The status of a row that has a score."""
IDENTIFIERS = (PAIR_ID, SUBJECT, RATER)
"""Columns whose values are names even where they look like numbers; tables are joined by them."""

# A bracket that follows one of these signs is the value of a parameter, not a component.
_WIDE_NAME = re.compile(r"(?P<metric>.*[^=+,:])\[(?P<component>[^\[\]]+)\]")
_LEGACY = r"([^=+,:])\[([^\[\]]+)\]$"
_SHARED = frozenset({SUBJECT, "slice", PLANE})
"""Columns that the pairs may bring themselves."""


@dataclass(frozen=True, slots=True)
class Column:
    """A column of the score table.

    Attributes:
        name: what it is called.
        dtype: polars type.
        tells_of: the ``image``; the ``score`` of one metric; or the ``reading`` of the image, before it was scored.
        description: one line for readers.
    """

    name: str
    dtype: Any
    tells_of: Literal["image", "score", "reading"]
    description: str


COLUMNS = (
    Column(ORDER, pl.Int64, "reading", "Position of the image in the run; in the parts of a run folder only."),
    Column(PAIR_ID, pl.String, "image", "Name of the pair, or of the slice of a volume."),
    Column(SUBJECT, pl.String, "image", "Subject, where it is known."),
    Column("slice", pl.Int64, "image", "Index of the slice in its volume, from 0."),
    Column(PLANE, pl.String, "image", "Axis along which the volume was sliced: `axial`, `coronal` or `sagittal`."),
    Column(REGION, pl.String, "image", "`image` for the whole image, else the region that was scored."),
    Column(METRIC, pl.String, "score", "Metric, as you asked for it."),
    Column(COMPONENT, pl.String, "score", "Component of the score; empty for the score itself."),
    Column(SCORE, pl.Float64, "score", "The score; empty unless `status` is `ok`."),
    Column(NATIVE, pl.Float64, "score", "The score in the unit of the stored values (HU), where it has one."),
    Column(STATUS, pl.String, "score", "`ok`, `error` or `not_applicable`."),
    Column("message", pl.String, "score", "Why there is no score."),
    Column(DIRECTION, pl.Boolean, "score", "Direction of the metric."),
    Column("dimensions", pl.Int64, "score", "2 if slices or 2-D images were scored, 3 if volumes were."),
    Column("region_fraction", pl.Float64, "score", "Share of the image that the region covers, 0 to 1."),
    Column("pixels", pl.Int64, "score", "Pixels or voxels of the region."),
    Column("shift", pl.Float64, "reading", "Residual shift between the two images in pixels."),
    Column("aligned_rows", pl.Int64, "reading", "Rows that the synthesized image is too low, undone in `aligned`."),
    Column("aligned_columns", pl.Int64, "reading", "Columns that it is too far right, undone in `aligned`."),
    Column("intensity", pl.String, "reading", "Intensity rule that scaled the stored values to [0, 1]."),
    Column("synthesized_low", pl.Float64, "reading", "Stored value of the synthesized image that became 0."),
    Column("synthesized_high", pl.Float64, "reading", "Stored value of the synthesized image that became 1."),
    Column("reference_low", pl.Float64, "reading", "Stored value of the reference that became 0."),
    Column("reference_high", pl.Float64, "reading", "Stored value of the reference that became 1."),
    Column("clipped", pl.Float64, "reading", "Share of the synthesized image clipped to [0, 1]."),
    Column("clipped_reference", pl.Float64, "reading", "Share of the reference clipped to [0, 1]."),
    Column("outside_share", pl.Float64, "reading", "Share of the image without data: outside its field, or NaN."),
    Column("notes", pl.String, "reading", "What a reader of the score must know, as KIND: MESSAGE; KIND: MESSAGE."),
    Column("seconds", pl.Float64, "score", "Time that the metric took for this image."),
)  # fmt: skip
"""Every column of the score table except the group columns, which the pairs bring."""

TYPES: dict[str, Any] = {column.name: column.dtype for column in COLUMNS}
"""Column to polars type."""


def is_of_image(name: str) -> bool:
    """Whether a column tells of the image, as group columns do, rather than of one score or of the reading.

    Example:
        >>> is_of_image("subject"), is_of_image("epoch"), is_of_image("seconds")
        (True, True, False)
    """
    return all(column.name != name or column.tells_of == "image" for column in COLUMNS)


def group_types(groups: Iterable[Mapping[str, Any]]) -> dict[str, Any]:
    """The group columns in the order in which they first appear, with the type that holds their values.

    Args:
        groups: the group columns of each pair.

    Example:
        >>> group_types([{"epoch": 1, "subject": 7}, {"epoch": 2, "site": None}])
        {'epoch': Int64, 'subject': String, 'site': Boolean}
    """
    found: dict[str, set[type]] = {}
    for columns in groups:
        for name, value in columns.items():
            found.setdefault(name, set()).add(type(value))
    return {
        name: pl.String if name in IDENTIFIERS else _type_of(types - {type(None)})
        for name, types in found.items()
    }


def _type_of(types: set[type]) -> Any:
    if types <= {bool}:
        return pl.Boolean
    if types <= {int}:
        return pl.Int64
    return pl.Float64 if types <= {int, float} else pl.String


def table_types(groups: Iterable[Mapping[str, Any]]) -> dict[str, Any]:
    """The columns of a run's table: :data:`COLUMNS`, then the group columns.

    Raises:
        UsageError: a group column has the name of one of ours.
    """
    own = group_types(groups)
    taken = next((name for name in own if name in TYPES and name not in _SHARED), None)
    if taken is not None:
        raise UsageError(f"the column {taken!r} of the pairs is a column of the score table. Rename it.")
    return TYPES | {name: dtype for name, dtype in own.items() if name not in TYPES}


def make_table(rows: Sequence[Mapping[str, Any]], types: Mapping[str, Any]) -> pl.DataFrame:
    """Rows as a table with the columns ``types``; what a row does not have is null, an absent component is empty.

    Example:
        >>> rows = [{"pair_id": "a", "metric": "psnr", "score": 20}]
        >>> make_table(rows, TYPES).select("metric", "component", "score").row(0)
        ('psnr', '', 20.0)
    """
    columns = {name: [row.get(name) for row in rows] for name in types}
    table = pl.DataFrame(columns, schema=dict(types), strict=False)
    return table.with_columns(pl.col(COMPONENT).fill_null("")) if COMPONENT in types else table


def in_table_order(frames: Sequence[pl.DataFrame], metrics: Sequence[str]) -> pl.DataFrame:
    """The parts of a run as the table that users see.

    Args:
        frames: parts, in any order.
        metrics: the metrics in the order in which they were asked for.

    Returns:
        Rows by image, metric, and within these as they were scored; without :data:`ORDER`.
    """
    if not frames:
        return pl.DataFrame(schema=TYPES).drop(ORDER)
    table = pl.concat(frames, how="diagonal_relaxed")
    rank = {name: number for number, name in enumerate(metrics)}
    place = pl.col(METRIC).replace_strict(rank, default=len(rank), return_dtype=pl.Int64)
    ordered = table.with_columns(place.alias("_metric")).sort(ORDER, "_metric", maintain_order=True)
    return ordered.drop(ORDER, "_metric")


def with_component(table: pl.DataFrame) -> pl.DataFrame:
    """A long table with the column ``component``, also where an earlier version wrote ``METRIC[COMPONENT]`` as metric.

    Example:
        >>> with_component(pl.DataFrame({"metric": ["ours", "ours[edges]"]})).rows()
        [('ours', ''), ('ours', 'edges')]
    """
    if STATUS in table.columns and SCORE in table.columns and table[STATUS].is_in(list(_INFINITIES)).any():
        status, score = pl.col(STATUS), pl.col(SCORE).cast(pl.Float64, strict=False)
        found = status.replace_strict(_INFINITIES, default=None, return_dtype=pl.Float64)
        known = pl.when(found.is_not_null()).then(pl.lit(OK)).otherwise(status)
        table = table.with_columns(pl.coalesce(found, score).alias(SCORE), known.alias(STATUS))
    if COMPONENT in table.columns:
        return table.with_columns(pl.col(COMPONENT).cast(pl.String).fill_null(""))
    component = table[METRIC].str.extract(_LEGACY, 2).fill_null("").alias(COMPONENT)
    metric = table[METRIC].str.replace(_LEGACY, "${1}")
    return table.with_columns(metric).insert_column(table.get_column_index(METRIC) + 1, component)


def wide_name(metric: str, component: str = "") -> str:
    """The column of a score in a wide table.

    Example:
        >>> wide_name("psnr"), wide_name("ours", "edges")
        ('psnr', 'ours[edges]')
    """
    return f"{metric}[{component}]" if component else metric


def split_name(name: str) -> tuple[str, str]:
    """Metric and component of a wide table's column.

    Example:
        >>> split_name("ours[edges]"), split_name("ssim:window=7"), split_name("ours:finder=[other:fold=0]")
        (('ours', 'edges'), ('ssim:window=7', ''), ('ours:finder=[other:fold=0]', ''))
    """
    match = _WIDE_NAME.fullmatch(name)
    return (match["metric"], match["component"]) if match else (name, "")


def wide_names(table: pl.DataFrame) -> pl.Series:
    """The wide name of each row of a long table that has the column ``component``.

    Example:
        >>> wide_names(pl.DataFrame({"metric": ["psnr", "ours"], "component": ["", "edges"]})).to_list()
        ['psnr', 'ours[edges]']
    """
    whole = table[COMPONENT] == ""
    if whole.all():
        return table[METRIC]
    inner = pl.format("{}[{}]", METRIC, COMPONENT)
    return table.select(pl.when(whole).then(METRIC).otherwise(inner).alias(METRIC)).to_series()


def to_wide(table: pl.DataFrame, keys: Sequence[str], place: str = "the table") -> pl.DataFrame:
    """The wide form of a long table.

    Args:
        table: one row per image, metric and component, with the column ``score``; where it has the column ``status``,
            only scores of status ``ok`` count.
        keys: columns that identify an image.
        place: where the table comes from, for the message.

    Returns:
        One row per image in the order of the table: ``keys``, the columns that tell of the image, and one column per
        score, null where an image was not scored.

    Raises:
        UsageError: an image has two scores of one metric.

    Example:
        >>> rows = {"pair_id": ["a", "a"], "metric": ["psnr", "mae"], "score": [20.0, 0.1]}
        >>> to_wide(pl.DataFrame(rows), ["pair_id"]).rows(named=True)
        [{'pair_id': 'a', 'psnr': 20.0, 'mae': 0.1}]
    """
    table = with_component(table)
    score = pl.col(SCORE).cast(pl.Float64, strict=False).fill_nan(None)
    if STATUS in table.columns:
        score = pl.when(pl.col(STATUS) == OK).then(score)
    table = table.with_columns(score.alias(SCORE), wide_names(table).alias(METRIC))
    frames = {frame[METRIC][0]: frame for frame in table.partition_by(METRIC, maintain_order=True)}
    for name, frame in frames.items():
        twins = frame.filter(frame.select(keys).is_duplicated())
        if twins.height:
            raise UsageError(
                f"{place}: {twins[keys[0]][0]!r} has two scores of {name}. "
                "Name the columns that identify an image with --id COLUMN,COLUMN."
            )
    first = next(iter(frames.values()), table)
    alike = all(frame.select(keys).equals(first.select(keys)) for frame in frames.values())
    # A run scores the same images with each metric: then nothing needs to be looked up.
    images = first if alike else table.unique(keys, keep="first", maintain_order=True)
    wide = images.select(*keys, *(name for name in table.columns if is_of_image(name) and name not in keys))
    for name, frame in frames.items():
        column = frame.select(*keys, pl.col(SCORE).alias(name))
        if alike:
            wide = wide.with_columns(column[name])
        else:
            wide = wide.join(column, on=keys, how="left", nulls_equal=True, maintain_order="left")
    return wide


def directions(table: pl.DataFrame) -> dict[str, bool]:
    """Whether higher is better, by the wide name of each score that a long table says it of.

    Example:
        >>> directions(pl.DataFrame({"metric": ["mae", "mae"], "higher_is_better": ["false", None]}))
        {'mae': False}
    """
    if DIRECTION not in table.columns:
        return {}
    table = with_component(table)
    given = (
        table.select(wide_names(table), pl.col(DIRECTION)).drop_nulls().unique(METRIC, maintain_order=True)
    )
    # A text table holds the words, and the word "false" would be true.
    return {name: str(value).lower() == "true" for name, value in given.rows()}


def names_as_text(table: pl.DataFrame, names: Iterable[str] = ()) -> pl.DataFrame:
    """The table with its identifiers, and the columns ``names``, as text.

    Example:
        >>> names_as_text(pl.DataFrame({"subject": [7.0, None], "age": [50, 60]})).rows()
        [('7', 50), (None, 60)]
    """
    chosen = {*IDENTIFIERS, *names}
    return table.with_columns(as_text(table[name]) for name in table.columns if name in chosen)


def as_text(column: pl.Series) -> pl.Series:
    """A column as text; whole numbers that a program kept as floats, because some are missing, lose the ``.0``."""
    if column.dtype.is_float():
        column = column.fill_nan(None)
        whole = column.cast(pl.Int64, strict=False)
        if whole.cast(column.dtype).equals(column):
            column = whole
    return column.cast(pl.String)
