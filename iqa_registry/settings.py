"""The user's ``iqa.toml``: where it is, and the configurations of metrics that it holds."""

from __future__ import annotations

import os
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from iqa_registry import plugins
from iqa_registry.errors import SpecError, UsageError
from iqa_registry.files import refuse_special
from iqa_registry.specs import Configuration, Origin


def read_settings(path: Path | None = None) -> dict[str, Any]:
    """Read ``iqa.toml``; an empty dict where there is none."""
    if path is None and os.environ.get("IQA_CONFIG"):
        path = Path(os.environ["IQA_CONFIG"])
    if path is None:
        path = next((item for item in _settings_places() if item.is_file()), None)
    if path is None:
        return {}
    if str(path) != os.devnull:  # IQA_CONFIG=/dev/null says that there are none
        refuse_special(path)
    try:
        with path.open("rb") as file:
            return {**tomllib.load(file), "path": str(path)}
    except (OSError, ValueError, RecursionError) as error:  # text that is not UTF-8 is a ValueError
        raise UsageError(f"{path}: cannot be read as TOML: {error}") from error


def _settings_places() -> list[Path]:
    import platformdirs

    return [Path("iqa.toml"), Path(platformdirs.user_config_dir("iqa-registry")) / "iqa.toml"]


def settings_record(settings: Mapping[str, Any]) -> plugins.PluginRecord:
    """What ``iqa.toml`` contributes, in the form of what a plugin contributes."""
    path = settings.get("path", "")
    record = plugins.PluginRecord(Origin("user settings", str(path), "iqa.toml"))
    tables = settings.get("metrics", {})
    if not isinstance(tables, dict):
        raise UsageError(f"{path}: metrics must be tables, [metrics.NAME].")
    for name, table in tables.items():
        if not isinstance(table, dict) or not isinstance(table.get("base"), str):
            raise UsageError(f'{path}: [metrics.{name}] needs base = "NAME".')
        defaults = {key: value for key, value in table.items() if key not in ("base", "summary")}
        configuration = Configuration(name, table["base"], defaults, table.get("summary"))
        try:
            configuration.check()
        except SpecError as error:
            raise UsageError(f"{path}: {error}") from error
        record.contributions.append(plugins.Contribution("metric", name, configuration))
    return record
