"""``iqa weights list | fetch | import | verify``."""

from __future__ import annotations

from pathlib import Path

import click

from iqa_registry.cli import arguments, complete, render
from iqa_registry.cli.arguments import PATH, option
from iqa_registry.cli.list_ import echo_list
from iqa_registry.errors import IQAError, UsageError
from iqa_registry.registry import build_registry

NAMES = click.argument("names", nargs=-1, shell_complete=complete.completer(complete.weight_names))


@arguments.group()
def weights() -> None:
    """List, fetch, import and verify the weight files that metrics need."""


@weights.command("list", examples=("iqa weights list", "iqa weights list --json"))
@option("json", note="Prints every declared field.")
def list_weights(as_json: bool) -> None:
    """List the declared weight files: status, size, license. `iqa info NAME` shows where they come from."""
    registry = build_registry()
    echo_list(registry, registry.kinds["weights"].values(), as_json)


@weights.command(examples=("iqa weights fetch lpips-alex", "iqa weights fetch --all"))
@NAMES
@option("everything", "--all", is_flag=True, help="Fetch every declared weight file.", section="Input")
@option("force")
def fetch(names: tuple[str, ...], everything: bool, force: bool) -> None:
    """Fetch weight files into the weights folder and check each against its declared hash.

    Files that an installed package carries need not be fetched.
    """
    store = build_registry().weights
    if bool(names) == everything:
        raise UsageError("No weight files are named. Name the files to fetch, or give --all.")
    failed = 0
    for name in names or list(store.specs):
        try:
            path = store.fetch(name, force=force)
            carried = path.parent != store.directory
            click.echo(f"{name}: {path}" + " (in package, need not be fetched)" * carried)
        except UsageError:
            raise
        except IQAError as error:
            failed += 1
            render.warn(f"error: {error}")
    if failed:
        raise click.exceptions.Exit(1)


@weights.command(
    "import",
    examples=("iqa weights import vgg16.pth --name imagenet-vgg", "iqa weights import downloads/alexnet.pth"),
)
@click.argument("file", type=PATH)
@option("--name", metavar="NAME", help="Accept FILE only as these weights.", section="Input")
def import_weights(file: Path, name: str | None) -> None:
    """Copy FILE, a weight file or an archive, into the weights folder. It is identified by its hash."""
    store = build_registry().weights
    for found in store.import_file(file, name):
        click.echo(f"{found}: {store.path(found)}")


@weights.command(examples=("iqa weights verify", "iqa weights verify imagenet-vgg lpips-vgg"))
@NAMES
def verify(names: tuple[str, ...]) -> None:
    """Check weight files, in the weights folder and in packages, against their declared hashes."""
    reports = build_registry().weights.verify(names or None)
    rows = [{"weights": item.name, "status": item.status, "path": str(item.path)} for item in reports]
    click.echo(render.table(rows))
    wanted = {"damaged", "missing"} if names else {"damaged"}
    if any(item.status in wanted for item in reports):
        raise click.exceptions.Exit(1)
