"""The published numbers, as printed; each file of ``data`` names its source in its first lines."""

from __future__ import annotations

from functools import cache
from importlib import resources

Key = tuple[str, str, str]
"""Data set, model, metric."""
SCORED = ("MAE", "PSNR", "SSIM")
"""The metrics whose scores of single images the authors of K-CROSS published."""


@cache
def read(name: str) -> list[dict[str, str]]:
    """The rows of a file of ``data``, lines of comment left out.

    Example:
        >>> read("translation_table1")[1]["Dice breast"]
        '0.934'
    """
    from iqa_registry.tables.reading import parse_text

    content = (resources.files("iqa_published") / "data" / f"{name}.csv").read_bytes()
    rows = b"\n".join(line for line in content.splitlines() if not line.startswith(b"#"))
    # As text, so that a number stays as it was printed; an empty cell is an empty text.
    return parse_text(rows, name).table.fill_null("").to_dicts()


def kcross_table2() -> dict[Key, float]:
    """Table II of K-CROSS (arXiv:2307.04296): inconsistency by data set, model and metric.

    Example:
        >>> kcross_table2()["ixi", "cyclegan", "K-CROSS"]
        0.2878
    """
    return {
        (row["dataset"], row["model"], metric): float(value)
        for row in read("kcross_table2")
        for metric, value in row.items()
        if metric not in ("dataset", "model")
    }


def kcross_log(ranker: str, epochs: int) -> dict[Key, float]:
    """What the authors of K-CROSS logged, for 30, 40 or 50 epochs; nothing for other numbers.

    Args:
        ranker: ``levels`` or ``minmax``; they call these ranking and regression.
        epochs: how many.

    Example:
        >>> kcross_log("levels", 50)["ixi", "unit", "SSIM"], kcross_log("levels", 45)
        (0.2504, {})
    """
    return {
        (row["dataset"], row["model"], metric): float(row[metric])
        for row in read("kcross_logs")
        if row["ranker"] == ranker and int(row["epochs"]) == epochs
        for metric in SCORED
    }
