"""Give damaged files to every reader and look for tracebacks, hangs and memory.

    python tools/fuzz.py                          ten minutes, seed 0
    python tools/fuzz.py --seconds 60 --seed 3    others
    python tools/fuzz.py --replay FOLDER          the inputs that were kept before

Each input is a sound file of one format with bytes changed, cut out, repeated or put in, or random bytes under its
name. A process of its own reads them, each within 20 seconds and 2 GiB; a process that dies is started again. Allowed
are a result and the errors of this package. All else is a finding, and its input is kept in the folder ``--keep``.
"""

from __future__ import annotations

import argparse
import contextlib
import multiprocessing
import os
import random
import shutil
import sys
import tempfile
import time
import warnings
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from pathlib import Path

import fuzz_inputs

SECONDS, MEMORY = 20.0, 2 << 30
"""What one input may take."""
ADDRESSES = 12 << 30
"""Address space of the process that reads: what asks for more fails there, and the machine goes on."""
PER_PROCESS = 2000
FINE = ("read", "refused")


def serve(connection: Connection, reader: Callable[[Path, str], None]) -> None:
    """Read what the connection names until it is closed; answer with the outcome and the most memory in bytes."""
    _prepare()
    while True:
        try:
            folder, name = connection.recv()
        except EOFError:
            return
        _forget_peak()
        connection.send((_outcome(reader, Path(folder), name), _peak()))


def _prepare() -> None:
    import resource

    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_AS, (ADDRESSES, ADDRESSES))
    silent = os.open(os.devnull, os.O_WRONLY)
    os.dup2(silent, 1)
    os.dup2(silent, 2)
    warnings.simplefilter("ignore")


def _outcome(reader: Callable[[Path, str], None], folder: Path, name: str) -> str:
    from iqa_registry.errors import IQAError

    try:
        reader(folder, name)
    except IQAError as error:
        cause: BaseException | None = error
        while cause is not None:
            if isinstance(cause, MemoryError):
                return f"asked for over {ADDRESSES >> 30} GiB"
            cause = cause.__cause__
        return "refused"
    except BaseException as error:  # whatever it is, it is what is looked for
        frame = error.__traceback__
        while frame and frame.tb_next:
            frame = frame.tb_next
        where = f"{Path(frame.tb_frame.f_code.co_filename).name}:{frame.tb_lineno}" if frame else ""
        return f"{type(error).__name__}: {str(error)[:150]} ({where})"
    return "read"


def _forget_peak() -> None:
    with contextlib.suppress(OSError):  # the peak is then that of the process
        Path("/proc/self/clear_refs").write_text("5")


def _peak() -> int:
    try:
        lines = Path("/proc/self/status").read_text().splitlines()
    except OSError:
        import resource

        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("VmHWM"))


class Child:
    """A process that reads files; started when it is needed, and again when it has died."""

    def __init__(self, reader: Callable[[Path, str], None] = fuzz_inputs.read) -> None:
        self.reader, self.count, self.limit = reader, 0, SECONDS
        self._process: multiprocessing.process.BaseProcess | None = None

    def start(self) -> multiprocessing.process.BaseProcess:
        """Start it as a fresh interpreter, since threads do not survive a fork."""
        context = multiprocessing.get_context("spawn")
        self._connection, theirs = context.Pipe()
        self._process = context.Process(target=serve, args=(theirs, self.reader), daemon=True)
        self._process.start()
        theirs.close()
        return self._process

    def stop(self) -> None:
        """End it."""
        if self._process is not None:
            self._connection.close()
            self._process.kill()
            self._process.join()
            self._process = None
        self.count = 0

    def outcome(self, folder: Path, name: str) -> tuple[str, int, float]:
        """``read``, ``refused`` or what went wrong; the most memory in bytes; and the seconds."""
        if self.count >= PER_PROCESS:
            self.stop()
        process = self._process or self.start()
        # The first file also waits for the imports.
        limit = self.limit if self.count else self.limit + 60
        begun = time.monotonic()
        self._connection.send((str(folder), name))
        try:
            if not self._connection.poll(limit):
                self.stop()
                return f"hang of {self.limit:g} s", 0, limit
            said, peak = self._connection.recv()
        except (EOFError, ConnectionError):
            process.join()
            said = f"the process died ({process.exitcode})"
            self.stop()
            return said, 0, time.monotonic() - begun
        first, self.count = self.count == 0, self.count + 1
        took = 0.0 if first else time.monotonic() - begun
        return (f"{peak >> 20} MiB" if peak > MEMORY else said), peak, took


