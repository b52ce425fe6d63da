"""Human ratings: means or individual raters' scores, from a table of ratings or from the table of scores."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Literal

import numpy as np
import polars as pl
from numpy.typing import NDArray

from iqa_registry.agreement.derived import derived_columns
from iqa_registry.agreement.matching import differences, explain
from iqa_registry.agreement.scores import ID, Scores
from iqa_registry.errors import UsageError
from iqa_registry.statistics.arrays import Array
from iqa_registry.statistics.raters import pooled
from iqa_registry.tables.numbers import MARKS, first_word
from iqa_registry.tables.reading import Cells, column_of, read_cells, some, with_identity
from iqa_registry.tables.schema import RATER

RATING = "rating"
REPEAT = "repeat"
"""The column that tells apart the ratings of one rater and image; their mean is the rating."""
_PREFIX = "rater_"


@dataclass(frozen=True)
class HowRated:
    """Which columns are ratings and what they mean.

    Attributes:
        rating: the column of ratings, one for each image.
        raters: columns of individual raters; by default those that begin with ``rater_``.
        identity: columns of the ratings that identify an image.
        higher_is_better: whether a larger rating is better; if not, the scale is reversed.
        pool: how individual raters become one rating: ``trimmed-mean`` (without the highest and the lowest), ``mean``
            or ``median``.
    """

    rating: str = RATING
    raters: Sequence[str] = ()
    identity: Sequence[str] = (ID,)
    higher_is_better: bool = True
    pool: Literal["trimmed-mean", "mean", "median"] = "trimmed-mean"


@dataclass(frozen=True)
class Rated:
    """Scores with their ratings.

    Attributes:
        scores: the images that have a rating.
        ratings: ``(n,)``, larger is better.
        raters: names of the individual raters, in the order of the columns of ``single``.
        single: ``(n, k)`` individual ratings, NaN where a rater did not see an image; ``None`` if only means are
            known.
        notes: what was left out, one line each.
        remarks: how the ratings were read and joined, where that is not plain, one line each.
        pool: how the individual ratings become one.
        repeats: rater to a table of :data:`ID` and one column per repeat, for raters who rated images more than once.
    """

    scores: Scores
    ratings: Array
    raters: Sequence[str] = ()
    single: Array | None = None
    notes: list[str] = field(default_factory=list)
    remarks: list[str] = field(default_factory=list)
    pool: str = "trimmed-mean"
    repeats: Mapping[str, pl.DataFrame] = field(default_factory=dict)

    def only(self, rows: NDArray[np.bool_]) -> Rated:
        """Some of the images.

        Args:
            rows: boolean ``(n,)``.
        """
        single = None if self.single is None else self.single[rows]
        scores = replace(self.scores, table=self.scores.table.filter(pl.Series(rows)))
        return replace(self, scores=scores, ratings=self.ratings[rows], single=single)

    def with_scores(self, scores: Scores) -> Rated:
        """The same images and ratings with further scores, null where ``scores`` does not have the image.

        A column that has the name of one of the further metrics is replaced.

        Example:
            >>> rated = Rated(Scores(pl.DataFrame({"pair_id": ["a"], "psnr": [20.0]}), {}, "here"), np.array([0.5]))
            >>> scores = Scores(pl.DataFrame({"pair_id": ["b", "a"], "psnr": [30.0, 25.0]}), {"psnr": True}, "there")
            >>> rated.with_scores(scores).scores.table.rows()
            [('a', 25.0)]
        """
        own = self.scores.table.drop(scores.metrics, strict=False)
        table = own.join(scores.table.select(ID, *scores.metrics), on=ID, how="left", maintain_order="left")
        known = {**self.scores.higher_is_better, **scores.higher_is_better}
        return replace(self, scores=replace(self.scores, table=table, higher_is_better=known))


def rate(
    scores: Scores,
    ratings: str | Path | pl.DataFrame | None = None,
    how: HowRated | None = None,
    among: Scores | None = None,
) -> Rated:
    """Join ratings with scores.

    Args:
        scores: the scores.
        ratings: a table of ratings or its file: one row per image with a column ``rating`` or one column per rater
            (``rater_...``), or one row per rating with the columns ``rater`` and ``rating``. By default the ratings are
            in the scores' table.
        how: which columns are what.
        among: what the scores were selected from; ratings of the others are not missed.

    Raises:
        UsageError: no ratings, columns that are missing or do not hold only numbers, an image with two ratings
            by one rater, or no image with both a score and a rating.

    Example:
        >>> table = pl.DataFrame({"pair_id": ["a", "b"], "psnr": [20.0, 30.0]})
        >>> ratings = pl.DataFrame({"pair_id": ["a", "b", "b"], "rater": ["x", "x", "y"], "rating": [0.1, 0.7, 0.9]})
        >>> rated = rate(Scores(table, {"psnr": True}, "here"), ratings)
        >>> rated.ratings, rated.single.shape
        (array([0.1, 0.8]), (2, 2))
    """
    how = how or HowRated()
    if ratings is None:
        wide, remarks = _raters_only(_own(scores, how), how)
        return replace(_joined(scores, wide, how, []), remarks=remarks)
    source = _Source.of(ratings, how)
    wide, remarks = _raters_only(_wide(source, how), how)
    scores, among, pooled = _by_volume(scores, among or scores, wide)
    joined = _joined(scores, wide, how, _unmatched(scores, among, wide, source.place), source.place)
    remarks = [*source.remarks(wide.columns), *remarks, *pooled]
    return replace(joined, remarks=remarks, repeats=_repeats(source, how))


@dataclass(frozen=True)
class _Source:
    """A table of ratings with its text, which messages quote."""

    table: pl.DataFrame
    place: str
    cells: Cells

    @classmethod
    def of(cls, ratings: str | Path | pl.DataFrame, how: HowRated) -> _Source:
        if isinstance(ratings, pl.DataFrame):
            cells, table, place = Cells(ratings), ratings, "the ratings"
        else:
            cells, place = read_cells(Path(ratings)), str(ratings)
            table = cells.values(how.identity, commas=True)
        if list(how.identity) == [ID] and ID not in table.columns:
            text = [name for name in table.columns if table[name].dtype == pl.String] or table.columns
            raise UsageError(
                f"{place}: has no column {ID!r} (--id). It has {', '.join(table.columns[:12])}; "
                f"name the one that identifies an image, for example --id {ID}={text[0]}."
            )
        return cls(with_identity(table, how.identity, ID, place), place, cells)

    def number(self, column: pl.Series) -> pl.Series:
        """The ratings as numbers; a message names the value and its row."""
        text = self.cells.table[column.name]
        row = first_word(text) if text.dtype == pl.String else None
        where = None if row is None else f"{self.cells.place(row)} has {text[row]!r}"
        return _number(column, self.place, where)

    def remarks(self, names: Sequence[str]) -> list[str]:
        """What was read as missing, and decimal commas."""
        lines = []
        text = [
            self.cells.table[name]
            for name in self.table.columns
            if name in (*names, RATING)
            and self.cells.table.schema.get(name) == pl.String
            and not self.cells.typed
        ]
        marked = [column.filter(column.is_in(MARKS)) for column in text]
        count = sum(map(len, marked))
        if count:
            marks = list(dict.fromkeys(mark for column in marked for mark in column))
            lines.append(f"{count} ratings are missing ({', '.join(map(repr, marks))}) in {self.place}")
        commas = self.cells.with_commas(self.cells.table.select(column.name for column in text))
        if commas:
            lines.append(f"{self.place} has decimal commas in {some(commas)}, read as decimal points")
        return lines


def _raters_only(table: pl.DataFrame, how: HowRated) -> tuple[pl.DataFrame, list[str]]:
    """The table without columns computed from the raters' (``rater_mean``), and what is to be said of them."""
    names = [name for name in table.columns if name not in (ID, how.rating)]
    found = derived_columns(table, names, _PREFIX)
    if how.raters:
        return table, [f"{name} seems not to be a rater: {reason}" for name, reason in found.items()]
    remarks = [
        f"{name} is not used as a rater: {reason}; to use it, name it with --raters"
        for name, reason in found.items()
    ]
    return table.drop(found), remarks


