"""What a check gives, and how it says that it fails or does not apply."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

Status = Literal["pass", "fail", "skipped", "exempt"]


@dataclass(frozen=True, slots=True)
class CheckResult:
    """The outcome of one check on one metric.

    Attributes:
        name: of the check, for example ``batch size``.
        status: ``pass``, ``fail``, ``skipped``, or ``exempt`` for a failure that the metric declares as an exception.
        message: one line; what was seen, what is wrong, or why the check does not apply.
    """

    name: str
    status: Status
    message: str

    def __str__(self) -> str:
        return f"{self.name}: {self.message}"


class ConformanceError(AssertionError):
    """A metric that does not do what the interface or its declaration promises.

    Attributes:
        results: all results, including the failing ones.
    """

    def __init__(self, label: str, results: Iterable[CheckResult]) -> None:
        self.label = label
        self.results = tuple(results)
        failed = [item for item in self.results if item.status == "fail"]
        lines = "".join(f"\n  {item}" for item in failed)
        super().__init__(f"{label} fails {len(failed)} of {len(self.results)} checks:{lines}")

    def __reduce__(self) -> tuple[type[ConformanceError], tuple[str, tuple[CheckResult, ...]]]:
        # pytest-xdist and process pools send exceptions between processes.
        return type(self), (self.label, self.results)


class Failed(Exception):  # noqa: N818 - an outcome, not an error
    """Raised by a check: the metric breaks a promise; the text says which."""


class Skipped(Exception):  # noqa: N818 - an outcome, not an error
    """Raised by a check: it does not apply to the metric; the text says why."""


def require(condition: bool, message: str) -> None:
    """Raise :class:`Failed` with ``message`` unless ``condition`` holds.

    Example:
        >>> require(False, "the score is NaN")
        Traceback (most recent call last):
        ...
        iqa_registry.testing.results.Failed: the score is NaN
    """
    if not condition:
        raise Failed(message)
