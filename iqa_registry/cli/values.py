"""Values of options: each type has its own one-line error, raised before anything heavy is imported."""

from __future__ import annotations

import importlib
import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import click
from click.shell_completion import CompletionItem

FILE_SUFFIXES = frozenset(
    {".csv", ".gz", ".parquet", ".json", ".tsv", ".xlsx", ".md", ".tex", ".txt"}
    | {".png", ".svg", ".pdf", ".nii", ".safetensors", ".toml"}
)
"""What a name ends with that is meant as a file."""
TABLES = (".parquet", ".csv", ".csv.gz", ".tsv", ".json", ".md", ".tex", ".xlsx")

FILE = click.Path(path_type=Path)


class Folder(click.Path):
    """A folder to write into; the name of a file is rejected, and the option for a single file is named."""

    def __init__(self) -> None:
        super().__init__(path_type=Path)
        self.name = "folder"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """The folder's path."""
        path = Path(value)
        if path.is_file() or (path.suffix.lower() in FILE_SUFFIXES and not path.is_dir()):
            known = {item.name for item in ctx.command.params} if ctx else set()
            remedy = f"Write one file with --table {path}." if "table" in known else "Name a folder."
            what = "is a file" if path.is_file() else "names a file"
            self.fail(f"{path} {what}, and this option takes a folder. {remedy}", param, ctx)
        return super().convert(value, param, ctx)


class TableFile(click.Path):
    """A file for one table; its suffix says how it is written.

    Args:
        suffixes: those that can be written.
    """

    def __init__(self, suffixes: Sequence[str] = TABLES) -> None:
        super().__init__(path_type=Path)
        self.name = "file"
        self.suffixes = tuple(suffixes)

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """The file's path."""
        if not str(value).lower().endswith(self.suffixes):
            self.fail(f"{value}: expected a file name that ends in {', '.join(self.suffixes)}.", param, ctx)
        return super().convert(value, param, ctx)


class Pattern(click.ParamType):
    """Text of a fixed form.

    Args:
        name: of the type.
        pattern: a regular expression for the whole text.
        expected: the form in words, for the error.
        words: what a shell completes.
        convert: makes the value of the text.
    """

    def __init__(
        self,
        name: str,
        pattern: str,
        expected: str,
        words: Sequence[str] = (),
        convert: Callable[[str], Any] = str,
    ) -> None:
        self.name, self.expected, self.words = name, expected, tuple(words)
        self._pattern, self._convert = re.compile(pattern), convert

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """The value, if the text has the form."""
        if not isinstance(value, str):
            return value
        if not self._pattern.fullmatch(value.strip()):
            self.fail(f"{value!r}: expected {self.expected}.", param, ctx)
        return self._convert(value.strip())

    def shell_complete(
        self, ctx: click.Context, param: click.Parameter, incomplete: str
    ) -> list[CompletionItem]:
        """The words that begin with what was typed."""
        return [CompletionItem(word) for word in self.words if word.startswith(incomplete)]


class Parsed(click.ParamType):
    """Text that a function of the core accepts; it is imported when the option is given, and the text is kept.

    Args:
        name: of the type.
        target: ``"package.module:function"``; it raises a usage error.
        words: texts that are accepted as they are.
    """

    def __init__(self, name: str, target: str, words: Sequence[str] = ()) -> None:
        self.name, self.words = name, tuple(words)
        self._target = target

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """The text itself."""
        if value not in self.words:
            module, _, function = self._target.partition(":")
            getattr(importlib.import_module(module), function)(value)
        return value


class Assignment(click.ParamType):
    """``KEY=VALUE`` as a pair of texts.

    Args:
        key: what stands before the sign, for the error.
        value: what follows it.
        choices: the values that are accepted; any by default.
    """

    name = "assignment"

    def __init__(self, key: str, value: str = "VALUE", choices: Sequence[str] = ()) -> None:
        self.choices = tuple(choices)
        self.form = f"{key}={'|'.join(choices) or value}"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """The two texts; the last ``=`` parts them where the values are known, else the first."""
        if not isinstance(value, str):
            return value
        key, equals, text = value.rpartition("=") if self.choices else value.partition("=")
        if not key.strip() or not equals or (self.choices and text not in self.choices):
            expected = " or ".join(self.form.partition("=")[0] + f"={item}" for item in self.choices)
            self.fail(f"{value!r}: expected {expected or self.form}.", param, ctx)
        return key.strip(), text


class Words(click.Choice):
    """A choice that still accepts the words of earlier versions, which are neither shown nor completed.

    Args:
        choices: the words.
        old: the word now for each earlier one.
    """

    def __init__(self, choices: Sequence[str], old: dict[str, str]) -> None:
        super().__init__(choices)
        self._old = old

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """The word of today."""
        return super().convert(self._old.get(value, value), param, ctx)


def columns(text: str) -> tuple[str, ...]:
    """Split ``COLUMN,COLUMN``, the one form of a list of columns.

    Example:
        >>> columns("task, fold")
        ('task', 'fold')
    """
    return tuple(name.strip() for name in text.split(","))


def whole_numbers(text: str) -> tuple[int, ...]:
    """Split ``N+N+N``.

    Example:
        >>> whole_numbers("8+16")
        (8, 16)
    """
    return tuple(int(number) for number in text.split("+"))


FOLDER = Folder()
COLUMNS = Pattern("columns", r"[^,]*[^,\s][^,]*(,[^,]*[^,\s][^,]*)*", "COLUMN,COLUMN", convert=columns)
"""A tuple of names."""
DEVICE = Pattern("device", r"auto|cpu|cuda(:\d+)?", "auto, cpu, cuda or cuda:N", ("auto", "cpu", "cuda"))
"""The text; whether the machine has the device is checked by the command."""
BATCH_SIZE = Pattern(
    "batch size",
    r"auto|0*[1-9]\d*",
    "auto or a number of at least 1",
    ("auto",),
    lambda text: None if text == "auto" else int(text),
)
"""A number, ``None`` for auto."""
CHANNELS = Pattern(
    "channels",
    r"\d+(\+\d+)*",
    "whole numbers joined by +, for example 8+16+32",
    convert=whole_numbers,
)
"""A tuple of numbers."""
SLICES = Parsed("slices", "iqa_registry.evaluation.options:parse_slices")
PLANES = Parsed(
    "planes", "iqa_registry.evaluation.options:parse_planes", ("axial+coronal+sagittal", "axial+coronal")
)
INTENSITY = Parsed("rule", "iqa_registry.images.intensity:parse_intensity")
FOREGROUND = Parsed("rule", "iqa_registry.images.regions:parse_foreground", ("auto", "nonzero"))
LABELS = Parsed("labels", "iqa_registry.images.regions:parse_labels", ("dataset",))