def _by_volume(scores: Scores, among: Scores, ratings: pl.DataFrame) -> tuple[Scores, Scores, list[str]]:
    """Slices' scores pooled by volume, where the raters saw volumes: their ratings name these and no slice."""
    if scores.by_volume is None or scores.table[ID].is_in(ratings[ID].implode()).any():
        return scores, among, []
    pooled = scores.by_volume()
    if not pooled.table[ID].is_in(ratings[ID].implode()).any():
        return scores, among, []
    note = "the ratings are of volumes: the scores of their slices are pooled, weighted by the size of the region."
    return pooled, among.by_volume() if among.by_volume else pooled, [note]


def _own(scores: Scores, how: HowRated) -> pl.DataFrame:
    """The ratings in the scores' own table, by row."""
    names = _rater_columns(scores.table, how, scores.place)
    if how.rating not in scores.table.columns and not names:
        raise UsageError(
            f"{scores.place}: holds no ratings (column {how.rating!r} or {_PREFIX}...). Give them with --ratings FILE."
        )
    found = [name for name in (how.rating, *names) if name in scores.table.columns]
    return scores.table.select(ID, *found).with_columns(
        _number(scores.table[name], scores.place) for name in found
    )


def _wide(source: _Source, how: HowRated) -> pl.DataFrame:
    """One row per image: :data:`ID`, the rating or the raters' columns."""
    table, place = source.table, source.place
    if RATER in table.columns:
        return _from_long(source, how)
    names = _rater_columns(table, how, place)
    found = [name for name in (how.rating, *names) if name in table.columns]
    if not found:
        column_of(table, how.rating, place, "--rating, or columns rater_..., or --raters")
    twins = table.filter(table[ID].is_duplicated())[ID].unique(maintain_order=True).to_list()
    if twins:
        raise UsageError(
            f"{place}: {some(twins)} are listed twice. Keep one row each, or add a column {RATER!r}."
        )
    numbers = table.select(ID, *(source.number(table[name]) for name in found))
    return numbers.filter(pl.any_horizontal(pl.col(name).is_not_null() for name in found))


