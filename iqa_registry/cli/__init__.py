"""The command line ``iqa``: one thin module a command; torch is imported only by commands that compute."""

from __future__ import annotations

import sys


def main() -> None:
    """Entry point of ``iqa`` and of ``python -m iqa_registry``."""
    try:
        from iqa_registry.cli.app import app

        app(prog_name="iqa")
    except KeyboardInterrupt:
        # While the program was still starting, or ending.
        sys.stderr.write("iqa: interrupted.\n")
        sys.exit(130)
