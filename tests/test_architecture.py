"""Rules of the house: which way imports point, what stays light, how long chains, files and functions may be.

``python tests/support/source_tree.py`` prints the numbers.
"""

import graphlib
import itertools
import subprocess
import sys

import pytest

from source_tree import (
    CORE,
    LIMITS,
    PACKAGES,
    PLUGINS,
    ROOT,
    SOURCES,
    files,
    functions,
    graph,
    imports,
    longest_chain,
    names_of_plugins,
    summary,
    words_of_plugins,
)

LAYERS = (
    {"errors", "naming", "progress"},
    {"files"},
    {"specs", "statistics", "tables"},
    {"loss"},
    {"hookspecs", "isolation", "licenses", "metrics", "ranker", "segmenter"},
    {"parameters", "weights", "images", "plugins"},
    {"datasets", "settings"},
    {"registry"},
    {"sample"},
    {"inputs"},
    {"evaluation"},
    {"agreement"},
    {"testing"},
    {"local_maps"},
    {"api"},
    {"adapters"},
    {"plugin"},
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
    "inputs",
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
CLI_FOR_PLUGINS = {f"iqa_registry.cli.{name}" for name in ("arguments", "judged", "progress", "render")}
"""What the commands of a plugin may import, so that they look like ours."""


def part(module):
    return module.split(".")[1] if "." in module else ""


RANK = {name: rank for rank, layer in enumerate(LAYERS) for name in layer}


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
    graphlib.TopologicalSorter(graph(lazy=True)).prepare()


@pytest.mark.parametrize(
    ("prefix", "limit"),
    [("iqa_registry", LIMITS["chain of the core"]), ("iqa_", LIMITS["chain with a plugin"])],
)
def test_chains_of_imports_are_short(prefix, limit):
    chain = longest_chain(prefix)
    assert len(chain) <= limit, f"{len(chain)} modules, limit {limit}: {' > '.join(chain)}"


def test_a_chain_counts_modules_that_import_one_another():
    chain = longest_chain("iqa_registry")
    for module, target in itertools.pairwise(chain):
        assert target in imports(SOURCES[module], lazy=False)
    assert len(longest_chain("iqa_registry", lazy=True)) >= len(chain) >= 3


@pytest.mark.parametrize("path", files("iqa_registry"), ids=str)
def test_the_core_names_nothing_of_a_plugin(path):
    found = words_of_plugins(path, names_of_plugins())
    # The earlier name of an option, which stays accepted until version 1.0.
    found = [item for item in found if (path.name, item[1]) != ("arguments.py", "lesions")]
    # The root mean squared error of fitted ratings is a statistic, and has the name of a metric.
    if path.parent.name == "statistics" or path.parent.name == "agreement" or path.name == "agree.py":
        found = [item for item in found if item[1] != "rmse"]
    # The package that an adapter is for has the name of a segmenter.
    found = [item for item in found if (path.parent.name, item[1]) != ("adapters", "monai")]
    # And the package whose tensors are read.
    found = [item for item in found if (path.name, item[1]) != ("objects.py", "monai")]
    assert not found, "; ".join(f"{path}:{line}: {word}" for line, word in found)


def test_the_probe_of_words_sees_them(tmp_path):
    assert {"kcross", "lpips", "ssim", "nnunet", "phantom", "lesion"} <= names_of_plugins()
    source = """
DEFAULT_METRICS = ("ssim",)
takes_lesions = metric("lpips:net=vgg")
raise Error("try ssim instead")
print("kcross is special")
def phantom(): "Like kcross."
"""
    (tmp_path / "part.py").write_text(source)
    found = words_of_plugins(tmp_path / "part.py", names_of_plugins())
    assert found == [(3, "lesions"), (3, "lpips"), (5, "kcross"), (6, "phantom")]


@pytest.mark.parametrize("module", [module for module in PLUGINS if module.endswith(".plugin")])
def test_declarations_import_nothing_heavy(module):
    code = f"import sys, {module}; print(*sys.modules)"
    assert loaded(code, HEAVY) == set()


@pytest.mark.parametrize(
    "path", files("iqa_registry", "plugins", "examples", "tests", "benchmarks", "tools"), ids=str
)
def test_files_and_functions_stay_short(path):
    assert path.read_text(encoding="utf-8").count("\n") <= LIMITS["lines of a file"]
    limit = LIMITS["lines of a function"]
    long = [f"{item.name} has {item.lines} lines" for item in functions(path) if item.lines > limit]
    assert not long, f"{path}: {', '.join(long)}; at most {limit}"


@pytest.mark.parametrize("path", SOURCES.values(), ids=str)
def test_public_functions_take_few_parameters(path):
    """All but those that a user types: options of a command, and parameters in NAME:KEY=VALUE."""
    limit = LIMITS["parameters of a public function"]
    wide = [item for item in functions(path) if item.public and not item.typed and item.parameters > limit]
    assert not wide, f"{path}: more than {limit} parameters: {', '.join(item.name for item in wide)}"


def test_the_probe_of_functions_counts(tmp_path):
    (tmp_path / "a.py").write_text(
        'class A:\n    def f(self, x, *, y):\n        """Two\n        lines."""\n        return x\n'
    )
    (found,) = functions(tmp_path / "a.py")
    assert (found.name, found.lines, found.parameters, found.public, found.typed) == ("f", 2, 2, True, False)


def test_the_summary_has_every_number():
    assert all(name in summary() for name in LIMITS)


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


def test_the_figure_shows_every_part_on_its_floor(monkeypatch):
    monkeypatch.syspath_prepend(ROOT / "tools")
    from make_architecture import FLOORS, STEPS
    from make_architecture import PLUGINS as SHOWN

    shown = [name for _, parts, _ in FLOORS for name in parts]
    assert sorted(shown) == sorted(set(RANK) - {"plugin", "__main__"})
    floors = [[RANK[name] for name in parts] for _, parts, _ in FLOORS]
    for upper, lower in itertools.pairwise(floors):
        assert min(upper) >= max(lower), "a part stands on a floor below one that it may import"
    assert {f"iqa_{name}" for name in SHOWN} - {"iqa_yours"} == set(PACKAGES) - {"iqa_registry"}
    for _, where, _ in STEPS[:-1]:
        assert (ROOT / "iqa_registry" / where).is_file()
