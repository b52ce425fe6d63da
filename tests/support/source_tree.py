"""The source as a tree to measure: modules, what they import, their functions and the words they use.

``python tests/support/source_tree.py`` prints the numbers that ``tests/test_architecture.py`` holds.
"""

import ast
import functools
import os
import re
import sys
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
PACKAGES = {"iqa_registry": ROOT} | {path.name: path.parent for path in sorted(ROOT.glob("plugins/iqa_*"))}
LIMITS = {
    "chain of the core": 9,
    "chain with a plugin": 12,
    "lines of a file": 399,
    "lines of a function": 40,
    "parameters of a public function": 8,
}
ORDINARY = {"datasets", "labels", "none", "reproduce", "segment"}
"""Names of segmenters and commands that are ordinary words as well."""


def files(*folders):
    found = [path for folder in folders for path in sorted((ROOT / folder).rglob("*.py"))]
    return [path for path in found if not {"build", ".venv", "site-packages"} & set(path.parts)]


def module_name(path, root):
    parts = path.relative_to(root).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


SOURCES = {module_name(path, root): path for name, root in PACKAGES.items() for path in files(root / name)}
MODULES = {path: module for module, path in SOURCES.items()}
CORE = [module for module in SOURCES if module.startswith("iqa_registry.")]
PLUGINS = [module for module in SOURCES if not module.startswith("iqa_registry")]


@functools.cache
def parsed(path):
    return ast.parse(path.read_text(encoding="utf-8"))


def imports(path, lazy=True):
    """What a file imports when it runs: with ``lazy`` also inside functions, never only for type checkers."""
    found = set()
    pending = [parsed(path)]
    while pending:
        node = pending.pop()
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
            continue
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and not lazy:
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


@functools.cache
def graph(lazy):
    """Each of our modules, and those of our modules that it imports."""
    return {
        module: {item for item in imports(path, lazy) if item in SOURCES and item != module}
        for module, path in SOURCES.items()
    }


def longest_chain(prefix, lazy=False):
    """The longest chain of imports that begins in a module of the package ``prefix``.

    A chain is a list of our modules (the core and the plugins of this tree), each of which imports the next; its
    length is the number of modules. Only imports that run when the module is imported count: not those inside
    functions and not those under TYPE_CHECKING. ``from package import module`` is an import of the module. That
    Python runs the ``__init__`` of the packages above a module does not count. With ``lazy``, imports inside
    functions count too.
    """
    edges = graph(lazy)

    @functools.cache
    def chain(module):
        return max(((module, *chain(item)) for item in sorted(edges[module])), key=len, default=(module,))

    starts = [module for module in edges if module.partition(".")[0].startswith(prefix)]
    return max(map(chain, starts), key=len)


@dataclass(frozen=True)
class Function:
    """A function of a file: its length without decorators and docstring, and its parameters without self.

    ``typed`` says that a user gives the parameters as text: those of a command, or of a factory as NAME:KEY=VALUE.
    """

    name: str
    lines: int
    parameters: int
    public: bool
    typed: bool


def functions(path):
    """All functions of a file, with methods and inner functions; ``__init__`` is as public as its class."""
    tree = parsed(path)
    owners = {
        id(item): node for node in ast.walk(tree) if isinstance(node, ast.ClassDef) for item in node.body
    }
    found = []
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            lines = node.end_lineno - node.lineno + 1
            if ast.get_docstring(node) is not None:
                lines -= node.body[0].end_lineno - node.body[0].lineno + 1
            given = [*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs]
            owner = owners.get(id(node))
            made = owner is not None and node.name == "__init__"
            name = owner.name if made else node.name
            typed = any("command" in ast.unparse(item) for item in node.decorator_list)
            typed = typed or (made and f"{MODULES.get(path)}:{name}" in factories())
            count = len(given) - (owner is not None and given[:1] != [] and given[0].arg in {"self", "cls"})
            found.append(Function(node.name, lines, count, not name.startswith("_"), typed))
    return found


@functools.cache
def registry():
    """What our plugins register, without the user's settings."""
    from iqa_registry.registry import build_registry

    return build_registry(config=Path(os.devnull), strict=False)


