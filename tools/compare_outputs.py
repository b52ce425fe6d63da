"""Run the same commands in two source trees and list what they print or write differently.

    python tools/compare_outputs.py OLD_TREE NEW_TREE [--only CHAIN] [--jobs 2]

The script compares the exit code, stdout and every file: tables cell by cell, images exactly
(``comparison/files.py`` has the rules). Messages on stderr may change, but a traceback is always a difference.
``comparison/commands.toml`` lists the commands, ``comparison/intended.toml`` the differences that are intended, and
``comparison/inputs.py`` makes the inputs from fixed seeds. A tree compared with itself shows no difference.

Exit code: 0 no difference that is not intended, 1 some, 2 wrong usage.
"""

from __future__ import annotations

import argparse
import csv
import os
import re
import shlex
import shutil
import subprocess
import sys
import tempfile
import time
import tomllib
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE))

from comparison.files import Rules, Split, cleaner, folders, printed  # noqa: E402

TIMEOUT = 900
TIMES = ("command", "old_exit", "new_exit", "old_seconds", "new_seconds", "arguments")
"""The columns of times.csv."""


@dataclass(frozen=True)
class Command:
    """One command line, in the spelling of the old and of the new tree."""

    name: str
    old: str
    new: str


@dataclass(frozen=True)
class Result:
    """What a command did; ``seconds`` is not compared."""

    exit_code: int
    stdout: str
    stderr: str
    seconds: float


@dataclass(frozen=True)
class Intended:
    """A difference that is wanted: both patterns are searched."""

    command: re.Pattern[str]
    line: re.Pattern[str]
    reason: str

    def covers(self, command: str, line: str) -> bool:
        """Whether it explains a difference."""
        return bool(self.command.search(command) and self.line.search(line))


def read_chains(path: Path, only: Sequence[str] = ()) -> dict[str, list[Command]]:
    """The commands by chain; ``only`` names the chains to keep.

    Raises:
        SystemExit: a name in ``only`` is not the name of a chain.
    """
    listed = tomllib.loads(path.read_text("utf-8"))["chains"]
    if unknown := set(only) - set(listed):
        raise SystemExit(f"unknown chain: {', '.join(sorted(unknown))}. Choose from {', '.join(listed)}.")
    found = {}
    for chain, items in listed.items():
        pairs = [(item, item) if isinstance(item, str) else (item["old"], item["new"]) for item in items]
        found[chain] = [Command(f"{chain} {number}", *pair) for number, pair in enumerate(pairs, 1)]
    return {chain: commands for chain, commands in found.items() if not only or chain in only}


def read_rules(path: Path) -> tuple[Rules, list[Intended]]:
    """What does not count as a difference, and the differences that are intended."""
    declared = tomllib.loads(path.read_text("utf-8"))
    splits = tuple(Split(**item) for item in declared.get("split", []))
    rules = Rules(frozenset(declared.get("ignored", [])), declared.get("renamed", {}), splits)
    intended = [
        Intended(re.compile(item.get("command", "")), re.compile(item["line"]), item["reason"])
        for item in declared.get("intended", [])
    ]
    return rules, intended


