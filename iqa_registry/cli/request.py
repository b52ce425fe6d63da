"""What a command that reads images was asked for: the inputs and the settings, from options as they were typed."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

import click
from click.core import ParameterSource

from iqa_registry.cli import render
from iqa_registry.cli.arguments import OLD_LABEL
from iqa_registry.errors import OptionError, UsageError

if TYPE_CHECKING:
    from iqa_registry.evaluation.options import Options
    from iqa_registry.inputs import Inputs
    from iqa_registry.metrics import Metric
    from iqa_registry.registry import Registry

OF_DATASET = "dataset"
"""What the earlier option took in place of labels."""


def read_options(given: Mapping[str, Any]) -> Options:
    """Settings from command-line options as they were typed.

    Raises:
        UsageError: a value that an option does not take.
    """
    from iqa_registry.evaluation.options import make_options
    from iqa_registry.images.regions import parse_regions

    values = dict(given)
    old = values.pop("old_labels", None)
    regions = parse_regions(given["regions"])
    names = parse_regions(given.get("label_names", ()))
    if None in names.values():
        raise OptionError("label_names", "expected NAME=LABEL,LABEL, such as core=1,4.")
    if old is not None:
        values["use_labels"] = True
        if old != OF_DATASET:
            names |= parse_regions([f"{OLD_LABEL.strip('-')}={old}"])
    values["regions"] = list(regions)
    values["label_names"] = names | {name: labels for name, labels in regions.items() if labels}
    values["foreground"] = {None: False, "auto": True}.get(given["foreground"], given["foreground"])
    if values.get("planes") and _is_default("axis"):
        del values["axis"]
    values["planes"] = values.get("planes") or ()
    values["resample"] = given["resample"] is not None
    return make_options(values)


def _is_default(parameter: str) -> bool:
    context = click.get_current_context(silent=True)
    return context is not None and context.get_parameter_source(parameter) is ParameterSource.DEFAULT


def open_request(given: Mapping[str, Any], options: Options, registry: Registry) -> tuple[Inputs, Options]:
    """The inputs that the arguments name, and the options with what the dataset calls its labels.

    Raises:
        UsageError: arguments that contradict each other, or that nothing can be made of.
    """
    from iqa_registry.inputs import open_inputs

    images = given["synthesized"] is not None
    if images and (options.regions or options.use_labels) and not (given["mask"] or given["labels"]):
        raise UsageError("--regions and --use-labels need a label map; give it with --labels.")
    inputs = open_inputs(**given, axis=options.axis, layout=options.layout, registry=registry)
    if inputs.notice:
        render.warn(inputs.notice)
    return inputs, options.named(inputs.label_names)


def warn_of_labels(options: Options, metrics: Iterable[Metric]) -> None:
    """Say on stderr that ``--use-labels`` was given for nothing."""
    if not options.use_labels:
        return
    wanted = {name for metric in metrics for name in metric.uses_labels}
    if not wanted:
        render.warn("warning: --use-labels changes nothing here: none of the metrics looks at labels.")
    for name in sorted(wanted - options.label_names.keys()):
        render.warn(
            f"warning: no label is called {name}, which a metric looks at; "
            f"name it with --label-names {name}=LABEL,LABEL."
        )
