"""The command group: our commands, those of plugins, and how errors are shown."""

from __future__ import annotations

import importlib
import os
from importlib.metadata import version
from typing import Any

import click

from iqa_registry.cli.command import Group, debug
from iqa_registry.cli.ending import one_line
from iqa_registry.errors import IQAError
from iqa_registry.isolation import stdout_reserved
from iqa_registry.plugins import Command
from iqa_registry.registry import Registry, build_registry

OWN = {
    "evaluate": "iqa_registry.cli.evaluate:evaluate",
    "pairs": "iqa_registry.cli.pairs:pairs",
    "maps": "iqa_registry.cli.maps:maps",
    "agree": "iqa_registry.cli.agree:agree",
    "plan": "iqa_registry.cli.plan:plan",
    "correlate": "iqa_registry.cli.correlate:correlate",
    "list": "iqa_registry.cli.list_:list_metrics",
    "info": "iqa_registry.cli.info:info",
    "plugins": "iqa_registry.cli.plugins:plugins",
    "plugin": "iqa_registry.cli.check:plugin",
    "weights": "iqa_registry.cli.weights:weights",
    "completion": "iqa_registry.cli.complete:completion",
}
"""Our commands in the order of the help page; each is imported when it is needed."""
SECTIONS = {
    "Score": ("evaluate", "maps"),
    "Compare with ratings": ("agree", "plan", "correlate"),
    "Data": ("pairs",),
    "Models": ("weights",),
    "Registry": ("list", "info", "plugins", "plugin", "completion"),
}
"""The sections of the help page with our commands; a plugin names the section of its own."""


class IQAGroup(Group):
    """A group that imports a command when it is called, and knows plugins' commands by name and help until then.

    It gives every command the option ``--debug``, and turns a mistake of the user into one or two lines on stderr and
    an exit code: 2 for wrong usage, else 1.
    """

    _registry: Registry | None = None

    def _plugin_commands(self) -> dict[str, Command]:
        # Built at most once per call of the program.
        if self._registry is None:
            self._registry = build_registry()
        return {name: item for name, item in self._registry.commands.items() if name not in OWN}

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Our commands in the order of the help page, then those of plugins."""
        try:
            return [*OWN, *self._plugin_commands()]
        except IQAError as error:
            # The help page must not depend on the settings that it helps to correct.
            click.echo(f"iqa: error: {error}", err=True)
            return [*OWN]

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Our command, or a placeholder with the help of a plugin's command."""
        if cmd_name in OWN:
            return load_command(OWN[cmd_name])
        found = self._plugin_commands().get(cmd_name)
        return None if found is None else click.Command(cmd_name, help=found.help)

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Import a plugin's command when it is called."""
        name, command, rest = super().resolve_command(ctx, args)
        if command is not None and name is not None and name not in OWN:
            command = load_command(self._plugin_commands()[name].target)
        return name, command, rest

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """The commands by section."""
        sections = {title: list(names) for title, names in SECTIONS.items()}
        for name in self.list_commands(ctx)[len(OWN) :]:
            sections.setdefault(self._plugin_commands()[name].section, []).append(name)
        width = max(len(name) for names in sections.values() for name in names)
        limit = formatter.width - 6 - width
        for title, names in sections.items():
            found = [(f"{name:{width}}", self.get_command(ctx, name)) for name in names]
            rows = [(name, command.get_short_help_str(limit)) for name, command in found if command]
            if rows:
                with formatter.section(title):
                    formatter.write_dl(rows)

    def make_context(self, *args: Any, **extra: Any) -> click.Context:
        """Read the options before the command's name; a wrong one ends in one line."""
        self._registry = None
        with one_line(), stdout_reserved():
            return super().make_context(*args, **extra)

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command; a mistake of the user ends in one or two lines, a defect in its traceback."""
        with one_line(), stdout_reserved():
            return super().invoke(ctx)


def load_command(target: str) -> click.Command:
    """Import the command that ``"package.module:name"`` names, with ``--debug`` added to it and to its subcommands."""
    module, _, attribute = target.partition(":")
    command: click.Command = getattr(importlib.import_module(module), attribute)
    _add_debug(command)
    return command


def _add_debug(command: click.Command) -> None:
    if isinstance(command, click.Group):
        for inner in command.commands.values():
            _add_debug(inner)
    elif not any("--debug" in param.opts for param in command.params):
        debug(command)


def _show_version(ctx: click.Context, _: click.Parameter, wanted: bool) -> None:
    if wanted:
        click.echo(f"iqa-registry {version('iqa-registry')}")
        ctx.exit()


@click.group(
    cls=IQAGroup,
    examples=(
        "iqa evaluate fake real --metric ssim --metric psnr -o RUN",
        "iqa agree RUN --ratings ratings.csv",
    ),
    context_settings={"help_option_names": ["-h", "--help"]},
)
@click.option(
    "--version",
    is_flag=True,
    expose_value=False,
    is_eager=True,
    callback=_show_version,
    help="Show the version and exit.",
)
@click.option("--debug", is_flag=True, help="Show the traceback of errors (also IQA_DEBUG=1).")
def app(debug: bool) -> None:
    """Score synthesized medical images against their references with many metrics."""
    if debug:
        os.environ["IQA_DEBUG"] = "1"