class Tree:
    """A source tree, and the scratch folder in which its commands run.

    Args:
        path: the tree.
        scratch: its folder; each chain gets a folder below it.
        inputs: the folder of inputs, linked into each of them as ``in``.
        weights: the folder of weight files, shared by both trees.
    """

    def __init__(self, path: Path, scratch: Path, inputs: Path, weights: Path) -> None:
        self.path, self.scratch, self.inputs = path, scratch, inputs
        site = scratch / "site"
        write_metadata(path, site)
        # The entry points of the tree come before those of an installed iqa-registry.
        search = os.pathsep.join(map(str, (site, path, path / "plugins")))
        kept = {key: value for key, value in os.environ.items() if not key.startswith("IQA_")}
        self.environment = kept | {
            "PYTHONPATH": search,
            "PYTHONHASHSEED": "0",
            "PYTHONDONTWRITEBYTECODE": "1",
            "OMP_NUM_THREADS": "1",
            "CUDA_VISIBLE_DEVICES": "",
            "COLUMNS": "200",
            "TERM": "dumb",
            "XDG_CONFIG_HOME": str(scratch / "config"),
            "IQA_WEIGHTS_DIR": str(weights),
        }
        self.clean = cleaner([(str(scratch), "<scratch>"), (str(path), "<tree>"), (str(inputs), "<inputs>")])

    def check(self) -> None:
        """See that it is this tree that runs, not an installed iqa-registry.

        Raises:
            SystemExit: another iqa_registry is imported.
        """
        code = "import iqa_registry; print(iqa_registry.__file__)"
        command = [sys.executable, "-c", code]
        done = subprocess.run(
            command, cwd=self.scratch, env=self.environment, capture_output=True, text=True, check=False
        )
        if not done.stdout.startswith(f"{self.path}{os.sep}"):
            found = done.stdout.strip() or done.stderr.strip()
            raise SystemExit(f"{self.path}: the package that runs is not in this tree: {found}")

    def run(self, chain: str, lines: Sequence[str]) -> list[Result]:
        """Run the commands of a chain one after the other in its folder."""
        folder = self.scratch / chain
        folder.mkdir(parents=True)
        (folder / "in").symlink_to(self.inputs, target_is_directory=True)
        return [self._run(folder, line) for line in lines]

    def _run(self, folder: Path, line: str) -> Result:
        words = shlex.split(line)
        settings: dict[str, str] = {}
        while words and re.match(r"IQA_\w+=", words[0]):
            name, _, value = words.pop(0).partition("=")
            settings[name] = value
        start = time.perf_counter()
        done = subprocess.run(
            [sys.executable, "-m", "iqa_registry", *words],
            cwd=folder,
            env=self.environment | settings,
            capture_output=True,
            text=True,
            timeout=TIMEOUT,
            check=False,
        )
        seconds = time.perf_counter() - start
        return Result(done.returncode, self.clean(done.stdout), self.clean(done.stderr), seconds)


def write_metadata(tree: Path, site: Path) -> None:
    """Write what an installation of the tree would declare: its entry points and dependencies."""
    project = tomllib.loads((tree / "pyproject.toml").read_text("utf-8"))["project"]
    folder = site / f"{project['name'].replace('-', '_')}-{project['version']}.dist-info"
    folder.mkdir(parents=True)
    lines = ["Metadata-Version: 2.1", f"Name: {project['name']}", f"Version: {project['version']}"]
    lines += [f"Requires-Dist: {item}" for item in project.get("dependencies", [])]
    for extra, items in project.get("optional-dependencies", {}).items():
        lines += [
            f"Provides-Extra: {extra}",
            *(f'Requires-Dist: {item}; extra == "{extra}"' for item in items),
        ]
    (folder / "METADATA").write_text("\n".join(lines) + "\n", "utf-8")
    groups = project.get("entry-points", {})
    points = [
        f"[{group}]\n" + "\n".join(f"{key} = {value}" for key, value in items.items())
        for group, items in groups.items()
    ]
    (folder / "entry_points.txt").write_text("\n\n".join(points) + "\n", "utf-8")


def differences(command: Command, old: Result, new: Result, rules: Rules) -> Iterator[str]:
    """What a command did differently, one line each."""
    if old.exit_code != new.exit_code:
        reason = new.stderr.strip().splitlines()[-1:] or [""]
        yield f"exit code: {old.exit_code} -> {new.exit_code} ({reason[0]})"
    for name, result in (("old", old), ("new", new)):
        if "Traceback (most recent call last)" in result.stderr:
            yield f"stderr: traceback in the {name} tree: {result.stderr.strip().splitlines()[-1]}"
    yield from printed(old.stdout, new.stdout, "stdout", rules)


Found = list[tuple[str, str]]
"""Names of commands or chains, each with the line of a difference."""


