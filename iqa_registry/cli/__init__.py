"""The command line ``iqa``: one thin module a command; torch is imported only by commands that compute."""

from __future__ import annotations

import os
import sys


def main() -> None:
    """Entry point of ``iqa`` and of ``python -m iqa_registry``."""
    _open_closed_streams()
    try:
        from iqa_registry.cli.app import app

        app(prog_name="iqa")
    except KeyboardInterrupt:
        # While the program was still starting, or ending.
        sys.stderr.write("iqa: interrupted.\n")
        sys.exit(130)


def _open_closed_streams() -> None:
    """Lead output that the caller has closed (``>&-``) to nowhere, so that no other file takes its place."""
    for name in ("stdin", "stdout", "stderr"):
        if getattr(sys, name) is None:
            setattr(sys, name, open(os.devnull, "r" if name == "stdin" else "w"))  # noqa: PTH123, SIM115
