"""The experiments' results as text, and as files."""

from __future__ import annotations

import math
import string
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from iqa_registry.cli import render

if TYPE_CHECKING:
    from iqa_kcross.experiments.ablate import Ablation
    from iqa_kcross.experiments.domain_gap import Cell, DomainGap
    from iqa_kcross.experiments.evaluate import Evaluation
    from iqa_kcross.experiments.opening import Model, Opened
    from iqa_kcross.experiments.segmenters import Comparison
    from iqa_registry.agreement.study import Group

Rows = Sequence[Mapping[str, Any]]
STAR = "*"


def origin(models: Sequence[Model], tests: Sequence[Opened]) -> list[str]:
    """What the table is made on; simulated data are called so."""
    lines = []
    for opened in tests:
        kind = "simulated images, simulated raters" if opened.simulated else "rated pairs"
        lines.append(f"{opened.place}: {kind}, {len(opened.rated.ratings)} images")
    for model in models:
        kind = ", simulated" if model.history.simulated else ""
        lines.append(f"{model.weights}: {model.modalities}, trained on {model.trained_on}{kind}")
    if any(opened.simulated for opened in tests):
        lines.append("Numbers on simulated data say nothing of radiologists.")
    return lines


def kind_of(tests: Sequence[Opened]) -> str:
    """What a caption calls the data."""
    return "simulated images and raters" if any(opened.simulated for opened in tests) else "rated images"


def facts(models: Sequence[Model], tests: Sequence[Opened]) -> dict[str, Any]:
    """The same for programs."""
    return {
        "data": [{"data": opened.place, "simulated": opened.simulated} for opened in tests],
        "models": [
            {
                "weights": model.weights,
                "modalities": model.modalities,
                "trained_on": model.trained_on,
                "simulated": model.history.simulated,
            }
            for model in models
        ],
    }


def evaluation(found: Evaluation) -> Iterator[str]:
    """A table for each group, then K-CROSS against the baselines."""
    for group, rows in zip(found.groups, found.comparisons, strict=True):
        yield _headline(group)
        yield f"{render.table([_metric(judged.row) for judged in group.judged])}\n"
        for name in dict.fromkeys(row["challenger"] for row in rows):
            own = [row for row in rows if row["challenger"] == name]
            yield f"{name} against the others (negative: {name} is more consistent)\n"
            yield render.table([_versus(row) for row in own])
            yield f"against the best of them, {own[0]['baseline']}: {_reduction(own[0])}\n"
    equals = "the most consistent metric and those not distinguishable from it"
    yield f"{STAR} {equals} (paired bootstrap, Holm over all pairs, 5 %)\n"


def _headline(group: Group) -> str:
    row = group.judged[0].row
    levels = f"chance {render.number(row['chance'])}, a constant score {render.number(row['constant'])}"
    clusters = int(group.clusters.max()) + 1
    return f"{group.name}: {len(group.ratings)} images of {clusters} clusters; {levels}\n"


def _metric(row: Mapping[str, Any]) -> dict[str, str]:
    shown = {
        "": STAR if row["best"] and "inconsistency_low" in row else "",
        "metric": f"{row['metric']} {render.ARROWS[row['higher_is_better']]}",
        "n": str(row["n"]),
    }
    for name in ("inconsistency", "skill", "srocc"):
        title = "SROCC" if name == "srocc" else name
        shown[title] = number(row[name])
        shown[f"95 %{' ' * len(shown)}"] = render.interval(row, name)
    return shown


def _versus(row: Mapping[str, Any]) -> dict[str, str]:
    return {
        "metric": row["baseline"],
        "difference": number(row["difference"]),
        "95 % ": render.interval(row, "difference", number),
        "p (Holm)": number(row.get("p_holm")),
        "reduction": render.percent(row["reduction"]),
        "95 %  ": render.interval(row, "reduction", render.percent),
    }


def _reduction(row: Mapping[str, Any]) -> str:
    ends = render.interval(row, "reduction", render.percent)
    share, word = row["reduction"], "less"
    if share < 0:
        share, word = -share, "more"
        ends = render.interval(
            {
                "reduction_low": -row.get("reduction_high", math.nan),
                "reduction_high": -row.get("reduction_low", math.nan),
            },
            "reduction",
            render.percent,
        )
    return f"{render.percent(share)} {word} inconsistency" + (f" (95 % {ends})" if ends else "")


