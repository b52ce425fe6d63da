"""``iqa maps``: where images differ from their references, as PNG files and NIfTI volumes."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from iqa_registry.cli import arguments, complete, render
from iqa_registry.cli.arguments import option
from iqa_registry.cli.progress import progress_bar
from iqa_registry.cli.request import open_request, read_options, warn_of_labels
from iqa_registry.errors import IQAError
from iqa_registry.naming import canonical

if TYPE_CHECKING:
    from iqa_registry.evaluation.options import Options
    from iqa_registry.inputs import Inputs
    from iqa_registry.local_maps.engine import Mapper
    from iqa_registry.local_maps.local_map import FailedMap
    from iqa_registry.local_maps.writer import MapWriter
    from iqa_registry.registry import Registry

DEFAULT_MAPS = ("error", "ssim", "gmsd", "fsim")


@arguments.command(
    examples=(
        "iqa maps fake.png real.png --metric error --metric ssim -o maps",
        'iqa maps "fake/{model}/{case}_fake_B.png" "real/{case}_real_B.png" --metric error -o maps',
        "iqa maps --dataset phantom:pairs=2,seed=7,size=128 --metric error -o maps",
    )
)
@arguments.images
@option(
    "metric",
    note="Also error and signed-error. Other metrics need a map, see `iqa info NAME`. "
    f"By default {', '.join(DEFAULT_MAPS)}.",
    shell_complete=complete.completer(complete.map_names),
)
@option(
    "--limits",
    multiple=True,
    metavar="METRIC=EQUAL,FAR",
    help="Values drawn black and brightest (error=0,0.2). May be repeated. "
    "By default 0,0.5 for errors and distances, 1,0 for similarities.",
    section="Output",
)
@option(
    "panel",
    "--panel/--bare",
    default=True,
    help="Draw the reference and the synthesized image next to the map, or the map alone.",
    section="Output",
)
@arguments.grid
@arguments.masks
@arguments.scale
@option("device")
@option("workers")
@option("output", required=True, note="Files of the same name are replaced.")
def maps(
    synthesized: str | None,
    reference: str | None,
    pairs: Path | None,
    dataset: str | None,
    mask: Path | None,
    labels: Path | None,
    metric: tuple[str, ...],
    output: Path,
    limits: tuple[str, ...],
    panel: bool,
    **settings: Any,
) -> None:
    """Write local maps: where a synthesized image differs from its reference.

    SYNTHESIZED and REFERENCE are two images or volumes, two folders matched by name, two DICOM series, or two quoted
    templates whose placeholders match the files: "fake/{model}/{case}_fake_B.png" "real/{case}_real_B.png".

    There is one file PAIR_ID-METRIC.png for each image or slice, and PAIR-METRIC.nii.gz on the reference grid for each
    volume, in which slices that were not mapped are NaN. The means are in maps.csv. Black is equal and bright is
    different, on one scale for all maps of a metric. Without images, the bundled sample is drawn.

    Exit code: 0 all drawn, 1 something was not, 2 wrong usage.
    """
    options = read_options(settings)
    from iqa_registry.images.layouts import check_layouts
    from iqa_registry.local_maps.writer import MapWriter
    from iqa_registry.registry import build_registry

    registry = build_registry()
    given = {
        "synthesized": synthesized, "reference": reference, "pairs": pairs, "dataset": dataset,
        "mask": mask, "labels": labels,
    }  # fmt: skip
    mapper, incomplete = _start(registry, list(metric) or _defaults(registry), options, list(limits))
    inputs, _ = open_request(given, options, registry)
    check_layouts(inputs.pairs, options.layout, {2})
    for line in inputs.left_out:
        render.warn(f"not drawn: {line}")
    with MapWriter(output, panel) as writer:
        failed = _draw(mapper, writer, inputs)
    _report(writer, failed)
    if failed or inputs.left_out or incomplete:
        raise click.exceptions.Exit(1)


def _defaults(registry: Registry) -> list[str]:
    """Without the plugin that has a default map, the others are drawn."""
    return [name for name in DEFAULT_MAPS if name in complete.ERRORS or name in registry.metrics]


def _start(registry: Registry, names: list[str], options: Options, limits: list[str]) -> tuple[Mapper, bool]:
    """The mapper, and whether a metric is missing in it because it cannot start."""
    from iqa_registry.evaluation.options import choose_device
    from iqa_registry.local_maps.engine import Mapper
    from iqa_registry.local_maps.kinds import check_limits, map_names, parse_limits, start_maps

    names = map_names(registry, names)
    scales = {canonical(names, name): scale for name, scale in parse_limits(limits).items()}
    check_limits(scales, names)
    started = start_maps(registry, names, choose_device(options.device))
    for reason in started.failed.values():
        render.warn(f"error: {reason}")
    if not started.ready:
        raise IQAError("none of the maps can start.")
    warn_of_labels(options, started.ready.values())
    return Mapper(started.ready, options, scales), bool(started.failed)


def _draw(mapper: Mapper, writer: MapWriter, inputs: Inputs) -> list[FailedMap]:
    from iqa_registry.local_maps.local_map import LocalMap

    failed = []
    with progress_bar("drawing") as progress:
        for found in mapper.run(inputs, progress):
            if isinstance(found, LocalMap):
                writer.add(found)
            else:
                failed.append(found)
    return failed


def _report(writer: MapWriter, failed: list[FailedMap]) -> None:
    click.echo(render.table(_summary(writer.rows)))
    reasons = dict.fromkeys(item.message for item in failed)
    for reason in list(reasons)[:20]:
        render.warn(f"error: {reason}")
    if len(reasons) > 20:
        render.warn(f"... and {len(reasons) - 20} further reasons.")
    counts = {"image": writer.pictures, "volume": writer.volumes}
    written = " and ".join(f"{n} {kind}{'s' * (n > 1)}" for kind, n in counts.items() if n)
    render.warn(f"{written or 'nothing'} in {writer.folder}, means in {writer.folder}/maps.csv")


def _summary(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """One line for each map and region: the mean over its images."""
    groups: dict[tuple[str, str], list[dict[str, Any]]] = {}
    for row in rows:
        groups.setdefault((row["metric"], row["region"]), []).append(row)
    summary = []
    for (metric, region), group in groups.items():
        means = [row["mean"] for row in group if row["mean"] is not None]
        summary.append(
            {
                "map": metric,
                "region": region,
                "n": len(group),
                "mean": render.number(sum(means) / len(means)) if means else "",
                "black": f"{group[0]['equal']:g}",
                "brightest": f"{group[0]['brightest']:g}",
            }
        )
    return summary
