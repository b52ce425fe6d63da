"""``iqa pairs``: which image would be compared with which, before anything is scored."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from iqa_registry.cli import arguments, render
from iqa_registry.cli.arguments import option
from iqa_registry.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from iqa_registry.images.image import Source
    from iqa_registry.images.pair import Pair

_SHOWN = 5
_PATHS = ("synthesized", "reference", "mask", "labels")


@arguments.command(
    examples=(
        'iqa pairs "fake/{model}/{case}_fake_B.png" "real/{case}_real_B.png" --table pairs.csv',
        "iqa pairs synthesized reference --mask masks",
    )
)
@arguments.images
@option("mask")
@option("labels")
@option("table")
@option("json")
@option("csv")
def pairs(
    synthesized: str | None,
    reference: str | None,
    pairs: Path | None,
    dataset: str | None,
    mask: Path | None,
    labels: Path | None,
    table: Path | None,
    as_json: bool,
    as_csv: bool,
) -> None:
    """Show which images are compared, and write them as a manifest.

    SYNTHESIZED and REFERENCE are two images, two folders, or two templates such as "fake/{model}/{case}.png".
    {NAME} is one part of a name, {NAME:d} a whole number (7 is 007), {NAME:path} several folders, {slice} the number of
    a slice, and * what does not matter. The files join on the placeholders that both sides have.

    The manifest (--table) is what --pairs reads. Exit code: 0 all have a partner, 1 something was left out.
    """
    arguments.check_output(as_json, as_csv)
    from iqa_registry.inputs import open_inputs

    inputs = open_inputs(synthesized, reference, mask=mask, labels=labels, pairs=pairs, dataset=dataset)
    if inputs.notice:
        render.warn(inputs.notice)
    for line in inputs.left_out:
        render.warn(f"left out: {line}")
    if table is not None:
        from iqa_registry.tables.writing import write_table

        write_table(table, _rows(inputs.pairs, table.resolve().parent))
        render.warn(f"{len(inputs.pairs)} pairs in {table}")
    _print(inputs.pairs, as_json, as_csv)
    if inputs.left_out:
        raise click.exceptions.Exit(1)


def _print(found: Sequence[Pair], as_json: bool, as_csv: bool) -> None:
    if as_json:
        render.echo_json(_rows(found, None))
    elif as_csv:
        from iqa_registry.tables.writing import as_csv as to_csv

        click.echo(to_csv(_rows(found, None)), nl=False)
    else:
        shown = [
            {name: str(value) for name, value in row.items() if value is not None}
            for row in _rows(found[:_SHOWN], None)
        ]
        click.echo(render.table(shown))
        click.echo(f"{len(found)} pairs" + (f", the first {_SHOWN} shown" if len(found) > _SHOWN else ""))


def _rows(found: Sequence[Pair], folder: Path | None) -> list[dict[str, Any]]:
    """The rows of a manifest; columns that no pair fills are left out. Paths are relative to ``folder``."""
    rows: list[dict[str, Any]] = [
        {"pair_id": pair.pair_id}
        | {
            name: _path(source, folder)
            for name, source in zip(_PATHS, pair.sources, strict=True)
            if name != "labels" or pair.labels != pair.mask
        }
        | dict(pair.groups)
        for pair in found
    ]
    filled = {name for row in rows for name, value in row.items() if value is not None}
    names = [name for name in dict.fromkeys(name for row in rows for name in row) if name in filled]
    return [{name: row.get(name) for name in names} for row in rows]


def _path(source: Source | None, folder: Path | None) -> str | None:
    if source is None:
        return None
    if folder is None:
        return str(source)
    if not isinstance(source, str | Path):
        raise UsageError(
            f"{source}: is not a file of its own, so that a manifest cannot name it. Leave --table away."
        )
    path = Path(source).resolve()
    return path.relative_to(folder).as_posix() if path.is_relative_to(folder) else str(path)
