"""How the program ends: errors of the user, a full disk, a closed pipe and an interruption give a line and a code."""

from __future__ import annotations

import errno
import os
import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import NoReturn

import click

from iqa_registry.errors import IQAError, OptionError, UsageError

INTERRUPTED = 130
"""What shells give for a program that Ctrl-C has ended: 128 and the number of the signal."""


@contextmanager
def one_line() -> Iterator[None]:
    """Turn what is not a defect into one or two lines on stderr and an exit code; a defect keeps its traceback."""
    try:
        yield
    except click.UsageError as error:
        # A group without a command shows its help, which click raises as an error.
        if error.ctx is None or type(error).__name__ == "NoArgsIsHelpError":
            raise
        message = " ".join(error.format_message().split()).rstrip(".")
        end = "" if message.endswith("?") else "."
        _end(2, f"error: {message}{end} See `{error.ctx.command_path} --help`.")
    except IQAError as error:
        if debugging():
            raise
        _end(2 if isinstance(error, UsageError) else 1, f"error: {_shown(error)}")
    except KeyboardInterrupt as stop:
        # The terminal has shown ^C; the message gets a line of its own.
        _end(INTERRUPTED, " ".join(["interrupted.", *map(str, stop.args)]), "\n" * sys.stderr.isatty())
    except BrokenPipeError:
        # The reader of our output (head, for example) has seen enough.
        _forget_output()
        raise click.exceptions.Exit(0) from None
    except OSError as error:
        full = error.errno in (errno.ENOSPC, errno.EDQUOT)
        if debugging() or not (full or error.filename):
            raise
        if full:
            _forget_output()
            _end(1, "error: the output cannot be written: the disk is full. Make room, and rerun.")
        # What the machine says of a file: a name that is too long, a folder that may not be read.
        _end(1, f"error: {error.filename}: {error.strerror}.")


def debugging() -> bool:
    """Whether tracebacks of user mistakes are wanted."""
    return os.environ.get("IQA_DEBUG", "") not in ("", "0")


def shortened(message: str) -> str:
    """A message whose names are cut where they are too long to be read.

    Example:
        >>> len(shortened("error: " + "x" * 5000 + ": no such file"))
        141
    """
    return re.sub(r"\S{201,}", lambda found: f"{found[0][:80]}…{found[0][-40:]}", message)


def _end(code: int, message: str, before: str = "") -> NoReturn:
    click.echo(f"{before}iqa: {shortened(message)}", err=True)
    raise click.exceptions.Exit(code) from None


def _forget_output() -> None:
    """Lead stdout to nowhere, so that Python does not fail again when it flushes on exit."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _shown(error: IQAError) -> str:
    """The message; the name of an option gets its dashes."""
    if isinstance(error, OptionError):
        return f"--{error.option.replace('_', '-')}: {error.problem}"
    return str(error)
