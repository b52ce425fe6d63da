"""The command line ``iqa``: one thin module a command; torch is imported only by commands that compute."""

from __future__ import annotations


def main() -> None:
    """Entry point of ``iqa`` and of ``python -m iqa_registry``."""
    from iqa_registry.cli.app import app

    app(prog_name="iqa")
