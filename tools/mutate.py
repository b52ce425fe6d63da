"""Measure the tests: small faults are put into the core, one at a time, and the tests must notice.

    python tools/mutate.py                         150 faults, chosen at random with seed 0
    python tools/mutate.py --count 40 --seed 3     others
    python tools/mutate.py --under iqa_registry/weights --output faults.jsonl

Each fault is one changed comparison, boolean, arithmetic operator or constant, or one call, return or raise that is
left out, in a copy of this tree. The tests of the same package run first, then some of the command line and of Python.
The result of each fault is a line of ``--output``, and a repeated command resumes after the last. The last lines are
the share of faults that were noticed with its 95 % interval (Wilson), and those that were not. Some of these change
nothing that can be seen (equivalent mutants); read them before you write a test.
"""

from __future__ import annotations

import argparse
import ast
import json
import os
import random
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
PACKAGES = ("evaluation", "images", "weights", "tables")
WIDER = (
    "tests/cli/test_evaluate.py", "tests/cli/test_bad_input.py", "tests/cli/test_pairs.py", "tests/test_inputs.py",
    "tests/test_api_pairs.py", "tests/test_layouts.py", "tests/cli/test_templates.py", "tests/test_maps.py",
)  # fmt: skip
"""Tests of other packages that use these; they run where the tests of the package notice nothing."""
TIMEOUT = 300
SWAPS: dict[type[ast.AST], tuple[str, str]] = {
    ast.Lt: ("<", "<="), ast.LtE: ("<=", "<"), ast.Gt: (">", ">="), ast.GtE: (">=", ">"),
    ast.Eq: ("==", "!="), ast.NotEq: ("!=", "=="), ast.Is: ("is", "is not"), ast.IsNot: ("is not", "is"),
    ast.In: ("in", "not in"), ast.NotIn: ("not in", "in"), ast.Add: ("+", "-"), ast.Sub: ("-", "+"),
    ast.Mult: ("*", "/"), ast.Div: ("/", "*"), ast.FloorDiv: ("//", "/"), ast.Mod: ("%", "*"),
    ast.LShift: ("<<", ">>"), ast.BitAnd: ("&", "|"), ast.BitOr: ("|", "&"), ast.And: ("and", "or"),
    ast.Or: ("or", "and"),
}  # fmt: skip


@dataclass(frozen=True)
class Fault:
    """One change of one file: the text between two places is replaced."""

    file: str
    line: int
    kind: str
    start: int
    end: int
    old: str
    new: str

    @property
    def key(self) -> str:
        """Identifies it among all faults of one state of the source."""
        return f"{self.file}:{self.start}:{self.new}"


