"""A run folder as Python reads it: the scores, and what they were made with."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from iqa_registry.evaluation.store import RunFolder, read_run
from iqa_registry.evaluation.summary import summarize
from iqa_registry.tables.frame import Table


@dataclass(frozen=True, slots=True)
class Run:
    """What :func:`iqa_registry.load_run` gives.

    Attributes:
        folder: where it is.
        table: the scores, one row per pair, metric and region.
        settings: the options by name: ``intensity``, ``axis`` and so on.
        record: all that ``run.json`` holds: the versions, metrics and arguments too.
    """

    folder: Path
    table: Table
    settings: Mapping[str, Any]
    record: Mapping[str, Any]

    def summary(self, group_by: Sequence[str] = ()) -> Table:
        """Means with intervals, see :func:`iqa_registry.summarize`."""
        return Table(summarize(self.table, group_by))

    def __repr__(self) -> str:
        metrics = ", ".join(self.table["metric"].unique(maintain_order=True))
        pairs = self.table["pair_id"].n_unique()
        return f"Run({str(self.folder)!r}: {self.table.height} rows, {pairs} pairs, {metrics})"


def load_run(folder: str | Path) -> Run:
    """Read a run folder.

    Args:
        folder: what was given to ``iqa evaluate -o`` or ``iqa.evaluate(output=...)``.

    Raises:
        UsageError: no run folder, no scores yet, or a damaged file.

    Example:
        >>> import tempfile
        >>> import numpy as np
        >>> from iqa_registry.api import evaluate
        >>> reference = np.linspace(0, 1, 64).reshape(8, 8)
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     _ = evaluate((reference / 2, reference), "mae", output=f"{folder}/run", intensity="none")
        ...     run = load_run(f"{folder}/run")
        >>> run.settings["intensity"], round(run.table["score"][0], 4)
        ('none', 0.25)
    """
    path = Path(folder)
    table = Table(read_run(path))
    record = RunFolder(path).read_record() or {}
    return Run(path, table, record.get("fixed", {}).get("options", {}), record)
