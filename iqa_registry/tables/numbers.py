"""Text that stands for numbers: marks for missing values, decimal commas, and words where a number should be."""

from __future__ import annotations

import polars as pl

MISSING = ("", "NA", "N/A", "nan", "NaN")
"""What stands for no value in any text."""
MARKS = (*MISSING, "na", "n/a", "n.a.", "#N/A", "NULL", "null", "None", "none", "-", "--", "–", "—", ".", "?")
"""What stands for no value among numbers."""

_INTEGER = r"^-?(?:0|[1-9][0-9]{0,17})$"
# More digits than a whole number in memory has are an identifier, not a number.
_NUMBER = (
    r"^[+-]?(?:(?:0|[1-9][0-9]{0,17})(?:[eE][+-]?[0-9]+)?"
    r"|(?:0|[1-9][0-9]*)?\.[0-9]+(?:[eE][+-]?[0-9]+)?|(?:0|[1-9][0-9]*)\.(?:[eE][+-]?[0-9]+)?|(?i:inf(?:inity)?))$"
)
_COMMA = r"^[+-]?(?:0|[1-9][0-9]*)(?:,[0-9]+)?$"
_THOUSANDS = r"^[+-]?[1-9][0-9]{0,2},[0-9]{3}$"


def numbers(text: pl.Series) -> pl.Series:
    """A column of text as numbers if all of its values are numbers or :data:`MARKS`, which become null.

    Example:
        >>> numbers(pl.Series(["4", "n/a"])).to_list(), numbers(pl.Series(["4", "good"])).to_list()
        ([4, None], ['4', 'good'])
    """
    values = text.set(text.is_in(MARKS), None)
    if values.null_count() == len(values):
        return text
    for pattern, dtype in ((_INTEGER, pl.Int64), (_NUMBER, pl.Float64)):
        if values.str.contains(pattern).all():
            return values.cast(dtype)
    return text


def has_decimal_commas(text: pl.Series, separator: str = "") -> bool:
    """Whether all values are numbers and some have a decimal comma.

    A column in which every comma may separate thousands (``1,250``) is left as it is, unless the file separates its
    columns by semicolons, as spreadsheets do where the comma is the decimal sign.

    Example:
        >>> has_decimal_commas(pl.Series(["4,33", "3"])), has_decimal_commas(pl.Series(["1,250", "3"]))
        (True, False)
    """
    values = text.set(text.is_in(MARKS), None).drop_nulls()
    with_comma = values.filter(values.str.contains(",", literal=True))
    return (
        len(with_comma) > 0
        and bool(values.str.contains(_COMMA).all())
        and (separator == ";" or not with_comma.str.contains(_THOUSANDS).all())
    )


def with_points(text: pl.Series) -> pl.Series:
    """A column with decimal commas as numbers.

    Example:
        >>> with_points(pl.Series(["4,33", "3", "-"])).to_list()
        [4.33, 3.0, None]
    """
    values = text.set(text.is_in(MARKS), None)
    return values.str.replace(",", ".", literal=True).cast(pl.Float64)


def first_word(text: pl.Series) -> int | None:
    """The row of the first value that is neither a number nor a mark.

    Example:
        >>> first_word(pl.Series(["4", "n/a", "4 - good"]))
        2
    """
    values = text.set(text.is_in(MARKS), None)
    wrong = (~values.str.contains(_NUMBER)).fill_null(False).arg_true()
    return int(wrong[0]) if len(wrong) else None
