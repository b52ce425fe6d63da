"""More images than a command takes: what the shell makes of an unquoted ``f*.png``."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Any

import click

from iqa_registry.errors import UsageError

_MASKED = 3


class MoreImages(click.Argument):
    """An argument that takes what follows the two images, to say how several of them are given."""

    hidden = True

    def __init__(self) -> None:
        super().__init__(
            ["more_images"], nargs=-1, expose_value=False, type=click.Path(), callback=self._reject
        )

    def _reject(self, ctx: click.Context, _: click.Parameter, more: tuple[str, ...]) -> Any:
        if not more or ctx.resilient_parsing:
            return
        given = [
            Path(text) for text in (ctx.params.get("synthesized"), ctx.params.get("reference"), *more) if text
        ]
        raise UsageError(
            f"{len(given)} images or folders are given ({given[0]}, {given[1]}, {given[2]}"
            f"{' ...' if len(given) > _MASKED else ''}), where one synthesized image and one reference are expected. "
            f"{_remedy(ctx.command_path, given)}"
        )

    def get_usage_pieces(self, ctx: click.Context) -> list[str]:
        """Nothing: giving more images is an error."""
        return []


def _remedy(command: str, given: list[Path]) -> str:
    from iqa_registry.images.listing import scheme
    from iqa_registry.images.proposals import templates_for

    templates = templates_for(given)
    if templates is not None:
        return f"The shell replaces *, so quote templates: {shlex.join([*command.split(), *templates])}"
    if len(given) == _MASKED and len({scheme(path) for path in given}) == _MASKED:
        return "Give a mask with --mask, and several images as two folders or two quoted templates."
    return (
        "The shell replaces *, so give two folders, or two quoted templates such as "
        "'fake_{case}.png' 'real_{case}.png'."
    )
