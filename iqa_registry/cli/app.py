"""The command group: our commands, those of plugins, and how errors are shown."""

from __future__ import annotations

import importlib
import os
import sys
from typing import Annotated, Any

import typer
from typer.core import TyperCommand, TyperGroup

from iqa_registry.errors import IQAError, UsageError
from iqa_registry.plugins import Command
from iqa_registry.registry import Registry, build_registry


class IQAGroup(TyperGroup):
    """A group that knows plugins' commands by name and help only, until one is called.

    It also turns an :class:`IQAError` into one line on stderr and an exit code: 2 for wrong usage, else 1.
    """

    _registry: Registry | None = None

    def _plugin_commands(self) -> dict[str, Command]:
        # The group lives as long as one call of the program, so the registry is built at most once for it.
        if self._registry is None:
            self._registry = build_registry()
        return self._registry.commands

    def list_commands(self, ctx: Any) -> list[str]:
        """Our commands in the order of the help page, then those of plugins."""
        return [*super().list_commands(ctx), *self._plugin_commands()]

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        """Our command, or a placeholder with the help of a plugin's command."""
        own = super().get_command(ctx, cmd_name)
        if own is not None or cmd_name not in self._plugin_commands():
            return own
        return TyperCommand(cmd_name, help=self._plugin_commands()[cmd_name].help)

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        """Import a plugin's command when it is called."""
        name, command, rest = super().resolve_command(ctx, args)
        if command is not None and super().get_command(ctx, str(command.name)) is None:
            module, _, attribute = self._plugin_commands()[str(command.name)].target.partition(":")
            target = getattr(importlib.import_module(module), attribute)
            command = typer.main.get_command(target)
        return name, command, rest

    def invoke(self, ctx: Any) -> Any:
        """Run the command; a mistake of the user ends in one or two lines, a defect in its traceback."""
        try:
            return super().invoke(ctx)
        except IQAError as error:
            if debugging():
                raise
            typer.echo(f"iqa: error: {error}", err=True)
            raise typer.Exit(2 if isinstance(error, UsageError) else 1) from None
        except BrokenPipeError:
            # The reader of our output (head, say) has seen enough.
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            raise typer.Exit(0) from None


app = typer.Typer(
    cls=IQAGroup,
    no_args_is_help=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    help="Score synthesized medical images against their references with many metrics.",
    context_settings={"help_option_names": ["-h", "--help"]},
)

plugin_app = typer.Typer(
    help="Check plugins.",
    no_args_is_help=True,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def debugging() -> bool:
    """Whether tracebacks of user mistakes are wanted."""
    return os.environ.get("IQA_DEBUG", "") not in ("", "0")


def _show_version(wanted: bool) -> None:
    if wanted:
        from importlib.metadata import version

        typer.echo(f"iqa-registry {version('iqa-registry')}")
        raise typer.Exit


@app.callback()
def _top(
    version: Annotated[
        bool,
        typer.Option("--version", callback=_show_version, is_eager=True, help="Show the version and exit."),
    ] = False,
    debug: Annotated[
        bool, typer.Option("--debug", help="Show the traceback of errors (also IQA_DEBUG=1).")
    ] = False,
) -> None:
    if debug:
        os.environ["IQA_DEBUG"] = "1"


def _add_commands() -> None:
    from iqa_registry.cli import check, evaluate, info, list_, maps, plugins, weights

    app.command("evaluate")(evaluate.evaluate)
    app.command("maps")(maps.maps)
    app.command("list")(list_.list_metrics)
    app.command("info")(info.info)
    app.add_typer(weights.app, name="weights")
    app.command("plugins")(plugins.plugins)
    plugin_app.command("check")(check.check)
    plugin_app.callback()(lambda: None)
    app.add_typer(plugin_app, name="plugin")


_add_commands()