def registered(*kinds):
    """The specs of these kinds by name; configurations have a table of their own, or are among the metrics."""
    return {name: spec for kind in kinds for name, spec in getattr(registry(), kind, {}).items()}


@functools.cache
def factories():
    """``module:class`` of whatever is made from a text NAME:KEY=VALUE, whose parameters a user types as options."""
    found = registered("metrics", "rankers", "segmenters", "datasets").values()
    return {spec.factory for spec in found if getattr(spec, "factory", None)}


@functools.cache
def names_of_plugins():
    """Names of metrics, datasets, segmenters and commands of our plugins, and of K-CROSS's special case.

    Those of rankers (levels, logistic) are words of statistics, which the core has.
    """
    own = [*registered("metrics", "configurations", "segmenters", "datasets")]
    own += [*registry().commands]
    return {name for name in own if len(name) >= 4 and "/" not in name} - ORDINARY | {"lesion", "lesions"}


def words_of_plugins(path, names):
    """Where a file of the core names something of a plugin: ``(line, name)``.

    Identifiers, keywords and strings count, as whole words (``takes_lesions`` has the words takes and lesions).
    Comments and docstrings do not: they may name a metric as an example. So may messages, which are strings with a
    space, but not the words kcross and lesion. A constant whose name begins with DEFAULT is a choice that the user
    can replace; it may name metrics.
    """
    tree = parsed(path)
    skipped = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
    for node in ast.walk(tree):
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]).startswith("DEFAULT"):
            skipped |= {id(item) for item in ast.walk(node.value)}
    found = set()
    for node in ast.walk(tree):
        if id(node) in skipped:
            continue
        for text in _texts(node):
            prose = " " in text
            plain = re.split(r"[^a-z0-9-]+", text.lower().replace("_", " "))
            words = {*plain, *(part for word in plain for part in word.split("-")), text.lower()}
            banned = {name for name in names if name.startswith(("kcross", "lesion"))} if prose else names
            found |= {(getattr(node, "lineno", 0), word) for word in words & banned}
    return sorted(found)


def _texts(node):
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        return [node.value]
    fields = {"id", "attr", "arg", "name", "module"}
    return [value for key, value in ast.iter_fields(node) if key in fields and isinstance(value, str)]


def measured():
    """The numbers by the names of their limits, each with where the largest is."""
    code = [path for name, root in PACKAGES.items() for path in files(root / name)]
    every = [(path.relative_to(ROOT), item) for path in code for item in functions(path)]
    public = [item for item in every if item[1].public and not item[1].typed]
    longest = max(code, key=lambda path: path.read_text("utf-8").count("\n"))
    core, plugin = longest_chain("iqa_registry"), longest_chain("iqa_")
    deepest = max(every, key=lambda item: item[1].lines)
    widest = max(public, key=lambda item: item[1].parameters)
    names = ("{0[0]} {0[1].name}").format
    return {
        "chain of the core": (len(core), " > ".join(core)),
        "chain with a plugin": (len(plugin), " > ".join(plugin)),
        "lines of a file": (longest.read_text("utf-8").count("\n"), str(longest.relative_to(ROOT))),
        "lines of a function": (deepest[1].lines, names(deepest)),
        "parameters of a public function": (widest[1].parameters, names(widest)),
    }


def summary():
    """The numbers as text, one line each."""
    names = names_of_plugins()
    found = [(path, *item) for path in files("iqa_registry") for item in words_of_plugins(path, names)]
    lines = [
        f"{key:<36}{size:>3}  limit {LIMITS[key]:>3}  {where}" for key, (size, where) in measured().items()
    ]
    for prefix in ("iqa_registry", "iqa_"):
        lines.append(f"{prefix}*, imports inside functions too: {len(longest_chain(prefix, lazy=True))}")
    lines.append(
        f"words of plugins in the core: {len(found)} in {len({item[0] for item in found})} files, limit 0"
    )
    lines.append(
        f"{len(SOURCES)} files, {sum(path.read_text('utf-8').count(chr(10)) for path in MODULES)} lines"
    )
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    sys.stdout.write(summary())