def _from_long(source: _Source, how: HowRated) -> pl.DataFrame:
    table, place = source.table, source.place
    rating = source.number(column_of(table, how.rating, place, "--rating"))
    keys = [ID, RATER, *([REPEAT] if REPEAT in table.columns else [])]
    table = table.select(pl.col(keys).cast(pl.String), rating.alias(RATING)).drop_nulls()
    if table.is_empty():
        raise UsageError(
            f"{place}: holds no ratings in the column {how.rating!r}. Name another with --rating."
        )
    twins = table.filter(table.select(keys).is_duplicated())
    if twins.height:
        raise UsageError(
            f"{place}: {twins[RATER][0]} rates {twins[ID][0]!r} twice. Keep one, or add a column {REPEAT!r}."
        )
    table = table.group_by(ID, RATER, maintain_order=True).agg(pl.col(RATING).mean())
    wide = table.pivot(RATER, index=ID, values=RATING, maintain_order=True)
    return wide.rename(
        {name: f"{_PREFIX}{name.removeprefix(_PREFIX)}" for name in wide.columns if name != ID}
    )


def _repeats(source: _Source, how: HowRated) -> dict[str, pl.DataFrame]:
    """Ratings of one rater and image that were given more than once, where a column tells them apart."""
    table = source.table
    if not {RATER, REPEAT} <= set(table.columns):
        return {}
    rating = source.number(table[how.rating])
    long = table.select(pl.col(ID, RATER, REPEAT).cast(pl.String), rating.alias(RATING)).drop_nulls()
    found = {}
    for name in long[RATER].unique(maintain_order=True):
        wide = long.filter(pl.col(RATER) == name).pivot(REPEAT, index=ID, values=RATING)
        if wide.width > 2:
            found[name] = wide
    return found


