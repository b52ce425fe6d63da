"""The hooks by which plugins contribute; six, each handed a ``register`` callable.

A plugin is a module (or object) named under the entry-point group ``iqa_registry``. Its functions are marked with
:data:`hookimpl` and call ``register`` once per contribution. They only declare: nothing heavy is imported until a
contribution is used.

Example:
    >>> from iqa_registry.hookspecs import hookimpl
    >>> @hookimpl
    ... def iqa_register_metrics(register): ...
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import pluggy

if TYPE_CHECKING:
    from iqa_registry.specs import (
        Configuration,
        DatasetSpec,
        MetricSpec,
        RankerSpec,
        SegmenterSpec,
        WeightSpec,
    )

PROJECT = "iqa_registry"

hookspec = pluggy.HookspecMarker(PROJECT)
hookimpl = pluggy.HookimplMarker(PROJECT)


@hookspec
def iqa_register_metrics(register: Callable[[MetricSpec | Configuration], None]) -> None:
    """Contribute metrics and named configurations of metrics.

    Args:
        register: takes one :class:`~iqa_registry.specs.MetricSpec` or
            :class:`~iqa_registry.specs.Configuration`.
    """


@hookspec
def iqa_register_rankers(register: Callable[[RankerSpec], None]) -> None:
    """Contribute rankers, which bring a metric's scores onto the raters' scale.

    Args:
        register: takes one :class:`~iqa_registry.specs.RankerSpec`.
    """


@hookspec
def iqa_register_segmenters(register: Callable[[SegmenterSpec], None]) -> None:
    """Contribute segmenters: array and affine in, label map out.

    Args:
        register: takes one :class:`~iqa_registry.specs.SegmenterSpec`.
    """


@hookspec
def iqa_register_datasets(register: Callable[[DatasetSpec], None]) -> None:
    """Contribute datasets for ``--dataset NAME:PATH``.

    Args:
        register: takes one :class:`~iqa_registry.specs.DatasetSpec`.
    """


@hookspec
def iqa_register_weights(register: Callable[[WeightSpec], None]) -> None:
    """Contribute weight files: where they come from, their hash, their license.

    Args:
        register: takes one :class:`~iqa_registry.specs.WeightSpec`.
    """


@hookspec
def iqa_register_commands(register: Callable[..., None]) -> None:
    """Contribute subcommands of ``iqa``.

    Args:
        register: takes the command's name, a one-line help, and ``"package.module:app"``, a
            :class:`click.Command`, imported only when the command is called; optionally the ``section`` of the help
            page of ``iqa``: Score, Compare with ratings, Data, Models, Registry, or by default Plugins.
    """