@dataclass
class Figures:
    """What came of all inputs."""

    results: Counter[tuple[str, str]] = field(default_factory=Counter)
    findings: Counter[str] = field(default_factory=Counter)
    peak: tuple[int, str] = (0, "")
    slowest: tuple[float, str] = (0.0, "")

    def add(self, name: str, said: str, peak: int, seconds: float) -> None:
        """Count one."""
        self.results[name, said if said in FINE else "finding"] += 1
        if said not in FINE:
            self.findings[f"{name}: {said}"] += 1
        self.peak = max(self.peak, (peak, name))
        self.slowest = max(self.slowest, (seconds, name))

    def lines(self) -> list[str]:
        """The figures by kind, the findings, and the sum."""
        lines = [f"{'file':18}{'read':>8}{'refused':>9}{'findings':>10}"]
        for name in sorted({name for name, _ in self.results}):
            read, refused, found = (self.results[name, said] for said in (*FINE, "finding"))
            lines.append(f"{name:18}{read:8}{refused:9}{found:10}")
        lines += [f"{count} x {text}" for text, count in self.findings.most_common()]
        read, refused = (sum(n for (_, said), n in self.results.items() if said == kind) for kind in FINE)
        return [
            *lines,
            f"{self.results.total()} inputs, {read} read, {refused} refused, {self.findings.total()} findings; "
            f"at most {self.slowest[0]:.1f} s ({self.slowest[1]}) and {self.peak[0] >> 20} MiB ({self.peak[1]})",
        ]


def fuzz(seconds: float, seed: int, keep: Path, child: Child, most: int = 1 << 40) -> Figures:
    """Damaged files until the time is up, or ``most`` of them.

    Raises:
        SystemExit: a sound file is not read.
    """
    rng, figures = random.Random(seed), Figures()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        seeds = sound_files(folder)
        for file in seeds:
            if (said := child.outcome(folder, file)[0]) != "read":
                raise SystemExit(f"{file}: the sound file gives: {said}")
        end = time.monotonic() + seconds
        for count in range(most):
            if time.monotonic() > end:
                break
            chosen = list(seeds)[count % (len(seeds) + 1)] if count % (len(seeds) + 1) < len(seeds) else ""
            target, content = (
                (chosen, fuzz_inputs.damaged(chosen, seeds[chosen], rng))
                if chosen
                else fuzz_inputs.random_file(rng)
            )
            (folder / target).write_bytes(content)
            said, peak, took = child.outcome(folder, target)
            figures.add(target, said, peak, took)
            if said not in FINE:
                place = keep / f"{seed}-{count}" / target
                place.parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(folder / target, place)
            if chosen:
                (folder / target).write_bytes(seeds[chosen])
            else:
                (folder / target).unlink()
    return figures


def sound_files(folder: Path) -> dict[str, bytes]:
    """Write the sound files; their names and contents."""
    fuzz_inputs.write_sound(folder)
    names = [path.relative_to(folder).as_posix() for path in sorted(folder.rglob("*")) if path.is_file()]
    return {
        name: (folder / name).read_bytes()
        for name in names
        if not name.startswith("series/") or name in fuzz_inputs.READ_AS
    }


def replay(kept: Path, child: Child) -> Figures:
    """Read again what was kept, each among the sound files."""
    figures = Figures()
    for case in sorted(path for path in kept.iterdir() if path.is_dir()):
        with tempfile.TemporaryDirectory() as name:
            sound_files(Path(name))
            shutil.copytree(case, name, dirs_exist_ok=True)
            target = next(path for path in case.rglob("*") if path.is_file()).relative_to(case).as_posix()
            said, peak, took = child.outcome(Path(name), target)
        print(f"{case.name}/{target}: {said}")
        figures.add(target, said, peak, took)
    return figures


def main() -> int:
    """The command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seconds", type=float, default=600)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--keep", type=Path, default=Path("fuzz-findings"))
    parser.add_argument("--replay", type=Path)
    given = parser.parse_args()
    child = Child()
    try:
        figures = (
            replay(given.replay, child)
            if given.replay
            else fuzz(given.seconds, given.seed, given.keep, child)
        )
    finally:
        child.stop()
    print(*figures.lines(), sep="\n")
    return int(bool(figures.findings))


if __name__ == "__main__":
    sys.exit(main())
