"""Rules of the house: which way imports point, what stays light, how long a file may be."""

import ast
import graphlib
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGES = {"iqa_registry": ROOT} | {path.name: path.parent for path in sorted(ROOT.glob("plugins/iqa_*"))}
LAYERS = (
    {"errors", "files"},
    {"specs", "statistics", "tables"},
    {"hookspecs", "licenses", "metrics", "ranker", "segmenter"},
    {"parameters", "weights", "images", "plugins"},
    {"datasets"},
    {"registry"},
    {"evaluation"},
    {"agreement"},
    {"sample", "testing"},
    {"plugin"},
    {"api"},
    {"maps"},
    {"cli"},
    {"__main__"},
)
"""The parts of the core, from the ground up: each imports only parts of the rows above it in this table."""
HEAVY = {
    "torch",
    "torchvision",
    "polars",
    "pydantic",
    "scipy",
    "nibabel",
    "SimpleITK",
    "piq",
    "pyiqa",
    "lpips",
}
FOR_PLUGINS = {
    "agreement",
    "datasets",
    "errors",
    "evaluation",
    "files",
    "hookspecs",
    "images",
    "licenses",
    "metrics",
    "parameters",
    "plugins",
    "plugin",
    "ranker",
    "registry",
    "segmenter",
    "specs",
    "statistics",
    "tables",
    "weights",
}
"""The parts of the core that a plugin in this tree may import."""
CLI_FOR_PLUGINS = {f"iqa_registry.cli.{name}" for name in ("arguments", "progress", "render")}
"""What the commands of a plugin may import, so that they look like ours."""


def files(*folders):
    found = [path for folder in folders for path in sorted((ROOT / folder).rglob("*.py"))]
    return [path for path in found if not {"build", ".venv", "site-packages"} & set(path.parts)]


def module_name(path, root):
    parts = path.relative_to(root).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


SOURCES = {module_name(path, root): path for name, root in PACKAGES.items() for path in files(root / name)}


def imports(path, lazy=True):
    """What a file imports when it runs: with ``lazy`` also inside functions, never only for type checkers."""
    found = set()
    pending = [ast.parse(path.read_text(encoding="utf-8"))]
    while pending:
        node = pending.pop()
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
            continue
        if isinstance(node, ast.FunctionDef) and not lazy:
            continue
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            found |= {
                full if (full := f"{node.module}.{alias.name}") in SOURCES else node.module
                for alias in node.names
            }
        pending += ast.iter_child_nodes(node)
    return found


def part(module):
    return module.split(".")[1] if "." in module else ""


RANK = {name: rank for rank, layer in enumerate(LAYERS) for name in layer}
CORE = [module for module in SOURCES if module.startswith("iqa_registry.")]
PLUGINS = [module for module in SOURCES if not module.startswith("iqa_registry")]


def test_the_probe_sees_the_code():
    assert {"iqa_registry.errors", "iqa_registry.cli.app", "iqa_classical.ssim"} <= set(SOURCES)
    assert "iqa_registry.registry" in imports(SOURCES["iqa_registry.cli.app"])
    assert "torch" in imports(SOURCES["iqa_classical.ssim"])
    assert "iqa_registry.weights" in imports(SOURCES["iqa_registry.registry"])
    assert "iqa_registry.weights" not in imports(SOURCES["iqa_registry.registry"], lazy=False)


def test_every_part_of_the_core_has_its_layer():
    assert {part(module) for module in CORE} == set(RANK)


@pytest.mark.parametrize("module", CORE)
def test_arrows_point_down(module):
    targets = {part(item) for item in imports(SOURCES[module]) if item.startswith("iqa_registry.")}
    upward = {name for name in targets - {part(module)} if RANK[name] >= RANK[part(module)]}
    assert not upward, f"{module} imports {', '.join(sorted(upward))}, which stand beside or above it"


@pytest.mark.parametrize("module", ["iqa_registry", *CORE])
def test_the_core_imports_no_plugin(module):
    assert not {item.partition(".")[0] for item in imports(SOURCES[module])} & (
        set(PACKAGES) - {"iqa_registry"}
    )


@pytest.mark.parametrize("module", PLUGINS)
def test_no_plugin_imports_another_and_little_of_the_core(module):
    found = imports(SOURCES[module])
    own = module.partition(".")[0]
    assert not {item.partition(".")[0] for item in found} & (set(PACKAGES) - {"iqa_registry", own})
    core = {part(item) for item in found if item.partition(".")[0] == "iqa_registry"}
    assert core - {"cli"} <= FOR_PLUGINS
    assert {item for item in found if item.startswith("iqa_registry.cli")} <= CLI_FOR_PLUGINS


def test_there_is_no_import_cycle():
    graph = {module: {item for item in imports(path) if item in SOURCES} for module, path in SOURCES.items()}
    graphlib.TopologicalSorter(graph).prepare()


@pytest.mark.parametrize("module", [module for module in PLUGINS if module.endswith(".plugin")])
def test_declarations_import_nothing_heavy(module):
    code = f"import sys, {module}; print(*sys.modules)"
    assert loaded(code, HEAVY) == set()


@pytest.mark.parametrize(
    "path", files("iqa_registry", "plugins", "examples", "tests", "benchmarks", "tools"), ids=str
)
def test_files_and_functions_stay_short(path):
    text = path.read_text(encoding="utf-8")
    assert text.count("\n") < 400
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            body = node.body[1:] if ast.get_docstring(node) else node.body
            lines = body[-1].end_lineno - body[0].lineno + 1 if body else 0
            assert lines <= 60, f"{node.name} has {lines} lines"


def loaded(code, wanted):
    """Which of the modules ``wanted`` a fresh process has loaded when ``code`` prints all that are."""
    result = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=300
    )
    return set(result.stdout.splitlines()[-1].split()) & wanted


def after_command(*arguments):
    return f"""
import sys
from iqa_registry.cli import main
sys.argv = {["iqa", *arguments]!r}
try:
    main()
finally:
    print(*sys.modules)
"""


@pytest.mark.parametrize(
    "arguments",
    [
        ("list",),
        ("list", "--json"),
        ("--help",),
        ("evaluate", "--help"),
        ("correlate", "--help"),
        ("plugins",),
        ("datasets", "list"),
    ],
)
def test_light_commands_import_nothing_heavy(arguments):
    code = after_command(*arguments).replace("finally", "except SystemExit")
    assert loaded(code, HEAVY) == set()


def test_importing_the_package_imports_nothing_heavy():
    assert (
        loaded("import sys, iqa_registry; print(*sys.modules)", HEAVY | {"numpy", "rich", "click"}) == set()
    )


def test_the_probe_of_light_commands_can_fail():
    code = after_command("info", "ssim").replace("finally", "except SystemExit")
    assert {"torch", "pydantic"} <= loaded(code, HEAVY)