class Finder:
    """Every fault that one file can be given."""

    def __init__(self, file: str, source: str) -> None:
        self._file = file
        self._source = source.encode()
        self._lines = [0]
        for line in source.encode().splitlines(keepends=True):
            self._lines.append(self._lines[-1] + len(line))

    def faults(self) -> list[Fault]:
        """All of them, in the order of the source."""
        return list(self._visit(ast.parse(self._source)))

    def _visit(self, node: ast.AST) -> Iterator[Fault]:
        yield from self._of(node)
        for name, value in ast.iter_fields(node):
            if name in ("annotation", "returns", "decorator_list"):
                continue  # nothing that runs
            for child in value if isinstance(value, list) else [value]:
                if isinstance(child, ast.AST) and not _unseen(child):
                    yield from self._visit(child)

    def _of(self, node: ast.AST) -> Iterator[Fault]:
        if isinstance(node, ast.Compare):
            ends = [node.left, *node.comparators]
            for first, operator, second in zip(ends, node.ops, ends[1:], strict=False):
                yield from self._swap("comparison", operator, first, second)
        elif isinstance(node, ast.BoolOp):
            yield from self._swap("boolean", node.op, node.values[0], node.values[1])
        elif isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.Not):
            yield self._fault("boolean", node, self._text(node.operand))
        elif isinstance(node, ast.BinOp):
            yield from self._swap("arithmetic", node.op, node.left, node.right)
        elif isinstance(node, ast.Constant):
            yield from self._constant(node)
        elif isinstance(node, ast.Expr) and isinstance(node.value, ast.Call):
            yield self._fault("deleted call", node, "pass")
        elif isinstance(node, ast.Return) and node.value is not None and self._text(node.value) != "None":
            yield self._fault("deleted return", node, "return None")
        elif isinstance(node, ast.Raise):
            yield self._fault("deleted raise", node, "pass")

    def _constant(self, node: ast.Constant) -> Iterator[Fault]:
        if isinstance(node.value, bool):
            yield self._fault("constant", node, str(not node.value))
        elif isinstance(node.value, int | float):
            yield self._fault("constant", node, repr(node.value + 1))

    def _swap(self, kind: str, operator: ast.AST, first: ast.expr, second: ast.expr) -> Iterator[Fault]:
        if type(operator) not in SWAPS:
            return
        old, new = SWAPS[type(operator)]
        start, end = self._place(first)[1], self._place(second)[0]
        between = self._source[start:end].decode()
        found = re.search(rf"(?<![\w<>=!*/]){re.escape(old)}(?![\w<>=*/])", between)
        if found:
            yield self._between(kind, first.lineno, start + found.start(), start + found.end(), new)

    def _fault(self, kind: str, node: ast.stmt | ast.expr, new: str) -> Fault:
        return self._between(kind, node.lineno, *self._place(node), new)

    def _between(self, kind: str, line: int, start: int, end: int, new: str) -> Fault:
        return Fault(self._file, line, kind, start, end, self._source[start:end].decode(), new)

    def _place(self, node: ast.stmt | ast.expr) -> tuple[int, int]:
        assert node.end_lineno is not None and node.end_col_offset is not None  # noqa: S101, PT018
        return (
            self._lines[node.lineno - 1] + node.col_offset,
            self._lines[node.end_lineno - 1] + node.end_col_offset,
        )

    def _text(self, node: ast.expr) -> str:
        start, end = self._place(node)
        return self._source[start:end].decode()


def _unseen(node: ast.AST) -> bool:
    """What no test can see: blocks for type checkers, and the check of zip that lengths agree."""
    if isinstance(node, ast.If) and isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING":
        return True
    return isinstance(node, ast.keyword) and node.arg in ("strict", "slots", "frozen")


def all_faults(under: Sequence[str]) -> list[Fault]:
    """The faults of every file below the given folders that keep the source valid."""
    found = []
    for folder in under:
        for path in sorted((ROOT / folder).rglob("*.py")):
            source = path.read_text(encoding="utf-8")
            for fault in Finder(path.relative_to(ROOT).as_posix(), source).faults():
                try:
                    compile(changed(source, fault), fault.file, "exec")
                except SyntaxError:
                    continue
                found.append(fault)
    return found


def changed(source: str, fault: Fault) -> str:
    """The source with the fault in it."""
    data = source.encode()
    return (data[: fault.start] + fault.new.encode() + data[fault.end :]).decode()


def tests_of(file: str) -> list[list[str]]:
    """The tests that should notice a fault of a file, in the order in which they run."""
    package, name = Path(file).parts[1], Path(file).stem.strip("_")
    nearest = [
        path
        for path in (f"tests/{package}/test_{name}.py", f"tests/{package}/test_{name}s.py")
        if (ROOT / path).is_file()
    ]
    return [["--doctest-modules", file, *nearest], [f"tests/{package}"], list(WIDER)]


def run_tests(copy: Path, tests: Sequence[str], log: Path) -> int:
    """Run pytest on the copy in a process of its own; gives its exit code, or -1 after :data:`TIMEOUT` seconds."""
    child = os.fork()
    if child == 0:
        _child(copy, tests, log)
    end = time.monotonic() + TIMEOUT
    while time.monotonic() < end:
        done, status = os.waitpid(child, os.WNOHANG)
        if done:
            return os.waitstatus_to_exitcode(status)
        time.sleep(0.05)
    os.killpg(child, signal.SIGKILL)
    os.waitpid(child, 0)
    return -1


