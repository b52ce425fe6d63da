"""Every branch and every combination of branches: Table III of the paper in shape."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

import numpy as np

from iqa_kcross.checkpoint import ModelFile
from iqa_kcross.experiments.opening import Opened, check_modalities
from iqa_kcross.experiments.running import (
    Bench,
    Found,
    Measure,
    cells,
    columns_of,
    judge_columns,
    kcross_text,
    rows_of,
    score,
)
from iqa_kcross.experiments.show import cell_text, kind_of, short
from iqa_registry.agreement.ratings import Rated
from iqa_registry.cli import render
from iqa_registry.cli.judged import BEST
from iqa_registry.plugin import UsageError


def combinations(branches: Sequence[str]) -> list[tuple[str, ...]]:
    """Every non-empty set of branches, single ones first.

    Example:
        >>> combinations(["complex", "tumor"])
        [('complex',), ('tumor',), ('complex', 'tumor')]
    """
    counts = range(1, len(branches) + 1)
    return [chosen for count in counts for chosen in itertools.combinations(branches, count)]


def ablate(
    opened: Opened,
    model: ModelFile,
    segmenter: str,
    bench: Bench,
    measure: Measure = "inconsistency",
    same_images: bool = False,
) -> Found:
    """Judge every combination, from one score of each image.

    Args:
        opened: rated pairs.
        model: of the pairs' modalities.
        segmenter: finds the lesions.
        bench: where it runs.
        measure: what the cells are.
        same_images: judge only images to which every branch applies.

    Returns:
        ``rows``: one per group and set of branches, see :func:`~iqa_kcross.experiments.running.cells`.

    Raises:
        WeightsError: the model is for other modalities.
        UsageError: an unknown column, or no image to which every branch applies.
    """
    check_modalities(model, opened)
    text = kcross_text(model, segmenter, bench.registry)
    rated, failures = score(opened, [text], segmenter, bench)
    sets = combinations(model.settings.branches)
    columns = {"+".join(names): columns_of(text, model, names) for names in sets}
    if same_images:
        rated = _where_all_apply(rated, [columns[name] for name in model.settings.branches], model)
    groups = judge_columns(rated, columns, bench.settings)
    found = [
        (group, name, cell)
        for group in groups
        for name, cell in cells(rows_of(group, columns), measure).items()
    ]
    rows = [{"group": group.name, **group.keys, "branches": name, **cell} for group, name, cell in found]
    better = "lower" if measure == "inconsistency" else "higher"
    title = f"{measure} by branches, {kind_of(opened)} ({better} is better; {BEST} the best of the row)\n"
    shown = (
        (f"{short(group)}, {len(group.ratings)} images", name, cell_text(cell, measure))
        for group, name, cell in found
    )
    lines = [title, f"{render.pivot('', shown, [*columns])}\n"]
    if not all(cell["all_images"] for _, _, cell in found):
        lines.append("(n): applies to n images only, so it is not compared with the others of the row\n")
    return Found(groups, {"rows": rows}, lines, failures)


def _where_all_apply(rated: Rated, branches: Sequence[Sequence[str]], model: ModelFile) -> Rated:
    table = rated.scores.table
    nowhere = np.zeros(table.height, bool)
    there = [
        table[name].is_not_null().to_numpy() if name in table.columns else nowhere for (name,) in branches
    ]
    rows = np.all(there, axis=0)
    if not rows.any():
        raise UsageError(
            f"{rated.scores.place}: there is no image to which every branch of {model.path} applies. "
            "Choose another segmenter, or leave out --same-images."
        )
    return rated.only(rows)
