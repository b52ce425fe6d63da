"""The progress of commands, see :mod:`iqa_registry.progress`."""

from iqa_registry.progress import progress_bar as progress_bar