def ablation(found: Ablation, about: str) -> Iterator[str]:
    """One row per group, one column per set of branches."""
    better = "lower" if found.measure == "inconsistency" else "higher"
    rows, partial = [], False
    for group in found.groups:
        cells = found.cells(group)
        partial |= not all(cell["all_images"] for cell in cells.values())
        shown = {name: _cell(cells[name], found.measure) for name in found.combinations if name in cells}
        rows.append(
            {"": short(group), "n": str(len(group.ratings))} | dict.fromkeys(found.combinations, "") | shown
        )
    yield f"{found.measure} by branches, {about} ({better} is better; {STAR} the best of the row)\n"
    yield f"{render.table(rows)}\n"
    if partial:
        yield "(n): applies to so many images only, so it is not to be compared with the others of the row\n"


def _cell(cell: Mapping[str, Any], measure: str) -> str:
    text = number(cell[measure])
    return text + (STAR if cell["best"] else "") if cell["all_images"] else f"{text} ({cell['n']})"


def short(group: Group) -> str:
    """A group's name for a table whose caption says what the images are."""
    return ", ".join(f"{key}={value}" for key, value in group.keys.items()) or "all images"


def comparison(found: Comparison, about: str) -> Iterator[str]:
    """Inconsistency by segmenter and group, its spread, and how the scores move."""
    rows = []
    for name in found.segmenters:
        values = {short(group): number(found.inconsistencies(group).get(name)) for group in found.groups}
        rows.append({"segmenter": name} | values)
    yield f"inconsistency of kcross by segmenter, {about} (lower is better)\n"
    for kind, title, digits in (("deviation", "standard deviation", 3), ("variance", "variance", 4)):
        spread = zip(found.groups, found.spreads(), strict=True)
        rows.append(
            {"segmenter": f"{title}, percent"}
            | {short(group): number(100 * item[kind], digits) for group, item in spread}
        )
    yield f"{render.table(rows)}\n"
    yield f"scores, and how far they move against {found.segmenters[0]}\n"
    yield f"{render.table([_shift(row) for row in found.shifts])}\n"


def _shift(row: Mapping[str, Any]) -> dict[str, str]:
    return {
        "segmenter": row["segmenter"],
        "n": str(row["n"]),
        "with lesion": str(row["with_lesion"]),
        "mean score": number(row["mean"]),
        "mean |change|": number(row["mean_change"]),
        "largest |change|": number(row["largest_change"]),
        "SROCC": number(row["srocc"]),
    }


def gap(found: DomainGap, about: str) -> Iterator[str]:
    """One row per metric, one column per training set and a test set."""
    letters = dict(zip((model.weights for model in found.models), string.ascii_uppercase, strict=False))
    numbers = {opened.place: str(number) for number, opened in enumerate(found.tests, start=1)}
    yield f"inconsistency, training set -> test set, {about} (lower is better; {STAR} the best of the column)\n"
    columns = {
        f"{letters[cell.model.weights]} -> {numbers[cell.opened.place]}": _column(cell)
        for cell in found.cells
    }
    yield render.table(
        [
            {"metric": name} | {title: values.get(name, "") for title, values in columns.items()}
            for name in found.metrics
            if any(name in values for values in columns.values())
        ]
    )
    yield ""
    for model in found.models:
        simulated = " (simulated)" if model.history.simulated else ""
        yield f"{letters[model.weights]}: {model.weights}, {model.modalities}, trained on {model.trained_on}{simulated}"
    for opened in found.tests:
        simulated = " (simulated images, simulated raters)" if opened.simulated else ""
        yield f"{numbers[opened.place]}: {opened.place}, {len(opened.rated.ratings)} images{simulated}"


def _column(cell: Cell) -> dict[str, str]:
    """By metric; the best of those that were judged on all images is marked."""
    rows = {name: judged.row for name, judged in cell.judged.items()}
    most = max((row["n"] for row in rows.values()), default=0)
    best = min((row["inconsistency"] for row in rows.values() if row["n"] == most), default=None)
    return {
        name: number(row["inconsistency"])
        + (STAR if row["n"] == most and row["inconsistency"] == best else "")
        for name, row in rows.items()
    }


def number(value: float | None, digits: int = 4) -> str:
    """A number for reading; what is 0 but for the last bits of a sum is shown as 0.

    Example:
        >>> number(0.25), number(-2.8e-17), number(float("nan"))
        ('0.2500', '0.0000', '')
    """
    return render.number(None if value is None else round(value, 12) + 0.0, digits)


def save(output: Path, tables: Mapping[str, Rows], about: Mapping[str, Any]) -> list[Path]:
    """Write tables: into one JSON, or as CSV, the first under the name given and the others beside it.

    Raises:
        IQAError: a file cannot be written.
    """
    from iqa_registry.tables.writing import as_json, write_file, write_table

    if output.suffix.lower() == ".json":
        return [write_file(output, as_json({**about, **tables}).encode())]
    written = []
    for position, (name, rows) in enumerate(tables.items()):
        path = output if position == 0 else output.with_name(f"{output.stem}-{name}{output.suffix}")
        if rows:
            written.append(write_table(path, rows))
    return written