def compare(
    trees: tuple[Tree, Tree], chains: Mapping[str, list[Command]], rules: Rules, jobs: int, same_forms: bool
) -> tuple[Found, list[list[Any]]]:
    """Run everything; the differences, and a row for the table of times per command."""
    work = []
    for chain, commands in chains.items():
        work.append((trees[0], chain, [command.old for command in commands]))
        work.append((trees[1], chain, [command.old if same_forms else command.new for command in commands]))
    found: Found = []
    times: list[list[Any]] = []
    with ThreadPoolExecutor(jobs) as pool:
        results = pool.map(lambda item: item[0].run(*item[1:]), work)
        for chain, commands in chains.items():
            for command, old, new in zip(commands, next(results), next(results), strict=True):
                found += [(command.name, line) for line in differences(command, old, new, rules)]
                both = [old.exit_code, new.exit_code, f"{old.seconds:.1f}", f"{new.seconds:.1f}"]
                times.append([command.name, *both, command.new])
            clean = cleaner([(str(trees[0].scratch), "<scratch>"), (str(trees[1].scratch), "<scratch>")])
            pair = [tree.scratch / chain for tree in trees]
            found += [(chain, line) for line in folders(*pair, rules, clean)]
            print(f"{chain}: {len(commands)} commands", file=sys.stderr, flush=True)
    return found, times


def report(found: Found, intended: Sequence[Intended], echo: Callable[[str], None] = print) -> int:
    """Print the differences; the number of those that are not intended."""
    used: dict[str, int] = {}
    rest = []
    for command, line in found:
        reason = next((item.reason for item in intended if item.covers(command, line)), None)
        if reason is None:
            rest.append(f"{command}: {line}")
        else:
            used[reason] = used.get(reason, 0) + 1
    for line in rest:
        echo(line)
    for item in intended:
        count = used.get(item.reason, 0)
        echo(f"intended: {count} lines: {item.reason}" if count else f"intended, but not seen: {item.reason}")
    echo(f"{len(rest)} differences, {len(found) - len(rest)} more are intended")
    return len(rest)


def parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    """The options."""
    parser = argparse.ArgumentParser(description="Compare the outputs of two source trees.")
    parser.add_argument("old", type=Path, help="tree before the change")
    parser.add_argument("new", type=Path, help="tree after the change")
    parser.add_argument(
        "--only", action="append", default=[], metavar="CHAIN", help="run this chain only; repeatable"
    )
    parser.add_argument("--jobs", type=int, default=2, metavar="N", help="processes at a time (default: 2)")
    parser.add_argument(
        "--same-forms", action="store_true", help="use the old spelling of commands in both trees"
    )
    parser.add_argument("--scratch", type=Path, help="empty folder to work in (default: a temporary one)")
    parser.add_argument(
        "--commands", type=Path, default=HERE / "comparison" / "commands.toml", help="commands to run"
    )
    parser.add_argument("--intended", type=Path, default=HERE / "comparison" / "intended.toml", help="rules")
    return parser.parse_args(arguments)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run and report; returns the exit code."""
    from comparison.inputs import make_inputs

    given = parse(arguments)
    chains = read_chains(given.commands, given.only)
    rules, intended = read_rules(given.intended)
    scratch = (given.scratch or Path(tempfile.mkdtemp(prefix="compare-outputs-"))).resolve()
    print(f"working in {scratch}", file=sys.stderr)
    inputs = scratch / "inputs"
    make_inputs(inputs)
    old, new = given.old.resolve(), given.new.resolve()
    shutil.copy(old / "iqa_registry" / "sample" / "ratings.csv", inputs / "sample_ratings.csv")
    weights = scratch / "weights"
    trees = (Tree(old, scratch / "old", inputs, weights), Tree(new, scratch / "new", inputs, weights))
    for tree in trees:
        tree.check()
    # Once, before anything runs: both trees find the same files.
    trees[0].run("weights", ["weights fetch dists imagenet-vgg kcross-t1-t2"])
    start = time.perf_counter()
    found, times = compare(trees, chains, rules, given.jobs, given.same_forms)
    with (scratch / "times.csv").open("w", newline="") as file:
        csv.writer(file).writerows([TIMES, *times])
    count = report(found, intended)
    print(
        f"{len(times)} commands, {time.perf_counter() - start:.0f} s; times per command in {scratch / 'times.csv'}"
    )
    return 1 if count else 0


if __name__ == "__main__":
    raise SystemExit(main())