def _child(copy: Path, tests: Sequence[str], log: Path) -> None:
    code = 3
    try:
        os.setsid()
        os.chdir(copy)
        paths = [str(copy), str(copy / "plugins"), str(copy / "tests" / "support")]
        sys.path[:0] = paths
        os.environ["PYTHONPATH"] = os.pathsep.join(paths)
        os.environ["PYTHONDONTWRITEBYTECODE"] = "1"
        sys.dont_write_bytecode = True
        descriptor = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
        os.dup2(descriptor, 1)
        os.dup2(descriptor, 2)
        sys.stdout = sys.stderr = os.fdopen(descriptor, "w", buffering=1)
        import pytest

        options = ("-q", "-x", "-p", "no:cacheprovider", "-m", "not slow and not network and not gpu")
        code = int(pytest.main([*options, *tests]))
    finally:
        os._exit(code)


def copied(folder: Path) -> Path:
    """A copy of the tracked files."""
    names = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, check=True).stdout
    for name in names.decode().split("\0"):
        if name and (ROOT / name).is_file():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, folder / name)
    return folder


def notice(copy: Path, fault: Fault) -> str:
    """``killed`` with the test that noticed the fault, ``timeout``, or ``survived``."""
    path, log = copy / fault.file, copy / "mutate.log"
    source = path.read_text(encoding="utf-8")
    path.write_text(changed(source, fault), encoding="utf-8")
    try:
        for tests in tests_of(fault.file):
            code = run_tests(copy, tests, log)
            if code == -1:
                return "timeout"
            if code not in (0, 5):  # 5: no tests were collected
                said = re.findall(
                    r"^(?:FAILED|ERROR) (.+?)(?: - .*)?$", log.read_text(errors="replace"), re.MULTILINE
                )
                return f"killed by {said[0] if said else 'an error'}"
        return "survived"
    finally:
        path.write_text(source, encoding="utf-8")


def wilson(killed: int, count: int) -> tuple[float, float]:
    """The 95 % interval of a share.

    Example:
        >>> [round(end, 3) for end in wilson(90, 100)]
        [0.826, 0.945]
    """
    from scipy.stats import binomtest

    found = binomtest(killed, count).proportion_ci(0.95, method="wilson")
    return float(found.low), float(found.high)


def main(arguments: Sequence[str] | None = None) -> int:
    """Command line; see the module."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--count", type=int, default=150, help="how many faults")
    parser.add_argument("--seed", type=int, default=0, help="of their choice")
    parser.add_argument(
        "--under", nargs="+", default=[f"iqa_registry/{name}" for name in PACKAGES], help="folders or files"
    )
    parser.add_argument("--output", type=Path, default=Path("mutants.jsonl"), help="a line per fault")
    given = parser.parse_args(arguments)
    faults = all_faults(given.under)
    chosen = random.Random(given.seed).sample(faults, min(given.count, len(faults)))
    earlier = given.output.read_text(encoding="utf-8").splitlines() if given.output.is_file() else []
    results = {found["key"]: found for found in map(json.loads, earlier)}
    print(
        f"{len(faults)} faults in {len({fault.file for fault in faults})} files; {len(chosen)} are tried",
        flush=True,
    )
    # Loaded once, for all the processes that run tests.
    import nibabel  # noqa: F401
    import scipy.ndimage  # noqa: F401
    import torch  # noqa: F401

    with tempfile.TemporaryDirectory(prefix="mutate-") as folder:
        copy = copied(Path(folder))
        for number, fault in enumerate(chosen, 1):
            if fault.key in results:
                continue
            begin = time.monotonic()
            outcome = notice(copy, fault)
            seconds = round(time.monotonic() - begin, 1)
            results[fault.key] = {**asdict(fault), "key": fault.key, "outcome": outcome, "seconds": seconds}
            with given.output.open("a", encoding="utf-8") as out:
                out.write(json.dumps(results[fault.key]) + "\n")
            print(
                f"{number}/{len(chosen)} {fault.file}:{fault.line} {fault.kind}: {outcome} ({seconds} s)",
                flush=True,
            )
    return report([results[fault.key] for fault in chosen])


def report(results: Sequence[dict[str, object]]) -> int:
    """Print the score and what survived."""
    survived = [found for found in results if found["outcome"] == "survived"]
    killed = len(results) - len(survived)
    for found in survived:
        print(f"\n{found['file']}:{found['line']} {found['kind']}\n  - {found['old']}\n  + {found['new']}")
    low, high = wilson(killed, len(results))
    print(
        f"\n{killed} of {len(results)} noticed: {killed / len(results):.1%} (95 % interval {low:.1%} to {high:.1%})"
    )
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
