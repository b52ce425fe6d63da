"""Errors: every mistake that a user can make and mend derives from :class:`IQAError`.

The command line prints an :class:`IQAError` as one or two lines without a traceback; a run turns it into a
row of status ``error`` (or ``not_applicable``) and goes on. Anything else is a defect and keeps its traceback.
This module imports nothing of the project, so that everything may import it.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class IQAError(Exception):
    """Base of all mistakes with a remedy; ``str(error)`` says what was expected, what was got, what to do."""


class UsageError(IQAError):
    """The request itself is wrong (unknown name, wrong parameter, contradictory options): exit code 2."""


class OptionError(UsageError):
    """A value that an option does not take.

    Attributes:
        option: the name of the field in Python; the command line shows it with its dashes.
        problem: what is wrong with the value.

    Example:
        >>> str(OptionError("batch_size", "0 is not a number of at least 1."))
        'batch_size: 0 is not a number of at least 1.'
    """

    def __init__(self, option: str, problem: str) -> None:
        super().__init__(f"{option}: {problem}")
        self.option = option
        self.problem = problem

    def __reduce__(self) -> tuple[type[OptionError], tuple[str, str]]:
        return type(self), (self.option, self.problem)


class UnknownNameError(UsageError):
    """A name that nothing is registered under; the message offers the nearest ones."""


class ParameterError(UsageError):
    """A parameter that a metric does not have, or a value it does not take."""


class SpecError(IQAError):
    """A declaration that lacks a field or contradicts itself; it names the field."""


class PluginError(IQAError):
    """A plugin that could not be loaded; the reason is in the message."""


class MetricError(IQAError):
    """A metric that gives or does what its interface does not allow: a defect of the metric, whatever the images."""


class ImageError(IQAError):
    """An image that cannot be read or scored; the message names the file and the remedy."""


class IntensityError(ImageError):
    """Values that do not fit the intensity rule, or two images on plainly different scales."""


class GeometryError(ImageError):
    """Two images that do not lie on one grid: sizes or affines differ."""


class NotApplicableError(IQAError):
    """A metric that has no value for this input, for a reason that is no mistake (too small, no lesion)."""


class WeightsError(IQAError):
    """A weight file that is missing, unreachable, or is not what was declared."""


class MissingExtraError(IQAError):
    """An optional package that is not installed; the message holds the exact pip command."""

    @classmethod
    def of(cls, problem: str, extra: str, distribution: str = "iqa-registry") -> MissingExtraError:
        """The error for an extra, with the one command that adds it.

        The command names the installed distribution, so that pip keeps it and adds only what the extra lists. It
        therefore works after an installation from a clone, from a wheel, and from an index.

        Args:
            problem: what needs which package.
            extra: name of the extra.
            distribution: whose extra it is.

        Example:
            >>> str(MissingExtraError.of("writing .xlsx needs xlsxwriter", "excel"))
            'writing .xlsx needs xlsxwriter. Run: pip install "iqa-registry[excel]"'
        """
        return cls(f"{problem}. Run: {install_command(extra, distribution)}")


def install_command(extra: str, distribution: str = "iqa-registry") -> str:
    """The command that adds an extra to an installed distribution.

    Example:
        >>> install_command("excel")
        'pip install "iqa-registry[excel]"'
    """
    return f'pip install "{distribution}[{extra}]"'


def nearest(name: str, known: Iterable[str]) -> str:
    """Return ``" Did you mean 'x'?"`` for the closest known names, or an empty string; case does not matter.

    Example:
        >>> nearest("sism", ["ssim", "psnr"]), nearest("SSIM", ["ssim", "psnr"])
        (" Did you mean 'ssim'?", " Did you mean 'ssim'?")
    """
    by_key = {item.casefold(): item for item in known}
    key = name.casefold()
    matches = [key] if key in by_key else difflib.get_close_matches(key, by_key, n=2, cutoff=0.6)
    return f" Did you mean {' or '.join(repr(by_key[match]) for match in matches)}?" if matches else ""
