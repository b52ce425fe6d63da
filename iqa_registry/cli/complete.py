"""What the shell completes: names that the registry knows, found without importing torch."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import click
from click.shell_completion import CompletionItem, get_completion_class

from iqa_registry.cli.command import Command
from iqa_registry.errors import IQAError
from iqa_registry.specs import KINDS

ERRORS = ("error", "signed-error")
"""The maps that need no metric; those of :mod:`iqa_registry.local_maps.kinds`, which imports torch."""


def metric_names(incomplete: str) -> list[tuple[str, str]]:
    """Metrics that begin with what was typed, with their summaries."""
    return _names(incomplete, "metrics")


def ranker_names(incomplete: str) -> list[tuple[str, str]]:
    """Rankers that begin with what was typed, with their summaries."""
    return _names(incomplete, "rankers")


def segmenter_names(incomplete: str) -> list[tuple[str, str]]:
    """Segmenters that begin with what was typed, with their summaries."""
    return _names(incomplete, "segmenters")


def dataset_names(incomplete: str) -> list[tuple[str, str]]:
    """Datasets that begin with what was typed, with their summaries."""
    return _names(incomplete, "datasets")


def weight_names(incomplete: str) -> list[tuple[str, str]]:
    """Weight files that begin with what was typed, with their summaries."""
    return _names(incomplete, "weights")


def all_names(incomplete: str) -> list[tuple[str, str]]:
    """Whatever is registered and begins with what was typed, each name once."""
    return list(dict(reversed(_names(incomplete, *KINDS))).items())


def map_names(incomplete: str) -> list[tuple[str, str]]:
    """Maps that begin with what was typed."""
    errors = zip(ERRORS, ("Absolute error.", "Synthesized minus reference."), strict=True)
    maps = ((spec.name, spec.summary) for spec in _specs("metrics") if spec.provides_map)
    return _matching(incomplete, [*errors, *maps])


def _names(incomplete: str, *kinds: str) -> list[tuple[str, str]]:
    return _matching(incomplete, ((spec.name, spec.summary) for kind in kinds for spec in _specs(kind)))


def _specs(kind: str) -> list[Any]:
    from iqa_registry.registry import build_registry

    try:
        return list(build_registry().kinds[kind].values())
    except IQAError:
        # The command itself reports a settings file that is broken; the shell has no place for it.
        return []


def _matching(incomplete: str, known: Iterable[tuple[str, str]]) -> list[tuple[str, str]]:
    return [(name, help_text) for name, help_text in known if name.startswith(incomplete)]


def completer(
    names: Callable[[str], list[tuple[str, str]]],
) -> Callable[[click.Context, click.Parameter, str], list[CompletionItem]]:
    """A list of names with their help as what click's options take."""

    def complete(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
        return [CompletionItem(name, help=help_text) for name, help_text in names(incomplete)]

    return complete


@click.command(cls=Command, examples=("iqa completion bash", "iqa completion fish"))
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
def completion(shell: str) -> None:
    """Print the script that completes commands, options and metric names.

    For bash, add `eval "$(iqa completion bash)"` to ~/.bashrc. For zsh, add `eval "$(iqa completion zsh)"` to ~/.zshrc.
    For fish, write the output to ~/.config/fish/completions/iqa.fish.
    """
    from iqa_registry.cli.app import app

    made = get_completion_class(shell)
    if made is not None:
        click.echo(made(app, {}, "iqa", "_IQA_COMPLETE").source())
