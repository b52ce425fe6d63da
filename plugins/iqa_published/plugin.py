"""What this plugin contributes; nothing heavy is imported here."""

from __future__ import annotations

from collections.abc import Callable

from iqa_registry.plugin import hookimpl


@hookimpl
def iqa_register_commands(register: Callable[..., None]) -> None:
    """``iqa reproduce``."""
    register(
        "reproduce",
        "Recompute published results.",
        "iqa_published.commands:reproduce",
        "Compare with ratings",
    )
