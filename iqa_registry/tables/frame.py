"""Results in memory: a polars table that becomes one of pandas without a further package."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import polars as pl

if TYPE_CHECKING:
    import pandas


class Table(pl.DataFrame):
    """A polars table whose ``to_pandas`` does not need pyarrow.

    Example:
        >>> Table({"pair_id": ["a"], "score": [0.5]}).to_pandas()["score"][0].item()
        0.5
    """

    def to_pandas(self, **options: Any) -> pandas.DataFrame:
        """The table for pandas; empty cells are NaN or ``None``.

        Args:
            **options: those of :meth:`polars.DataFrame.to_pandas`, which then needs pyarrow.
        """
        import pandas

        if options:
            return super().to_pandas(**options)
        return pandas.DataFrame({column.name: column.to_list() for column in self.get_columns()})
