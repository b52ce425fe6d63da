"""What pyiqa says of its metrics, read from its installed files without importing it.

pyiqa keeps a table of its metrics in ``default_model_configs.py``: a literal, read here as such, because importing
pyiqa imports torch and much else. A metric that the table does not mark ``lower_better`` is better when higher, as
pyiqa itself takes it.

Left out are the metrics of sets of images (FID and its variants, Inception score): pyiqa computes them from
folders of files, not from tensors, and this project has its own, which take sets as tables of pairs do. So is
clipscore, which compares an image with a caption: a reference image cannot stand for one.
"""

from __future__ import annotations

import ast
import importlib.util
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

OF_SETS = frozenset({"FID", "InceptionScore"})
"""Types of metrics that compare sets of images."""
OF_CAPTIONS = frozenset({"clipscore"})
"""Names of metrics that compare an image with a text."""


@dataclass(frozen=True, slots=True)
class PyiqaMetric:
    """One line of pyiqa's table.

    Attributes:
        name: as pyiqa spells it.
        needs_reference: whether it compares two images.
        higher_is_better: the direction.
        score_range: pyiqa's words, a rough estimate of its own.
    """

    name: str
    needs_reference: bool
    higher_is_better: bool
    score_range: str


def installed_metrics() -> Iterator[PyiqaMetric]:
    """The metrics of images in the installed pyiqa, sorted by name; nothing if it is not installed."""
    path = _table_path()
    if path is None:
        return
    for name, config in sorted(_table(path.read_text(encoding="utf-8")).items()):
        if config["metric_opts"]["type"] not in OF_SETS and name not in OF_CAPTIONS:
            yield PyiqaMetric(
                name=name,
                needs_reference=config["metric_mode"] == "FR",
                higher_is_better=not config.get("lower_better", False),
                score_range=str(config.get("score_range", "unknown")),
            )


def _table_path() -> Path | None:
    spec = importlib.util.find_spec("pyiqa")
    folders = (spec.submodule_search_locations if spec else None) or ()
    paths = (Path(folder) / "default_model_configs.py" for folder in folders)
    return next((path for path in paths if path.is_file()), None)


def _table(source: str) -> dict[str, dict]:
    """The one dictionary in the file, bare or inside a call such as ``OrderedDict({...})``."""
    for statement in ast.parse(source).body:
        if isinstance(statement, ast.Assign):
            value = statement.value
            if isinstance(value, ast.Call) and len(value.args) == 1:
                value = value.args[0]
            if isinstance(value, ast.Dict):
                table: dict[str, dict] = ast.literal_eval(value)
                return table
    return {}