def _rater_columns(table: pl.DataFrame, how: HowRated, place: str) -> list[str]:
    if how.raters:
        return [column_of(table, name, place, "--raters").name for name in how.raters]
    return [name for name in table.columns if name.startswith(_PREFIX)]


def _number(column: pl.Series, place: str, where: str | None = None) -> pl.Series:
    if not column.dtype.is_numeric() and column.null_count() < len(column):
        words = column.drop_nulls()
        raise UsageError(
            f"{place}: column {column.name!r} does not hold only numbers: {where or f'it has {words[0]!r}'}. "
            "Write a number with a decimal point there, or name another column."
        )
    numbers = column.cast(pl.Float64).fill_nan(None)
    if numbers.is_infinite().any():
        raise UsageError(f"{place}: column {column.name!r} holds an infinite rating. Fix it.")
    return numbers


def _unmatched(scores: Scores, among: Scores, ratings: pl.DataFrame, place: str) -> list[str]:
    """Images that only one side has, listed."""
    notes = []
    for there, other, text in (
        (scores.table, ratings, f"in {scores.place} have no rating in {place}"),
        (ratings, among.table, f"in {place} have no score in {scores.place}"),
    ):
        lost = _lost(there, other)
        if lost:
            notes.append(f"{len(lost)} images {text}: {some(lost)}")
    if len(notes) > 1:
        first, second = _lost(among.table, ratings), _lost(ratings, among.table)
        if causes := differences(first, second):
            notes[-1] += f"; ids of the two sides differ in {' and '.join(causes)}"
    return notes


def _lost(there: pl.DataFrame, other: pl.DataFrame) -> list[str]:
    return (
        there.join(other, on=ID, how="anti", maintain_order="left")[ID].unique(maintain_order=True).to_list()
    )


def _joined(
    scores: Scores, ratings: pl.DataFrame, how: HowRated, notes: list[str], place: str = "the ratings"
) -> Rated:
    """The images with both, in the order of the scores."""
    names = [name for name in ratings.columns if name not in (ID, how.rating)]
    if ratings.height == scores.table.height and ratings[ID].equals(scores.table[ID]):
        beside = ratings
    else:
        beside = scores.table.select(ID).join(ratings, on=ID, how="left", maintain_order="left")
    single = beside.select(names).to_numpy().astype(np.float64) if len(names) > 1 else None
    if how.rating in beside.columns and not how.raters:
        rating = beside[how.rating].to_numpy().astype(np.float64)
    else:
        rating = (
            beside[names[0]].to_numpy().astype(np.float64) if single is None else pooled(single, how.pool)
        )
    if not how.higher_is_better:
        rating, single = _reversed(rating), None if single is None else _reversed(single)
    there = ~np.isnan(rating)
    missing = scores.table.filter(~pl.Series(there))[ID].to_list()
    if missing and not notes:
        notes = [f"{len(missing)} images have no rating: {some(missing)}"]
    if not there.any():
        scored, rated = (table[ID].unique(maintain_order=True).to_list() for table in (scores.table, ratings))
        shared = not rated or not set(scored).isdisjoint(rated)
        why = "All ratings are missing." if shared else explain(scored, rated, (scores.place, place))
        raise UsageError(f"{scores.place}: no image has both a score and a rating. {why}")
    return Rated(scores, rating, names if single is not None else (), single, notes, pool=how.pool).only(
        there
    )


def _reversed(ratings: Array) -> Array:
    """The same scale read from its other end."""
    there = ratings[~np.isnan(ratings)]
    return there.min() + there.max() - ratings if there.size else ratings
