"""Calls that can run code, or that look a thing up by a name that is not in the source.

``python tests/support/sharp_calls.py`` lists them; ``docs/security.md`` explains each, and ``tests/test_security.py``
compares the two.
"""

import ast
import sys
from collections import Counter
from fnmatch import fnmatch

from source_tree import ROOT, SOURCES, parsed

SHARP = (
    *("eval", "exec", "compile", "__import__"),
    *("importlib.import_module", "importlib.reload", "importlib.util.*", "importlib.machinery.*", "runpy.*"),
    *("pickle.*", "*Unpickler*", "marshal.*", "shelve.*", "dill.*", "cloudpickle.*", "joblib.load"),
    *("torch.load", "torch.jit.load", "torch.hub.*", "torch.package.*", "numpy.load", "numpy.fromfile"),
    *("yaml.*", "xml.*", "subprocess.*", "os.system", "os.popen", "os.exec*", "os.spawn*", "os.posix_spawn*"),
    *("ctypes.*", "pty.*", "webbrowser.*", "socket.*", "shutil.unpack_archive", "*.extractall", "*.extract"),
    *("nnunetv2.*", "importlib.metadata.entry_points", "*.entry_point.load"),
)
"""Patterns of full names; a star stands for anything."""
KEYWORDS = {"allow_pickle", "ckpt_path", "shell", "weights_only"}
"""Arguments that make a call sharp whatever it is called."""
HARMLESS = {
    "importlib.util.find_spec": "finds a top-level module without running it",
    "pickle.UnpicklingError": "an error, not a call that reads",
}


def sharp_calls(path):
    """Each sharp call of a file, as ``(name, the function that it is in)``, with their number."""
    tree = parsed(path)
    names = _imported(tree)
    return Counter(_calls(tree, names, "<module>"))


def _imported(tree):
    """What the names that a file imports stand for, wherever it imports them."""
    found = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found |= {
                alias.asname or alias.name.split(".")[0]: alias.asname and alias.name for alias in node.names
            }
        elif isinstance(node, ast.ImportFrom):
            found |= {alias.asname or alias.name: f"{node.module}.{alias.name}" for alias in node.names}
    return {name: full or name for name, full in found.items()}


def _calls(node, names, place):
    if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
        place = node.name if place == "<module>" else f"{place}.{node.name}"
    if isinstance(node, ast.Call):
        name = _full_name(node.func, names)
        if _is_sharp(name):
            yield name, place
        elif name == "getattr" and not isinstance(node.args[1], ast.Constant):
            yield "getattr", place
        elif sharp := KEYWORDS & {item.arg for item in node.keywords}:
            yield f"{name}({min(sharp)}=)", place
    if isinstance(node, ast.ClassDef):
        for base in node.bases:
            if _is_sharp(name := _full_name(base, names)):
                yield f"class of {name}", place
    for child in ast.iter_child_nodes(node):
        yield from _calls(child, names, place)


def _is_sharp(name):
    return name not in HARMLESS and any(fnmatch(name, pattern) for pattern in SHARP)


def _full_name(node, names):
    parts = []
    while isinstance(node, ast.Attribute):
        parts.append(node.attr)
        node = node.value
    root = names.get(node.id, node.id) if isinstance(node, ast.Name) else ""
    return ".".join([root, *reversed(parts)])


def all_sharp_calls():
    """Every sharp call of the core and the plugins: ``(file, function, name)``."""
    found = set()
    for path in SOURCES.values():
        file = path.relative_to(ROOT).as_posix()
        found |= {(file.removeprefix("plugins/"), place, name) for name, place in sharp_calls(path)}
    return found


if __name__ == "__main__":
    for file, place, name in sorted(all_sharp_calls()):
        sys.stdout.write(f"| `{file}` | `{place}` | `{name}` | |\n")
