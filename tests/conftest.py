"""Fixtures for all tests: no settings of the user's leak in, and plugins that look installed to the registry."""

import importlib
import itertools
import os
import subprocess
import sys
import textwrap

import hypothesis
import pytest

_numbers = itertools.count()

# How long an example takes is no property of the code.
hypothesis.settings.register_profile("no-timings", deadline=None)
hypothesis.settings.load_profile("no-timings")


@pytest.fixture(autouse=True)
def clean_settings(monkeypatch, tmp_path):
    for name in ("IQA_CONFIG", "IQA_LOAD_PLUGINS", "IQA_STRICT_PLUGINS", "IQA_DEBUG"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))


@pytest.fixture
def install(monkeypatch, tmp_path):
    """``install(source)`` makes a plugin of that source, found by its metadata as an installed one is.

    It gives the module's name. Processes started by the test find the plugin too.
    """
    folder = tmp_path / "site"
    folder.mkdir()
    monkeypatch.syspath_prepend(folder)
    inherited = os.environ.get("PYTHONPATH")
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(filter(None, [str(folder), inherited])))
    modules = []

    def write(source, distribution="third-party", plugin="demo", header=HEADER):
        version = "1.2"
        module = f"demo_plugin_{next(_numbers)}"
        modules.append(module)
        (folder / f"{module}.py").write_text(header + textwrap.dedent(source))
        info = folder / f"{distribution.replace('-', '_')}-{version}.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {distribution}\nVersion: {version}\n")
        (info / "entry_points.txt").write_text(f"[iqa_registry]\n{plugin} = {module}\n")
        importlib.invalidate_caches()
        return module

    yield write
    for module in modules:
        sys.modules.pop(module, None)


@pytest.fixture
def run_iqa(tmp_path):
    """Run the command line in a process of its own, in an empty folder."""

    def run(*arguments, **variables):
        command = [sys.executable, "-m", "iqa_registry", *map(str, arguments)]
        environment = {**os.environ, "COLUMNS": "200", **variables}
        return subprocess.run(
            command, capture_output=True, text=True, cwd=tmp_path, env=environment, timeout=300, check=False
        )

    return run


HEADER = """
from iqa_registry import Configuration, MetricSpec, hookimpl

FIELDS = dict(
    summary="mean squared error, once more", kind="full-reference", dimensions=(2,), higher_is_better=False,
    score_range=(0.0, 1.0), identity_score=0.0, minimum_size=1, mask_support="exact", supports_gradient=True,
    symmetric=True, validated_on="nothing", license="MIT", reference="none", factory="iqa_classical.mse:MSE",
)
"""
"""What every demo plugin begins with; ``FIELDS`` is a complete declaration but for the name."""
