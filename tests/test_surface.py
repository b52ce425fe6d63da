"""In-tree plugins import from ``iqa_registry.plugin``. Other imports from the core are listed here, with a reason."""

import ast
import subprocess
import sys
from importlib import import_module
from pathlib import Path

import pytest

import iqa_registry
from iqa_registry import plugin

ROOT = Path(__file__).parents[1]
SURFACE = {"iqa_registry.plugin", "iqa_registry"}
COMMANDS = "its commands take the options and print the tables of the core's commands"
NUMBERS = "statistics on arrays, which a plugin of metrics does not need"
TABLES = "it reads and writes tables in the formats of the core"
STUDY = "its commands evaluate, judge and compare, as `iqa evaluate` and `iqa agree` do"
EXCEPTIONS = {
    "iqa_datasets": {
        "iqa_registry.cli": COMMANDS,
        "iqa_registry.statistics": NUMBERS,
        "iqa_registry.images.intensity": "its datasets scale volumes with the intensity rules before slicing",
        "iqa_registry.images.geometry": "it resamples label maps and masks onto one grid",
        "iqa_registry.images.coverage": "it resamples volumes of one subject onto one grid, and says what has no data",
        "iqa_registry.images.formats.take_section": "it cuts what has no data as it cuts the volume",
        "iqa_registry.registry.find": "its commands suggest the nearest name, as the registry does",
        "iqa_registry.specs.RegisteredDataset": "its commands list what is registered",
        "iqa_registry.tables": TABLES,
    },
    "iqa_kcross": {
        "iqa_registry.cli": COMMANDS,
        "iqa_registry.statistics": NUMBERS,
        "iqa_registry.agreement": STUDY,
        "iqa_registry.evaluation": "its training encodes and batches pairs as an evaluation does",
        "iqa_registry.images.geometry": "its training crops and pads slices to one size",
        "iqa_registry.images.regions": "its settings name labels as `iqa evaluate` does",
        "iqa_registry.parameters": "it writes the texts of metrics with parameters",
        "iqa_registry.plugins": "it has a group of plugins of its own, which is loaded by the same loader",
        "iqa_registry.specs.Origin": "its group of plugins names who contributes a branch",
        "iqa_registry.tables": TABLES,
    },
    "iqa_published": {
        "iqa_registry.cli": COMMANDS,
        "iqa_registry.statistics": NUMBERS,
        "iqa_registry.agreement": STUDY,
        "iqa_registry.tables": TABLES,
    },
    "iqa_rankers": {"iqa_registry.statistics": "a ranker is a fit to arrays of scores"},
    "iqa_segmentation": {
        "iqa_registry.cli": COMMANDS,
        "iqa_registry.evaluation.options": "its commands parse slices and devices as `iqa evaluate` does",
        "iqa_registry.images.formats.Source": "the type of an image source; Source in the surface is one of weights",
        "iqa_registry.images.geometry": "its training crops and pads slices to one size",
    },
}
"""For each plugin, the parts of the core beside the surface, each with a reason."""
PLUGINS = sorted(path.name for path in (ROOT / "plugins").glob("iqa_*"))


def names_of(stub):
    """Name to module, as a stub lists them."""
    tree = ast.parse((ROOT / "iqa_registry" / stub).read_text(encoding="utf-8"))
    return {
        alias.asname: f"iqa_registry.{node.module}"
        for node in tree.body
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
    }


NAMES = names_of("plugin.pyi")


def core_imports(name):
    """Module and name of everything that a plugin imports of the core, also for type checkers."""
    for path in sorted((ROOT / "plugins" / name).rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] == "iqa_registry":
                yield from ((node.module, alias.name, path.name) for alias in node.names)
            elif isinstance(node, ast.Import):
                modules = (alias.name for alias in node.names)
                yield from (
                    (module, "", path.name) for module in modules if module.startswith("iqa_registry")
                )


def is_excepted(name, module, item):
    full = f"{module}.{item}"
    return any(f"{full}.".startswith(f"{part}.") for part in EXCEPTIONS.get(name, ()))


def outside(name):
    """What a plugin imports beside the surface and its exceptions."""
    return sorted(
        {
            (module, item, file)
            for module, item, file in core_imports(name)
            if module not in SURFACE and not is_excepted(name, module, item)
        }
    )


@pytest.mark.parametrize("name", PLUGINS)
def test_a_plugin_imports_the_surface_and_its_exceptions(name):
    assert outside(name) == []


@pytest.mark.parametrize("name", EXCEPTIONS)
def test_every_exception_is_needed(name):
    for part in EXCEPTIONS[name]:
        assert any(f"{m}.{i}.".startswith(f"{part}.") for m, i, _ in core_imports(name)), part


@pytest.mark.parametrize(("module", "stub"), [(iqa_registry, "__init__.pyi"), (plugin, "plugin.pyi")])
def test_every_name_of_a_stub_is_the_one_of_its_module(module, stub):
    listed = names_of(stub)
    assert sorted(listed) == module.__all__
    for name, home in listed.items():
        assert getattr(module, name) is getattr(import_module(home), name)


def test_declarations_load_nothing_heavy():
    code = (
        "import sys; from iqa_registry.plugin import MetricSpec, WeightSpec, UrlFile, hookimpl;"
        "print({'torch', 'numpy', 'pydantic', 'click'} & set(sys.modules))"
    )
    shown = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert shown.strip() == "set()"


def test_an_unknown_name_is_an_attribute_error():
    with pytest.raises(AttributeError, match="NoSuchName"):
        plugin.NoSuchName  # noqa: B018
    with pytest.raises(ImportError, match="NoSuchName"):
        exec("from iqa_registry import NoSuchName")
