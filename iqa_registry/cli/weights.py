"""``iqa weights list | fetch | import | verify``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from iqa_registry.cli import complete, render
from iqa_registry.errors import IQAError, UsageError
from iqa_registry.registry import build_registry

app = typer.Typer(
    help="Bring, list and verify the weight files that metrics need.",
    no_args_is_help=True,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
)


@app.command("list")
def list_weights(
    as_json: Annotated[bool, typer.Option("--json", help="Print as JSON.")] = False,
) -> None:
    """List the declared weight files: status, size, licence, where they come from."""
    store = build_registry().weights
    rows = [
        {
            "weights": spec.name,
            "status": store.status(spec.name),
            "MB": f"{spec.size / 1e6:.1f}",
            "licence": spec.licence,
            "sources": "; ".join(source.describe() for source in spec.sources),
        }
        for spec in store.specs.values()
    ]
    if as_json:
        render.echo_json([row | {"path": str(store.path(str(row["weights"])))} for row in rows])
        return
    typer.echo(render.table(rows, flexible="sources"))
    typer.echo(f"\nfolder: {store.directory}")


@app.command()
def fetch(
    names: Annotated[
        list[str] | None,
        typer.Argument(help="Weight files; see `iqa weights list`.", autocompletion=complete.weight_names),
    ] = None,
    everything: Annotated[bool, typer.Option("--all", help="Fetch every declared weight file.")] = False,
    force: Annotated[bool, typer.Option("--force", help="Replace a file that is there.")] = False,
) -> None:
    """Fetch weight files into the weights folder, each checked against its declared hash."""
    store = build_registry().weights
    if bool(names) == everything:
        raise UsageError("name the weight files to fetch, or give --all.")
    failed = 0
    for name in names or list(store.specs):
        try:
            typer.echo(f"{name}: {store.fetch(name, force=force)}")
        except UsageError:
            raise
        except IQAError as error:
            failed += 1
            render.warn(f"error: {error}")
    if failed:
        raise typer.Exit(1)


@app.command("import")
def import_weights(
    file: Annotated[Path, typer.Argument(help="A weight file, or an archive that holds one.")],
    name: Annotated[str | None, typer.Option(help="Accept it only as these weights.")] = None,
) -> None:
    """Bring a file from elsewhere into the weights folder; what it is is told by its hash."""
    store = build_registry().weights
    for found in store.import_file(file, name):
        typer.echo(f"{found}: {store.path(found)}")


@app.command()
def verify(
    names: Annotated[
        list[str] | None,
        typer.Argument(help="Weight files; all by default.", autocompletion=complete.weight_names),
    ] = None,
) -> None:
    """Check the files in the weights folder against their declared hashes."""
    reports = build_registry().weights.verify(names or None)
    typer.echo(
        render.table(
            [{"weights": item.name, "status": item.status, "path": str(item.path)} for item in reports]
        )
    )
    wanted = {"damaged", "missing"} if names else {"damaged"}
    if any(item.status in wanted for item in reports):
        raise typer.Exit(1)
