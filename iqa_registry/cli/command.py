"""Commands and groups with options by section, examples, and suggestions for a mistyped command."""

from __future__ import annotations

import itertools
import os
from collections.abc import Mapping, Sequence
from typing import Any

import click

from iqa_registry.errors import nearest

SECTIONS = ("Input", "Metrics", "Images", "Statistics", "Model", "Training", "Running", "Output", "Options")
"""The sections of a help page, in order; an option that names none is in the last one."""


class Option(click.Option):
    """An option with a section on the help page and names of earlier versions.

    Args:
        section: one of :data:`SECTIONS`.
        old: names that are still accepted but neither shown nor completed, until version 1.0.
        takes: how the values of an option begin that may be given without one.
    """

    def __init__(
        self,
        *args: Any,
        section: str = SECTIONS[-1],
        old: Sequence[str] = (),
        takes: Sequence[str] = (),
        **settings: Any,
    ) -> None:
        super().__init__(*args, **settings)
        self.section, self.old, self.takes = section, tuple(old), tuple(takes)

    def without_value(self, args: Sequence[str]) -> list[str]:
        """The arguments with ``--option=DEFAULT`` where what follows the option is not a value of it."""
        if not self.takes:
            return [*args]
        ends = args.index("--") if "--" in args else len(args)
        following = (*args[1:ends], "")
        given = [
            f"{arg}={self.flag_value}" if arg in self.opts and not after.startswith(self.takes) else arg
            for arg, after in zip(args[:ends], following, strict=False)
        ]
        return [*given, *args[ends:]]

    def add_to_parser(self, parser: Any, ctx: click.Context) -> None:
        """Let the parser know the earlier names too."""
        shown = self.opts
        self.opts = [*shown, *self.old]
        try:
            super().add_to_parser(parser, ctx)
        finally:
            self.opts = shown

    def get_help_extra(self, ctx: click.Context) -> Any:
        """The default without parentheses and the range, which the help text gives where it matters."""
        extra = super().get_help_extra(ctx)
        extra.pop("range", None)
        if isinstance(self.show_default, str) and "default" in extra:
            extra["default"] = self.show_default
        return extra

    def consume_value(self, ctx: click.Context, opts: Any) -> Any:
        """The value given, which may stand where an earlier version had an argument."""
        value, source = super().consume_value(ctx, opts)
        given = ctx.meta.get(_key(self.name))
        if given is None or source is click.core.ParameterSource.COMMANDLINE:
            return value, source
        return given, click.core.ParameterSource.COMMANDLINE


class OldArgument(click.Argument):
    """An argument that became an option: still accepted, not shown, until version 1.0.

    Args:
        option: name of the option's parameter.
    """

    hidden = True

    def __init__(self, option: str) -> None:
        super().__init__([f"old_{option}"], required=False, expose_value=False, callback=self._hand_over)
        self._option = option

    def _hand_over(self, ctx: click.Context, _: click.Parameter, value: Any) -> None:
        if value is None:
            return
        if ctx.params.get(self._option) is not None:
            raise click.UsageError(f"Got unexpected extra argument ({value})", ctx)
        ctx.meta[_key(self._option)] = value

    def get_usage_pieces(self, ctx: click.Context) -> list[str]:
        """Nothing: the option is shown in its place."""
        return []


def _show_tracebacks(ctx: click.Context, _: click.Parameter, wanted: bool) -> None:
    if wanted:
        os.environ["IQA_DEBUG"] = "1"


debug: Any = click.option(
    "--debug",
    cls=Option,
    is_flag=True,
    expose_value=False,
    is_eager=True,
    callback=_show_tracebacks,
    help="Show the traceback of errors.",
)
"""The group ``iqa`` adds it to every command, those of plugins included."""


def _key(name: str | None) -> str:
    return f"iqa_registry.old_argument.{name}"


def _write_examples(formatter: click.HelpFormatter, lines: Sequence[str]) -> None:
    if lines:
        with formatter.section("Example" if len(lines) == 1 else "Examples"):
            for line in lines:
                formatter.write(f"{'':{formatter.current_indent}}{line}\n")


class Command(click.Command):
    """A command whose help page has sections and ends with examples.

    Args:
        examples: commands as they are typed.
        resumes: whether repeating the command with the same ``-o`` resumes an interrupted run.
    """

    def __init__(
        self, *args: Any, examples: Sequence[str] = (), resumes: bool = False, **settings: Any
    ) -> None:
        super().__init__(*args, **settings)
        self.examples = tuple(examples)
        self.resumes = resumes

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command; an interruption carries how to resume it."""
        try:
            return super().invoke(ctx)
        except (KeyboardInterrupt, SystemExit) as stop:
            # Lightning makes an exit of an interruption.
            if not any(isinstance(item, KeyboardInterrupt) for item in (stop, stop.__context__)):
                raise
            raise KeyboardInterrupt(*self._how_to_resume(ctx.params)) from None

    def _how_to_resume(self, given: Mapping[str, Any]) -> list[str]:
        if not self.resumes:
            return []
        if given.get("output") is None:
            return ["Nothing was kept; with -o FOLDER, repeating the command resumes an interrupted run."]
        repeat = "Repeat the command without --fresh" if given.get("fresh") else "Repeat the command"
        return [f"{repeat} to resume; {given['output']} keeps what is finished."]

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Tell options that are given without a value from those that are followed by one."""
        for param in self.params:
            if isinstance(param, Option):
                args = param.without_value(args)
        return super().parse_args(ctx, args)

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """The options by section."""
        found: dict[str, list[tuple[str, str]]] = {name: [] for name in SECTIONS}
        for param in self.get_params(ctx):
            record = param.get_help_record(ctx) if isinstance(param, click.Option) else None
            if record is not None:
                found[getattr(param, "section", SECTIONS[-1])].append(record)
        for title, records in found.items():
            if records:
                with formatter.section(title):
                    formatter.write_dl(records)

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """The examples, one per line."""
        super().format_epilog(ctx, formatter)
        _write_examples(formatter, self.examples)


class Group(click.Group):
    """A group of such commands, whose help page ends with examples too.

    Args:
        examples: commands as they are typed; by default the first ones of its commands.
    """

    command_class = Command

    def __init__(self, *args: Any, examples: Sequence[str] = (), **settings: Any) -> None:
        super().__init__(*args, **settings)
        self._examples = tuple(examples)

    @property
    def examples(self) -> tuple[str, ...]:
        """Two examples: of different commands, if it has several."""
        if self._examples:
            return self._examples
        inner = [getattr(item, "examples", ()) for item in self.commands.values()]
        return tuple([line for row in itertools.zip_longest(*inner) for line in row if line is not None][:2])

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """The examples, one per line."""
        super().format_epilog(ctx, formatter)
        _write_examples(formatter, self.examples)

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Suggest the nearest command for one that does not exist."""
        name = args[0]
        if not name.startswith("-") and not ctx.resilient_parsing and self.get_command(ctx, name) is None:
            known = self.list_commands(ctx)
            begun = [item for item in known if name and item.startswith(name)]
            hint = nearest(name, known) or (f" Did you mean {begun[0]!r}?" if begun else "")
            ctx.fail(f"There is no command {name!r}.{hint}")
        return super().resolve_command(ctx, args)
