"""Progress: a bar on terminals and in notebooks, a line now and then in log files, nothing for short runs there."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any, TextIO

if TYPE_CHECKING:
    from rich.console import Console

SECONDS = 30.0
"""Between two lines in a log file; a run that takes less says nothing."""


@contextmanager
def progress_bar(
    label: str, unit: str = "pairs", show: bool | None = None
) -> Iterator[Callable[[float, int], None]]:
    """Show how far it is; yields a function that takes the number done and the total.

    Args:
        label: what is being done.
        unit: what is counted.
        show: ``False`` for nothing at all, ``True`` also for lines of a short run in a log file.

    Example:
        >>> with progress_bar("scoring", show=False) as progress:
        ...     progress(1, 2)
    """
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    console = Console(stderr=True)
    if show is False:
        yield lambda done, total: None
        return
    if not _can_draw(console):
        yield log_lines(label, unit, sys.stderr, 0.0 if show else SECONDS)
        return
    columns = (
        TextColumn(label),
        BarColumn(),
        MofNCompleteColumn(),
        _rate_column(unit),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=console, transient=True) as bar:
        task = bar.add_task(label, total=None)

        def progress(done: float, total: int) -> None:
            bar.update(task, completed=done, total=total)

        yield progress


def _can_draw(console: Console) -> bool:
    """Whether a bar can be drawn; in notebooks only with ipywidgets, without which rich would warn in every cell."""
    return find_spec("ipywidgets") is not None if console.is_jupyter else console.is_terminal


def log_lines(
    label: str,
    unit: str,
    stream: TextIO,
    seconds: float = SECONDS,
    clock: Callable[[], float] = time.monotonic,
) -> Callable[[float, int], None]:
    """A function that writes a line for each tenth that is done, and at most one in ``seconds``.

    Example:
        >>> report = log_lines("scoring", "pairs", sys.stdout, seconds=0)
        >>> for done in (0, 1, 20, 40):
        ...     report(done, 40)
        scoring: 20 of 40 pairs (50 %)
        scoring: 40 of 40 pairs (100 %)
    """
    said, last = 0, clock()

    def report(done: float, total: int) -> None:
        nonlocal said, last
        tenth = int(10 * done / total) if total else 0
        if tenth > said and clock() - last >= seconds:
            said, last = tenth, clock()
            share = f"{100 * done / total:.0f} %"
            print(f"{label}: {int(done)} of {total} {unit} ({share})", file=stream, flush=True)

    return report


def _rate_column(unit: str) -> Any:
    from rich.progress import ProgressColumn, Task
    from rich.text import Text

    class Rate(ProgressColumn):
        """How many per second."""

        def render(self, task: Task) -> Text:
            speed = task.finished_speed or task.speed
            return Text("" if not speed else f"{speed:.1f} {unit}/s")

    return Rate()
