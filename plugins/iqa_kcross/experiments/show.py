"""What all experiments show alike: what a table is made on, the names of groups, cells."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from iqa_registry.cli.judged import BEST, number

if TYPE_CHECKING:
    from iqa_kcross.checkpoint import ModelFile
    from iqa_kcross.experiments.opening import Opened
    from iqa_registry.agreement.study import Group


def origin(models: Sequence[ModelFile], tests: Sequence[Opened]) -> list[str]:
    """What the table is made on, a line for each test set and each model; simulated data are called so."""
    kinds = {True: "simulated images, simulated raters", False: "rated pairs"}
    lines = [
        f"{test.place}: {kinds[test.simulated]}, {len(test.pairs.rated.ratings)} images" for test in tests
    ]
    for model in models:
        kind = ", simulated" if model.history.simulated else ""
        lines.append(f"{model.weights}: {model.modalities}, trained on {model.trained_on}{kind}")
    if any(test.simulated for test in tests):
        lines.append("Numbers on simulated data say nothing of radiologists.")
    return lines


def facts(models: Sequence[ModelFile], tests: Sequence[Opened]) -> dict[str, Any]:
    """The same for programs."""
    return {
        "data": [{"data": test.place, "simulated": test.simulated} for test in tests],
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


def kind_of(*tests: Opened) -> str:
    """What a caption calls the data."""
    return "simulated images and raters" if any(test.simulated for test in tests) else "rated images"


def short(group: Group) -> str:
    """A group's name for a table whose caption says what the images are."""
    return ", ".join(f"{key}={value}" for key, value in group.keys.items()) or "all images"


def cell_text(cell: Mapping[str, Any], measure: str) -> str:
    """A value with a mark where it is the best, and its number of images where it is not compared."""
    mark = BEST if cell["best"] else "" if cell["all_images"] else f" ({cell['n']})"
    return number(cell[measure]) + mark
